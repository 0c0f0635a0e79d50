import Pool
import Reactor

/// Members that answer, but far later than their peers.
extension Nexus {
  /// As long as there are changes, members are looked at every half second.
  func watchLatencies() {
    if isLookDue || isOver || activeMask == 0 { return }
    isLookDue = true
    after(nanoseconds: MemberLatencies.lookNanoseconds) { [self] in
      isLookDue = false
      guard !isOver else { return }
      lookAtLatencies()
      if log.count > 0 { watchLatencies() }
    }
  }

  private func lookAtLatencies() {
    let mask = activeMask | syncMask
    noteSilences()
    let changed = latencies.look(mask)
    for index in replicas.indices where changed & Self.bit(index) != 0 {
      replicas[index].slowness = latencies.slowness(index, mask)
    }
    orderReads()
    if changed != 0 { unsafe surroundings.nexusChanged() }
    guard slowReplicas == .drop else { return }
    for index in replicas.indices where replicas[index].slowness != nil { dropSlow(index) }
  }

  /// Who does not answer at all is slow too.
  private func noteSilences() {
    for slot in 0..<slots.capacity where slots.isInUse(slot) && slots[slot].pending > 0 && !slots[slot].isReading {
      let silent = slots[slot].sentMask & ~slots[slot].answeredMask & (activeMask | syncMask)
      for index in replicas.indices where silent & Self.bit(index) != 0 {
        latencies.noteSilence(index, reactor.now &- slots[slot].sentNanoseconds)
      }
    }
  }

  /// Lets go of it where the set allows that, and leaves it alone for a while: it would be as slow again.
  private func dropSlow(_ index: Int) {
    let bit = Self.bit(index)
    guard let slowness = replicas[index].slowness, joiningMask & bit == 0 else { return }
    let rest = healthyMask & ~bit
    let isMember = activeMask & bit != 0
    guard isMember ? rest.nonzeroBitCount >= minInSync && rest & ~lostMask != 0 : syncMask & bit != 0 else { return }
    replicas[index].returnDelayNanoseconds = Self.longestRetryNanoseconds
    replicas[index].slowness = nil
    latencies.forget(index)
    if isMember { leave(index, slowness.reason) } else { endResync(index, slowness.reason) }
  }
}
