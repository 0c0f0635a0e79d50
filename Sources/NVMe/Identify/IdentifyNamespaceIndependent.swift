/// Identify Namespace independent of the command set, CNS 08h, 4096 bytes (NVMe Base 2.0, 5.17.2.8).
public struct IdentifyNamespaceIndependent: Equatable, Sendable {
  public static let byteCount = 4096

  /// NSFEAT, byte 0: bit 3 UIDREUSE, bit 4 RMEDIA.
  public var features: UInt8 = 0
  /// NMIC, byte 1: bit 0: may be attached to several controllers.
  public var multipathCapabilities: UInt8 = 0
  /// RESCAP, byte 2.
  public var reservationCapabilities: UInt8 = 0
  /// FPI, byte 3.
  public var formatProgress: UInt8 = 0
  /// ANAGRPID, bytes 4–7.
  public var anaGroupIdentifier: UInt32 = 0
  /// NSATTR, byte 8: bit 0: write protected now.
  public var attributes: UInt8 = 0
  /// NVMSETID, bytes 10–11.
  public var nvmSetIdentifier: UInt16 = 0
  /// ENDGID, bytes 12–13.
  public var enduranceGroupIdentifier: UInt16 = 0
  /// NSTAT, byte 14: bit 0: ready.
  public var status: UInt8 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    features = bytes.littleEndian(at: offset + 0)
    multipathCapabilities = bytes.littleEndian(at: offset + 1)
    reservationCapabilities = bytes.littleEndian(at: offset + 2)
    formatProgress = bytes.littleEndian(at: offset + 3)
    anaGroupIdentifier = bytes.littleEndian(at: offset + 4)
    attributes = bytes.littleEndian(at: offset + 8)
    nvmSetIdentifier = bytes.littleEndian(at: offset + 10)
    enduranceGroupIdentifier = bytes.littleEndian(at: offset + 12)
    status = bytes.littleEndian(at: offset + 14)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(features, at: offset + 0)
    bytes.storeLittleEndian(multipathCapabilities, at: offset + 1)
    bytes.storeLittleEndian(reservationCapabilities, at: offset + 2)
    bytes.storeLittleEndian(formatProgress, at: offset + 3)
    bytes.storeLittleEndian(anaGroupIdentifier, at: offset + 4)
    bytes.storeLittleEndian(attributes, at: offset + 8)
    bytes.storeLittleEndian(nvmSetIdentifier, at: offset + 10)
    bytes.storeLittleEndian(enduranceGroupIdentifier, at: offset + 12)
    bytes.storeLittleEndian(status, at: offset + 14)
  }
}
