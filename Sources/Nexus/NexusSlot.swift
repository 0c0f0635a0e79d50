import Reactor

/// A command between submit and its end.
@safe struct NexusSlot: BitwiseCopyable {
  enum Phase: UInt8 {
    case direct
    /// Read-modify-write: reading the first, then the last, unit; then writing all.
    case readingHead
    case readingTail
    case writingBack
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
  var sentMask: UInt8 = 0
  var okMask: UInt8 = 0
  /// Members a read failed on.
  var triedMask: UInt8 = 0
  var status = BlockStatus.success
  /// The locked bytes.
  var start: UInt64 = 0
  var end: UInt64 = 0
  /// Write Zeroes and Deallocate: the next byte to do.
  var position: UInt64 = 0
  /// Read-modify-write: whole units.
  var bounce: UnsafeMutableRawPointer?

  var isReading: Bool {
    request.operation == .read || phase == .readingHead || phase == .readingTail
  }

  /// What to read for this slot now.
  var readRequest: BlockRequest {
    switch phase {
    case .readingHead:
      unsafe BlockRequest(.read, offsetBytes: start, byteCount: Nexus.unitBytes, buffer: bounce, token: 0)
    case .readingTail:
      unsafe BlockRequest(
        .read, offsetBytes: end - Nexus.unitBytes, byteCount: Nexus.unitBytes,
        buffer: bounce.map { unsafe $0 + Int(end - Nexus.unitBytes - start) }, token: 0)
    case .direct, .writingBack: request
    }
  }
}
