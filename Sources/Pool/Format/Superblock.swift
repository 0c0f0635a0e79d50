import Reactor

/// The first block of a pool: what it is and where its parts are. `FORMAT.md` has the fields.
struct Superblock: Equatable, Sendable {
  static let byteCount = 4096
  static let magic: [UInt8] = Array("KEELPOOL".utf8)
  static let version: UInt32 = 2
  /// Where the two copies are: far enough apart that whoever overwrites the start of a disk hits one only.
  static let copyOffsets: [UInt64] = [0, 512 << 10]
  /// Where the journal of a new pool is.
  static let firstJournalOffset: UInt64 = 1 << 20
  static let clusterSizes: ClosedRange<UInt64> = (64 << 10)...(64 << 20)
  static let journalSizes: ClosedRange<UInt64> = (128 << 10)...(1 << 30)
  static let maximumNameBytes = 64
  static let maximumDevicePathBytes = 1020
  private static let devicePathOffset = 1024
  /// Incompatible feature: the pool keeps checksums of its data.
  static let sumsFeature: UInt32 = 1
  /// Incompatible features this version understands.
  static let knownFeatures: UInt32 = sumsFeature
  private static let sumsOffset = 512

  static let checksumOffset = 8

  var id: Identifier
  var name: String
  /// Of two copies that differ the higher one counts.
  var revision: UInt64 = 1
  var clusterBytes: UInt64
  var clusterCount: UInt64
  /// Size of the file or device the pool was made for.
  var deviceBytes: UInt64
  var journalOffset: UInt64
  var journalBytes: UInt64
  /// Where the first of two checkpoint slots is.
  var checkpointOffset: UInt64
  var checkpointSlotBytes: UInt64
  /// Where cluster 0 starts, a multiple of `clusterBytes`.
  var dataOffset: UInt64
  var sectorBytes: UInt32
  /// The lasting name under which the device was last opened; empty for files and devices that have none.
  var devicePath = ""
  /// Where the checksums of data are.
  var sums = SumArea.none

  var geometry: PoolGeometry {
    PoolGeometry(clusterBytes: clusterBytes, clusterCount: clusterCount, dataOffset: dataOffset, blocksPerSumPage: sums.blocksPerPage)
  }

  /// The layout for a device of `deviceBytes`; nil if not even one cluster fits.
  static func layout(
    id: Identifier, name: String, clusterBytes: UInt64, deviceBytes: UInt64, sectorBytes: UInt32, journalBytes: UInt64? = nil,
    integrity: PoolIntegrity = .none, blocksPerSumPage: Int = SumArea.maximumBlocksPerPage
  ) -> Superblock? {
    guard deviceBytes <= UInt64(Int64.max) else { return nil }
    let journal = journalBytes ?? Self.journalBytes(deviceBytes: deviceBytes, clusterBytes: clusterBytes, integrity: integrity)
    let slot = slotBytes(clusterCount: deviceBytes / clusterBytes, clusterBytes: clusterBytes, deviceBytes: deviceBytes)
    let checkpoints = firstJournalOffset + journal
    var sums = SumArea.none
    if integrity == .crc32c {
      let blockCount = deviceBytes / clusterBytes * (clusterBytes / PoolGeometry.blockBytes)
      sums = SumArea(
        offset: checkpoints + 2 * slot, byteCount: SumArea.byteCount(blockCount: blockCount, blocksPerPage: blocksPerSumPage),
        blocksPerPage: blocksPerSumPage)
    }
    let dataOffset = (checkpoints + 2 * slot + sums.byteCount).roundedUpQuotient(by: clusterBytes) * clusterBytes
    guard deviceBytes >= dataOffset + clusterBytes, deviceBytes / clusterBytes < UInt64(UInt32.max) else { return nil }
    var superblock = Superblock(
      id: id, name: name, clusterBytes: clusterBytes, clusterCount: (deviceBytes - dataOffset) / clusterBytes, deviceBytes: deviceBytes,
      journalOffset: firstJournalOffset, journalBytes: journal, checkpointOffset: checkpoints, checkpointSlotBytes: slot,
      dataOffset: dataOffset, sectorBytes: sectorBytes)
    superblock.sums = sums
    return superblock
  }

  /// A 4096th of the device, but 16 MiB, or a 256th of a small one, at least: large enough that checkpoints are rare among first
  /// writes, of which each few take a record, small enough that opening is quick.
  /// With checksums every overwrite takes part in a record: 16 MiB, or a 64th of a small device.
  static func journalBytes(deviceBytes: UInt64, clusterBytes: UInt64, integrity: PoolIntegrity = .none) -> UInt64 {
    var least = max(clusterBytes > 4 << 20 ? 1 << 20 : 256 << 10, min(16 << 20, deviceBytes / 256))
    if integrity == .crc32c { least = max(least, clusterBytes > 4 << 20 ? 4 << 20 : 0, min(16 << 20, deviceBytes / 64)) }
    return min(max(deviceBytes / 4096, least), 256 << 20) & ~4095
  }

  /// Room for every cluster and as many holes, and for what there is to know of replicas.
  static func slotBytes(clusterCount: UInt64, clusterBytes: UInt64, deviceBytes: UInt64) -> UInt64 {
    let maskBytes = (clusterBytes / PoolGeometry.blockBytes + 63) / 64 * 8
    let body = clusterCount * (16 + maskBytes + 12 + maskBytes + 10) + objectBytes(deviceBytes: deviceBytes)
    // Chunks have a header each and are padded.
    let padded = body + (body / UInt64(CheckpointWriter.chunkBytes) + 2) * 8192
    return UInt64(CheckpointHeader.byteCount) + padded.roundedUpQuotient(by: 4096) * 4096
  }

  /// What the largest change that must be one record may take: of one cluster, every other block and its holes.
  static func largestGroupBytes(clusterBytes: UInt64) -> Int {
    let blocks = Int(clusterBytes / PoolGeometry.blockBytes)
    return MetadataRecord.headerBytes + blocks / 2 * 13 + 2 * (9 + (blocks + 63) / 64 * 8) + 64
  }

  /// Bytes of a checkpoint for replicas and snapshots.
  static func objectBytes(deviceBytes: UInt64) -> UInt64 { min(max(deviceBytes / 1024, 256 << 10), 64 << 20) }

  /// What a pool of one cluster needs.
  static func smallestDeviceBytes(clusterBytes: UInt64) -> UInt64 {
    var size = clusterBytes
    while layout(id: .none, name: "x", clusterBytes: clusterBytes, deviceBytes: size, sectorBytes: 512) == nil { size += clusterBytes }
    return size
  }

  /// What stands in for a superblock in a pool in memory: no metadata on storage, clusters from the first byte.
  static func volatile(id: Identifier, name: String, clusterBytes: UInt64, clusterCount: UInt64) -> Superblock {
    Superblock(
      id: id, name: name, clusterBytes: clusterBytes, clusterCount: clusterCount, deviceBytes: clusterCount * clusterBytes,
      journalOffset: 0, journalBytes: 0, checkpointOffset: 0, checkpointSlotBytes: 0, dataOffset: 0, sectorBytes: 512)
  }

  /// Whether `name` may name a pool: printable and not too long.
  static func isValidName(_ name: String) -> Bool {
    let bytes = name.utf8
    return (1...maximumNameBytes).contains(bytes.count) && !bytes.contains { $0 < 0x20 || $0 == 0x7F }
  }

  /// Whether a name of a device can be kept.
  static func isValidDevicePath(_ path: String) -> Bool {
    path.utf8.count <= maximumDevicePathBytes && !path.utf8.contains { $0 < 0x20 || $0 == 0x7F }
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.append(bytes: Self.magic)
    writer.append(UInt32(0))
    writer.append(Self.version)
    writer.append(sums.isPresent ? Self.sumsFeature : 0)
    writer.append(UInt32(0))
    writer.append(id)
    writer.append(deviceBytes)
    writer.append(clusterBytes)
    writer.append(clusterCount)
    writer.append(dataOffset)
    writer.append(journalOffset)
    writer.append(journalBytes)
    writer.append(sectorBytes)
    writer.append(UInt32(name.utf8.count))
    writer.append(bytes: name.utf8)
    writer.pad(to: 160)
    writer.append(checkpointOffset)
    writer.append(checkpointSlotBytes)
    writer.append(revision)
    if sums.isPresent {
      writer.pad(to: Self.sumsOffset)
      writer.append(sums.offset)
      writer.append(sums.byteCount)
      writer.append(UInt32(sums.blocksPerPage))
    }
    writer.pad(to: Self.devicePathOffset)
    writer.append(UInt32(devicePath.utf8.count))
    writer.append(bytes: devicePath.utf8)
    writer.pad(to: Self.byteCount)
    unsafe writer.replace(at: Self.checksumOffset, with: CRC32C.checksum(writer.bytes.span.bytes))
    return writer.bytes
  }

  /// Takes one copy apart. Magic number, checksum and version have their places in every version.
  init(decoding bytes: [UInt8]) throws(FormatFlaw) {
    guard bytes.count >= Self.byteCount else { throw .tooShort }
    guard bytes.starts(with: Self.magic) else { throw .wrongMagic }
    var reader = ByteReader(bytes[Self.magic.count..<Self.byteCount])
    let checksum = try reader.read(UInt32.self)
    var cleared = ByteWriter()
    cleared.append(bytes: bytes[..<Self.byteCount])
    cleared.replace(at: Self.checksumOffset, with: 0)
    guard unsafe CRC32C.checksum(cleared.bytes.span.bytes) == checksum else { throw .wrongChecksum }
    let version = try reader.read(UInt32.self)
    guard version <= Self.version else { throw .newerVersion }
    guard version == Self.version else { throw .olderVersion }
    let features = try reader.read(UInt32.self)
    guard features & ~Self.knownFeatures == 0 else { throw .unknownFeatures }
    _ = try reader.read(UInt32.self)
    id = try reader.readIdentifier()
    deviceBytes = try reader.read(UInt64.self)
    clusterBytes = try reader.read(UInt64.self)
    clusterCount = try reader.read(UInt64.self)
    dataOffset = try reader.read(UInt64.self)
    journalOffset = try reader.read(UInt64.self)
    journalBytes = try reader.read(UInt64.self)
    sectorBytes = try reader.read(UInt32.self)
    let nameBytes = try reader.read(UInt32.self)
    guard nameBytes <= UInt32(Self.maximumNameBytes),
      let name = String(validating: try reader.take(Int(nameBytes)), as: UTF8.self), Self.isValidName(name)
    else { throw .impossibleLayout }
    self.name = name
    _ = try reader.take(Self.maximumNameBytes - Int(nameBytes))
    checkpointOffset = try reader.read(UInt64.self)
    checkpointSlotBytes = try reader.read(UInt64.self)
    revision = try reader.read(UInt64.self)
    var pathReader = ByteReader(bytes[Self.devicePathOffset..<Self.byteCount])
    let pathBytes = try pathReader.read(UInt32.self)
    guard pathBytes <= UInt32(Self.maximumDevicePathBytes),
      let devicePath = String(validating: try pathReader.take(Int(pathBytes)), as: UTF8.self), Self.isValidDevicePath(devicePath)
    else { throw .impossibleLayout }
    self.devicePath = devicePath
    if features & Self.sumsFeature != 0 {
      var sumsReader = ByteReader(bytes[Self.sumsOffset..<Self.byteCount])
      let (offset, byteCount) = (try sumsReader.read(UInt64.self), try sumsReader.read(UInt64.self))
      let blocksPerPage = try sumsReader.read(UInt32.self)
      guard byteCount > 0, blocksPerPage > 0, blocksPerPage <= UInt32(SumArea.maximumBlocksPerPage) else { throw .impossibleLayout }
      sums = SumArea(offset: offset, byteCount: byteCount, blocksPerPage: Int(blocksPerPage))
    }
    guard isPossible else { throw .impossibleLayout }
  }

  /// The version field of a copy, for the message about a newer one.
  static func version(of bytes: [UInt8]) -> UInt32 { field(at: 12, of: bytes) }

  /// The incompatible features of a copy, for the message about unknown ones.
  static func features(of bytes: [UInt8]) -> UInt32 { field(at: 16, of: bytes) }

  private static func field(at offset: Int, of bytes: [UInt8]) -> UInt32 {
    bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  private init(
    id: Identifier, name: String, clusterBytes: UInt64, clusterCount: UInt64, deviceBytes: UInt64, journalOffset: UInt64,
    journalBytes: UInt64, checkpointOffset: UInt64, checkpointSlotBytes: UInt64, dataOffset: UInt64, sectorBytes: UInt32
  ) {
    self.id = id
    self.name = name
    self.clusterBytes = clusterBytes
    self.clusterCount = clusterCount
    self.deviceBytes = deviceBytes
    self.journalOffset = journalOffset
    self.journalBytes = journalBytes
    self.checkpointOffset = checkpointOffset
    self.checkpointSlotBytes = checkpointSlotBytes
    self.dataOffset = dataOffset
    self.sectorBytes = sectorBytes
  }

  /// Whether the parts lie inside the device and none on another. A checksum proves what was written, not that it makes sense.
  var isPossible: Bool {
    guard Self.clusterSizes.contains(clusterBytes), clusterBytes.nonzeroBitCount == 1, sectorBytes == 512 || sectorBytes == 4096,
      deviceBytes <= UInt64(Int64.max), clusterCount > 0, clusterCount < UInt64(UInt32.max), dataOffset < deviceBytes,
      dataOffset % clusterBytes == 0, clusterCount <= (deviceBytes - dataOffset) / clusterBytes, Self.journalSizes.contains(journalBytes),
      Self.largestGroupBytes(clusterBytes: clusterBytes) <= Journal.maximumRecordBytes(ringBytes: journalBytes),
      checkpointSlotBytes <= deviceBytes / 2,
      checkpointSlotBytes >= Self.slotBytes(clusterCount: clusterCount, clusterBytes: clusterBytes, deviceBytes: deviceBytes),
      (journalOffset | journalBytes | checkpointOffset | checkpointSlotBytes | sums.offset | sums.byteCount) % 4096 == 0,
      !sums.isPresent
        || sums.byteCount
          >= SumArea.byteCount(
            blockCount: clusterCount * (clusterBytes / PoolGeometry.blockBytes), blocksPerPage: sums.blocksPerPage)
    else { return false }
    var parts = [
      (start: Self.copyOffsets[1], count: UInt64(Self.byteCount)), (start: journalOffset, count: journalBytes),
      (start: checkpointOffset, count: 2 * checkpointSlotBytes), (start: dataOffset, count: clusterCount * clusterBytes),
    ]
    if sums.isPresent { parts.append((start: sums.offset, count: sums.byteCount)) }
    parts.sort { $0.start < $1.start }
    var end = Self.copyOffsets[0] + UInt64(Self.byteCount)
    for part in parts {
      guard part.start >= end, part.start <= deviceBytes, part.count <= deviceBytes - part.start else { return false }
      end = part.start + part.count
    }
    return true
  }
}

extension UInt64 {
  /// How many pieces of `size` hold this many bytes.
  func roundedUpQuotient(by size: UInt64) -> UInt64 { self / size + (self % size == 0 ? 0 : 1) }
}
