import Testing

@testable import Pool

/// Random requests and changes at the same time against the model. A failing seed says how to see it again; `KEELSON_SEEDS=10`
/// runs ten times as many.
@Suite struct ModelTests {
  private static func options(_ salt: UInt64) -> PoolSimulation.Options {
    .init(suite: "ModelTests", salt: salt, clusterCount: 14, maximumSectors: 300, maximumReplicas: 3)
  }

  @Test func `thousands of short runs act as the model does`() async {
    await Seeds.forEach(3_000) { seed in
      let simulation = PoolSimulation(seed: seed, options: Self.options(1))
      simulation.run(.create)
      for _ in 0..<8 { simulation.runRound() }
      simulation.checkContents()
      simulation.checkRecovery()
      if seed % 4 == 0 {
        simulation.begin(requests: 4, changes: 2)
        simulation.crash(keepsCache: seed % 8 == 0)
        simulation.finishRecovery()
        simulation.runRound()
        simulation.checkContents()
      }
      if seed % 4 == 1 { simulation.checkNothingLeaks() }
    }
  }

  @Test func `long runs act as the model does, and lose no cluster`() async {
    await Seeds.forEach(30) { seed in
      let simulation = PoolSimulation(seed: seed, options: .init(suite: "ModelTests", salt: 2))
      simulation.run(.create)
      for _ in 0..<70 { simulation.runRound() }
      simulation.checkContents()
      simulation.checkRecovery()
      simulation.checkNothingLeaks()
    }
  }

  @Test func `storage that cannot zero never shows debris`() async {
    await Seeds.forEach(30) { seed in
      let simulation = PoolSimulation(seed: seed, options: .init(suite: "ModelTests", salt: 3, canZero: false))
      simulation.run(.create)
      for _ in 0..<50 { simulation.runRound() }
      simulation.checkContents()
      simulation.checkRecovery()
      simulation.checkNothingLeaks()
    }
  }

  @Test func `snapshots seventy deep are right and can be deleted in any order`() async {
    await Seeds.forEach(6) { seed in
      let simulation = PoolSimulation(
        seed: seed, options: .init(suite: "ModelTests", salt: 4, clusterCount: 220, maximumSectors: 400))
      let replica = simulation.create(sectors: 400)
      simulation.finish()
      var snapshots: [Identifier] = []
      for _ in 0..<70 {
        simulation.runRound(requests: 1...4, changes: 0...0)
        snapshots.append(simulation.takeSnapshot(of: replica))
        simulation.finish()
      }
      simulation.checkContents()
      // Clones in the middle keep what is below them.
      let clones = [20, 41].map { simulation.clone(snapshots[$0]) }
      simulation.finish()
      for (index, snapshot) in snapshots.shuffled(using: &simulation.generator).enumerated() {
        simulation.delete(snapshot)
        if index % 3 > 0 { simulation.finish() }
        if index % 10 == 0 { simulation.runRound(requests: 1...4, changes: 0...0) }
        if index % 16 == 0 { simulation.checkContents() }
      }
      simulation.finish()
      simulation.checkContents()
      simulation.checkRecovery()
      #expect(simulation.model.objects.keys.sorted() == ([replica] + clones).sorted())
      simulation.checkNothingLeaks()
    }
  }

  @Test func `a finely divided layer is taken apart in records that can hold it`() {
    let simulation = PoolSimulation(
      seed: 1, options: .init(suite: "ModelTests", salt: 5, clusterBytes: 1 << 20, clusterCount: 30, maximumSectors: 24 << 11))
    let id = simulation.create(sectors: 12 << 11)
    simulation.finish()
    for start in stride(from: 0, to: 12 << 11, by: 1 << 11) { simulation.submit(.write, id, start..<start + 1 << 11, isDurable: false) }
    simulation.finish()
    // Holes over every other block; in half of the clusters also data, so that what is needed must be copied.
    let snapshot = simulation.takeSnapshot(of: id)
    simulation.finish()
    for block in stride(from: 0, to: 12 << 8, by: 2) {
      simulation.submit(.deallocate, id, block * 8..<block * 8 + 8)
      if block >> 8 % 2 == 0, block % 8 == 0 { simulation.submit(.write, id, block * 8 + 8..<block * 8 + 16, isDurable: false) }
      if block % 256 == 0 { simulation.finish() }
    }
    simulation.finish()
    simulation.delete(snapshot)
    simulation.finish()
    simulation.checkContents()
    simulation.checkRecovery()
    #expect(simulation.engine.state.usedCount == 12 && simulation.engine.state.layerIndexes.count == 1)
    simulation.checkNothingLeaks()
  }
}
