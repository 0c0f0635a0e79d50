/// A power state descriptor, 32 bytes (NVMe Base 2.0, "Power State Descriptor Data Structure").
public struct PowerState: Equatable, Sendable {
  public static let byteCount = 32

  /// MP, bytes 0–1: centiwatts, or with bit 0 of the flags tenths of milliwatts.
  public var maximumPowerCentiwatts: UInt16 = 0
  /// bit 0 MXPS, bit 1 NOPS, byte 3.
  public var flags: UInt8 = 0
  /// ENLAT, bytes 4–7.
  public var entryLatencyMicroseconds: UInt32 = 0
  /// EXLAT, bytes 8–11.
  public var exitLatencyMicroseconds: UInt32 = 0
  /// RRT, byte 12.
  public var relativeReadThroughput: UInt8 = 0
  /// RRL, byte 13.
  public var relativeReadLatency: UInt8 = 0
  /// RWT, byte 14.
  public var relativeWriteThroughput: UInt8 = 0
  /// RWL, byte 15.
  public var relativeWriteLatency: UInt8 = 0
  /// IDLP, bytes 16–17.
  public var idlePower: UInt16 = 0
  /// IPS, bits 7:6, byte 18.
  public var idlePowerScale: UInt8 = 0
  /// ACTP, bytes 20–21.
  public var activePower: UInt16 = 0
  /// APW and APS, byte 22.
  public var activePowerWorkloadAndScale: UInt8 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    maximumPowerCentiwatts = bytes.littleEndian(at: offset + 0)
    flags = bytes.littleEndian(at: offset + 3)
    entryLatencyMicroseconds = bytes.littleEndian(at: offset + 4)
    exitLatencyMicroseconds = bytes.littleEndian(at: offset + 8)
    relativeReadThroughput = bytes.littleEndian(at: offset + 12)
    relativeReadLatency = bytes.littleEndian(at: offset + 13)
    relativeWriteThroughput = bytes.littleEndian(at: offset + 14)
    relativeWriteLatency = bytes.littleEndian(at: offset + 15)
    idlePower = bytes.littleEndian(at: offset + 16)
    idlePowerScale = bytes.littleEndian(at: offset + 18)
    activePower = bytes.littleEndian(at: offset + 20)
    activePowerWorkloadAndScale = bytes.littleEndian(at: offset + 22)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(maximumPowerCentiwatts, at: offset + 0)
    bytes.storeLittleEndian(flags, at: offset + 3)
    bytes.storeLittleEndian(entryLatencyMicroseconds, at: offset + 4)
    bytes.storeLittleEndian(exitLatencyMicroseconds, at: offset + 8)
    bytes.storeLittleEndian(relativeReadThroughput, at: offset + 12)
    bytes.storeLittleEndian(relativeReadLatency, at: offset + 13)
    bytes.storeLittleEndian(relativeWriteThroughput, at: offset + 14)
    bytes.storeLittleEndian(relativeWriteLatency, at: offset + 15)
    bytes.storeLittleEndian(idlePower, at: offset + 16)
    bytes.storeLittleEndian(idlePowerScale, at: offset + 18)
    bytes.storeLittleEndian(activePower, at: offset + 20)
    bytes.storeLittleEndian(activePowerWorkloadAndScale, at: offset + 22)
  }
}
