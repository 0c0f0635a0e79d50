import Testing

@testable import Pool

@Suite struct CheckpointTests {
  private static func superblock() throws -> Superblock {
    try #require(
      Superblock.layout(id: .random(), name: "p", clusterBytes: 64 << 10, deviceBytes: 256 << 20, sectorBytes: 512))
  }

  private static func writer(_ superblock: Superblock, _ state: borrowing PoolState) -> CheckpointWriter {
    CheckpointWriter(
      number: 1, mark: Journal.Mark(position: 0, sequence: 1, predecessorChecksum: 0), poolID: superblock.id, opening: 0,
      superblock: superblock, state: state)
  }

  /// What writes give out between two chunks is in the journal behind the mark: a slow device and quick writes must not make a
  /// checkpoint that never ends, or outgrows its place.
  @Test func `a checkpoint does not follow the writes that go on beside it`() throws {
    let superblock = try Self.superblock()
    var state = PoolState(geometry: superblock.geometry)
    state.load(.putLayer(id: 1, parent: 0, clusterCount: 1 << 16))
    func give(_ clusters: Range<Int>) {
      for cluster in clusters {
        state.load(.cluster(cluster: UInt32(cluster), layer: 1, logical: UInt32(cluster), isStale: false, mask: [0xFFFF]))
      }
    }
    give(0..<16)
    state.clean.insert(2000..<2001)
    var writer = Self.writer(superblock, state)
    var chunkCount = 0
    for step in 1..<200 {
      guard try writer.nextChunk(state) != nil else { break }
      chunkCount += 1
      give(step * 16..<(step + 1) * 16)
      let clean = superblock.geometry.clusterCount - 200 + step
      state.clean.insert(clean..<clean + 1)
    }
    #expect(chunkCount == 1)
  }

  /// One region far out makes a set of all words before it.
  @Test func `sets of regions that are larger than a record are cut, and come back whole`() throws {
    let superblock = try #require(
      Superblock.layout(id: .random(), name: "p", clusterBytes: 64 << 10, deviceBytes: 1 << 36, sectorBytes: 512))
    var state = PoolState(geometry: superblock.geometry)
    let (id, peer) = (Identifier.random(), Identifier.random())
    state.load(.putLayer(id: 1, parent: 0, clusterCount: 1 << 16))
    state.load(
      .putReplica(
        ReplicaHeader(id: id, volumeID: .random(), layer: 1, sizeBytes: 1 << 32, blockSizeBytes: 512, isThick: false, order: 1)))
    let last = UInt32(MetadataEntry.maximumRegions / 64) - 8
    for set in [RegionSetName.activity, .missed(peer: peer)] {
      state.load(.regionWords(replica: id, set: set, firstWord: last, words: [5, 0, 7]))
      state.load(.regionWords(replica: id, set: set, firstWord: 1000, words: [9]))
    }
    var writer = Self.writer(superblock, state)
    var loaded = PoolState(geometry: superblock.geometry)
    var chunkCount = 0
    while let chunk = try writer.nextChunk(state) {
      chunkCount += 1
      #expect(chunk.bytes.count <= MetadataRecord.limitBytes)
      let (record, _) = try MetadataRecord.decode(chunk.bytes, kind: .checkpoint, poolID: superblock.id)
      try record.forEachEntry(superblock.geometry) { (entry) throws(FormatFlaw) in loaded.load(entry) }
    }
    #expect(chunkCount > 8)
    let (found, expected) = (try #require(loaded.replicas[id]), try #require(state.replicas[id]))
    #expect(found.activity.words == expected.activity.words)
    #expect(found.missed.map(\.regions.words) == expected.missed.map(\.regions.words) && found.missed.map(\.peer) == [peer])
  }

  @Test func `the largest state of a pool fits into a slot`() throws {
    let superblock = try Self.superblock()
    var state = PoolState(geometry: superblock.geometry)
    let count = superblock.geometry.clusterCount
    state.load(.putLayer(id: 1, parent: 0, clusterCount: 1 << 16))
    state.load(.putLayer(id: 2, parent: 1, clusterCount: 1 << 16))
    for cluster in 0..<count {
      if cluster % 2 == 0 {
        state.clean.insert(cluster..<cluster + 1)
        continue
      }
      state.load(.cluster(cluster: UInt32(cluster), layer: 2, logical: UInt32(cluster), isStale: true, mask: [0xFFFF]))
      state.load(.holes(layer: 2, logical: UInt32(cluster), mask: [0xFFFF]))
    }
    var writer = Self.writer(superblock, state)
    var byteCount = 0
    while let chunk = try writer.nextChunk(state) { byteCount += chunk.bytes.count }
    #expect(byteCount > count / 2 * (8 + 8 + 8))
  }
}
