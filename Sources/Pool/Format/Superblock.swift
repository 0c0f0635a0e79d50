import Reactor

/// The first block of a pool: what it is and where its parts are. `FORMAT.md` has the fields.
struct Superblock: Equatable {
  static let byteCount = 4096
  static let magic: [UInt8] = Array("KEELPOOL".utf8)
  static let version: UInt32 = 1
  /// Where the two copies are: far enough apart that whoever overwrites the start of a disk hits one only.
  static let copyOffsets: [UInt64] = [0, 512 << 10]
  /// Where the first slot of the replica table is.
  static let metadataOffset: UInt64 = 1 << 20
  static let defaultMetadataSlotBytes: UInt64 = 1 << 20
  static let maximumMetadataSlotBytes: UInt64 = 64 << 20
  static let clusterSizes: ClosedRange<UInt64> = (64 << 10)...(64 << 20)
  static let maximumNameBytes = 64
  /// Incompatible features this version understands: none yet.
  static let knownFeatures: UInt32 = 0

  private static let checksumOffset = 8

  var id: Identifier
  var name: String
  var clusterBytes: UInt64
  var clusterCount: UInt64
  /// Size of the file or device the pool was made for.
  var deviceBytes: UInt64
  var metadataOffset: UInt64
  var metadataSlotBytes: UInt64
  /// Where cluster 0 starts, a multiple of `clusterBytes`.
  var dataOffset: UInt64
  var sectorBytes: UInt32

  /// The layout for a device of `deviceBytes`; nil if not even one cluster fits.
  static func layout(id: Identifier, name: String, clusterBytes: UInt64, deviceBytes: UInt64, sectorBytes: UInt32) -> Superblock? {
    let dataOffset = smallestDeviceBytes(clusterBytes: clusterBytes) - clusterBytes
    guard deviceBytes <= UInt64(Int64.max), deviceBytes >= dataOffset + clusterBytes else { return nil }
    return Superblock(
      id: id, name: name, clusterBytes: clusterBytes, clusterCount: (deviceBytes - dataOffset) / clusterBytes,
      deviceBytes: deviceBytes, metadataOffset: metadataOffset, metadataSlotBytes: defaultMetadataSlotBytes, dataOffset: dataOffset,
      sectorBytes: sectorBytes)
  }

  /// What a pool of one cluster needs.
  static func smallestDeviceBytes(clusterBytes: UInt64) -> UInt64 {
    ((metadataOffset + 2 * defaultMetadataSlotBytes).roundedUpQuotient(by: clusterBytes) + 1) * clusterBytes
  }

  /// What stands in for a superblock in a pool in memory: no metadata area, clusters from the first byte.
  static func volatile(id: Identifier, name: String, clusterBytes: UInt64, clusterCount: UInt64) -> Superblock {
    Superblock(
      id: id, name: name, clusterBytes: clusterBytes, clusterCount: clusterCount, deviceBytes: clusterCount * clusterBytes,
      metadataOffset: 0, metadataSlotBytes: defaultMetadataSlotBytes, dataOffset: 0, sectorBytes: 512)
  }

  /// Whether `name` may name a pool: printable and not too long.
  static func isValidName(_ name: String) -> Bool {
    let bytes = name.utf8
    return (1...maximumNameBytes).contains(bytes.count) && !bytes.contains { $0 < 0x20 || $0 == 0x7F }
  }

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    writer.append(bytes: Self.magic)
    writer.append(UInt32(0))
    writer.append(Self.version)
    writer.append(Self.knownFeatures)
    writer.append(UInt32(0))
    writer.append(id)
    writer.append(deviceBytes)
    writer.append(clusterBytes)
    writer.append(clusterCount)
    writer.append(dataOffset)
    writer.append(metadataOffset)
    writer.append(metadataSlotBytes)
    writer.append(sectorBytes)
    writer.append(UInt32(name.utf8.count))
    writer.append(bytes: name.utf8)
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
    guard version > 0 else { throw .impossibleLayout }
    guard try reader.read(UInt32.self) & ~Self.knownFeatures == 0 else { throw .unknownFeatures }
    _ = try reader.read(UInt32.self)
    id = try reader.readIdentifier()
    deviceBytes = try reader.read(UInt64.self)
    clusterBytes = try reader.read(UInt64.self)
    clusterCount = try reader.read(UInt64.self)
    dataOffset = try reader.read(UInt64.self)
    metadataOffset = try reader.read(UInt64.self)
    metadataSlotBytes = try reader.read(UInt64.self)
    sectorBytes = try reader.read(UInt32.self)
    let nameBytes = try reader.read(UInt32.self)
    guard nameBytes <= UInt32(Self.maximumNameBytes),
      let name = String(validating: try reader.take(Int(nameBytes)), as: UTF8.self), Self.isValidName(name)
    else { throw .impossibleLayout }
    self.name = name
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
    id: Identifier, name: String, clusterBytes: UInt64, clusterCount: UInt64, deviceBytes: UInt64, metadataOffset: UInt64,
    metadataSlotBytes: UInt64, dataOffset: UInt64, sectorBytes: UInt32
  ) {
    self.id = id
    self.name = name
    self.clusterBytes = clusterBytes
    self.clusterCount = clusterCount
    self.deviceBytes = deviceBytes
    self.metadataOffset = metadataOffset
    self.metadataSlotBytes = metadataSlotBytes
    self.dataOffset = dataOffset
    self.sectorBytes = sectorBytes
  }

  /// Whether the parts lie one after the other inside the device. A checksum proves what was written, not that it makes sense.
  private var isPossible: Bool {
    guard Self.clusterSizes.contains(clusterBytes), clusterBytes.nonzeroBitCount == 1, sectorBytes == 512 || sectorBytes == 4096,
      deviceBytes <= UInt64(Int64.max), clusterCount > 0, dataOffset < deviceBytes, dataOffset % clusterBytes == 0,
      clusterCount <= (deviceBytes - dataOffset) / clusterBytes,
      metadataSlotBytes >= 4096, metadataSlotBytes % 4096 == 0, metadataSlotBytes <= Self.maximumMetadataSlotBytes,
      metadataOffset % 4096 == 0, metadataOffset >= Self.copyOffsets[1] + UInt64(Self.byteCount), metadataOffset <= dataOffset
    else { return false }
    return dataOffset - metadataOffset >= 2 * metadataSlotBytes
  }
}
