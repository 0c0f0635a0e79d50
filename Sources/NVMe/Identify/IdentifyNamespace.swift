/// Identify Namespace of the NVM command set, CNS 00h, 4096 bytes (NVM Command Set 1.0, 4.1.5.1).
///
/// Sizes in blocks are of the format in use. Zero-based fields are kept as they are on the wire, and say so in their names.
public struct IdentifyNamespace: Equatable, Sendable {
  public static let byteCount = 4096
  public static let maximumFormatCount = 64

  /// NSZE, bytes 0–7.
  public var sizeBlocks: UInt64 = 0
  /// NCAP, bytes 8–15.
  public var capacityBlocks: UInt64 = 0
  /// NUSE, bytes 16–23.
  public var utilizationBlocks: UInt64 = 0
  /// NSFEAT, byte 24.
  public var features = NamespaceFeatures(rawValue: 0)
  /// FLBAS, byte 26: bits 3:0 and 6:5 the index of the format in use.
  public var formattedLBASize: UInt8 = 0
  /// MC, byte 27.
  public var metadataCapabilities: UInt8 = 0
  /// DPC, byte 28.
  public var protectionCapabilities: UInt8 = 0
  /// DPS, byte 29.
  public var protectionSettings: UInt8 = 0
  /// NMIC, byte 30: bit 0: may be attached to several controllers.
  public var multipathCapabilities: UInt8 = 0
  /// RESCAP, byte 31.
  public var reservationCapabilities: UInt8 = 0
  /// FPI, byte 32.
  public var formatProgress: UInt8 = 0
  /// DLFEAT, byte 33: bits 2:0 what deallocated blocks read (1: zeros), bit 3 Write Zeroes can deallocate.
  public var deallocateFeatures: UInt8 = 0
  /// NAWUN, bytes 34–35: blocks, less one.
  public var atomicWriteUnitZeroBased: UInt16 = 0
  /// NAWUPF, bytes 36–37: blocks, less one.
  public var atomicWriteUnitPowerFailZeroBased: UInt16 = 0
  /// NACWU, bytes 38–39: blocks, less one.
  public var atomicCompareAndWriteUnitZeroBased: UInt16 = 0
  /// NABSN, bytes 40–41: blocks, less one.
  public var atomicBoundarySizeZeroBased: UInt16 = 0
  /// NABO, bytes 42–43.
  public var atomicBoundaryOffset: UInt16 = 0
  /// NABSPF, bytes 44–45: blocks, less one.
  public var atomicBoundarySizePowerFailZeroBased: UInt16 = 0
  /// NOIOB, bytes 46–47.
  public var optimalIOBoundaryBlocks: UInt16 = 0
  /// NVMCAP, bytes 48–63.
  public var capacityBytes: UInt128 = 0
  /// NPWG, bytes 64–65: blocks, less one.
  public var preferredWriteGranularityZeroBased: UInt16 = 0
  /// NPWA, bytes 66–67: blocks, less one.
  public var preferredWriteAlignmentZeroBased: UInt16 = 0
  /// NPDG, bytes 68–69: blocks, less one.
  public var preferredDeallocateGranularityZeroBased: UInt16 = 0
  /// NPDA, bytes 70–71: blocks, less one.
  public var preferredDeallocateAlignmentZeroBased: UInt16 = 0
  /// NOWS, bytes 72–73: blocks, less one.
  public var optimalWriteSizeZeroBased: UInt16 = 0
  /// ANAGRPID, bytes 92–95.
  public var anaGroupIdentifier: UInt32 = 0
  /// NSATTR, byte 99: bit 0: write protected now.
  public var attributes: UInt8 = 0
  /// NVMSETID, bytes 100–101.
  public var nvmSetIdentifier: UInt16 = 0
  /// ENDGID, bytes 102–103.
  public var enduranceGroupIdentifier: UInt16 = 0
  /// NGUID, bytes 104–119.
  public var guid: Identifier128 = .zero
  /// EUI64, bytes 120–127: big-endian on the wire; 0 for none.
  public var eui64: UInt64 = 0
  /// LBAF0 and on, from byte 128: 1 to 64 formats. NLBAF, byte 25, is their number less one.
  public var formats: [LBAFormat] = [LBAFormat(dataSizeShift: 9)]

  /// All fields zero or empty.
  public init() {}

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(Self.byteCount, at: offset)
    sizeBlocks = bytes.littleEndian(at: offset + 0)
    capacityBlocks = bytes.littleEndian(at: offset + 8)
    utilizationBlocks = bytes.littleEndian(at: offset + 16)
    features = NamespaceFeatures(rawValue: bytes.littleEndian(at: offset + 24))
    formattedLBASize = bytes.littleEndian(at: offset + 26)
    metadataCapabilities = bytes.littleEndian(at: offset + 27)
    protectionCapabilities = bytes.littleEndian(at: offset + 28)
    protectionSettings = bytes.littleEndian(at: offset + 29)
    multipathCapabilities = bytes.littleEndian(at: offset + 30)
    reservationCapabilities = bytes.littleEndian(at: offset + 31)
    formatProgress = bytes.littleEndian(at: offset + 32)
    deallocateFeatures = bytes.littleEndian(at: offset + 33)
    atomicWriteUnitZeroBased = bytes.littleEndian(at: offset + 34)
    atomicWriteUnitPowerFailZeroBased = bytes.littleEndian(at: offset + 36)
    atomicCompareAndWriteUnitZeroBased = bytes.littleEndian(at: offset + 38)
    atomicBoundarySizeZeroBased = bytes.littleEndian(at: offset + 40)
    atomicBoundaryOffset = bytes.littleEndian(at: offset + 42)
    atomicBoundarySizePowerFailZeroBased = bytes.littleEndian(at: offset + 44)
    optimalIOBoundaryBlocks = bytes.littleEndian(at: offset + 46)
    capacityBytes = bytes.littleEndian(at: offset + 48)
    preferredWriteGranularityZeroBased = bytes.littleEndian(at: offset + 64)
    preferredWriteAlignmentZeroBased = bytes.littleEndian(at: offset + 66)
    preferredDeallocateGranularityZeroBased = bytes.littleEndian(at: offset + 68)
    preferredDeallocateAlignmentZeroBased = bytes.littleEndian(at: offset + 70)
    optimalWriteSizeZeroBased = bytes.littleEndian(at: offset + 72)
    anaGroupIdentifier = bytes.littleEndian(at: offset + 92)
    attributes = bytes.littleEndian(at: offset + 99)
    nvmSetIdentifier = bytes.littleEndian(at: offset + 100)
    enduranceGroupIdentifier = bytes.littleEndian(at: offset + 102)
    guid = try Identifier128(decoding: bytes, at: offset + 104)
    eui64 = bytes.littleEndian(at: offset + 120, as: UInt64.self).byteSwapped
    let formatCount = Int(bytes.littleEndian(at: offset + 25, as: UInt8.self)) + 1
    if formatCount > Self.maximumFormatCount { throw .invalidField }
    formats = []
    for index in 0..<formatCount { formats.append(try LBAFormat(decoding: bytes, at: offset + 128 + 4 * index)) }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    bytes.storeLittleEndian(sizeBlocks, at: offset + 0)
    bytes.storeLittleEndian(capacityBlocks, at: offset + 8)
    bytes.storeLittleEndian(utilizationBlocks, at: offset + 16)
    bytes.storeLittleEndian(features.rawValue, at: offset + 24)
    bytes.storeLittleEndian(formattedLBASize, at: offset + 26)
    bytes.storeLittleEndian(metadataCapabilities, at: offset + 27)
    bytes.storeLittleEndian(protectionCapabilities, at: offset + 28)
    bytes.storeLittleEndian(protectionSettings, at: offset + 29)
    bytes.storeLittleEndian(multipathCapabilities, at: offset + 30)
    bytes.storeLittleEndian(reservationCapabilities, at: offset + 31)
    bytes.storeLittleEndian(formatProgress, at: offset + 32)
    bytes.storeLittleEndian(deallocateFeatures, at: offset + 33)
    bytes.storeLittleEndian(atomicWriteUnitZeroBased, at: offset + 34)
    bytes.storeLittleEndian(atomicWriteUnitPowerFailZeroBased, at: offset + 36)
    bytes.storeLittleEndian(atomicCompareAndWriteUnitZeroBased, at: offset + 38)
    bytes.storeLittleEndian(atomicBoundarySizeZeroBased, at: offset + 40)
    bytes.storeLittleEndian(atomicBoundaryOffset, at: offset + 42)
    bytes.storeLittleEndian(atomicBoundarySizePowerFailZeroBased, at: offset + 44)
    bytes.storeLittleEndian(optimalIOBoundaryBlocks, at: offset + 46)
    bytes.storeLittleEndian(capacityBytes, at: offset + 48)
    bytes.storeLittleEndian(preferredWriteGranularityZeroBased, at: offset + 64)
    bytes.storeLittleEndian(preferredWriteAlignmentZeroBased, at: offset + 66)
    bytes.storeLittleEndian(preferredDeallocateGranularityZeroBased, at: offset + 68)
    bytes.storeLittleEndian(preferredDeallocateAlignmentZeroBased, at: offset + 70)
    bytes.storeLittleEndian(optimalWriteSizeZeroBased, at: offset + 72)
    bytes.storeLittleEndian(anaGroupIdentifier, at: offset + 92)
    bytes.storeLittleEndian(attributes, at: offset + 99)
    bytes.storeLittleEndian(nvmSetIdentifier, at: offset + 100)
    bytes.storeLittleEndian(enduranceGroupIdentifier, at: offset + 102)
    guid.encode(into: &bytes, at: offset + 104)
    bytes.storeLittleEndian(eui64.byteSwapped, at: offset + 120)
    precondition(!formats.isEmpty && formats.count <= Self.maximumFormatCount)
    bytes.storeLittleEndian(UInt8(formats.count - 1), at: offset + 25)
    for (index, format) in formats.enumerated() { format.encode(into: &bytes, at: offset + 128 + 4 * index) }
  }
}

extension IdentifyNamespace {
  /// The index of the format in use.
  public var formatIndex: Int { Int(formattedLBASize & 0xF) | Int(formattedLBASize >> 5 & 0x3) << 4 }

  /// The block size in bytes of the format in use; nil where the peer names a format that is not there, or one outside of 512 bytes
  /// to 64 KiB.
  public var blockSizeBytes: UInt32? {
    guard formatIndex < formats.count, (9...16).contains(formats[formatIndex].dataSizeShift) else { return nil }
    return 1 << UInt32(formats[formatIndex].dataSizeShift)
  }
}

/// An LBA format, 4 bytes (NVM Command Set 1.0, "LBA Format Data Structure").
public struct LBAFormat: Equatable, Sendable {
  /// MS: bytes of metadata per block.
  public var metadataBytes: UInt16
  /// LBADS: a block has 2^value bytes of data; 0 for a format not available.
  public var dataSizeShift: UInt8
  /// RP, bits 1:0: 0 is the best.
  public var relativePerformance: UInt8

  public init(dataSizeShift: UInt8, metadataBytes: UInt16 = 0, relativePerformance: UInt8 = 0) {
    self.metadataBytes = metadataBytes
    self.dataSizeShift = dataSizeShift
    self.relativePerformance = relativePerformance
  }

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(CodecError) {
    try bytes.require(4, at: offset)
    metadataBytes = bytes.littleEndian(at: offset)
    dataSizeShift = bytes.littleEndian(at: offset + 2)
    relativePerformance = bytes.littleEndian(at: offset + 3, as: UInt8.self) & 0x3
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.storeLittleEndian(metadataBytes, at: offset)
    bytes.storeLittleEndian(dataSizeShift, at: offset + 2)
    bytes.storeLittleEndian(relativePerformance, at: offset + 3)
  }
}
