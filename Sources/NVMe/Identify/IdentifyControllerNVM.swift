/// Identify Controller of the NVM command set, CNS 06h, 4096 bytes (NVM Command Set 1.0, 4.1.5.4).
public struct IdentifyControllerNVM: Equatable, Sendable {
  public static let byteCount = 4096

  /// VSL, byte 0: Verify takes 2^value pages at most; 0 for no limit.
  public var verifySizeShift: UInt8 = 0
  /// WZSL, byte 1: Write Zeroes takes 2^value pages at most; 0 for no limit.
  public var writeZeroesSizeShift: UInt8 = 0
  /// WUSL, byte 2: Write Uncorrectable takes 2^value pages at most; 0 for no limit.
  public var writeUncorrectableSizeShift: UInt8 = 0
  /// DMRL, byte 3: ranges per Dataset Management; 0 for no limit.
  public var datasetRangeLimit: UInt8 = 0
  /// DMRSL, bytes 4–7: blocks per range; 0 for no limit.
  public var datasetRangeSizeLimitBlocks: UInt32 = 0
  /// DMSL, bytes 8–15: blocks in all ranges; 0 for no limit.
  public var datasetSizeLimitBlocks: UInt64 = 0

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    verifySizeShift = bytes.littleEndian(at: offset + 0)
    writeZeroesSizeShift = bytes.littleEndian(at: offset + 1)
    writeUncorrectableSizeShift = bytes.littleEndian(at: offset + 2)
    datasetRangeLimit = bytes.littleEndian(at: offset + 3)
    datasetRangeSizeLimitBlocks = bytes.littleEndian(at: offset + 4)
    datasetSizeLimitBlocks = bytes.littleEndian(at: offset + 8)
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(verifySizeShift, at: offset + 0)
    bytes.storeLittleEndian(writeZeroesSizeShift, at: offset + 1)
    bytes.storeLittleEndian(writeUncorrectableSizeShift, at: offset + 2)
    bytes.storeLittleEndian(datasetRangeLimit, at: offset + 3)
    bytes.storeLittleEndian(datasetRangeSizeLimitBlocks, at: offset + 4)
    bytes.storeLittleEndian(datasetSizeLimitBlocks, at: offset + 8)
  }
}
