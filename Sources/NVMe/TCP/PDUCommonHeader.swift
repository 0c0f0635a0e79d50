/// Kinds of NVMe/TCP protocol data units (NVMe/TCP Transport 1.0, 3.6.1).
@frozen public enum PDUType: UInt8, Sendable, CaseIterable {
  case initializeConnectionRequest = 0x00
  case initializeConnectionResponse = 0x01
  case hostToControllerTermination = 0x02
  case controllerToHostTermination = 0x03
  case capsuleCommand = 0x04
  case capsuleResponse = 0x05
  case hostToControllerData = 0x06
  case controllerToHostData = 0x07
  case readyToTransfer = 0x09

  /// HLEN in bytes: every type has one header length.
  @inlinable @inline(__always)
  public var headerLength: UInt8 {
    switch self {
    case .initializeConnectionRequest, .initializeConnectionResponse: 128
    case .capsuleCommand: 72
    default: 24
    }
  }

  /// Which side sends it.
  @inlinable @inline(__always)
  public var direction: PDUDirection {
    switch self {
    case .initializeConnectionRequest, .hostToControllerTermination, .capsuleCommand, .hostToControllerData: .hostToController
    case .initializeConnectionResponse, .controllerToHostTermination, .capsuleResponse, .controllerToHostData, .readyToTransfer:
      .controllerToHost
    }
  }
}

@frozen public enum PDUDirection: UInt8, Sendable {
  case hostToController
  case controllerToHost
}

/// The first 8 bytes of every PDU (NVMe/TCP Transport 1.0, 3.6.1, "PDU Common Header").
@frozen public struct PDUCommonHeader: Equatable, Hashable, Sendable {
  @inlinable @inline(__always) public static var byteCount: Int { 8 }
  /// Bytes of a header or data digest (CRC32C).
  @inlinable @inline(__always) public static var digestByteCount: Int { 4 }

  /// Byte 0; `type` gives its meaning.
  public var typeByte: UInt8
  /// Byte 1: bit 0 header digest present, bit 1 data digest present, bit 2 last data PDU, bit 3 success without response.
  public var flags: UInt8
  /// HLEN, byte 2: bytes of the header, without its digest.
  public var headerLength: UInt8
  /// PDO, byte 3: offset of the data in bytes from the start of the PDU; 0 without data.
  public var dataOffset: UInt8
  /// PLEN, bytes 4–7: bytes of the whole PDU with digests and padding.
  public var totalLength: UInt32

  @inlinable @inline(__always)
  public init(typeByte: UInt8, flags: UInt8, headerLength: UInt8, dataOffset: UInt8, totalLength: UInt32) {
    self.typeByte = typeByte
    self.flags = flags
    self.headerLength = headerLength
    self.dataOffset = dataOffset
    self.totalLength = totalLength
  }

  /// The header of a PDU of `type` with `dataLength` bytes of data (0 for none), with lengths, offset and digest flags worked out.
  ///
  /// `alignment` is the peer's data alignment in bytes (HPDA or CPDA: 4 × (value + 1), at most 128).
  @inlinable @inline(__always)
  public init(
    _ type: PDUType, dataLength: UInt32 = 0, headerDigest: Bool, dataDigest: Bool, extraFlags: UInt8 = 0, alignment: UInt32 = 4
  ) {
    typeByte = type.rawValue
    headerLength = type.headerLength
    var offset = UInt32(type.headerLength)
    var flags = extraFlags
    if headerDigest {
      offset &+= 4
      flags |= PDUFlags.headerDigest
    }
    if dataLength == 0 {
      dataOffset = 0
      totalLength = offset
    } else {
      precondition(alignment >= 4 && alignment <= 128 && alignment % 4 == 0)
      if alignment > 4 { offset = (offset &+ alignment &- 1) / alignment &* alignment }
      precondition(offset <= 255)
      dataOffset = UInt8(truncatingIfNeeded: offset)
      totalLength = offset + dataLength
      if dataDigest {
        flags |= PDUFlags.dataDigest
        totalLength += 4
      }
    }
    self.flags = flags
  }

  @inlinable @inline(__always)
  public var type: PDUType? { PDUType(rawValue: typeByte) }

  @inlinable @inline(__always)
  public var hasHeaderDigest: Bool { flags & PDUFlags.headerDigest != 0 }

  @inlinable @inline(__always)
  public var hasDataDigest: Bool { flags & PDUFlags.dataDigest != 0 }

  /// Bytes of data in the PDU, without padding and digest. Only of a header that `validate` found no fault with.
  @inlinable @inline(__always)
  public var dataLength: UInt32 {
    let headerEnd = UInt32(headerLength) &+ (hasHeaderDigest ? 4 : 0)
    if totalLength <= headerEnd { return 0 }
    let overhead = UInt32(dataOffset) &+ (hasDataDigest ? 4 : 0)
    return totalLength > overhead ? totalLength &- overhead : 0
  }

  @inlinable @inline(__always)
  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    typeByte = bytes.littleEndian(at: offset)
    flags = bytes.littleEndian(at: offset &+ 1)
    headerLength = bytes.littleEndian(at: offset &+ 2)
    dataOffset = bytes.littleEndian(at: offset &+ 3)
    totalLength = bytes.littleEndian(at: offset &+ 4)
  }

  @inlinable @inline(__always)
  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(typeByte, at: offset)
    bytes.storeLittleEndian(flags, at: offset &+ 1)
    bytes.storeLittleEndian(headerLength, at: offset &+ 2)
    bytes.storeLittleEndian(dataOffset, at: offset &+ 3)
    bytes.storeLittleEndian(totalLength, at: offset &+ 4)
  }
}

/// Bits of the common header's flags.
@frozen public enum PDUFlags {
  /// HDGSTF: a header digest follows the header.
  @inlinable @inline(__always) public static var headerDigest: UInt8 { 0x01 }
  /// DDGSTF: a data digest follows the data.
  @inlinable @inline(__always) public static var dataDigest: UInt8 { 0x02 }
  /// LAST_PDU of data PDUs: the last one of its transfer.
  @inlinable @inline(__always) public static var lastPDU: UInt8 { 0x04 }
  /// SUCCESS of a controller's data PDU: the command succeeded and no response capsule follows.
  @inlinable @inline(__always) public static var success: UInt8 { 0x08 }
}
