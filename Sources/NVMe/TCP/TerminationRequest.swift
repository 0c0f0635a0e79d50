/// FES: why a connection is terminated (NVMe/TCP Transport 1.0, 3.6.2.4 and 3.6.2.5).
@frozen public enum FatalErrorStatus: UInt16, Sendable, CaseIterable {
  /// FEI is the offset in bytes of the field.
  case invalidHeaderField = 0x01
  /// A PDU that may not come in this state.
  case sequenceError = 0x02
  /// FEI is the digest received.
  case headerDigestError = 0x03
  case dataTransferOutOfRange = 0x04
  /// From a controller: the data transfer limit is exceeded; from a host: the R2T limit is.
  case limitExceeded = 0x05
  /// FEI is the offset in bytes of the field.
  case unsupportedParameter = 0x06
}

/// H2CTermReq or C2HTermReq: the last PDU of a connection that one side gives up, 24 bytes followed by at most 128 bytes of the header
/// that was at fault (NVMe/TCP Transport 1.0, 3.6.2.4 and 3.6.2.5).
@frozen public struct TerminationRequest: Equatable, Hashable, Sendable {
  /// Bytes without the offending header.
  @inlinable @inline(__always) public static var byteCount: Int { 24 }
  @inlinable @inline(__always) public static var maximumDataByteCount: Int { 128 }
  @inlinable @inline(__always) public static var maximumByteCount: Int { 152 }

  public var direction: PDUDirection
  /// FES, bytes 8–9, as it stands: a peer may send values that are not defined.
  public var statusCode: UInt16
  /// FEI, bytes 10–13.
  public var information: UInt32
  /// Bytes of the offending header that follow, 0 to 128. Set by decoding.
  public var offendingHeaderByteCount: Int

  public init(direction: PDUDirection, fault: PDUFault) {
    self.direction = direction
    statusCode = fault.status.rawValue
    information = fault.information
    offendingHeaderByteCount = 0
  }

  /// FES, if it is one of the defined values.
  public var status: FatalErrorStatus? { FatalErrorStatus(rawValue: statusCode) }

  /// Decodes a whole PDU; the offending header is at `offset + 24`, `offendingHeaderByteCount` bytes long, and wholly inside `bytes`.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    let common = try PDUCommonHeader(decoding: bytes, at: offset)
    switch common.type {
    case .hostToControllerTermination: direction = .hostToController
    case .controllerToHostTermination: direction = .controllerToHost
    default: throw .wrongType
    }
    if common.totalLength < UInt32(Self.byteCount) || common.totalLength > UInt32(Self.maximumByteCount) { throw .invalidField }
    statusCode = bytes.littleEndian(at: offset + 8)
    information = bytes.littleEndian(at: offset + 10)
    offendingHeaderByteCount = Int(common.totalLength) - Self.byteCount
    try bytes.require(Int(common.totalLength), at: offset)
  }

  /// Encodes the PDU with the first 128 bytes at most of `offendingHeader`, and returns its length in bytes.
  /// Reserves nothing: `bytes` must have room for 24 bytes and the header.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0, offendingHeader: RawSpan) -> Int {
    let copied = min(offendingHeader.byteCount, Self.maximumDataByteCount)
    let total = Self.byteCount + copied
    bytes.zero(Self.byteCount, at: offset)
    let type: PDUType = direction == .hostToController ? .hostToControllerTermination : .controllerToHostTermination
    PDUCommonHeader(typeByte: type.rawValue, flags: 0, headerLength: 24, dataOffset: 0, totalLength: UInt32(total))
      .encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(statusCode, at: offset + 8)
    bytes.storeLittleEndian(information, at: offset + 10)
    for index in 0..<copied {
      bytes.storeLittleEndian(offendingHeader.littleEndian(at: index, as: UInt8.self), at: offset + Self.byteCount + index)
    }
    return total
  }
}
