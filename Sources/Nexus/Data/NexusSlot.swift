import Reactor

/// A command between submit and its end.
@safe struct NexusSlot: BitwiseCopyable {
  enum Phase: UInt8 {
    case direct
    /// Read-modify-write: reading the first, then the last, unit; then writing all.
    case readingHead
    case readingTail
    case writingBack
    /// Reading all of what one member could not read, to write it back.
    case readingForRepair
    /// After a member ran out of space: copying what it holds to the others.
    case levellingRead
    case levellingWrite
    case levellingHole
  }

  var request = unsafe BlockRequest(.flush, token: 0)
  var client: Unmanaged<BlockClient>?
  var phase = Phase.direct
  /// Holds a range lock or waits for it.
  var holdsRange = false
  /// Waits for its range: nothing was sent to any member.
  var isWaiting = false
  /// Its end is in the deferred queue.
  var isEnding = false
  /// Its client ended: go on to the end of what runs, begin nothing more.
  var isAbandoned = false
  /// Members' answers outstanding.
  var pending: Int8 = 0
  /// Members the change under way was sent to; none while it has not begun.
  var sentMask: UInt8 = 0
  /// Those of them that failed it.
  var failedMask: UInt8 = 0
  /// Members a read was sent to.
  var triedMask: UInt8 = 0
  /// What to tell the client if no member can do it.
  var status = BlockStatus.success
  /// The bytes under way now, inside the locked ones: whole units for changes.
  var start: UInt64 = 0
  var end: UInt64 = 0
  /// Write Zeroes and Deallocate: the next byte to do. Levelling: the first byte of the chunk.
  var position: UInt64 = 0
  /// The locked bytes.
  var lockedStart: UInt64 = 0
  var lockedEnd: UInt64 = 0
  /// When it was submitted, on the reactor's clock.
  var arrivalNanoseconds: UInt64 = 0
  /// The regions of its locked bytes are pinned in the activity log: these.
  var pinsRegions = false
  /// The nexus's own: what is there is written again.
  var isRepair = false
  var firstPinned: Int32 = 0
  var lastPinned: Int32 = 0
  /// Levelling: the member whose bytes the others get. Repair: those not to read from.
  var sourceMask: UInt8 = 0
  /// Read-modify-write and levelling: whole units.
  var bounce: UnsafeMutableRawPointer?

  var isReading: Bool {
    request.operation == .read || phase == .readingHead || phase == .readingTail || phase == .levellingRead
      || phase == .readingForRepair
  }

  /// Done step by step.
  var isStepped: Bool { request.operation == .writeZeroes || request.operation == .deallocate }

  var isLevelling: Bool { phase == .levellingRead || phase == .levellingWrite || phase == .levellingHole }

  /// Whether the change under way is larger than a member takes at once: a largest write with partial units at its ends.
  var isInTwoParts: Bool { phase == .writingBack && end - start > BlockDevice.maximumTransferBytes }

  /// What to read for this slot now.
  var readRequest: BlockRequest {
    switch phase {
    case .readingHead:
      unsafe BlockRequest(.read, offsetBytes: start, byteCount: Nexus.unitBytes, buffer: bounce, token: 0)
    case .readingTail:
      unsafe BlockRequest(
        .read, offsetBytes: end - Nexus.unitBytes, byteCount: Nexus.unitBytes,
        buffer: bounce.map { unsafe $0 + Int(end - Nexus.unitBytes - start) }, token: 0)
    case .readingForRepair:
      unsafe BlockRequest(.read, offsetBytes: start, byteCount: end - start, buffer: bounce, token: 0)
    case .levellingRead:
      unsafe BlockRequest(.read, offsetBytes: position, byteCount: Nexus.levellingBytes(self), buffer: bounce, token: 0)
    case .direct, .writingBack, .levellingWrite, .levellingHole: request
    }
  }

  /// What to send to each member now; `isSecondPart` for the rest of a change in two parts.
  func changeRequest(isSecondPart: Bool) -> BlockRequest {
    switch phase {
    case .direct:
      switch request.operation {
      case .write, .flush, .read: return request
      case .writeZeroes, .deallocate:
        return unsafe BlockRequest(
          request.operation, offsetBytes: start, byteCount: end - start, forceUnitAccess: request.forceUnitAccess, token: 0)
      }
    case .levellingWrite, .levellingHole:
      return unsafe BlockRequest(
        phase == .levellingWrite ? .write : .deallocate, offsetBytes: position, byteCount: Nexus.levellingBytes(self), buffer: bounce,
        forceUnitAccess: request.forceUnitAccess, token: 0)
    case .readingHead, .readingTail, .levellingRead, .readingForRepair: preconditionFailure("nothing is changed while reading")
    case .writingBack:
      let skipped = isSecondPart ? BlockDevice.maximumTransferBytes : 0
      let byteCount = isInTwoParts && !isSecondPart ? BlockDevice.maximumTransferBytes : end - start - skipped
      return unsafe BlockRequest(
        .write, offsetBytes: start + skipped, byteCount: byteCount, buffer: bounce.map { unsafe $0 + Int(skipped) },
        forceUnitAccess: request.forceUnitAccess, token: 0)
    }
  }
}
