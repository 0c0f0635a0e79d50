import Reactor
import Testing

@testable import Pool

/// Pools whose file or device has grown.
@Suite struct PoolGrowthTests {
  private let file = TemporaryFile()

  private func superblock(_ deviceBytes: UInt64, clusterBytes: UInt64 = 64 * kibibyte) throws -> Superblock {
    try #require(
      Superblock.layout(id: .random(), name: "p", clusterBytes: clusterBytes, deviceBytes: deviceBytes, sectorBytes: 512))
  }

  @Test func `a little more goes in place, much more moves the metadata to the end`() throws {
    let small = try superblock(8 * mebibyte)
    #expect(small.growth(toDeviceBytes: 8 * mebibyte) == .none)
    #expect(small.growth(toDeviceBytes: 4 * mebibyte) == .none)
    #expect(small.growth(toDeviceBytes: 8 * mebibyte + 60_000) == .none)
    guard case .inPlace(let next) = small.growth(toDeviceBytes: 8 * mebibyte + 64 * kibibyte) else {
      Issue.record("one more cluster has room in the slots")
      return
    }
    #expect(next.clusterCount == small.clusterCount + 1 && next.dataOffset == small.dataOffset && next.revision == 2)
    #expect(next.checkpointOffset == small.checkpointOffset)
    guard case .moving(let large) = small.growth(toDeviceBytes: 1 << 30) else {
      Issue.record("1 GiB needs larger slots")
      return
    }
    #expect(large.isPossible && large.dataOffset == small.dataOffset && large.clusterBytes == small.clusterBytes)
    #expect(large.journalOffset >= large.dataOffset + large.clusterCount * large.clusterBytes)
    #expect(large.checkpointOffset + 2 * large.checkpointSlotBytes <= 1 << 30)
    #expect(large.clusterCount * large.clusterBytes > (1 << 30) / 100 * 98)
    #expect(large.journalBytes == 4 * mebibyte)
    #expect(try Superblock(decoding: large.encoded()) == large)
    // Once they are behind the data they move with every growth.
    guard case .moving(let larger) = large.growth(toDeviceBytes: 3 << 30) else {
      Issue.record("it did not move again")
      return
    }
    #expect(larger.journalOffset >= large.checkpointOffset + 2 * large.checkpointSlotBytes)
    guard case .tooLittle(let needed) = large.growth(toDeviceBytes: 1 << 30 + mebibyte) else {
      Issue.record("1 MiB does not hold them")
      return
    }
    guard case .moving = large.growth(toDeviceBytes: needed + mebibyte) else {
      Issue.record("\(needed) bytes were said to be enough")
      return
    }
  }

  @Test func `any growth of any pool gives a possible layout with all its old clusters`() throws {
    var generator = SeededGenerator(seed: 77)
    for _ in 0..<400 {
      let clusterBytes = (64 * kibibyte) << UInt64.random(in: 0...10, using: &generator)
      let from = Superblock.smallestDeviceBytes(clusterBytes: clusterBytes) + UInt64.random(in: 0...(1 << 36), using: &generator) & ~511
      var superblock = try superblock(from, clusterBytes: clusterBytes)
      for _ in 0..<3 {
        let size = superblock.deviceBytes + UInt64.random(in: 0...superblock.deviceBytes * 3, using: &generator) & ~511
        switch superblock.growth(toDeviceBytes: size) {
        case .none: #expect((size - superblock.dataOffset) / clusterBytes <= superblock.clusterCount)
        case .tooLittle(let needed): #expect(needed > size)
        case .inPlace(let next), .moving(let next):
          #expect(next.isPossible && next.clusterCount > superblock.clusterCount)
          #expect(next.dataOffset == superblock.dataOffset && next.id == superblock.id && next.revision == superblock.revision + 1)
          superblock = next
        }
      }
    }
  }

  @Test(arguments: engines) func `data stay, and the new space takes more`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    var id = Identifier.none
    let before: UInt64
    do {
      let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 8 * mebibyte)
      before = pool.totalBytes
      id = try pool.makeReplica(sizeBytes: 40 * mebibyte).id
      let device = try pool.openReplica(id, on: bench.reactor)
      for index in 0..<5 { #expect(bench.write(pattern(1 << 20, seed: index), to: device, at: UInt64(index) * mebibyte) == .success) }
      #expect(bench.perform(.flush, on: device) == .success)
      device.close()
      try pool.close()
    }
    // KiB of the file, whether that is enough for larger metadata, and how many MiB are written by then.
    var written = 5
    for (size, isEnough, filled) in [(9 << 10, true, 6), (64 << 10, true, 30), (64 << 10 | 512, false, 30), (200 << 10, true, 39)]
      as [(UInt64, Bool, Int)]
    {
      file.truncate(to: size * kibibyte)
      let pool = try Pool.open(path: file.path)
      #expect(pool.warnings == [])
      #expect(pool.notices.count == 1 && pool.notices[0].contains(isEnough ? "has grown: the pool took" : "too little"), "\(pool.notices)")
      #expect(pool.totalBytes > before)
      if size == 200 << 10 { #expect(pool.totalBytes > 190 * mebibyte) }
      let device = try pool.openReplica(id, on: bench.reactor)
      for index in written..<filled {
        #expect(bench.write(pattern(1 << 20, seed: index), to: device, at: UInt64(index) * mebibyte) == .success)
      }
      written = filled
      device.close()
      try pool.close()
      let again = try Pool.open(path: file.path)
      #expect(again.notices.isEmpty == isEnough)
      let reread = try again.openReplica(id, on: bench.reactor)
      for index in 0..<written {
        #expect(bench.read(reread, at: UInt64(index) * mebibyte, count: 1 << 20) == pattern(1 << 20, seed: index))
      }
      reread.close()
      try again.close()
      let report = try Pool.check(path: file.path)
      #expect(report.isSound && report.findings.count == (isEnough ? 0 : 1), "\(report.findings)")
    }
  }

  @Test(.enabled(if: LoopDevice.isAvailable)) func `a disk that grew gives its new space, too`() throws {
    let disk = try #require(LoopDevice(byteCount: 16 * mebibyte, sectorBytes: 512))
    let pool = try Pool.format(path: disk.path, name: "p", clusterBytes: 64 * kibibyte)
    let before = pool.totalBytes
    try pool.close()
    disk.grow(to: 100 * mebibyte)
    let grown = try Pool.open(path: disk.path)
    #expect(grown.totalBytes > before + 80 * mebibyte)
    try grown.close()
  }
}
