/// One entry of the Error Information log, LID 01h, 64 bytes, the newest first (NVMe Base 2.0, 5.16.1.2).
public struct ErrorLogEntry: Equatable, Sendable {
  public static let byteCount = 64

  /// Error Count, bytes 0–7: 1 for the first error; 0 for an entry not in use.
  public var errorCount: UInt64 = 0
  /// SQID, bytes 8–9.
  public var submissionQueueIdentifier: UInt16 = 0
  /// CID, bytes 10–11.
  public var commandIdentifier: UInt16 = 0
  /// Status Field, bytes 12–13.
  public var status = Status(rawValue: 0)
  /// Parameter Error Location, bytes 14–15: bits 7:0 the byte, 10:8 the bit; FFFFh for none.
  public var parameterLocation: UInt16 = 0
  /// LBA, bytes 16–23: the first block in error.
  public var lba: UInt64 = 0
  /// Namespace, bytes 24–27.
  public var namespaceIdentifier: UInt32 = 0
  /// Vendor Specific Information Available, byte 28.
  public var vendorSpecificLogPage: UInt8 = 0
  /// TRTYPE, byte 29: 3 for TCP.
  public var transportType: UInt8 = 0
  /// CSI, byte 30.
  public var commandSet: UInt8 = 0
  /// OPC, byte 31.
  public var opcode: UInt8 = 0
  /// Command Specific Information, bytes 32–39.
  public var commandSpecific: UInt64 = 0
  /// Transport Type Specific Information, bytes 40–41.
  public var transportSpecific: UInt16 = 0
  /// Log Page Version, byte 63.
  public var logPageVersion: UInt8 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    errorCount = bytes.littleEndian(at: offset + 0)
    submissionQueueIdentifier = bytes.littleEndian(at: offset + 8)
    commandIdentifier = bytes.littleEndian(at: offset + 10)
    status = Status(rawValue: bytes.littleEndian(at: offset + 12))
    parameterLocation = bytes.littleEndian(at: offset + 14)
    lba = bytes.littleEndian(at: offset + 16)
    namespaceIdentifier = bytes.littleEndian(at: offset + 24)
    vendorSpecificLogPage = bytes.littleEndian(at: offset + 28)
    transportType = bytes.littleEndian(at: offset + 29)
    commandSet = bytes.littleEndian(at: offset + 30)
    opcode = bytes.littleEndian(at: offset + 31)
    commandSpecific = bytes.littleEndian(at: offset + 32)
    transportSpecific = bytes.littleEndian(at: offset + 40)
    logPageVersion = bytes.littleEndian(at: offset + 63)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(errorCount, at: offset + 0)
    bytes.storeLittleEndian(submissionQueueIdentifier, at: offset + 8)
    bytes.storeLittleEndian(commandIdentifier, at: offset + 10)
    bytes.storeLittleEndian(status.rawValue, at: offset + 12)
    bytes.storeLittleEndian(parameterLocation, at: offset + 14)
    bytes.storeLittleEndian(lba, at: offset + 16)
    bytes.storeLittleEndian(namespaceIdentifier, at: offset + 24)
    bytes.storeLittleEndian(vendorSpecificLogPage, at: offset + 28)
    bytes.storeLittleEndian(transportType, at: offset + 29)
    bytes.storeLittleEndian(commandSet, at: offset + 30)
    bytes.storeLittleEndian(opcode, at: offset + 31)
    bytes.storeLittleEndian(commandSpecific, at: offset + 32)
    bytes.storeLittleEndian(transportSpecific, at: offset + 40)
    bytes.storeLittleEndian(logPageVersion, at: offset + 63)
  }
}
