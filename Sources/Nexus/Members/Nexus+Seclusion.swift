import Pool
import Reactor

/// A nexus whose node says that it reaches neither its peers nor the state store: another one may have taken over, and nothing tells it so.
///
/// It looks at its leases then, several times a second. While a member renews them, it only has bad company, and goes on. Where they have run
/// out, it can answer no read (R3b), and acknowledge no change, as the member that does not answer belongs to the set until the store says
/// otherwise (R1, R2). So nothing is lost by telling hosts to look elsewhere at once instead of after `patienceNanoseconds` (R12); what its
/// commands did is settled as after that. It keeps its claims: should it have been alone in the dark, it serves again as soon as it can.
extension Nexus {
  private static let seclusionLookNanoseconds: UInt64 = 200_000_000

  /// What the node says. It may be wrong, and come at any time.
  public func setSecluded(_ secluded: Bool) {
    if secluded == isSecluded || isOver { return }
    isSecluded = secluded
    if secluded { lookAtSeclusion() } else { setCutOff(false) }
  }

  private func lookAtSeclusion() {
    guard isSecluded, !isOver, !isSeclusionLookDue else { return }
    let now = leaseNow
    if activeMask != 0, now >= leaseRenewNanoseconds { renewLeases() }
    // An idle volume has let its leases end: one question first.
    setCutOff(now >= leaseEndNanoseconds && (activeMask == 0 || isSeclusionAsked))
    isSeclusionAsked = activeMask != 0
    if isCutOff { endImpatient() }
    isSeclusionLookDue = true
    after(nanoseconds: Self.seclusionLookNanoseconds) { [self] in
      isSeclusionLookDue = false
      lookAtSeclusion()
    }
  }

  private func setCutOff(_ cutOff: Bool) {
    if !isSecluded { isSeclusionAsked = false }
    if cutOff == isCutOff { return }
    isCutOff = cutOff
    unsafe surroundings.nexusChanged()
  }
}
