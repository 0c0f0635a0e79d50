import NVMe
import Reactor
import Transport

/// Commands and their data on the way out.
extension HostQueue {
  /// Where a command's data are or go.
  @safe enum Transfer {
    case none
    case toHost(UnsafeMutableRawPointer, byteCount: UInt32)
    case toController(UnsafeMutableRawPointer, byteCount: UInt32)
  }

  /// Whose command it is.
  enum Owner {
    /// Index in the namespace's table of requests.
    case block(Int)
    /// Index in the association's table of control commands.
    case control(Int)
  }

  /// Whether a command can be sent now.
  @inline(__always)
  var freeSlots: Int { if case .ready = state { slots.freeCount } else { 0 } }

  /// Sends a command; its identifier and data pointer are filled in here. There must be a free slot.
  ///
  /// Data stay in place until the owner hears of the end. `timeoutNanoseconds` nil means that it may take forever.
  @inline(__always)
  func start(_ command: SubmissionEntry, _ transfer: Transfer, owner: Owner, timeoutNanoseconds: UInt64?) {
    let index = slots.take()
    var entry = command
    entry.commandIdentifier = slots.commandIdentifier(index)
    var slot = CommandSlot()
    slot.generation = slots[index].generation
    slot.kind = .plain
    if case .control = owner { slot.isControl = true }
    // Admin and fabrics commands may carry 8 KiB whatever IOCCSZ says; Connect must.
    let limit = slot.isControl ? Association.adminInCapsuleBytes : inCapsuleBytes
    var inCapsule: UInt32 = 0
    switch transfer {
    case .none: entry.dataPointer = .none
    case .toHost(let buffer, let byteCount):
      unsafe slot.buffer = unsafe buffer
      slot.byteCount = byteCount
      slot.kind = .read
      entry.dataPointer = .transportDataBlock(length: byteCount)
      if byteCount > Self.bulkReadBytes { noteBulkRead() }
    case .toController(let buffer, let byteCount):
      unsafe slot.buffer = unsafe buffer
      slot.byteCount = byteCount
      if byteCount <= limit {
        slot.kind = .capsuleWrite
        slot.pendingSends = 1
        entry.dataPointer = .inCapsule(length: byteCount)
        inCapsule = byteCount
      } else {
        slot.kind = .write
        entry.dataPointer = .transportDataBlock(length: byteCount)
      }
    }
    switch owner {
    case .block(let number): slot.owner = UInt32(truncatingIfNeeded: number)
    case .control(let number): slot.owner = UInt32(truncatingIfNeeded: number)
    }
    if let timeoutNanoseconds {
      slot.deadline = reactor.now &+ timeoutNanoseconds
      armTick(afterNanoseconds: timeoutNanoseconds)
    }
    slots[index] = slot
    let header = CapsuleCommandHeader(
      entry, inCapsuleLength: inCapsule, headerDigest: usesHeaderDigest, dataDigest: usesDataDigest, alignment: sendAlignment)
    let byteCount = inCapsule > 0 ? Int(header.common.dataOffset) : Int(header.common.totalLength)
    let place = unsafe appendHeader(byteCount: byteCount)
    unsafe withSpan(place, byteCount) { span in
      if byteCount > CapsuleCommandHeader.byteCount {
        span.zero(byteCount - CapsuleCommandHeader.byteCount, at: CapsuleCommandHeader.byteCount)
      }
      header.encode(into: &span)
    }
    unsafe sealHeader(place, byteCount: CapsuleCommandHeader.byteCount)
    if inCapsule > 0, let buffer = unsafe slot.buffer {
      unsafe appendPayload(buffer, byteCount: Int(inCapsule), token: UInt64(index))
      unsafe appendDataDigest(buffer, byteCount: Int(inCapsule))
    }
  }

  /// Answers a checked R2T with data PDUs of at most MAXH2CDATA bytes each.
  func sendData(slot index: Int, _ request: ReadyToTransfer) {
    guard let buffer = unsafe slots[index].buffer else { preconditionFailure("a write has a buffer") }
    var offset = request.requestedOffset
    let end = offset &+ request.requestedLength
    while offset < end {
      let count = min(end &- offset, maximumDataPDUBytes)
      let header = DataHeader.hostToController(
        commandIdentifier: request.commandIdentifier, transferTag: request.transferTag, dataOffset: offset, dataLength: count,
        isLast: offset &+ count == end, headerDigest: usesHeaderDigest, dataDigest: usesDataDigest, alignment: sendAlignment)
      let byteCount = Int(header.common.dataOffset)
      let place = unsafe appendHeader(byteCount: byteCount)
      unsafe withSpan(place, byteCount) { span in
        if byteCount > DataHeader.byteCount { span.zero(byteCount - DataHeader.byteCount, at: DataHeader.byteCount) }
        header.encode(into: &span)
      }
      unsafe sealHeader(place, byteCount: DataHeader.byteCount)
      slots[index].pendingSends &+= 1
      unsafe appendPayload(buffer + Int(offset), byteCount: Int(count), token: UInt64(index))
      unsafe appendDataDigest(buffer + Int(offset), byteCount: Int(count))
      offset &+= count
    }
  }
}
