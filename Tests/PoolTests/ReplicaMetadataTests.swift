import Reactor
import Testing

@testable import Pool

@Suite struct ReplicaMetadataTests {
  private let file = TemporaryFile()

  @Test func `claims, logs and bitmaps survive a restart`() throws {
    let peer = Identifier.random()
    let claim = ReplicaClaim(generation: 7, setVersion: 2, nexusID: .random(), inSync: [.random(), peer], storeRevision: 41)
    var id = Identifier.none
    do {
      let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte)
      try pool.setOptions(PoolOptions(overcommitPercent: 0, regionBytes: 64 * kibibyte, maximumHotRegions: 20))
      id = try pool.makeReplica(sizeBytes: 100 * mebibyte).id
      try pool.storeClaim(claim, of: id)
      try pool.setRegions(.activity, of: id, [3..<5, 1000..<1010], isMember: true)
      try pool.setRegions(.activity, of: id, [4..<5], isMember: false)
      try pool.setRegions(.missed(peer: peer), of: id, [0..<1600], isMember: true)
      try pool.setRegions(.missed(peer: peer), of: id, [1..<1599], isMember: false)
      #expect(throws: PoolError.activityLogFull(pool: "p", replica: id, regionCount: 11)) {
        try pool.setRegions(.activity, of: id, [0..<3, 20..<30], isMember: true)
      }
      #expect(throws: PoolError.invalidRegion(pool: "p", replica: id)) {
        try pool.setRegions(.activity, of: id, [1599..<1601], isMember: true)
      }
      try pool.close()
    }
    let pool = try Pool.open(path: file.path)
    #expect(pool.options.maximumHotRegions == 20)
    let metadata = try pool.metadata(of: id)
    #expect(metadata.claim == claim)
    #expect(metadata.hotRegions == [3] + Array(1000..<1010))
    #expect(metadata.missed.map(\.peer) == [peer] && metadata.missed[0].regions == [0, 1599])
    try pool.forgetPeer(peer, of: id)
    #expect(try pool.metadata(of: id).missed.isEmpty)
    try pool.close()
  }

  @Test func `the store that a pool lived by, and names of volumes, survive a restart and a checkpoint`() throws {
    let memory = StoreMemory(identity: .random(), revision: 77)
    var id = Identifier.none
    do {
      let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte)
      #expect(pool.storeMemory == .none && pool.replicas.isEmpty)
      id = try pool.makeReplica(sizeBytes: mebibyte).id
      #expect(pool.replicas[0].volumeName.isEmpty)
      try pool.remember(StoreMemory(identity: .random(), revision: 1))
      try pool.remember(memory)
      try pool.setVolumeName("db", of: id)
      #expect(throws: PoolError.self) { try pool.setVolumeName("db", of: .random()) }
      try pool.close()
    }
    // Closing writes a checkpoint: the second time it comes from there alone.
    for _ in 0..<2 {
      let pool = try Pool.open(path: file.path)
      #expect(pool.storeMemory == memory && pool.replicas.map(\.volumeName) == ["db"])
      try pool.close()
    }
    let pool = try Pool.open(path: file.path)
    try pool.deleteReplica(id: id)
    #expect(pool.storeMemory == memory && pool.replicas.isEmpty)
    try pool.close()
  }

  @Test func `a new boot with a hot log means that the cache may be lost`() throws {
    let bench = try TestBench(.auto)
    let pool = try Pool.inMemory(byteCount: 8 * mebibyte, name: "p")
    let id = try pool.makeReplica(sizeBytes: 8 * mebibyte).id
    try pool.openReplica(id, on: bench.reactor).close()
    bench.settle()
    #expect(try !pool.metadata(of: id).mayHaveLostCache)
    #expect(try pool.metadata(of: id).bootID == BootIdentifier.current)
    try pool.change { engine, done in
      engine.bootID = .random()
      done(nil)
    }
    try pool.openReplica(id, on: bench.reactor).close()
    bench.settle()
    #expect(try !pool.metadata(of: id).mayHaveLostCache, "nothing was under way")
    try pool.setRegions(.activity, of: id, [0..<1], isMember: true)
    try pool.change { engine, done in
      engine.bootID = .random()
      done(nil)
    }
    try pool.openReplica(id, on: bench.reactor).close()
    bench.settle()
    #expect(try pool.metadata(of: id).mayHaveLostCache)
    try pool.clearLostCache(of: id)
    #expect(try !pool.metadata(of: id).mayHaveLostCache)
    try pool.close()
  }
}
