import Glibc
import Testing

@testable import Pool

@Suite struct ScaleTests {
  /// Metadata of a huge pool, as pieces; what is between them is zeros.
  private final class SparseSource: MetadataSource {
    let path = "sparse"
    var pieces: [(offset: UInt64, bytes: [UInt8])] = []

    func read(offsetBytes: UInt64, byteCount: Int) throws(PoolError) -> [UInt8] {
      for piece in pieces where piece.offset <= offsetBytes && offsetBytes < piece.offset + UInt64(piece.bytes.count) {
        let start = Int(offsetBytes - piece.offset)
        let part = Array(piece.bytes[start..<min(start + byteCount, piece.bytes.count)])
        return part + [UInt8](repeating: 0, count: byteCount - part.count)
      }
      return [UInt8](repeating: 0, count: byteCount)
    }
  }

  /// A tenth of the size by default, as a debug build takes ten times as long; `KEELSON_SCALE=1000000` for the whole.
  @Test(arguments: [false, true]) func `a pool of 15 TiB with ten thousand replicas opens in seconds`(hasFullJournal: Bool) throws {
    let asked = unsafe getenv("KEELSON_SCALE").flatMap { Int(unsafe String(cString: $0)) }
    let clusterCount = asked ?? 100_000
    let replicaCount = clusterCount / 100
    let superblock = try #require(
      Superblock.layout(
        id: .random(), name: "huge", clusterBytes: 1 << 20, deviceBytes: 15 << 40, sectorBytes: 4096,
        journalBytes: asked == nil ? 16 << 20 : nil))
    let source = SparseSource()
    // Half of the clusters are in the checkpoint and half come by the journal, if there is one.
    let checkpointed = hasFullJournal ? clusterCount / 2 : clusterCount
    try Self.writeCheckpoint(superblock, replicaCount, checkpointed, to: source)
    let recordCount = hasFullJournal ? Self.fillJournal(superblock, replicaCount, checkpointed..<clusterCount, to: source) : 0
    var generator = SeededGenerator(seed: 1)
    let before = residentBytes()
    let start = ContinuousClock.now
    let recovery = try Recovery(source, superblock: superblock, using: &generator)
    let elapsed = ContinuousClock.now - start
    #expect(recovery.state.usedCount == clusterCount)
    #expect(recovery.state.replicas.count == replicaCount)
    #expect(recovery.journal.writtenSequence == UInt64(recordCount))
    for cluster in stride(from: 0, to: clusterCount, by: 997) {
      #expect(recovery.state.clusters.find(UInt32(cluster % replicaCount) + 1, UInt32(cluster / replicaCount)) == cluster)
    }
    // 64 MiB for each TiB of clusters that hold data, and what the sets of all clusters of the pool take. Only alone can the memory be
    // told from others', and the time means something.
    let grown = residentBytes() - before
    if asked != nil {
      #expect(grown < clusterCount * 64 + (16 << 20) + replicaCount * 1024)
      #expect(elapsed < .seconds(5))
    }
    print(
      "opened in \(elapsed): \(clusterCount) clusters of \(replicaCount) replicas, \(recordCount) records behind the checkpoint, \(grown >> 20) MiB"
    )
  }

  private static func writeCheckpoint(_ superblock: Superblock, _ replicaCount: Int, _ clusterCount: Int, to source: SparseSource) throws {
    var state = PoolState(geometry: superblock.geometry)
    for index in 1...UInt32(replicaCount) {
      state.load(.putLayer(id: index, parent: 0, clusterCount: 1 << 16))
      state.load(
        .putReplica(
          ReplicaHeader(
            id: .random(), volumeID: .random(), layer: index, sizeBytes: 1 << 36, blockSizeBytes: 512, isThick: false,
            order: UInt64(index))))
    }
    for cluster in 0..<UInt32(clusterCount) {
      state.load(
        .cluster(
          cluster: cluster, layer: cluster % UInt32(replicaCount) + 1, logical: cluster / UInt32(replicaCount), isStale: false,
          mask: [1, 0, 0, .max]))
    }
    state.clean.insert(clusterCount..<superblock.geometry.clusterCount)
    var writer = CheckpointWriter(
      number: 1, mark: Journal.Mark(position: 0, sequence: 1, predecessorChecksum: 0), poolID: superblock.id, opening: 0,
      superblock: superblock, state: state)
    var body: [UInt8] = []
    while let chunk = try writer.nextChunk(state) { body += chunk.bytes }
    let header = writer.header(durableSequence: 0, state: state)
    source.pieces = [(header.storageOffset, header.bytes + body)]
  }

  /// Records of 4 KiB, as small first writes make them, until the ring is full. Returns how many.
  private static func fillJournal(_ superblock: Superblock, _ replicaCount: Int, _ clusters: Range<Int>, to source: SparseSource) -> Int {
    var journal = Journal(
      poolID: superblock.id, offset: superblock.journalOffset, byteCount: superblock.journalBytes, opening: 1,
      head: .init(position: 0, sequence: 1, predecessorChecksum: 0), tail: 0)
    let bodyBytes = 4096 - MetadataRecord.headerBytes
    let recordCount = Int(superblock.journalBytes) / 4096
    let newPerRecord = (clusters.count + recordCount - 1) / recordCount
    var ring: [UInt8] = []
    ring.reserveCapacity(Int(superblock.journalBytes))
    var next = clusters.lowerBound
    var count = 0
    while journal.hasRoom(bodyBytes: bodyBytes), UInt64(ring.count) + 4096 <= superblock.journalBytes {
      var writer = ByteWriter()
      for _ in 0..<newPerRecord where next < clusters.upperBound {
        MetadataEntry.allocated(
          cluster: UInt32(next), layer: UInt32(next % replicaCount) + 1, logical: UInt32(next / replicaCount), isStale: false
        ).encode(into: &writer)
        MetadataEntry.written(cluster: UInt32(next), first: 0, count: 3).encode(into: &writer)
        next += 1
      }
      var block: UInt32 = 8
      while next > 0, writer.bytes.count + 13 <= bodyBytes {
        MetadataEntry.written(cluster: UInt32((next + count) % clusters.lowerBound), first: block % 248, count: 8).encode(into: &writer)
        block += 8
      }
      let (offset, bytes) = journal.seal(body: writer.bytes)
      precondition(Int(offset - superblock.journalOffset) == ring.count && bytes.count == 4096)
      ring += bytes
      count += 1
    }
    precondition(next == clusters.upperBound)
    source.pieces.append((superblock.journalOffset, ring))
    return count
  }

  /// The work of an opening does not depend on what is left to be done in the background.
  @Test func `a pool with much to take apart and to zero opens at once, and goes on with it`() throws {
    let file = TemporaryFile()
    var pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 256 * mebibyte)
    let bench = try TestBench(.auto)
    let info = try pool.makeReplica(sizeBytes: 192 * mebibyte)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    let data = pattern(1 << 20, seed: 1)
    for offset in stride(from: 0, to: device.sizeBytes, by: 1 << 20) {
      #expect(bench.write(data, to: device, at: offset) == .success, "\(pool.report.errors) \(pool.report.message ?? "")")
    }
    device.close()
    try pool.close()
    // A crash right behind the record that removes the name.
    try Self.removeName(of: info.id, in: file)
    pool = try Pool.open(path: file.path)
    #expect(pool.replicas.isEmpty)
    #expect(pool.totalBytes - pool.freeBytes == 192 * mebibyte, "nothing was waited for")
    let other = try pool.makeReplica(sizeBytes: mebibyte)
    let opened = try pool.openReplica(other.id, on: bench.reactor)
    let deadline = ContinuousClock.now + .seconds(30)
    while pool.freeBytes != pool.totalBytes, ContinuousClock.now < deadline {
      bench.reactor.run(until: { false }, timeoutNanoseconds: 5_000_000)
    }
    #expect(pool.freeBytes == pool.totalBytes)
    opened.close()
    try pool.close()
  }

  /// Appends to the journal of a closed pool.
  private static func removeName(of id: Identifier, in file: TemporaryFile) throws {
    let superblock = try Superblock(decoding: file.bytes(at: 0, count: 4096))
    var generator = SeededGenerator(seed: 1)
    let disk = try DiskFile(path: file.path)
    let recovery = try Recovery(disk, superblock: superblock, using: &generator)
    var journal = recovery.journal
    var writer = ByteWriter()
    MetadataEntry.removeReplica(id).encode(into: &writer)
    let (offset, bytes) = journal.seal(body: writer.bytes)
    try disk.write(bytes, offsetBytes: offset)
    try disk.synchronize()
  }
}
