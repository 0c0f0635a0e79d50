/// Whether a nexus may begin to serve, from which members, and without which (R2, R3, R7). Masks have a bit per replica.
struct StartDecision: Equatable {
  enum Action: Equatable {
    /// Not before more members appear, or have had their time to.
    case wait(Reason)
    /// With all members reached. Those of `leaving` are taken out of the set. If the rest is fewer than must be in sync, nothing is
    /// served, but an absent replica may join.
    case go(leaving: UInt8)
  }

  enum Reason: Equatable {
    case grace
    case noneReached
    /// All members reached may have lost acknowledged writes, and one that is away may not (R7).
    case cachesLost
  }

  let action: Action
  /// Members whose content counts where members differ.
  let sourceMask: UInt8

  /// - Parameters:
  ///   - setMask: the in-sync set as the store has it.
  ///   - reachedMask: members that accepted the claim.
  ///   - lostMask: those of them whose cache may be lost.
  ///   - rolledBackMask: members that were found to have lost their data: nothing is to be hoped for from them.
  static func decide(
    setMask: UInt8, reachedMask: UInt8, lostMask: UInt8, rolledBackMask: UInt8 = 0, isGraceOver: Bool, minInSync: Int
  ) -> StartDecision {
    let reached = reachedMask & setMask
    let whole = reached & ~lostMask
    if reached == 0 { return StartDecision(action: .wait(.noneReached), sourceMask: 0) }
    // When all have lost theirs, what is left is what there is.
    if reached == setMask { return StartDecision(action: .go(leaving: 0), sourceMask: whole == 0 ? reached : whole) }
    let isHoped = setMask & ~reached & ~rolledBackMask != 0
    if isHoped, !isGraceOver { return StartDecision(action: .wait(.grace), sourceMask: 0) }
    if isHoped, whole == 0 { return StartDecision(action: .wait(.cachesLost), sourceMask: 0) }
    let leaving = reached.nonzeroBitCount >= minInSync ? setMask & ~reached : 0
    return StartDecision(action: .go(leaving: leaving), sourceMask: whole == 0 ? reached : whole)
  }
}
