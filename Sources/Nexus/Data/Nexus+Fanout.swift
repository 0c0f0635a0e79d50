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

  /// Sends the slot's change to every active member, and to the replicas that are being made equal.
  func fanOut(_ slot: Int) {
    if activeMask == 0 { awaitService(slot) } else { fanOut(slot, to: activeMask | syncMask) }
  }

  func fanOut(_ slot: Int, to mask: UInt8) {
    let isInTwoParts = slots[slot].isInTwoParts
    slots[slot].status = .success
    slots[slot].failedMask = 0
    slots[slot].sentMask = mask
    slots[slot].pending = Int8(mask.nonzeroBitCount << (isInTwoParts ? 1 : 0))
    for index in 0..<Self.maximumMembers where mask & (1 << UInt8(index)) != 0 {
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
    for position in 0..<Self.maximumMembers {
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
    } else if activeMask == 0 {
      awaitService(slot)
    } else {
      finishLater(slot, slots[slot].status)
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
        if Self.isPathLost(status) {
          fault(index, status, slots[slot].request.operation)
        } else if slots[slot].request.operation == .read {
          slots[slot].failedMask |= 1 << UInt8(index)
        }
        readFromNext(slot)
      }
      return
    }
    if status != .success {
      // A replica outside of the set has no say.
      if setMask & (1 << UInt8(index)) != 0 { note(status, slot) }
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
      if (activeMask | syncMask) & (1 << UInt8(index)) == 0 {
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

  static func isPathLost(_ status: BlockStatus) -> Bool {
    switch status {
    case .connectionLost, .inaccessible, .refused, .aborted: true
    case .success, .outOfRange, .readFault, .writeFault, .capacityExceeded, .unsupported, .busy: false
    }
  }

  // MARK: Acknowledgement

  /// All members a change was sent to have answered: R1 and R2 decide.
  func settle(_ slot: Int) {
    if isFenced {
      finish(slot, .inaccessible)
    } else if activeMask == 0 {
      // What members said before service ended is worth nothing after it: they may have lost it with their power since. It is done
      // anew when there is service; until then its range stays locked (R1).
      awaitService(slot)
    } else if slots[slot].isLevelling {
      levelSettled(slot)
    } else if setMask & ~(slots[slot].sentMask & ~slots[slot].failedMask) == 0 {
      stepDone(slot)
    } else if leavingMask != 0, plantedErrors.contains(.acknowledgesUncommitted) {
      stepDone(slot)
    } else if leavingMask | joiningMask != 0 {
      // Some have it and some do not: not before those are known to be out of the set, nor on the word of those that stay.
      awaitingCommit.append(slot)
      watchPatience()
      commitIfNeeded()
    } else if slots[slot].failedMask & activeMask == 0 {
      // Whoever failed it is out by now, and somebody joined meanwhile who has not flushed.
      slots[slot].sentMask = 0
      run(slot)
    } else {
      settleFailed(slot)
    }
  }

  /// A member that must stay failed the change.
  private func settleFailed(_ slot: Int) {
    let failed = slots[slot].failedMask & activeMask
    let operation = slots[slot].request.operation
    if activeMask.nonzeroBitCount > 1, slots[slot].status != .capacityExceeded || operation == .flush {
      // Who was the only one when it failed may leave now, or nothing can be served.
      for index in replicas.indices where failed & Self.bit(index) != 0 { fault(index, slots[slot].status, operation) }
      settle(slot)
    } else if (activeMask | syncMask).nonzeroBitCount > 1, slots[slot].status == .capacityExceeded {
      level(slot)
    } else {
      // The host is told and may write again. Replicas on their way in that have done it differ from now on.
      for index in replicas.indices where syncMask & slots[slot].sentMask & Self.bit(index) != 0 && operation != .flush {
        endResync(index, "the only replica in sync failed a \(operation)")
      }
      finish(slot, slots[slot].status)
    }
  }
}
