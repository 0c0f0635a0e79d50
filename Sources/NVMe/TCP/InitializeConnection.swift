/// ICReq, 128 bytes: the first PDU of a connection, from the host (NVMe/TCP Transport 1.0, 3.6.2.2).
@frozen public struct InitializeConnectionRequest: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 128 }

  /// PFV, bytes 8–9: 0 is the only version.
  public var formatVersion: UInt16
  /// HPDA, byte 10: data PDUs to the host are aligned to 4 × (value + 1) bytes; 0 to 31.
  public var hostDataAlignment: UInt8
  /// DGST, byte 11: bit 0 header digest, bit 1 data digest.
  public var digests: UInt8
  /// MAXR2T, bytes 12–15, zero-based: R2Ts the host takes per command, less one.
  public var maximumReadyToTransferZeroBased: UInt32

  public init(headerDigest: Bool, dataDigest: Bool, hostDataAlignment: UInt8 = 0, maximumReadyToTransferZeroBased: UInt32 = 0) {
    formatVersion = 0
    self.hostDataAlignment = hostDataAlignment
    digests = (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0)
    self.maximumReadyToTransferZeroBased = maximumReadyToTransferZeroBased
  }

  public var headerDigest: Bool { digests & 1 != 0 }
  public var dataDigest: Bool { digests & 2 != 0 }
  /// The alignment HPDA stands for, in bytes. Only of a request without fault.
  public var hostDataAlignmentBytes: UInt32 { (UInt32(hostDataAlignment) + 1) * 4 }

  /// What a controller must refuse the request for, if anything.
  public var fault: PDUFault? {
    if formatVersion != 0 { return PDUFault(.unsupportedParameter, information: 8) }
    if hostDataAlignment > 31 { return .invalidField(at: 10) }
    return nil
  }

  /// Decodes a whole PDU, common header included.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    if bytes.littleEndian(at: offset, as: UInt8.self) != PDUType.initializeConnectionRequest.rawValue { throw .wrongType }
    formatVersion = bytes.littleEndian(at: offset + 8)
    hostDataAlignment = bytes.littleEndian(at: offset + 10)
    digests = bytes.littleEndian(at: offset + 11)
    maximumReadyToTransferZeroBased = bytes.littleEndian(at: offset + 12)
  }

  /// Encodes the whole PDU, common header included; reserved bytes become zero.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    PDUCommonHeader(.initializeConnectionRequest, headerDigest: false, dataDigest: false).encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(formatVersion, at: offset + 8)
    bytes.storeLittleEndian(hostDataAlignment, at: offset + 10)
    bytes.storeLittleEndian(digests, at: offset + 11)
    bytes.storeLittleEndian(maximumReadyToTransferZeroBased, at: offset + 12)
  }
}

/// ICResp, 128 bytes: the controller's answer to ICReq (NVMe/TCP Transport 1.0, 3.6.2.3).
@frozen public struct InitializeConnectionResponse: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 128 }

  /// PFV, bytes 8–9.
  public var formatVersion: UInt16
  /// CPDA, byte 10: data PDUs to the controller are aligned to 4 × (value + 1) bytes; 0 to 31.
  public var controllerDataAlignment: UInt8
  /// DGST, byte 11: bit 0 header digest, bit 1 data digest.
  public var digests: UInt8
  /// MAXH2CDATA, bytes 12–15: the most data bytes in one H2CData PDU; at least 4096 and a multiple of 4.
  public var maximumHostToControllerDataLength: UInt32

  public init(headerDigest: Bool, dataDigest: Bool, controllerDataAlignment: UInt8 = 0, maximumHostToControllerDataLength: UInt32) {
    precondition(maximumHostToControllerDataLength >= 4096 && maximumHostToControllerDataLength % 4 == 0)
    formatVersion = 0
    self.controllerDataAlignment = controllerDataAlignment
    digests = (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0)
    self.maximumHostToControllerDataLength = maximumHostToControllerDataLength
  }

  public var headerDigest: Bool { digests & 1 != 0 }
  public var dataDigest: Bool { digests & 2 != 0 }
  /// The alignment CPDA stands for, in bytes. Only of a response without fault.
  public var controllerDataAlignmentBytes: UInt32 { (UInt32(controllerDataAlignment) + 1) * 4 }

  /// What a host must refuse the response for, if anything.
  public var fault: PDUFault? {
    if formatVersion != 0 { return PDUFault(.unsupportedParameter, information: 8) }
    if controllerDataAlignment > 31 { return .invalidField(at: 10) }
    if maximumHostToControllerDataLength < 4096 || maximumHostToControllerDataLength % 4 != 0 { return .invalidField(at: 12) }
    return nil
  }

  /// Decodes a whole PDU, common header included.
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    if bytes.littleEndian(at: offset, as: UInt8.self) != PDUType.initializeConnectionResponse.rawValue { throw .wrongType }
    formatVersion = bytes.littleEndian(at: offset + 8)
    controllerDataAlignment = bytes.littleEndian(at: offset + 10)
    digests = bytes.littleEndian(at: offset + 11)
    maximumHostToControllerDataLength = bytes.littleEndian(at: offset + 12)
  }

  /// Encodes the whole PDU, common header included; reserved bytes become zero.
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    PDUCommonHeader(.initializeConnectionResponse, headerDigest: false, dataDigest: false).encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(formatVersion, at: offset + 8)
    bytes.storeLittleEndian(controllerDataAlignment, at: offset + 10)
    bytes.storeLittleEndian(digests, at: offset + 11)
    bytes.storeLittleEndian(maximumHostToControllerDataLength, at: offset + 12)
  }
}
