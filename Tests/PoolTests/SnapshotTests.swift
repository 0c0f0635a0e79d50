import Reactor
import Testing

@testable import Pool

@Suite struct SnapshotTests {
  private let file = TemporaryFile()

  private func makePool() throws -> Pool {
    try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 32 * mebibyte)
  }

  @Test func `a snapshot keeps what was, a clone goes its own way`() throws {
    let bench = try TestBench(.auto)
    let pool = try makePool()
    let info = try pool.makeReplica(sizeBytes: mebibyte)
    let (snapshot, clone) = (Identifier.random(), Identifier.random())
    let device = try pool.openReplica(info.id, on: bench.reactor)
    #expect(bench.write(pattern(65_536, seed: 1), to: device, at: 0) == .success)
    let before = pool.freeBytes
    try pool.createSnapshot(id: snapshot, of: info.id)
    #expect(pool.freeBytes == before, "it costs no cluster")
    #expect(bench.write(pattern(512, seed: 2), to: device, at: 1024) == .success)
    #expect(bench.perform(.deallocate, on: device, at: 8192, count: 4096) == .success)
    var expected = pattern(65_536, seed: 1)
    try pool.cloneSnapshot(id: snapshot, to: clone, volumeID: .random())
    let other = try pool.openReplica(clone, on: bench.reactor)
    #expect(bench.read(other, at: 0, count: 65_536) == expected)
    #expect(bench.write(pattern(4096, seed: 3), to: other, at: 4096) == .success)
    expected.replaceSubrange(1024..<1536, with: pattern(512, seed: 2))
    clear(&expected, 8192..<12_288)
    #expect(bench.read(device, at: 0, count: 65_536) == expected)
    #expect(
      try pool.allocatedRanges(ofSnapshot: snapshot) == RangeList(ranges: [ByteRange(offsetBytes: 0, byteCount: 65_536)]))
    try pool.deleteSnapshot(id: snapshot)
    #expect(bench.read(device, at: 0, count: 65_536) == expected)
    device.close()
    other.close()
    try pool.deleteReplica(id: clone)
    try pool.deleteReplica(id: info.id)
    #expect(pool.freeBytes == pool.totalBytes, "nothing is left of any")
    try pool.close()
    let again = try Pool.open(path: file.path)
    #expect(again.freeBytes == again.totalBytes && again.replicas.isEmpty && again.snapshots.isEmpty)
    try again.close()
  }

  @Test func `a hundred deep, deleted in any order`() throws {
    let bench = try TestBench(.auto)
    let pool = try makePool()
    let info = try pool.makeReplica(sizeBytes: mebibyte)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    var snapshots: [Identifier] = []
    var expected = [UInt8](repeating: 0, count: 1 << 20)
    for round in 0..<100 {
      let offset = round * 37 % 250 * 4096
      #expect(bench.write(pattern(4096, seed: round), to: device, at: UInt64(offset)) == .success)
      expected.replaceSubrange(offset..<offset + 4096, with: pattern(4096, seed: round))
      snapshots.append(.random())
      try pool.createSnapshot(id: snapshots[round], of: info.id)
    }
    #expect(bench.read(device, at: 0, count: 1 << 20) == expected)
    // What changed between two of them is what was written between.
    let changed = try pool.differingRanges(ofSnapshots: snapshots[9], snapshots[12])
    let written: [UInt64] = [10, 11, 12].map { (round: UInt64) in round * 37 % 250 * 4096 }
    #expect(changed.ranges.map(\.offsetBytes) == written.sorted())
    #expect(changed.ranges.allSatisfy { $0.byteCount == 4096 } && changed.nextOffsetBytes == nil)
    let first = try pool.differingRanges(ofSnapshots: snapshots[9], snapshots[12], limit: 1)
    let rest = try pool.differingRanges(ofSnapshots: snapshots[9], snapshots[12], from: first.nextOffsetBytes!, limit: 9)
    #expect(first.ranges + rest.ranges == changed.ranges)
    var generator = SeededGenerator(seed: 8)
    for snapshot in snapshots.shuffled(using: &generator) { try pool.deleteSnapshot(id: snapshot) }
    #expect(bench.read(device, at: 0, count: 1 << 20) == expected)
    #expect(pool.replicas[0].sharedBytes == 0)
    #expect(pool.totalBytes - pool.freeBytes == pool.replicas[0].allocatedBytes)
    device.close()
    try pool.close()
  }

  @Test func `a full pool refuses what needs space and goes on`() throws {
    let bench = try TestBench(.auto)
    let pool = try makePool()
    let info = try pool.makeReplica(sizeBytes: 64 * mebibyte)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    var offset: UInt64 = 0
    var status = BlockStatus.success
    while status == .success, offset < device.sizeBytes {
      status = bench.write(pattern(65_536, seed: 1), to: device, at: offset) ?? .busy
      if status == .success { offset += 65_536 }
    }
    #expect(status == .capacityExceeded)
    #expect(pool.freeBytes == 0 && offset == pool.totalBytes)
    #expect(bench.write(pattern(4096, seed: 2), to: device, at: 0) == .success)
    #expect(bench.read(device, at: 0, count: 4096) == pattern(4096, seed: 2))
    #expect(bench.read(device, at: offset, count: 4096) == [UInt8](repeating: 0, count: 4096))
    // Trimmed in small pieces, a cluster comes back.
    for block in 0..<16 as Range<UInt64> {
      #expect(bench.perform(.deallocate, on: device, at: 65_536 + block * 4096, count: 4096) == .success)
    }
    #expect(pool.freeBytes == 65_536)
    #expect(bench.write(pattern(65_536, seed: 3), to: device, at: offset) == .success)
    #expect(bench.read(device, at: offset, count: 65_536) == pattern(65_536, seed: 3))
    device.close()
    try pool.close()
  }

  @Test func `thick replicas have their space, and grow like others`() throws {
    let bench = try TestBench(.auto)
    let pool = try makePool()
    let info = try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: mebibyte, isThick: true)
    #expect(info.allocatedBytes == mebibyte)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    #expect(bench.write(pattern(4096, seed: 2), to: device, at: 0) == .success)
    #expect(bench.perform(.deallocate, on: device, at: 0, count: mebibyte) == .success)
    #expect(bench.read(device, at: 0, count: 4096) == [UInt8](repeating: 0, count: 4096))
    #expect(pool.replicas[0].allocatedBytes == mebibyte)
    // Growing takes the space of what is added, from a size that ends inside a cluster, too.
    let odd = 2 * mebibyte - 65_536 - 512
    try pool.growReplica(id: info.id, toSizeBytes: odd)
    #expect(pool.replicas[0].allocatedBytes == 2 * mebibyte - 65_536)
    #expect(throws: PoolError.self) { try pool.growReplica(id: info.id, toSizeBytes: pool.totalBytes + 2 * mebibyte) }
    #expect(pool.replicas[0].sizeBytes == odd)
    try pool.growReplica(id: info.id, toSizeBytes: 2 * mebibyte)
    #expect(pool.replicas[0].allocatedBytes == 2 * mebibyte)
    device.takeGrowth()
    #expect(bench.read(device, at: mebibyte, count: 1 << 20) == [UInt8](repeating: 0, count: 1 << 20))
    #expect(bench.write(pattern(4096, seed: 2), to: device, at: 2 * mebibyte - 4096) == .success)
    device.close()
    try pool.close()
    #expect(try Pool.open(path: file.path).replicas[0].sizeBytes == 2 * mebibyte)
  }
}
