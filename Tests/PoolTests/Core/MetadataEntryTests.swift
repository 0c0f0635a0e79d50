import Testing

@testable import Pool

@Suite struct MetadataEntryTests {
  static let geometry = PoolGeometry(clusterBytes: 1 << 20, clusterCount: 1000, dataOffset: 0)

  static let samples: [MetadataEntry] = [
    .options(PoolOptions(overcommitPercent: 0, regionBytes: 1 << 20, maximumHotRegions: 7)),
    .putLayer(id: 3, parent: 2, clusterCount: 77), .removeLayer(id: 9),
    .putReplica(
      ReplicaHeader(
        id: .random(), volumeID: .random(), layer: 4, sizeBytes: 4096 * 3, blockSizeBytes: 4096, isThick: true, order: 1 << 40)),
    .removeReplica(.random()),
    .putSnapshot(SnapshotHeader(id: .random(), volumeID: .random(), layer: 5, sizeBytes: 512, blockSizeBytes: 512, order: 2)),
    .removeSnapshot(.random()), .allocated(cluster: 999, layer: 1, logical: 8, isStale: true),
    .written(cluster: 0, first: 255, count: 1), .cleared(cluster: 7, first: 0, count: 256), .freed(first: 990, count: 10),
    .moved(cluster: 5, layer: 6), .cleaned(first: 0, count: 1000), .readied(first: 3, count: 1),
    .holes(layer: 2, logical: 3, mask: [1, 2, 3, .max]),
    .cluster(cluster: 4, layer: 5, logical: 6, isStale: false, mask: [0, 0, 1 << 63, 0]),
    .claim(
      replica: .random(),
      ReplicaClaim(generation: 5, setVersion: 6, nexusID: .random(), inSync: [.random(), .random()], storeRevision: 99)),
    .opened(replica: .random(), bootID: .random(), mayHaveLostCache: true),
    .regions(replica: .random(), set: .activity, first: 3, count: 4, isMember: true),
    .regions(replica: .random(), set: .missed(peer: .random()), first: 0, count: 1, isMember: false),
    .regionWords(replica: .random(), set: .missed(peer: .random()), firstWord: 2, words: [1, .max]),
    .forgetPeer(replica: .random(), peer: .random()), .sent(cluster: 999, first: 254, sums: [7, .max]),
    .resent(cluster: 3, first: 0, sums: [0, 1, 2]), .storeMemory(StoreMemory(identity: .random(), revision: .max)),
    .volumeName(replica: .random(), name: "db-1"),
  ]

  private func decode(_ bytes: [UInt8]) throws(FormatFlaw) -> [MetadataEntry] {
    var entries: [MetadataEntry] = []
    var reader = FieldReader(bytes, 0..<bytes.count)
    while !reader.isAtEnd { entries.append(try MetadataEntry(reading: &reader, geometry: Self.geometry)) }
    return entries
  }

  @Test func `every kind survives a round trip, and none survives a cut`() throws {
    for entry in Self.samples {
      var writer = ByteWriter()
      entry.encode(into: &writer)
      #expect(try decode(writer.bytes) == [entry])
      for count in 1..<writer.bytes.count {
        #expect(throws: FormatFlaw.tooShort) { try decode(Array(writer.bytes.prefix(count))) }
      }
    }
  }

  @Test func `what cannot be is refused`() {
    let impossible: [MetadataEntry] = [
      .volumeName(replica: .random(), name: "a b"), .volumeName(replica: .random(), name: "\u{7}"),
      .allocated(cluster: 1000, layer: 1, logical: 0, isStale: false), .allocated(cluster: 0, layer: 0, logical: 0, isStale: false),
      .written(cluster: 0, first: 256, count: 1), .written(cluster: 0, first: 0, count: 0), .sent(cluster: 0, first: 255, sums: [1, 2]),
      .sent(cluster: 0, first: 0, sums: []), .cleared(cluster: 0, first: .max, count: 2),
      .freed(first: 999, count: 2), .cleaned(first: 0, count: .max), .removeLayer(id: 0),
      .regions(replica: .random(), set: .activity, first: .max, count: 1, isMember: true),
      .options(PoolOptions(overcommitPercent: 1, regionBytes: 3, maximumHotRegions: 1)),
      .putReplica(
        ReplicaHeader(id: .random(), volumeID: .random(), layer: 4, sizeBytes: 513, blockSizeBytes: 512, isThick: false, order: 1)),
    ]
    for entry in impossible {
      var writer = ByteWriter()
      entry.encode(into: &writer)
      #expect(throws: FormatFlaw.self) { try decode(writer.bytes) }
    }
    #expect(throws: FormatFlaw.unknownEntry) { try decode([0]) }
    #expect(throws: FormatFlaw.unknownEntry) { try decode([99]) }
  }

  @Test func `random bytes never trap, and what they load is possible or refused`() {
    var generator = SeededGenerator(seed: 7)
    var valid: [UInt8] = []
    for entry in Self.samples {
      var writer = ByteWriter()
      entry.encode(into: &writer)
      valid += writer.bytes
    }
    for _ in 0..<3000 {
      var bytes = valid
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        bytes[.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
      }
      var reader = FieldReader(bytes, 0..<bytes.count)
      var state = PoolState(geometry: Self.geometry)
      while !reader.isAtEnd, let entry = try? MetadataEntry(reading: &reader, geometry: Self.geometry) { state.load(entry) }
      try? state.finishLoading()
    }
  }
}

@Suite struct MetadataRecordTests {
  @Test func `every flipped bit is found`() throws {
    let id = Identifier.random()
    let record = MetadataRecord(
      kind: .journal, sequence: 5, durableSequence: 4, opening: 3, predecessorChecksum: 2, body: [UInt8](repeating: 1, count: 100))
    let (bytes, checksum) = record.encoded(poolID: id)
    #expect(bytes.count == 4096)
    let decoded = try MetadataRecord.decode(bytes, kind: .journal, poolID: id)
    #expect(decoded.record == record && decoded.checksum == checksum)
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(throws: FormatFlaw.self) { try MetadataRecord.decode(damaged, kind: .journal, poolID: id) }
    }
    #expect(throws: FormatFlaw.wrongMagic) { try MetadataRecord.decode(bytes, kind: .checkpoint, poolID: id) }
    #expect(throws: FormatFlaw.wrongPool) { try MetadataRecord.decode(bytes, kind: .journal, poolID: .random()) }
    #expect(throws: FormatFlaw.tooShort) { try MetadataRecord.decode(Array(bytes.prefix(63)), kind: .journal, poolID: id) }
  }
}

@Suite struct RegionSetTests {
  @Test func `counts its members`() {
    var set = RegionSet()
    set.set(60..<70, true)
    set.set(65..<200, true)
    #expect(set.count == 140 && set.contains(60) && !set.contains(59) && !set.contains(200) && !set.contains(9999))
    set.set(0..<199, false)
    #expect(set.members == [199])
    set.set(199..<200, false)
    #expect(set == RegionSet())
  }
}
