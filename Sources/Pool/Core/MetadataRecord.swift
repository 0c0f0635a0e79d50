import Reactor

/// Entries under one checksum: a record of the journal, or a chunk of a checkpoint. Valid as a whole or not at all.
///
/// Each covers the checksum of its predecessor and the number of the opening that wrote it. So after a torn tail nothing that an
/// earlier opening left further on is ever taken for the continuation (R17c).
struct MetadataRecord: Equatable {
  enum Kind: Sendable {
    case journal
    case checkpoint

    var magic: [UInt8] { self == .journal ? Array("KEELJRNL".utf8) : Array("KEELCKPT".utf8) }
  }

  static let headerBytes = 64
  static let alignmentBytes = 4096
  /// No record has more.
  static let limitBytes = 1 << 20
  private static let checksumOffset = 8

  var kind: Kind
  /// Of a journal record, from 1 on; of a chunk, its number in the checkpoint, from 0 on.
  var sequence: UInt64
  /// The highest sequence known to be durable when this was written (R17d); of a chunk, the number of the checkpoint.
  var durableSequence: UInt64
  /// Which opening of the pool wrote it: a count in the upper half, a random number in the lower.
  var opening: UInt64
  var predecessorChecksum: UInt32
  /// How many of the records up to `durableSequence` may speak of data that is not durable yet: the highest so many.
  var unarrivedCount: UInt32 = 0
  /// Encoded entries.
  var body: [UInt8]

  /// All data that records up to this number speak of was durable when this was written.
  var arrivedSequence: UInt64 { durableSequence - min(durableSequence, UInt64(unarrivedCount)) }

  var encodedBytes: Int { Self.encodedBytes(bodyBytes: body.count) }

  static func encodedBytes(bodyBytes: Int) -> Int { (headerBytes + bodyBytes + alignmentBytes - 1) / alignmentBytes * alignmentBytes }

  /// The bytes on disk, in whole 4 KiB blocks, and their checksum.
  func encoded(poolID: Identifier) -> (bytes: [UInt8], checksum: UInt32) {
    var writer = ByteWriter()
    writer.append(bytes: kind.magic)
    writer.append(UInt32(0))
    writer.append(UInt32(Self.headerBytes + body.count))
    writer.append(poolID)
    writer.append(sequence)
    writer.append(durableSequence)
    writer.append(opening)
    writer.append(predecessorChecksum)
    writer.append(unarrivedCount)
    writer.append(bytes: body)
    writer.pad(to: encodedBytes)
    let checksum = unsafe CRC32C.checksum(writer.bytes.span.bytes)
    writer.replace(at: Self.checksumOffset, with: checksum)
    return (writer.bytes, checksum)
  }

  /// How many bytes a record that starts with `block` takes; refuses what cannot be one of this pool.
  static func encodedBytes(of block: [UInt8], kind: Kind, poolID: Identifier) throws(FormatFlaw) -> Int {
    guard block.count >= headerBytes else { throw .tooShort }
    guard block.starts(with: kind.magic) else { throw .wrongMagic }
    var reader = FieldReader(block, 12..<headerBytes)
    let byteCount = try reader.number()
    guard byteCount >= UInt32(headerBytes), byteCount <= UInt32(limitBytes) else { throw .wrongCount }
    guard try reader.identifier() == poolID else { throw .wrongPool }
    return encodedBytes(bodyBytes: Int(byteCount) - headerBytes)
  }

  /// Takes a record apart and checks its checksum, which it returns.
  static func decode(_ bytes: [UInt8], kind: Kind, poolID: Identifier) throws(FormatFlaw) -> (record: MetadataRecord, checksum: UInt32) {
    let count = try encodedBytes(of: bytes, kind: kind, poolID: poolID)
    guard count <= bytes.count else { throw .tooShort }
    var reader = FieldReader(bytes, checksumOffset..<headerBytes)
    let checksum = try reader.number()
    var cleared = ByteWriter()
    cleared.append(bytes: bytes[..<count])
    cleared.replace(at: checksumOffset, with: 0)
    guard unsafe CRC32C.checksum(cleared.bytes.span.bytes) == checksum else { throw .wrongChecksum }
    let byteCount = Int(try reader.number())
    _ = try reader.identifier()
    let record = MetadataRecord(
      kind: kind, sequence: try reader.word(), durableSequence: try reader.word(), opening: try reader.word(),
      predecessorChecksum: try reader.number(), unarrivedCount: try reader.number(), body: Array(bytes[headerBytes..<byteCount]))
    return (record, checksum)
  }

  /// Hands the entries out one by one.
  func forEachEntry(_ geometry: PoolGeometry, _ body: (MetadataEntry) throws(FormatFlaw) -> Void) throws(FormatFlaw) {
    var reader = FieldReader(self.body, 0..<self.body.count)
    while !reader.isAtEnd { try body(try MetadataEntry(reading: &reader, geometry: geometry)) }
  }
}
