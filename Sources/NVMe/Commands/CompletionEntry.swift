/// A completion queue entry, 16 bytes (NVMe Base 2.0, 3.3.3.2, "Common Completion Queue Entry Layout").
@frozen public struct CompletionEntry: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 16 }

  /// Dwords 0 and 1; dword 0 is in the low half.
  public var result: UInt64
  /// SQHD, bytes 8–9; reserved when flow control is off.
  public var submissionQueueHead: UInt16
  /// Bytes 10–11; reserved in fabrics responses.
  public var submissionQueueIdentifier: UInt16
  /// Bytes 12–13.
  public var commandIdentifier: UInt16
  /// Bytes 14–15.
  public var status: Status

  @inlinable @inline(__always)
  public init(
    commandIdentifier: UInt16, status: Status = .success, result: UInt64 = 0, submissionQueueHead: UInt16 = 0,
    submissionQueueIdentifier: UInt16 = 0
  ) {
    self.result = result
    self.submissionQueueHead = submissionQueueHead
    self.submissionQueueIdentifier = submissionQueueIdentifier
    self.commandIdentifier = commandIdentifier
    self.status = status
  }

  /// Dword 0 alone, where most commands put their result.
  @inlinable @inline(__always)
  public var dword0: UInt32 { UInt32(truncatingIfNeeded: result) }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    result = bytes.littleEndian(at: offset)
    submissionQueueHead = bytes.littleEndian(at: offset &+ 8)
    submissionQueueIdentifier = bytes.littleEndian(at: offset &+ 10)
    commandIdentifier = bytes.littleEndian(at: offset &+ 12)
    status = Status(rawValue: bytes.littleEndian(at: offset &+ 14))
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(result, at: offset)
    bytes.storeLittleEndian(submissionQueueHead, at: offset &+ 8)
    bytes.storeLittleEndian(submissionQueueIdentifier, at: offset &+ 10)
    bytes.storeLittleEndian(commandIdentifier, at: offset &+ 12)
    bytes.storeLittleEndian(status.rawValue, at: offset &+ 14)
  }
}
