import Glibc
import Reactor

/// Changes: whole units go straight to the members; parts of units by read-modify-write; long ranges in steps.
extension Nexus {
  /// Does what `start` and `end` say, whose bytes are locked.
  func runChange(_ slot: Int) {
    let request = slots[slot].request
    if slots[slot].isRepair { return readModifyWrite(slot) }
    let isWhole =
      slots[slot].start >= request.offsetBytes && slots[slot].end <= request.offsetBytes + request.byteCount
    if isWhole { fanOut(slot) } else { readModifyWrite(slot) }
  }

  // MARK: Read-modify-write

  /// Reads the units at both ends of the locked range, lays the command's bytes over them, writes all of it.
  private func readModifyWrite(_ slot: Int) {
    slots[slot].phase = slots[slot].isRepair ? .readingForRepair : .readingHead
    slots[slot].status = .success
    awaitBuffer(slot)
  }

  /// Goes on with a buffer, now or when there is one. First come, first served: a large one would never be had if small ones
  /// were given out before it.
  func awaitBuffer(_ slot: Int) {
    if !awaitingBuffer.isEmpty || !beginWithBuffer(slot) {
      awaitingBuffer.append(slot)
      scheduleBufferRetry()
      watchPatience()
    }
  }

  /// Returns false when there is no buffer.
  private func beginWithBuffer(_ slot: Int) -> Bool {
    let isLevelling = slots[slot].isLevelling
    let byteCount = isLevelling ? Self.levellingBytes(slots[slot]) : slots[slot].end - slots[slot].start
    var bounce = unsafe reactor.arena.allocate(byteCount: Int(byteCount))
    // The first in line always gets on: whoever holds the reserve waits for members only.
    if unsafe bounce == nil { unsafe bounce = unsafe reactor.reserveArena.allocate(byteCount: Int(byteCount)) }
    guard let bounce = unsafe bounce else { return false }
    unsafe slots[slot].bounce = unsafe bounce
    slots[slot].triedMask = slots[slot].isRepair ? slots[slot].sourceMask : 0
    if isLevelling { readLevel(slot) } else { readFromNext(slot) }
    return true
  }

  /// Buffers come back as commands end, not only ours.
  private func scheduleBufferRetry() {
    if isBufferEventDue { return }
    isBufferEventDue = true
    reactor.schedule(afterNanoseconds: retryNanoseconds, handlerID, token: Self.bufferToken)
  }

  func retryBuffers() {
    isBufferEventDue = false
    while let slot = awaitingBuffer.first {
      guard beginWithBuffer(slot) else {
        scheduleBufferRetry()
        return
      }
      awaitingBuffer.removeFirst()
    }
  }

  func releaseBounce(_ slot: Int) {
    guard let bounce = unsafe slots[slot].bounce else { return }
    if unsafe reactor.reserveArena.contains(bounce, byteCount: 1) {
      unsafe reactor.reserveArena.release(bounce)
    } else {
      unsafe reactor.arena.release(bounce)
    }
    unsafe slots[slot].bounce = nil
  }

  /// A read came back whole.
  func readDone(_ slot: Int) {
    if slots[slot].request.operation == .read {
      answerRead(slot)
    } else if slots[slot].isLevelling {
      writeLevel(slot)
    } else if slots[slot].isAbandoned {
      // Nothing was changed yet, and nothing will be.
      finish(slot, .aborted)
    } else if slots[slot].phase == .readingHead && slots[slot].end - slots[slot].start > Self.unitBytes {
      slots[slot].phase = .readingTail
      slots[slot].triedMask = 0
      readFromNext(slot)
    } else {
      writeBack(slot)
    }
  }

  private func writeBack(_ slot: Int) {
    guard let bounce = unsafe slots[slot].bounce else { preconditionFailure("a read-modify-write has a buffer") }
    let request = slots[slot].request
    let start = slots[slot].start
    slots[slot].phase = .writingBack
    if slots[slot].isRepair { return fanOut(slot) }
    switch request.operation {
    case .write:
      unsafe memcpy(bounce + Int(request.offsetBytes - start), request.buffer!, Int(request.byteCount))
    case .writeZeroes:
      // The part of this step that the command covers.
      let from = max(request.offsetBytes, start)
      let to = min(request.offsetBytes + request.byteCount, slots[slot].end)
      unsafe memset(bounce + Int(from - start), 0, Int(to - from))
    case .read, .flush, .deallocate: preconditionFailure("only writes and zeroes have partial units")
    }
    fanOut(slot)
  }

  // MARK: Steps

  /// Goes on with a Write Zeroes or Deallocate. Up to `stepBytes` are locked together, so that commands of ordinary size keep
  /// their order; in them, partial units and whole ones are done one after the other.
  func nextStep(_ slot: Int) {
    let request = slots[slot].request
    let end = request.offsetBytes + request.byteCount
    // Deallocate leaves partial units as they are, on every replica alike.
    let isDeallocate = request.operation == .deallocate
    let position = isDeallocate ? Self.unitCeiling(slots[slot].position) : slots[slot].position
    let last = isDeallocate ? Self.unitFloor(end) : end
    slots[slot].phase = .direct
    slots[slot].sentMask = 0
    if position >= last {
      finishLater(slot, .success)
      return
    }
    let isLocked = slots[slot].holdsRange
    let lockedEnd = isLocked ? slots[slot].lockedEnd : min(Self.unitFloor(position) + stepBytes, Self.unitCeiling(last))
    slots[slot].lockedEnd = lockedEnd
    slots[slot].start = Self.unitFloor(position)
    if slots[slot].start != position || last - position < Self.unitBytes {
      slots[slot].end = slots[slot].start + Self.unitBytes
    } else {
      slots[slot].end = min(lockedEnd, Self.unitFloor(last))
    }
    slots[slot].position = slots[slot].end
    if isLocked { run(slot) } else { lock(slot, end: lockedEnd, isShared: false) }
  }

  /// What `start` and `end` say is on every member of the set.
  func stepDone(_ slot: Int) {
    switch slots[slot].request.operation {
    case .read, .write, .flush: finish(slot, .success)
    case .writeZeroes, .deallocate:
      if isLastStep(slot) {
        finish(slot, .success)
      } else if slots[slot].isAbandoned {
        finish(slot, .aborted)
      } else {
        releaseBounce(slot)
        if slots[slot].position >= slots[slot].lockedEnd { unlock(slot) }
        nextStep(slot)
        runUnblocked()
      }
    }
  }

  private func isLastStep(_ slot: Int) -> Bool {
    let request = slots[slot].request
    let end = request.offsetBytes + request.byteCount
    return slots[slot].position >= (request.operation == .deallocate ? Self.unitFloor(end) : end)
  }
}
