import Reactor

/// The first block of a checkpoint slot: written last, when everything it speaks of is durable.
struct CheckpointHeader: Equatable {
  static let byteCount = 4096
  static let magic: [UInt8] = Array("KEELHEAD".utf8)
  private static let checksumOffset = 8

  /// From 1 on; slot = number modulo 2.
  var number: UInt64
  /// Where the journal goes on from what the checkpoint holds.
  var mark: Journal.Mark
  /// The highest opening so far.
  var opening: UInt64
  /// The highest record that is durable for certain.
  var durableSequence: UInt64
  var chunkCount: UInt64
  /// Of the last chunk; each covers the one before.
  var lastChunkChecksum: UInt32
  var lastLayerID: UInt32
  var lastOrder: UInt64

  func encoded(poolID: Identifier) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(bytes: Self.magic)
    writer.append(UInt32(0))
    writer.append(mark.predecessorChecksum)
    writer.append(poolID)
    writer.append(number)
    writer.append(mark.position)
    writer.append(mark.sequence)
    writer.append(opening)
    writer.append(durableSequence)
    writer.append(chunkCount)
    writer.append(lastChunkChecksum)
    writer.append(lastLayerID)
    writer.append(lastOrder)
    writer.pad(to: Self.byteCount)
    unsafe writer.replace(at: Self.checksumOffset, with: CRC32C.checksum(writer.bytes.span.bytes))
    return writer.bytes
  }

  init(
    number: UInt64, mark: Journal.Mark, opening: UInt64, durableSequence: UInt64, chunkCount: UInt64, lastChunkChecksum: UInt32,
    lastLayerID: UInt32, lastOrder: UInt64
  ) {
    self.number = number
    self.mark = mark
    self.opening = opening
    self.durableSequence = durableSequence
    self.chunkCount = chunkCount
    self.lastChunkChecksum = lastChunkChecksum
    self.lastLayerID = lastLayerID
    self.lastOrder = lastOrder
  }

  init(decoding bytes: [UInt8], poolID: Identifier) throws(FormatFlaw) {
    guard bytes.count >= Self.byteCount else { throw .tooShort }
    guard bytes.starts(with: Self.magic) else { throw .wrongMagic }
    var reader = FieldReader(bytes, Self.checksumOffset..<Self.byteCount)
    let checksum = try reader.number()
    var cleared = ByteWriter()
    cleared.append(bytes: bytes[..<Self.byteCount])
    cleared.replace(at: Self.checksumOffset, with: 0)
    guard unsafe CRC32C.checksum(cleared.bytes.span.bytes) == checksum else { throw .wrongChecksum }
    let predecessorChecksum = try reader.number()
    guard try reader.identifier() == poolID else { throw .wrongPool }
    number = try reader.word()
    mark = Journal.Mark(position: try reader.word(), sequence: try reader.word(), predecessorChecksum: predecessorChecksum)
    opening = try reader.word()
    durableSequence = try reader.word()
    chunkCount = try reader.word()
    lastChunkChecksum = try reader.number()
    lastLayerID = try reader.number()
    lastOrder = try reader.word()
    // Nobody can have got there by counting.
    guard number > 0, number < 1 << 62, mark.sequence > 0, mark.sequence < 1 << 62, mark.position < 1 << 62,
      durableSequence < 1 << 62, lastOrder < 1 << 62
    else { throw .wrongCount }
  }
}

/// Writes the whole state out in chunks of entries, while the state goes on changing: see `MetadataEntry` for why that is right.
///
/// Steps, and what a crash leaves: (1) chunks over those of the checkpoint before the last, whose header is older than the last
/// one's and therefore not looked at; (2) a flush, which makes durable the chunks and all records whose effects they may hold;
/// (3) the header, durably: torn, it does not count and the last checkpoint still does. Only then may the journal
/// behind the mark be overwritten.
struct CheckpointWriter {
  static let chunkBytes = 128 << 10

  let number: UInt64
  let mark: Journal.Mark
  private let poolID: Identifier
  private let opening: UInt64
  private let slotOffset: UInt64
  private let slotBytes: UInt64
  private var layers: [UInt32]
  private var replicas: [Identifier]
  private var snapshots: [Identifier]
  private var holes: [PoolState.HoleKey]
  private var cleanCursor = 0
  private var clusterCursor = 0
  /// Clusters given out meanwhile are in records behind the mark. Following them would let writes lengthen the checkpoint without end.
  private let clusterLimit: Int
  private var unsettledCursor = 0
  private var hasOptions = false
  private var nextOffset: UInt64
  private var chunkCount: UInt64 = 0
  private var lastChecksum: UInt32 = 0
  private var body = ByteWriter()

  /// Begins: `mark` is where the journal goes on from what `state` is now.
  init(number: UInt64, mark: Journal.Mark, poolID: Identifier, opening: UInt64, superblock: Superblock, state: borrowing PoolState) {
    self.number = number
    self.mark = mark
    self.poolID = poolID
    self.opening = opening
    slotOffset = superblock.checkpointOffset + number % 2 * superblock.checkpointSlotBytes
    slotBytes = superblock.checkpointSlotBytes
    nextOffset = slotOffset + UInt64(CheckpointHeader.byteCount)
    layers = state.layerIndexes.keys.sorted(by: >)
    replicas = state.replicas.keys.sorted(by: >)
    snapshots = state.snapshots.keys.sorted(by: >)
    holes = state.holes.keys.sorted(by: >)
    clusterLimit = state.clusters.highWater
  }

  /// The next chunk and its place; nil when all are made. Throws `tooShort` if the slot has no room for it.
  mutating func nextChunk(_ state: borrowing PoolState) throws(FormatFlaw) -> (storageOffset: UInt64, bytes: [UInt8])? {
    body = ByteWriter()
    while body.bytes.count < Self.chunkBytes, encodeNext(state) {}
    if body.bytes.isEmpty { return nil }
    let record = MetadataRecord(
      kind: .checkpoint, sequence: chunkCount, durableSequence: number, opening: opening, predecessorChecksum: lastChecksum,
      body: body.bytes)
    let (bytes, checksum) = record.encoded(poolID: poolID)
    let offset = nextOffset
    guard offset + UInt64(bytes.count) <= slotOffset + slotBytes else { throw .tooShort }
    nextOffset += UInt64(bytes.count)
    chunkCount += 1
    lastChecksum = checksum
    return (offset, bytes)
  }

  /// Encodes one object; false when there is none left.
  private mutating func encodeNext(_ state: borrowing PoolState) -> Bool {
    if !hasOptions {
      hasOptions = true
      MetadataEntry.options(state.options).encode(into: &body)
      if state.storeMemory != .none { MetadataEntry.storeMemory(state.storeMemory).encode(into: &body) }
    } else if let id = layers.popLast() {
      if let index = state.layerIndexes[id], let layer = state.layers[index] {
        let parent = layer.parent == Layer.none ? 0 : state.layers[layer.parent]!.id
        MetadataEntry.putLayer(id: id, parent: parent, clusterCount: layer.clusterCount).encode(into: &body)
      }
    } else if let id = replicas.popLast() {
      if let replica = state.replicas[id] { encode(replica) }
    } else if let id = snapshots.popLast() {
      if let snapshot = state.snapshots[id] { MetadataEntry.putSnapshot(snapshot).encode(into: &body) }
    } else if let key = holes.popLast() {
      if let mask = state.holes[key] { MetadataEntry.holes(layer: key.layer, logical: key.logical, mask: mask).encode(into: &body) }
    } else if let start = state.clean.first(from: cleanCursor) {
      var end = start + 1
      while end < state.geometry.clusterCount, state.clean.contains(end) { end += 1 }
      MetadataEntry.cleaned(first: UInt32(start), count: UInt32(end - start)).encode(into: &body)
      cleanCursor = end
    } else if let start = state.unsettled.first(from: unsettledCursor) {
      var end = start + 1
      while end < state.geometry.sumPageCount, state.unsettled.contains(end) { end += 1 }
      MetadataEntry.unsettled(first: UInt32(start), count: UInt32(end - start)).encode(into: &body)
      unsettledCursor = end
    } else {
      // Nor is what has become clean or unsettled behind the cursors looked for again.
      cleanCursor = state.geometry.clusterCount
      unsettledCursor = state.geometry.sumPageCount
      // As many as a chunk takes, for there are many.
      while clusterCursor < clusterLimit, body.bytes.count < Self.chunkBytes {
        let cluster = clusterCursor
        clusterCursor += 1
        let owner = state.clusters.owner(cluster)
        if owner == 0 || state.clusters.unrecorded.contains(cluster) { continue }
        MetadataEntry.cluster(
          cluster: UInt32(cluster), layer: owner, logical: state.clusters.logical(cluster),
          isStale: state.clusters.stale.contains(cluster), mask: state.clusters.mask(cluster)
        ).encode(into: &body)
      }
      return clusterCursor < clusterLimit
    }
    return true
  }

  private mutating func encode(_ replica: ReplicaState) {
    let id = replica.header.id
    MetadataEntry.putReplica(replica.header).encode(into: &body)
    if replica.claim != .none { MetadataEntry.claim(replica: id, replica.claim).encode(into: &body) }
    if !replica.volumeName.isEmpty { MetadataEntry.volumeName(replica: id, name: replica.volumeName).encode(into: &body) }
    MetadataEntry.opened(replica: id, bootID: replica.bootID, mayHaveLostCache: replica.mayHaveLostCache).encode(into: &body)
    encode(.activity, replica.activity, of: id)
    for missed in replica.missed { encode(.missed(peer: missed.peer), missed.regions, of: id) }
  }

  private mutating func encode(_ set: RegionSetName, _ regions: RegionSet, of id: Identifier) {
    var first = 0
    repeat {
      let words = Array(regions.words.dropFirst(first).prefix(MetadataEntry.maximumRegionWords))
      MetadataEntry.regionWords(replica: id, set: set, firstWord: UInt32(first), words: words).encode(into: &body)
      first += MetadataEntry.maximumRegionWords
    } while first < regions.words.count
  }

  /// The header, for when all chunks are durable.
  func header(durableSequence: UInt64, state: borrowing PoolState) -> (storageOffset: UInt64, bytes: [UInt8]) {
    let header = CheckpointHeader(
      number: number, mark: mark, opening: opening, durableSequence: durableSequence, chunkCount: chunkCount,
      lastChunkChecksum: lastChecksum, lastLayerID: state.lastLayerID, lastOrder: state.lastOrder)
    return (slotOffset, header.encoded(poolID: poolID))
  }
}
