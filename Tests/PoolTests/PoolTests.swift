import CLinux
import Glibc
import Reactor
import Testing

@testable import Pool

@Suite struct PoolTests {
  @Test(arguments: engines) func `replicas survive a restart, deleted ones do not`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile()
    let volume = Identifier.random()
    let (kept, deleted) = (Identifier.random(), Identifier.random())
    let data = pattern(1 << 20, seed: 4)
    var poolID = Identifier.none
    do {
      let pool = try Pool.format(path: file.path, name: "disk-1", createFileBytes: 64 * mebibyte)
      poolID = pool.id
      #expect(!pool.isVolatile)
      #expect(pool.totalBytes == 62 * mebibyte)
      #expect(pool.freeBytes == pool.totalBytes)
      try pool.createReplica(id: deleted, volumeID: volume, sizeBytes: 10 * mebibyte)
      let info = try pool.createReplica(id: kept, volumeID: volume, sizeBytes: 5 * mebibyte + 512)
      #expect(info.allocatedBytes == 0, "it is thin")
      #expect(pool.freeBytes == pool.totalBytes)
      let device = try pool.openReplica(kept, on: bench.reactor)
      #expect(device.sizeBytes == 5 * mebibyte + 512)
      #expect(device.blockSizeBytes == 512)
      #expect(bench.read(device, at: 5 * mebibyte, count: 512) == [UInt8](repeating: 0, count: 512))
      #expect(bench.write(data, to: device, at: 4 * mebibyte) == .success)
      #expect(bench.perform(.read, on: device, at: 5 * mebibyte, count: 1024) == .outOfRange, "its cluster goes on, the replica ends")
      device.close()
      try pool.deleteReplica(id: deleted)
      #expect(pool.freeBytes == 61 * mebibyte)
      try pool.close()
    }
    let pool = try Pool.open(path: file.path)
    #expect(pool.id == poolID)
    #expect(pool.name == "disk-1")
    #expect(pool.warnings == [])
    #expect(pool.freeBytes == 61 * mebibyte)
    #expect(
      pool.replicas == [
        ReplicaInfo(
          id: kept, volumeID: volume, sizeBytes: 5 * mebibyte + 512, blockSizeBytes: 512, isThick: false, allocatedBytes: mebibyte,
          sharedBytes: 0)
      ])
    let device = try pool.openReplica(kept, on: bench.reactor)
    #expect(bench.read(device, at: 4 * mebibyte, count: 1 << 20) == data)
    device.close()
    try pool.close()
  }

  @Test(arguments: engines) func `a new replica reads zeros where a deleted one was`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile()
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 8 * mebibyte)
    for round in 0..<3 {
      let info = try pool.makeReplica(sizeBytes: 5 * mebibyte)
      #expect(pool.freeBytes == pool.totalBytes)
      let device = try pool.openReplica(info.id, on: bench.reactor)
      for offset in stride(from: 0, to: device.sizeBytes, by: 1 << 20) {
        #expect(bench.read(device, at: offset, count: 1 << 20) == [UInt8](repeating: 0, count: 1 << 20))
        #expect(bench.write(pattern(1 << 20, seed: round), to: device, at: offset) == .success)
      }
      device.close()
      try pool.deleteReplica(id: info.id)
    }
    try pool.close()
  }

  @Test(arguments: engines) func `replicas do not touch each other`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile()
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 8 * mebibyte)
    let infos = try (0..<5).map { _ in try pool.makeReplica(sizeBytes: 1 << 20, blockSizeBytes: 4096) }
    let devices = try infos.map { try pool.openReplica($0.id, on: bench.reactor) }
    for (index, device) in devices.enumerated() { #expect(bench.write(pattern(1 << 20, seed: index), to: device, at: 0) == .success) }
    #expect(bench.perform(.deallocate, on: devices[2], at: 0, count: 1 << 20) == .success)
    for (index, device) in devices.enumerated() {
      #expect(
        bench.read(device, at: 0, count: 1 << 20) == (index == 2 ? [UInt8](repeating: 0, count: 1 << 20) : pattern(1 << 20, seed: index)))
    }
    #expect(file.bytes(at: 0, count: 4096) == pool.superblock.encoded())
    for device in devices { device.close() }
    try pool.close()
  }

  @Test func `refuses what cannot be`() throws {
    let file = TemporaryFile()
    let pool = try Pool.format(path: file.path, name: "p", createFileBytes: 16 * mebibyte)
    let info = try pool.makeReplica(sizeBytes: mebibyte)
    let other = Identifier.random()
    #expect(throws: PoolError.replicaExists(pool: "p", id: info.id)) {
      try pool.createReplica(id: info.id, volumeID: .random(), sizeBytes: mebibyte)
    }
    #expect(throws: PoolError.unknownReplica(pool: "p", id: other)) { try pool.deleteReplica(id: other) }
    #expect(throws: PoolError.invalidReplicaSize(pool: "p", byteCount: 0, blockSizeBytes: 512)) { try pool.makeReplica(sizeBytes: 0) }
    #expect(throws: PoolError.invalidReplicaSize(pool: "p", byteCount: 512, blockSizeBytes: 4096)) {
      try pool.makeReplica(sizeBytes: 512, blockSizeBytes: 4096)
    }
    #expect(throws: PoolError.unsupportedBlockSize(pool: "p", blockSizeBytes: 1024, sectorBytes: 512)) {
      try pool.makeReplica(sizeBytes: 4096, blockSizeBytes: 1024)
    }
    #expect(throws: PoolError.overcommitted(pool: "p", promisedBytes: 141 * mebibyte, limitBytes: 140 * mebibyte)) {
      try pool.makeReplica(sizeBytes: 140 * mebibyte)
    }
    let huge = UInt64.max - 511
    #expect(throws: PoolError.invalidReplicaSize(pool: "p", byteCount: huge, blockSizeBytes: 512)) { try pool.makeReplica(sizeBytes: huge) }
    #expect(throws: PoolError.noSpace(pool: "p", neededBytes: 15 * mebibyte, freeBytes: 14 * mebibyte)) {
      try pool.createReplica(id: other, volumeID: .random(), sizeBytes: 15 * mebibyte, isThick: true)
    }
    #expect(pool.freeBytes == 14 * mebibyte, "failures keep nothing reserved")
    let bench = try TestBench(.auto)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    let second = try pool.openReplica(info.id, on: bench.reactor)
    #expect(throws: PoolError.replicaInUse(pool: "p", id: info.id)) { try pool.deleteReplica(id: info.id) }
    #expect(throws: PoolError.replicaInUse(pool: "p", id: info.id)) { try pool.close() }
    device.close()
    device.close()
    #expect(throws: PoolError.replicaInUse(pool: "p", id: info.id)) { try pool.close() }
    second.close()
    try pool.close()
    try pool.close()
    #expect(throws: PoolError.closed(pool: "p")) { try pool.makeReplica(sizeBytes: mebibyte) }
    #expect(throws: PoolError.closed(pool: "p")) { try pool.deleteReplica(id: info.id) }
    #expect(throws: PoolError.closed(pool: "p")) { try pool.openReplica(info.id, on: bench.reactor) }
  }

  @Test func `names and cluster sizes have limits`() throws {
    let file = TemporaryFile()
    for name in ["", String(repeating: "x", count: 65), "a\nb", "\u{7F}"] {
      #expect(throws: PoolError.invalidName(name: name)) { try Pool.format(path: file.path, name: name, createFileBytes: 64 * mebibyte) }
    }
    for size in [0, 32 * kibibyte, 96 * kibibyte, 128 * mebibyte, mebibyte + 1] as [UInt64] {
      #expect(throws: PoolError.invalidClusterSize(byteCount: size)) {
        try Pool.format(path: file.path, name: "p", clusterBytes: size, createFileBytes: 64 * mebibyte)
      }
    }
    #expect(!file.exists, "nothing was created")
    #expect(throws: PoolError.tooSmall(path: file.path, byteCount: 3 * mebibyte - 1, neededBytes: 3 * mebibyte)) {
      try Pool.format(path: file.path, name: "p", createFileBytes: 3 * mebibyte - 1)
    }
    #expect(!file.exists, "the file that was too small is gone")
    let name = String(repeating: "é", count: 32)
    try Pool.format(path: file.path, name: name, clusterBytes: 64 * mebibyte, createFileBytes: 128 * mebibyte).close()
    #expect(try Pool.open(path: file.path).name == name)
  }

  @Test func `creation and deletion from many threads keep every cluster apart`() async throws {
    let file = TemporaryFile()
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 32 * mebibyte)
    try await withThrowingTaskGroup(of: Identifier.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var last: Identifier?
          for size in [300, 64, 700] as [UInt64] {
            if let last { try pool.deleteReplica(id: last) }
            last = try pool.makeReplica(sizeBytes: size * kibibyte).id
          }
          return last!
        }
      }
      var kept: Set<Identifier> = []
      for try await id in group { kept.insert(id) }
      #expect(Set(pool.replicas.map(\.id)) == kept)
    }
    #expect(pool.freeBytes == pool.totalBytes)
    try pool.close()
    #expect(try Pool.open(path: file.path).replicas.count == 8)
  }

  @Test func `errors say what, where, why, and what to do`() {
    let text = PoolError.truncated(path: "/x", byteCount: 5, expectedBytes: 9).description
    #expect(text.contains("/x") && text.contains("5 bytes") && text.contains("9") && text.hasSuffix("backup"))
    #expect(
      PoolError.inUse(path: "/dev/sdb").description
        == "could not open /dev/sdb: it is in use by another process or mounted. Stop the other process (a node that has it as its pool, perhaps), or unmount it"
    )
    #expect(
      PoolError.system(path: "/x", action: "open", code: ENOENT).description
        == "could not open /x: No such file or directory. Check the path")
  }
}
