import Reactor

/// Talking to the members: changes to all, reads from one, and what their failures mean.
extension Nexus {
  // MARK: Sending

  /// What is sent to a member carries its slot, the member (3 bits) and which part of the change it is (1 bit).
  private static func token(_ slot: Int, _ index: Int, isSecondPart: Bool) -> UInt64 {
    UInt64(slot) << 8 | (isSecondPart ? 8 : 0) | UInt64(index)
  }

  private func send(_ request: BlockRequest, to index: Int) {
    unsafe paths[index]!._withUnsafeGuaranteedRef { $0.submit(request, for: self) }
  }

  /// Sends the slot's change to every active member.
  func fanOut(_ slot: Int) {
    if activeMask == 0 { finishLater(slot, .inaccessible) } else { fanOut(slot, to: activeMask) }
  }

  func fanOut(_ slot: Int, to mask: UInt8) {
    let isInTwoParts = slots[slot].isInTwoParts
    slots[slot].status = .success
    slots[slot].failedMask = 0
    slots[slot].sentMask = mask
    slots[slot].pending = Int8(mask.nonzeroBitCount << (isInTwoParts ? 1 : 0))
    for index in 0..<memberCount where mask & (1 << UInt8(index)) != 0 {
      sendChange(slot, index, isSecondPart: false)
      if isInTwoParts { sendChange(slot, index, isSecondPart: true) }
    }
  }

  private func sendChange(_ slot: Int, _ index: Int, isSecondPart: Bool) {
    var request = slots[slot].changeRequest(isSecondPart: isSecondPart)
    request.token = Self.token(slot, index, isSecondPart: isSecondPart)
    send(request, to: index)
  }

  private func sendRead(_ slot: Int, _ index: Int) {
    var request = slots[slot].readRequest
    request.token = Self.token(slot, index, isSecondPart: false)
    send(request, to: index)
  }

  /// Reads for a slot from the nearest member that has not failed to.
  func readFromNext(_ slot: Int) {
    for position in 0..<memberCount {
      let index = Int(readOrder[position])
      let bit = UInt8(1) << UInt8(index)
      guard activeMask & bit != 0, slots[slot].triedMask & bit == 0 else { continue }
      slots[slot].triedMask |= bit
      slots[slot].pending = 1
      sendRead(slot, index)
      return
    }
    if slots[slot].isLevelling {
      levelFailed(slot)
    } else {
      finishLater(slot, activeMask == 0 ? .inaccessible : slots[slot].status)
    }
  }

  // MARK: Answers

  func memberAnswered(token: UInt64, status: BlockStatus) {
    if status == .busy {
      // Nothing happened there. Back-pressure, never a reason to lose a replica (R16).
      awaitingMember.append(token)
      scheduleMemberRetry()
    } else {
      answered(Int(token >> 8), Int(token & 7), status)
    }
  }

  private func answered(_ slot: Int, _ index: Int, _ status: BlockStatus) {
    slots[slot].pending -= 1
    if slots[slot].isReading {
      if status == .success {
        readDone(slot)
      } else {
        readErrors += 1
        note(status, slot)
        // A read error leaves the copy in the set: the block is read elsewhere. A lost path does not.
        if Self.isPathLost(status) { fault(index, status, slots[slot].request.operation) }
        readFromNext(slot)
      }
      return
    }
    if status != .success {
      note(status, slot)
      slots[slot].failedMask |= 1 << UInt8(index)
      fault(index, status, slots[slot].request.operation)
    }
    if slots[slot].pending == 0 { settle(slot) }
  }

  /// A later pass asks members again that were busy.
  private func scheduleMemberRetry() {
    if isMemberEventDue { return }
    isMemberEventDue = true
    reactor.schedule(afterNanoseconds: retryNanoseconds, handlerID, token: Self.memberToken)
  }

  func retryMembers() {
    isMemberEventDue = false
    let waiting = awaitingMember
    awaitingMember.removeAll(keepingCapacity: true)
    for token in waiting {
      let slot = Int(token >> 8)
      let index = Int(token & 7)
      if activeMask & (1 << UInt8(index)) == 0 {
        // It left meanwhile, or nothing is served any more: it never gets this.
        answered(slot, index, .inaccessible)
      } else if slots[slot].isReading {
        sendRead(slot, index)
      } else {
        sendChange(slot, index, isSecondPart: token & 8 != 0)
      }
    }
  }

  /// Remembers what to tell the host. What a member said of the command goes before what is said of the way to it.
  private func note(_ status: BlockStatus, _ slot: Int) {
    if !Self.isPathLost(status) {
      slots[slot].status = status
    } else if slots[slot].status == .success {
      slots[slot].status = .inaccessible
    }
  }

  private static func isPathLost(_ status: BlockStatus) -> Bool {
    switch status {
    case .connectionLost, .inaccessible, .refused, .aborted: true
    case .success, .outOfRange, .readFault, .writeFault, .capacityExceeded, .unsupported, .busy: false
    }
  }

  // MARK: Faults

  /// The path to a member is lost; commands on it end by themselves.
  public func memberLost(_ replica: String) {
    guard let index = members.firstIndex(where: { $0.replica == replica && $0.state == .inSync }) else { return }
    fault(index, .connectionLost, .flush)
  }

  /// A member cannot go on: it leaves, unless the set would become too small.
  private func fault(_ index: Int, _ status: BlockStatus, _ operation: BlockOperation) {
    let bit = UInt8(1) << UInt8(index)
    guard activeMask & bit != 0 else { return }
    if activeMask.nonzeroBitCount > minInSync {
      activeMask &= ~bit
      leavingMask |= bit
      members[index].state = .leaving(reason: Self.reason(status, operation))
      unsafe surroundings.nexusChanged()
      commitIfNeeded()
    } else if Self.isPathLost(status) {
      block("the in-sync replica \(members[index].replica) cannot be reached, and at least \(minInSync) must be")
    } else if activeMask != bit, status != .capacityExceeded || operation == .flush {
      block(
        "the in-sync replica \(members[index].replica) failed (\(Self.reason(status, operation))), and at least "
          + "\(minInSync) must stay in sync")
    }
    // Otherwise it stays. If it is the only one, its errors are the volume's; if it has no space, `settle` makes all equal.
  }

  func block(_ reason: String) {
    activeMask = 0
    state = .blocked(reason: reason)
    unsafe surroundings.nexusChanged()
  }

  private static func reason(_ status: BlockStatus, _ operation: BlockOperation) -> String {
    switch status {
    case .refused: "the replica refused this nexus"
    case .connectionLost, .inaccessible, .aborted: "the connection was lost"
    case .capacityExceeded: "no space for a \(operation)"
    case .success, .outOfRange, .readFault, .writeFault, .unsupported, .busy: "\(operation) failed (\(status))"
    }
  }

  // MARK: Acknowledgement

  /// All members a change was sent to have answered: R1 and R2 decide.
  func settle(_ slot: Int) {
    if isFenced {
      finish(slot, .inaccessible)
    } else if slots[slot].isLevelling {
      levelSettled(slot)
    } else if setMask & ~(slots[slot].sentMask & ~slots[slot].failedMask) == 0 {
      stepDone(slot)
    } else if leavingMask != 0 {
      // Some have it and some do not: not before those are known to be out of the set, nor on the word of those that stay.
      awaitingCommit.append(slot)
      commitIfNeeded()
    } else if activeMask.nonzeroBitCount > 1 {
      level(slot)
    } else {
      // The only one that stays does not have it: the host is told and may write again. Or nothing is served any more.
      finish(slot, activeMask == 0 ? .inaccessible : slots[slot].status)
    }
  }
}
