/// Members leave by committed changes only (R2).
extension Nexus {
  /// Commits what the store does not know yet, one change at a time.
  func commitIfNeeded() {
    guard committingMask == nil, !isFenced else { return }
    if leavingMask == 0 && isDirty { return }
    var change = FormerChange(members: [], leaving: [], isClean: false)
    for member in members {
      switch member.state {
      case .inSync: change.members.append(member.replica)
      case .leaving(let reason): change.leaving.append((member.replica, reason))
      case .out: break
      }
    }
    committingMask = leavingMask
    unsafe surroundings.commit(change)
  }

  /// The outcome of the last `FormerSurroundings.commit` is known.
  public func membershipCommitted(_ outcome: FormerOutcome) {
    guard let committed = committingMask else { return }
    committingMask = nil
    switch outcome {
    case .fenced:
      isFenced = true
      state = .fenced
      activeMask = 0
    case .committed:
      isDirty = true
      setMask &= ~committed
      leavingMask &= ~committed
      for index in members.indices where committed & (1 << UInt8(index)) != 0 {
        if case .leaving(let reason) = members[index].state { members[index].state = .out(reason: reason) }
      }
      commitIfNeeded()
    }
    unsafe surroundings.nexusChanged()
    let waiting = awaitingCommit
    awaitingCommit = []
    for slot in waiting where !slots[slot].isEnding {
      if slots[slot].sentMask == 0 { run(slot) } else { settle(slot) }
    }
  }
}
