import Reactor

/// What a pool knows of one replica.
struct ReplicaRecord: Equatable, Sendable {
  var id: Identifier
  var volumeID: Identifier
  var sizeBytes: UInt64
  var blockSizeBytes: UInt32
  /// Its clusters in the order of its bytes.
  var extents: [ClusterExtent]

  static let fixedBytes = 64
  static let extentBytes = 16

  var encodedBytes: Int { Self.fixedBytes + extents.count * Self.extentBytes }
}

/// The replicas of a pool as one slot of the metadata area holds them. `FORMAT.md` has the fields.
///
/// Decoding trusts nothing: after it, every replica has the clusters its size needs, inside the pool, and no two share one.
struct ReplicaTable: Equatable, Sendable {
  static let magic: [UInt8] = Array("KEELMETA".utf8)
  static let headerBytes = 64
  private static let checksumOffset = 8

  var sequence: UInt64
  var replicas: [ReplicaRecord]

  var encodedBytes: Int { replicas.reduce(Self.headerBytes) { $0 + $1.encodedBytes } }

  /// The slot's bytes, padded to whole 4 KiB blocks.
  func encoded(poolID: Identifier) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(bytes: Self.magic)
    writer.append(UInt32(0))
    writer.append(UInt32(replicas.count))
    writer.append(poolID)
    writer.append(sequence)
    writer.append(UInt64(encodedBytes))
    writer.pad(to: Self.headerBytes)
    for replica in replicas {
      let start = writer.bytes.count
      writer.append(replica.id)
      writer.append(replica.volumeID)
      writer.append(replica.sizeBytes)
      writer.append(replica.blockSizeBytes)
      writer.append(UInt32(replica.extents.count))
      writer.pad(to: start + ReplicaRecord.fixedBytes)
      for extent in replica.extents {
        writer.append(extent.start)
        writer.append(extent.count)
      }
    }
    unsafe writer.replace(at: Self.checksumOffset, with: CRC32C.checksum(writer.bytes.span.bytes))
    writer.pad(to: (writer.bytes.count + 4095) / 4096 * 4096)
    return writer.bytes
  }

  init(sequence: UInt64, replicas: [ReplicaRecord]) {
    self.sequence = sequence
    self.replicas = replicas
  }

  /// How many bytes a slot that starts with `header` says it has. Nothing is proved yet but that they are in the slot.
  static func byteCount(header: [UInt8], slotBytes: UInt64) throws(FormatFlaw) -> Int {
    guard header.count >= headerBytes else { throw .tooShort }
    guard header.starts(with: magic) else { throw .wrongMagic }
    var reader = ByteReader(header[40..<48])
    let count = try reader.read(UInt64.self)
    guard count >= UInt64(headerBytes), count <= slotBytes else { throw .wrongCount }
    return Int(count)
  }

  /// Takes a slot apart.
  init(decoding bytes: [UInt8], superblock: Superblock) throws(FormatFlaw) {
    let count = try Self.byteCount(header: bytes, slotBytes: superblock.metadataSlotBytes)
    guard count <= bytes.count else { throw .tooShort }
    var reader = ByteReader(bytes[Self.magic.count..<count])
    let checksum = try reader.read(UInt32.self)
    var cleared = ByteWriter()
    cleared.append(bytes: bytes[..<count])
    cleared.replace(at: Self.checksumOffset, with: 0)
    guard unsafe CRC32C.checksum(cleared.bytes.span.bytes) == checksum else { throw .wrongChecksum }
    let replicaCount = try reader.read(UInt32.self)
    guard try reader.readIdentifier() == superblock.id else { throw .wrongPool }
    sequence = try reader.read(UInt64.self)
    // The highest number has no successor: nobody can have got there by changes.
    guard sequence > 0, sequence < 1 << 63 else { throw .wrongCount }
    _ = try reader.take(Self.headerBytes - 40)
    replicas = []
    for _ in 0..<replicaCount { replicas.append(try Self.record(&reader, superblock)) }
    guard reader.remaining == 0 else { throw .wrongCount }
    guard Set(replicas.map(\.id)).count == replicas.count else { throw .duplicateReplica }
    var end: UInt64 = 0
    for extent in replicas.flatMap(\.extents).sorted(by: { $0.start < $1.start }) {
      guard extent.start >= end else { throw .extentsOverlap }
      end = extent.end
    }
  }

  private static func record(_ reader: inout ByteReader, _ superblock: Superblock) throws(FormatFlaw) -> ReplicaRecord {
    var fixed = ByteReader(try reader.take(ReplicaRecord.fixedBytes))
    var record = ReplicaRecord(
      id: try fixed.readIdentifier(), volumeID: try fixed.readIdentifier(), sizeBytes: try fixed.read(UInt64.self),
      blockSizeBytes: try fixed.read(UInt32.self), extents: [])
    let extentCount = try fixed.read(UInt32.self)
    guard record.blockSizeBytes == 512 || record.blockSizeBytes == 4096, record.sizeBytes > 0,
      record.sizeBytes % UInt64(record.blockSizeBytes) == 0, record.sizeBytes <= superblock.clusterCount * superblock.clusterBytes
    else { throw .impossibleReplica }
    var clusters: UInt64 = 0
    for _ in 0..<extentCount {
      let extent = ClusterExtent(start: try reader.read(UInt64.self), count: try reader.read(UInt64.self))
      guard extent.count > 0, extent.start < superblock.clusterCount, extent.count <= superblock.clusterCount - extent.start else {
        throw .extentOutside
      }
      record.extents.append(extent)
      clusters += extent.count
      guard clusters <= superblock.clusterCount else { throw .extentsOverlap }
    }
    guard clusters == record.sizeBytes.roundedUpQuotient(by: superblock.clusterBytes) else { throw .impossibleReplica }
    return record
  }
}

extension UInt64 {
  /// How many pieces of `size` hold this many bytes.
  func roundedUpQuotient(by size: UInt64) -> UInt64 { self / size + (self % size == 0 ? 0 : 1) }
}
