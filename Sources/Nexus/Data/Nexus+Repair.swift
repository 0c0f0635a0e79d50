import Reactor

/// A block that one member could not read and another could is written anew on all (R8, R9): as a change that changes nothing.
extension Nexus {
  /// Repairs under way at most; what is beyond is found again by the next read.
  private static let maximumRepairs = 16

  /// A read came to its end only after some member failed it.
  func repair(_ slot: Int) {
    guard activeMask & slots[slot].failedMask != 0, repairsUnderWay < Self.maximumRepairs, slots[slot].request.operation == .read,
      let own = slots.take()
    else { return }
    repairsUnderWay += 1
    let request = slots[slot].request
    let start = Self.unitFloor(request.offsetBytes)
    let end = min(Self.unitCeiling(request.offsetBytes + request.byteCount), start + Self.maximumTransferBytes)
    slots[own].request = unsafe BlockRequest(.write, offsetBytes: start, byteCount: end - start, token: 0)
    slots[own].isRepair = true
    slots[own].sourceMask = slots[slot].failedMask
    slots[own].arrivalNanoseconds = reactor.now
    slots[own].start = start
    slots[own].end = end
    lock(own, end: end, isShared: false)
  }

  /// The blocks were written to all members, or could not be.
  func repairEnded(_ status: BlockStatus) {
    repairsUnderWay -= 1
    if status == .success { repairedReads += 1 }
    letGoIfQuiet()
  }
}
