/// The head of the Discovery log, LID 70h, 1024 bytes; the entries follow (NVMe Base 2.0, 5.16.1.23).
public struct DiscoveryLogHeader: Equatable, Sendable {
  public static let byteCount = 1024

  /// GENCTR, bytes 0–7: changes with every change of the log.
  public var generation: UInt64 = 0
  /// NUMREC, bytes 8–15.
  public var recordCount: UInt64 = 0
  /// RECFMT, bytes 16–17: 0.
  public var recordFormat: UInt16 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    generation = bytes.littleEndian(at: offset + 0)
    recordCount = bytes.littleEndian(at: offset + 8)
    recordFormat = bytes.littleEndian(at: offset + 16)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(generation, at: offset + 0)
    bytes.storeLittleEndian(recordCount, at: offset + 8)
    bytes.storeLittleEndian(recordFormat, at: offset + 16)
  }
}

extension DiscoveryLogHeader {
  /// The bytes of the whole log; nil where the peer claims a number of records that no log has (more than 65,535).
  public var logByteCount: Int? { recordCount <= 0xFFFF ? Self.byteCount + Int(recordCount) * DiscoveryLogEntry.byteCount : nil }
}
