/// The header of an H2CData or C2HData PDU, 24 bytes (NVMe/TCP Transport 1.0, 3.6.2.8 and 3.6.2.9).
@frozen public struct DataHeader: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 24 }

  public var common: PDUCommonHeader
  /// CCCID, bytes 8–9.
  public var commandIdentifier: UInt16
  /// TTAG, bytes 10–11: the tag of the R2T this answers; reserved from controller to host.
  public var transferTag: UInt16
  /// DATAO, bytes 12–15: offset of this data in bytes in the command's data buffer.
  public var dataOffset: UInt32
  /// DATAL, bytes 16–19: bytes of data in this PDU.
  public var dataLength: UInt32

  /// Data from the host, in answer to the R2T `transferTag`.
  @inlinable @inline(__always)
  public static func hostToController(
    commandIdentifier: UInt16, transferTag: UInt16, dataOffset: UInt32, dataLength: UInt32, isLast: Bool, headerDigest: Bool,
    dataDigest: Bool, alignment: UInt32 = 4
  ) -> DataHeader {
    DataHeader(
      common: PDUCommonHeader(
        .hostToControllerData, dataLength: dataLength, headerDigest: headerDigest, dataDigest: dataDigest,
        extraFlags: isLast ? PDUFlags.lastPDU : 0, alignment: alignment),
      commandIdentifier: commandIdentifier, transferTag: transferTag, dataOffset: dataOffset, dataLength: dataLength)
  }

  /// Data from the controller. `isSuccess`, only with `isLast`, makes this PDU stand for the response too.
  @inlinable @inline(__always)
  public static func controllerToHost(
    commandIdentifier: UInt16, dataOffset: UInt32, dataLength: UInt32, isLast: Bool, isSuccess: Bool, headerDigest: Bool,
    dataDigest: Bool, alignment: UInt32 = 4
  ) -> DataHeader {
    precondition(isLast || !isSuccess)
    return DataHeader(
      common: PDUCommonHeader(
        .controllerToHostData, dataLength: dataLength, headerDigest: headerDigest, dataDigest: dataDigest,
        extraFlags: (isLast ? PDUFlags.lastPDU : 0) | (isSuccess ? PDUFlags.success : 0), alignment: alignment),
      commandIdentifier: commandIdentifier, transferTag: 0, dataOffset: dataOffset, dataLength: dataLength)
  }

  @inlinable @inline(__always)
  init(common: PDUCommonHeader, commandIdentifier: UInt16, transferTag: UInt16, dataOffset: UInt32, dataLength: UInt32) {
    self.common = common
    self.commandIdentifier = commandIdentifier
    self.transferTag = transferTag
    self.dataOffset = dataOffset
    self.dataLength = dataLength
  }

  @inlinable @inline(__always)
  public var isLast: Bool { common.flags & PDUFlags.lastPDU != 0 }

  @inlinable @inline(__always)
  public var isSuccess: Bool { common.flags & PDUFlags.success != 0 }

  /// The fault of the fields beyond the common header, which must have been validated: DATAL is what the PDU carries, DATAO is a
  /// multiple of 4. Whether the range is inside the transfer is for the command's state to say.
  @inlinable @inline(__always)
  public var fault: PDUFault? {
    if dataOffset & 0x3 != 0 { return .invalidField(at: 12) }
    if dataLength != common.dataLength { return .invalidField(at: 16) }
    return nil
  }

  /// Decodes either direction's header.
  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    common = try PDUCommonHeader(decoding: bytes, at: offset)
    if common.typeByte != PDUType.hostToControllerData.rawValue && common.typeByte != PDUType.controllerToHostData.rawValue {
      throw .wrongType
    }
    commandIdentifier = bytes.littleEndian(at: offset &+ 8)
    transferTag = bytes.littleEndian(at: offset &+ 10)
    dataOffset = bytes.littleEndian(at: offset &+ 12)
    dataLength = bytes.littleEndian(at: offset &+ 16)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    common.encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(commandIdentifier, at: offset &+ 8)
    bytes.storeLittleEndian(transferTag, at: offset &+ 10)
    bytes.storeLittleEndian(dataOffset, at: offset &+ 12)
    bytes.storeLittleEndian(dataLength, at: offset &+ 16)
    bytes.storeLittleEndian(UInt32(0), at: offset &+ 20)
  }
}
