/// A range of Dataset Management, 16 bytes; the command's data is 1 to 256 of them (NVM Command Set 1.0, 3.2.3).
@frozen public struct DatasetRange: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 16 }
  @inlinable @inline(__always) public static var maximumCount: Int { 256 }

  /// Bytes 0–3: hints on the use of the range.
  public var contextAttributes: UInt32
  /// Bytes 4–7, in logical blocks. Not zero-based: 0 is an empty range.
  public var blockCount: UInt32
  /// Bytes 8–15.
  public var startingLBA: UInt64

  @inlinable
  public init(startingLBA: UInt64, blockCount: UInt32, contextAttributes: UInt32 = 0) {
    self.contextAttributes = contextAttributes
    self.blockCount = blockCount
    self.startingLBA = startingLBA
  }

  @inlinable
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    contextAttributes = bytes.littleEndian(at: offset)
    blockCount = bytes.littleEndian(at: offset &+ 4)
    startingLBA = bytes.littleEndian(at: offset &+ 8)
  }

  @inlinable
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(contextAttributes, at: offset)
    bytes.storeLittleEndian(blockCount, at: offset &+ 4)
    bytes.storeLittleEndian(startingLBA, at: offset &+ 8)
  }
}
