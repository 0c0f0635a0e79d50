/// R2T, 24 bytes: the controller asks for a part of a command's data (NVMe/TCP Transport 1.0, 3.6.2.10).
@frozen public struct ReadyToTransfer: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 24 }

  public var common: PDUCommonHeader
  /// CCCID, bytes 8–9.
  public var commandIdentifier: UInt16
  /// TTAG, bytes 10–11: the controller's own tag, which comes back in the data PDUs.
  public var transferTag: UInt16
  /// R2TO, bytes 12–15: offset in bytes in the command's data buffer.
  public var requestedOffset: UInt32
  /// R2TL, bytes 16–19: bytes asked for.
  public var requestedLength: UInt32

  @inlinable @inline(__always)
  public init(commandIdentifier: UInt16, transferTag: UInt16, requestedOffset: UInt32, requestedLength: UInt32, headerDigest: Bool) {
    common = PDUCommonHeader(.readyToTransfer, headerDigest: headerDigest, dataDigest: false)
    self.commandIdentifier = commandIdentifier
    self.transferTag = transferTag
    self.requestedOffset = requestedOffset
    self.requestedLength = requestedLength
  }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    common = try PDUCommonHeader(decoding: bytes, at: offset)
    if common.typeByte != PDUType.readyToTransfer.rawValue { throw .wrongType }
    commandIdentifier = bytes.littleEndian(at: offset &+ 8)
    transferTag = bytes.littleEndian(at: offset &+ 10)
    requestedOffset = bytes.littleEndian(at: offset &+ 12)
    requestedLength = bytes.littleEndian(at: offset &+ 16)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    common.encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(commandIdentifier, at: offset &+ 8)
    bytes.storeLittleEndian(transferTag, at: offset &+ 10)
    bytes.storeLittleEndian(requestedOffset, at: offset &+ 12)
    bytes.storeLittleEndian(requestedLength, at: offset &+ 16)
    bytes.storeLittleEndian(UInt32(0), at: offset &+ 20)
  }
}
