import Reactor
import Testing

@testable import Pool

/// What a check finds, and what it does not.
@Suite struct PoolCheckTests {
  private let file = TemporaryFile()
  private static let secondCopy = Superblock.copyOffsets[1]

  /// A pool with replicas, a snapshot, a clone, logs and data.
  private func makePool() throws {
    let bench = try TestBench(.ioUring)
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte)
    let id = try pool.makeReplica(sizeBytes: 3 * mebibyte).id
    let device = try pool.openReplica(id, on: bench.reactor)
    #expect(bench.write(pattern(1 << 20, seed: 1), to: device, at: 4096) == .success)
    let snapshot = Identifier.random()
    try pool.createSnapshot(id: snapshot, of: id)
    #expect(bench.write(pattern(200_704, seed: 2), to: device, at: 65_536) == .success)
    #expect(bench.perform(.deallocate, on: device, at: 0, count: 32_768) == .success)
    try pool.cloneSnapshot(id: snapshot, to: .random(), volumeID: .random())
    try pool.setRegions(.activity, of: id, [0..<1], isMember: true)
    try pool.setRegions(.missed(peer: .random()), of: id, [0..<1], isMember: true)
    try pool.storeClaim(
      ReplicaClaim(generation: 3, setVersion: 1, nexusID: .random(), inSync: [id], storeRevision: 9), of: id)
    device.close()
    try pool.close()
  }

  private func superblock() throws -> Superblock { try Superblock(decoding: file.bytes(at: 0, count: 4096)) }

  private func found(_ words: String..., at offset: UInt64? = nil, as severity: PoolCheckReport.Severity = .damage) throws {
    let before = file.bytes(at: 0, count: 16 << 20)
    let report = try Pool.check(path: file.path)
    #expect(
      report.findings.contains { finding in
        finding.severity == severity && (offset == nil || finding.offsetBytes == offset) && words.allSatisfy { finding.text.contains($0) }
      }, "\(words): \(report.findings)")
    #expect(report.isSound == (severity == .note))
    #expect(report.canBeOpened || severity == .damage)
    #expect(file.bytes(at: 0, count: 16 << 20) == before, "a check changes nothing")
  }

  @Test func `a sound pool is sound`() throws {
    try makePool()
    let report = try Pool.check(path: file.path)
    #expect(report.isSound && report.findings.isEmpty, "\(report.findings)")
    #expect(report.name == "p" && report.checkpointNumber == 1 && report.journal.recordCount > 8)
    #expect(report.state.replicaCount == 2 && report.state.snapshotCount == 1 && report.state.layerCount == 3)
    #expect(report.state.dataBlocks == 256 + 49)
    #expect(report.journal.nextSequence == UInt64(report.journal.recordCount) + 1)
    let summary = try PoolSummary(path: file.path)
    #expect(summary.usage.allocatedBytes == UInt64(report.state.allocatedClusters) * 64 * kibibyte)
    #expect(summary.usage.totalBytes == summary.usage.allocatedBytes + summary.usage.freeBytes)
    #expect(summary.usage.promisedBytes == 6 * mebibyte && summary.replicas.count == 2)
    #expect(summary.snapshots.count == 1 && summary.snapshots[0].uniqueBytes == 0, "replica and clone both need it")
  }

  @Test func `what a snapshot alone has is what its deletion gives back`() throws {
    let bench = try TestBench(.ioUring)
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte)
    let id = try pool.makeReplica(sizeBytes: 3 * mebibyte).id
    let device = try pool.openReplica(id, on: bench.reactor)
    var snapshots: [Identifier] = []
    for round in 0..<3 {
      #expect(bench.write(pattern(1 << 20, seed: round), to: device, at: UInt64(round) * 512 * kibibyte) == .success)
      snapshots.append(.random())
      try pool.createSnapshot(id: snapshots[round], of: id)
    }
    #expect(bench.write(pattern(65_536, seed: 9), to: device, at: 1 << 20) == .success)
    #expect(bench.perform(.deallocate, on: device, at: 1 << 20 + 65_536, count: 131_072) == .success)
    #expect(bench.perform(.flush, on: device) == .success)
    device.close()
    try pool.close()
    for index in 0..<3 {
      let summary = try PoolSummary(path: file.path)
      let unique = try #require(summary.snapshots.first { $0.id == snapshots[index] }?.uniqueBytes)
      #expect(unique > 0)
      let opened = try Pool.open(path: file.path)
      try opened.deleteSnapshot(id: snapshots[index])
      #expect(opened.usage?.freeBytes == summary.usage.freeBytes + unique, "snapshot \(index)")
      try opened.close()
    }
  }

  @Test func `every damaged structure is found, with its place`() throws {
    try makePool()
    let superblock = try superblock()
    let slot = superblock.checkpointOffset + superblock.checkpointSlotBytes
    let places: [(offset: UInt64, finding: UInt64, words: [String], severity: PoolCheckReport.Severity)] = [
      (100, 0, ["first copy", "wrong checksum"], .recoverable),
      (Self.secondCopy + 3000, Self.secondCopy, ["second copy", "wrong checksum"], .recoverable),
      (slot + 50, slot, ["header of checkpoint slot 1"], .damage),
      (slot + 4096 + 80, slot + 4096, ["checkpoint 1 is damaged", "chunk 0"], .damage),
      (superblock.journalOffset + 70, superblock.journalOffset, ["record 1", "missing", "wrong checksum"], .damage),
    ]
    for place in places {
      file.flip(bit: 2, at: place.offset)
      let report = try Pool.check(path: file.path)
      #expect(
        report.findings.contains { finding in
          finding.severity == place.severity && finding.offsetBytes == place.finding && place.words.allSatisfy { finding.text.contains($0) }
        }, "\(place): \(report.findings)")
      #expect(!report.isSound && report.canBeOpened == (place.severity == .recoverable))
      file.flip(bit: 2, at: place.offset)
    }
    #expect(try Pool.check(path: file.path).isSound)
  }

  @Test func `every flipped bit of metadata in use is found`() throws {
    try makePool()
    let superblock = try superblock()
    let slot = superblock.checkpointOffset + superblock.checkpointSlotBytes
    let records = try Pool.check(path: file.path).journal
    // The last record may be a torn one for all that can be known.
    var last = superblock.journalOffset
    while last + 4096 < records.endOffsetBytes { last += 4096 }
    let ranges = [0..<4096, Self.secondCopy..<Self.secondCopy + 4096, slot..<slot + 8192, superblock.journalOffset..<last]
    for (index, range) in ranges.enumerated() {
      for offset in stride(from: range.lowerBound, to: range.upperBound, by: index == 3 ? 1237 : 487) {
        file.flip(bit: Int(offset % 8), at: offset)
        #expect(try !Pool.check(path: file.path).isSound, "offset \(offset)")
        file.flip(bit: Int(offset % 8), at: offset)
      }
    }
    #expect(try Pool.check(path: file.path).isSound)
  }

  @Test func `several things are found in a pool that cannot be opened`() throws {
    try makePool()
    let superblock = try superblock()
    file.flip(bit: 0, at: 2000)
    file.flip(bit: 0, at: Self.secondCopy + 2000)
    file.flip(bit: 0, at: superblock.journalOffset + 4096 * 3 + 100)
    file.flip(bit: 0, at: superblock.journalOffset + 4096 * 5 + 100)
    let report = try Pool.check(path: file.path)
    let damage = report.findings.filter { $0.severity == .damage }
    #expect(damage.count == 4, "\(report.findings)")
    #expect(damage.map(\.offsetBytes) == [0, Self.secondCopy, superblock.journalOffset + 4096 * 3, superblock.journalOffset + 4096 * 5])
    #expect(report.findings.contains { $0.text.contains("whole record(s)") })
    #expect(!report.canBeOpened && report.name == "p")
  }

  @Test func `a truncated pool, foreign content and an empty file`() throws {
    try makePool()
    file.truncate(to: 12 * mebibyte)
    let report = try Pool.check(path: file.path)
    #expect(!report.canBeOpened && report.findings.contains { $0.severity == .damage && $0.offsetBytes == 12 * mebibyte })
    let empty = TemporaryFile(byteCount: mebibyte)
    #expect(throws: PoolError.notAPool(path: empty.path)) { try Pool.check(path: empty.path) }
    empty.patch([0x53, 0xEF], at: 1080)
    #expect(throws: PoolError.foreignContent(path: empty.path, what: "an ext2, ext3 or ext4 file system")) {
      try Pool.check(path: empty.path)
    }
  }

  @Test func `a pool in use is not checked`() throws {
    try makePool()
    let pool = try Pool.open(path: file.path)
    #expect(throws: PoolError.inUse(path: file.path)) { try Pool.check(path: file.path) }
    #expect(throws: PoolError.inUse(path: file.path)) { try PoolSummary(path: file.path) }
    #expect(throws: PoolError.inUse(path: file.path)) { try Pool.destroy(path: file.path) }
    try pool.close()
  }

  // MARK: Lies under right checksums

  /// A pool whose only checkpoint says `entries`.
  private func forge(_ entries: [MetadataEntry], lastLayerID: UInt32 = 9, lastOrder: UInt64 = 9) throws {
    if !file.exists { try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte).close() }
    let superblock = try superblock()
    var body = ByteWriter()
    for entry in entries { entry.encode(into: &body) }
    let chunk = MetadataRecord(
      kind: .checkpoint, sequence: 0, durableSequence: 1, opening: 0, predecessorChecksum: 0, body: body.bytes)
    let (bytes, checksum) = chunk.encoded(poolID: superblock.id)
    let header = CheckpointHeader(
      number: 1, mark: .init(position: 0, sequence: 1, predecessorChecksum: 0), opening: 0, durableSequence: 0, chunkCount: 1,
      lastChunkChecksum: checksum, lastLayerID: lastLayerID, lastOrder: lastOrder)
    let slot = superblock.checkpointOffset + superblock.checkpointSlotBytes
    file.patch([UInt8](repeating: 0, count: 256 << 10), at: superblock.journalOffset)
    file.patch(bytes, at: slot + 4096)
    file.patch(header.encoded(poolID: superblock.id), at: slot)
  }

  private func replica(_ layer: UInt32, clusters: UInt64 = 4, order: UInt64 = 1) -> MetadataEntry {
    .putReplica(
      ReplicaHeader(
        id: .random(), volumeID: .random(), layer: layer, sizeBytes: clusters * 65_536, blockSizeBytes: 512, isThick: false, order: order))
  }

  private func cluster(_ cluster: UInt32, _ layer: UInt32, _ logical: UInt32) -> MetadataEntry {
    .cluster(cluster: cluster, layer: layer, logical: logical, isStale: false, mask: [1])
  }

  @Test func `contradictions under right checksums are found, each`() throws {
    let layer = MetadataEntry.putLayer(id: 1, parent: 0, clusterCount: 4)
    try forge([layer, replica(1)])
    #expect(try Pool.check(path: file.path).isSound)
    let lies: [([MetadataEntry], String)] = [
      ([layer, replica(1), cluster(3, 1, 2), cluster(5, 1, 2)], "clusters 3 and 5 are both cluster 2 of layer 1"),
      ([layer, replica(1), cluster(3, 7, 2)], "cluster 3 belongs to a layer that does not exist, 7"),
      ([layer, replica(1), cluster(3, 1, 4)], "cluster 3 is cluster 4 of layer 1, which has 4"),
      ([layer, replica(1), cluster(3, 1, 1), .cleaned(first: 0, count: 9)], "cluster 3 belongs to layer 1 and is called free"),
      ([layer, replica(2)], "names a layer that does not exist, 2"), ([layer, replica(1), replica(1, order: 2)], "name the same layer, 1"),
      ([layer, replica(1, clusters: 5)], "has 5 clusters, its layer 1 only 4"),
      ([.putLayer(id: 1, parent: 5, clusterCount: 4), replica(1)], "layer 1 has a parent that does not exist, 5"),
      (
        [.putLayer(id: 1, parent: 2, clusterCount: 4), .putLayer(id: 2, parent: 1, clusterCount: 4), replica(1), replica(2, order: 2)],
        "is its own ancestor"
      ),
      ([layer, .putLayer(id: 2, parent: 0, clusterCount: 4), replica(1), replica(2)], "were created as the same, 1"),
      ([layer, replica(1), .holes(layer: 3, logical: 0, mask: [1])], "a hole in cluster 0 belongs to a layer that does not exist, 3"),
      ([layer, replica(1), .holes(layer: 1, logical: 9, mask: [1])], "a hole is in cluster 9 of layer 1, which has 4"),
      ([.putLayer(id: 99, parent: 0, clusterCount: 4), replica(99)], "newer than its header knows"),
    ]
    for (entries, text) in lies {
      try forge(entries)
      let report = try Pool.check(path: file.path)
      #expect(report.findings.contains { $0.severity == .damage && $0.text.contains(text) }, "\(text): \(report.findings)")
      #expect(!report.isSound)
    }
    // Everything at once.
    try forge(lies.flatMap(\.0))
    #expect(try Pool.check(path: file.path).findings.filter { $0.severity == .damage }.count >= 7)
  }

  @Test func `regions outside of a replica are found`() throws {
    guard case .putReplica(let header) = replica(1) else { return }
    try forge([
      .putLayer(id: 1, parent: 0, clusterCount: 4), .putReplica(header),
      .regions(replica: header.id, set: .missed(peer: .random()), first: 5, count: 1, isMember: true),
    ])
    try found("missed", "has region 5, the replica has 1")
  }

  @Test func `an entry that cannot be is told with its place`() throws {
    try forge([.putLayer(id: 1, parent: 0, clusterCount: 4), .putLayer(id: 0, parent: 0, clusterCount: 4)])
    let slot = try superblock().checkpointOffset + superblock().checkpointSlotBytes
    try found("chunk 0 of checkpoint 1", "an impossible entry", at: slot + 4096 + 64 + 13)
  }

  @Test func `random changes to any metadata never trap a check`() throws {
    try makePool()
    let superblock = try superblock()
    let slot = superblock.checkpointOffset + superblock.checkpointSlotBytes
    let original = file.bytes(at: 0, count: 16 << 20)
    var generator = SeededGenerator(seed: 31)
    var unsound = 0
    for _ in 0..<150 {
      let base = [0, superblock.journalOffset, superblock.journalOffset + 4096, slot, slot + 4096].randomElement(using: &generator)!
      for _ in 0..<Int.random(in: 1...5, using: &generator) {
        file.patch([.random(in: 0...255, using: &generator)], at: base + .random(in: 0..<200, using: &generator))
      }
      if let report = try? Pool.check(path: file.path), !report.isSound { unsound += 1 }
      file.patch(Array(original[Int(base)..<Int(base) + 256]), at: base)
    }
    #expect(unsound > 100)
  }
}

/// The end of a pool.
@Suite struct PoolDestroyTests {
  private let file = TemporaryFile()

  @Test func `a destroyed pool is nobody's, and its space is given back`() throws {
    let bench = try TestBench(.ioUring)
    let pool = try Pool.format(path: file.path, name: "gone", createFileBytes: 64 * mebibyte)
    let id = try pool.makeReplica(sizeBytes: 8 * mebibyte).id
    let device = try pool.openReplica(id, on: bench.reactor)
    #expect(bench.write(pattern(1 << 20, seed: 1), to: device, at: 0) == .success)
    device.close()
    try pool.close()
    #expect(file.allocatedBytes > 1 << 20)
    let destroyed = try Pool.destroy(path: file.path)
    #expect(destroyed.name == "gone" && destroyed.id == pool.id && destroyed.location == file.path)
    #expect(throws: PoolError.notAPool(path: file.path)) { try Pool.open(path: file.path) }
    #expect(throws: PoolError.notAPool(path: file.path)) { try Pool.destroy(path: file.path) }
    #expect(file.bytes(at: 0, count: 64 << 20).allSatisfy { $0 == 0 })
    #expect(file.allocatedBytes < 1 << 20)
    // Without force: it holds nothing any more.
    try Pool.format(path: file.path, name: "new").close()
  }

  @Test func `a damaged pool can be destroyed, and what is no pool cannot`() throws {
    try Pool.format(path: file.path, name: "p", createFileBytes: 64 * mebibyte).close()
    for copy in Superblock.copyOffsets { file.flip(bit: 1, at: copy + 77) }
    _ = try Pool.destroy(path: file.path)
    #expect(throws: PoolError.notAPool(path: file.path)) { try Pool.open(path: file.path) }
    file.patch([0x53, 0xEF], at: 1080)
    #expect(throws: PoolError.foreignContent(path: file.path, what: "an ext2, ext3 or ext4 file system")) {
      try Pool.destroy(path: file.path)
    }
  }

  @Test func `options are those of the format`() throws {
    let options = PoolOptions(overcommitPercent: 150, regionBytes: 1 << 20, maximumHotRegions: 64)
    let pool = try Pool.format(path: file.path, name: "p", options: options, createFileBytes: 64 * mebibyte)
    #expect(pool.options == options)
    #expect(throws: PoolError.self) { try pool.makeReplica(sizeBytes: 100 * mebibyte) }
    let kept = try pool.makeReplica(sizeBytes: 90 * mebibyte)
    try pool.close()
    let summary = try PoolSummary(path: file.path)
    #expect(summary.usage.options == options && summary.replicas.map(\.id) == [kept.id])
    #expect(summary.usage.promiseLimitBytes == summary.usage.totalBytes * 3 / 2)
    #expect(throws: PoolError.invalidOptions(pool: "q")) {
      try Pool.format(
        path: file.path, name: "q", options: PoolOptions(overcommitPercent: 1, regionBytes: 3, maximumHotRegions: 1), force: true)
    }
  }
}
