import Glibc
import Reactor

/// Changes: whole units go straight to the members; parts of units by read-modify-write; long ranges in steps.
extension Nexus {
  func runWrite(_ slot: Int) {
    let request = slots[slot].request
    if slots[slot].start == request.offsetBytes && slots[slot].end == request.offsetBytes + request.byteCount {
      fanOut(slot, request)
    } else {
      readModifyWrite(slot)
    }
  }

  // MARK: Read-modify-write

  /// Reads the units at both ends of the locked range, lays the command's bytes over them, writes all of it.
  private func readModifyWrite(_ slot: Int) {
    let byteCount = Int(slots[slot].end - slots[slot].start)
    guard let bounce = unsafe reactor.arena.allocate(byteCount: byteCount) else {
      // A millisecond later: buffers come back as other commands end.
      if awaitingBuffer.isEmpty { reactor.schedule(afterNanoseconds: 1_000_000, handlerID, token: Self.bufferToken) }
      awaitingBuffer.append(slot)
      return
    }
    unsafe slots[slot].bounce = unsafe bounce
    slots[slot].phase = .readingHead
    slots[slot].triedMask = 0
    readFromNext(slot)
  }

  func bufferReleased() {
    if !awaitingBuffer.isEmpty { reactor.postpone(handlerID, token: Self.bufferToken, result: 0) }
  }

  func retryBuffers() {
    let waiting = awaitingBuffer
    awaitingBuffer = []
    for slot in waiting { readModifyWrite(slot) }
  }

  /// A read came back whole.
  func readDone(_ slot: Int) {
    switch slots[slot].phase {
    case .direct: finish(slot, .success)
    case .readingHead where slots[slot].end - slots[slot].start > Self.unitBytes:
      slots[slot].phase = .readingTail
      slots[slot].triedMask = 0
      readFromNext(slot)
    case .readingHead, .readingTail: writeBack(slot)
    case .writingBack: preconditionFailure("nothing is read while writing back")
    }
  }

  private func writeBack(_ slot: Int) {
    guard let bounce = unsafe slots[slot].bounce else { preconditionFailure("a read-modify-write has a buffer") }
    let request = slots[slot].request
    slots[slot].phase = .writingBack
    slots[slot].status = .success
    switch request.operation {
    case .write:
      unsafe memcpy(bounce + Int(request.offsetBytes - slots[slot].start), request.buffer!, Int(request.byteCount))
    case .writeZeroes:
      // The part of this step that the command covers.
      let from = max(request.offsetBytes, slots[slot].start)
      let to = min(request.offsetBytes + request.byteCount, slots[slot].end)
      unsafe memset(bounce + Int(from - slots[slot].start), 0, Int(to - from))
    case .read, .flush, .deallocate: preconditionFailure("only writes and zeroes have partial units")
    }
    unsafe fanOut(
      slot,
      BlockRequest(
        .write, offsetBytes: slots[slot].start, byteCount: slots[slot].end - slots[slot].start, buffer: bounce,
        forceUnitAccess: request.forceUnitAccess, token: 0))
  }

  // MARK: Steps

  /// The next piece of a Write Zeroes or Deallocate: a partial unit, or whole units up to `stepBytes`.
  func nextStep(_ slot: Int) {
    let request = slots[slot].request
    let end = request.offsetBytes + request.byteCount
    var position = slots[slot].position
    slots[slot].phase = .direct
    slots[slot].sentMask = 0
    if request.operation == .deallocate {
      // Partial units stay as they are, on every replica alike.
      position = (position + Self.unitBytes - 1) & ~(Self.unitBytes - 1)
      let last = end & ~(Self.unitBytes - 1)
      guard position < last else {
        finishLater(slot, .success)
        return
      }
      slots[slot].start = position
      slots[slot].end = min(position + Self.stepBytes, last)
    } else {
      guard position < end else {
        finishLater(slot, .success)
        return
      }
      let unit = position & ~(Self.unitBytes - 1)
      if unit != position || end - position < Self.unitBytes {
        slots[slot].start = unit
        slots[slot].end = unit + Self.unitBytes
      } else {
        slots[slot].start = position
        slots[slot].end = min(position + Self.stepBytes, end & ~(Self.unitBytes - 1))
      }
    }
    slots[slot].position = slots[slot].end
    lock(slot, isShared: false)
  }

  func runStep(_ slot: Int) {
    let request = slots[slot].request
    let isPartial =
      request.operation == .writeZeroes
      && (slots[slot].start < request.offsetBytes || slots[slot].end > request.offsetBytes + request.byteCount)
    if isPartial {
      readModifyWrite(slot)
    } else {
      unsafe fanOut(
        slot,
        BlockRequest(
          request.operation, offsetBytes: slots[slot].start, byteCount: slots[slot].end - slots[slot].start,
          forceUnitAccess: request.forceUnitAccess, token: 0))
    }
  }

  /// A change is on every member of the set.
  func stepDone(_ slot: Int) {
    let request = slots[slot].request
    let isLast: Bool
    switch request.operation {
    case .read, .write, .flush: isLast = true
    case .writeZeroes: isLast = slots[slot].position >= request.offsetBytes + request.byteCount
    case .deallocate: isLast = slots[slot].position >= (request.offsetBytes + request.byteCount) & ~(Self.unitBytes - 1)
    }
    if isLast {
      finish(slot, .success)
      return
    }
    unlock(slot)
    if let bounce = unsafe slots[slot].bounce {
      unsafe reactor.arena.release(bounce)
      unsafe slots[slot].bounce = nil
      bufferReleased()
    }
    if slots[slot].isAbandoned { finish(slot, .aborted) } else { nextStep(slot) }
    runUnblocked()
  }
}
