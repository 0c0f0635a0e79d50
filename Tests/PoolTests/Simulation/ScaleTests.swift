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
  @Test func `a pool of 15 TiB with ten thousand replicas opens in seconds`() throws {
    let clusterCount = unsafe getenv("KEELSON_SCALE").flatMap { Int(unsafe String(cString: $0)) } ?? 100_000
    let superblock = try #require(
      Superblock.layout(id: .random(), name: "huge", clusterBytes: 1 << 20, deviceBytes: 15 << 40, sectorBytes: 4096))
    var state = PoolState(geometry: superblock.geometry)
    let replicaCount = clusterCount / 100
    for index in 1...UInt32(replicaCount) {
      state.load(.putLayer(id: index, parent: 0, clusterCount: 1 << 20))
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
    let source = SparseSource()
    var body: [UInt8] = []
    while let chunk = try writer.nextChunk(state) { body += chunk.bytes }
    let header = writer.header(durableSequence: 0, state: state)
    source.pieces = [(header.storageOffset, header.bytes + body)]
    var generator = SeededGenerator(seed: 1)
    let before = residentBytes()
    let start = ContinuousClock.now
    let recovery = try Recovery(source, superblock: superblock, using: &generator)
    let seconds = ContinuousClock.now - start
    #expect(seconds < .seconds(5))
    #expect(recovery.state.usedCount == clusterCount)
    #expect(recovery.state.replicas.count == replicaCount)
    // 64 MiB for each TiB of clusters that hold data, and what the sets of all clusters of the pool take.
    let limit = clusterCount * 64 + (16 << 20)
    // Only alone can the memory be told from others'.
    if unsafe getenv("KEELSON_SCALE") != nil { #expect(residentBytes() - before < limit + replicaCount * 1024) }
    print("opened in \(seconds), \((residentBytes() - before) >> 20) MiB for \(clusterCount >> 10) GiB")
  }

  private func residentBytes() -> Int {
    let file = unsafe fopen("/proc/self/statm", "r")
    defer { unsafe _ = fclose(file!) }
    var line = [CChar](repeating: 0, count: 128)
    unsafe _ = fgets(&line, 128, file!)
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
  }
}
