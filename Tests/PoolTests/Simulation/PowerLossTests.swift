import Testing

@testable import Pool

/// Crashes at every moment of recorded runs. A failing seed says how to see it again; `KEELSON_SEEDS=10` runs ten times as many.
@Suite struct PowerLossTests {
  private static let small = PoolSimulation.Options(clusterCount: 8, maximumSectors: 200, maximumReplicas: 2)

  @Test func `every subset of few open writes, at every moment`() async {
    await Seeds.forEach(6) { seed in
      var options = Self.small
      options.salt = 11
      options.exhaustiveWrites = 6
      options.samplesPerEvent = 2
      let simulation = PoolSimulation(seed: seed, options: options)
      simulation.run(.create)
      for _ in 0..<6 { simulation.runRound(requests: 1...2, changes: 0...1) }
    }
  }

  @Test func `samples of what a power loss may leave, at every moment of busy runs`() async {
    await Seeds.forEach(16) { seed in
      var options = Self.small
      options.salt = 12
      options.samplesPerEvent = 2
      options.canZero = seed % 4 > 0
      let simulation = PoolSimulation(seed: seed, options: options)
      simulation.run(.create)
      for _ in 0..<10 { simulation.runRound(requests: 2...6, changes: 0...3) }
    }
  }

  /// A record is a block at least, so the smallest journal has 32 of them and half of that begins a checkpoint.
  @Test func `a small journal goes around several times, with checkpoints under way at every moment`() async {
    await Seeds.forEach(2) { seed in
      var options = Self.small
      options.salt = 13
      options.samplesPerEvent = 1
      let simulation = PoolSimulation(seed: seed, options: options)
      let id = simulation.create(sectors: 200)
      simulation.finish()
      let start = simulation.engine.journal!.head.position
      var checkpoints = 0
      for step in 0..<130 {
        let number = simulation.engine.checkpointNumber
        let block = Int.random(in: 0..<25, using: &simulation.generator) * 8
        if step % 3 == 2 { simulation.claim(id) }
        simulation.submit(step % 2 == 0 ? .write : .deallocate, id, block..<block + 8)
        simulation.finish()
        checkpoints += Int(simulation.engine.checkpointNumber - number)
      }
      #expect(simulation.engine.journal!.head.position - start > 3 * options.journalBytes)
      #expect(checkpoints >= 5)
      simulation.checkContents()
      simulation.checkRecovery()
    }
  }

  @Test(arguments: [true, false]) func `kills and power losses in a row`(canZero: Bool) async {
    await Seeds.forEach(40) { seed in
      let simulation = PoolSimulation(seed: seed, options: .init(salt: canZero ? 14 : 15, canZero: canZero))
      simulation.run(.create)
      for _ in 0..<5 {
        for _ in 0..<8 { simulation.runRound() }
        simulation.begin(requests: 5, changes: 2)
        simulation.takeSteps(Int.random(in: 0...12, using: &simulation.generator))
        let keepsCache = Int.random(in: 0..<4, using: &simulation.generator) == 0
        simulation.crash(keepsCache: keepsCache)
        // Often enough in the middle of what the opening began.
        while Bool.random(using: &simulation.generator), !simulation.hasFailed {
          simulation.takeSteps(Int.random(in: 0...20, using: &simulation.generator))
          simulation.crash(keepsCache: keepsCache)
        }
        simulation.finishRecovery()
        simulation.checkContents()
      }
      simulation.checkNothingLeaks()
    }
  }

  @Test func `a power loss at every moment of the recovery from one`() async {
    await Seeds.forEach(10) { seed in
      var options = Self.small
      options.salt = 16
      let simulation = PoolSimulation(seed: seed, options: options)
      simulation.run(.create)
      for _ in 0..<6 { simulation.runRound() }
      simulation.begin(requests: 3, changes: 3)
      simulation.takeSteps(seed % 2 == 0 ? 4 : 12)
      simulation.crash(keepsCache: seed % 3 == 0)
      simulation.isLookingAtCrashes = true
      simulation.finishRecovery()
      simulation.checkContents()
      simulation.checkRecovery()
    }
  }

  @Test func `a thick replica is there whole or not at all, and its space comes back`() async {
    await Seeds.forEach(12) { seed in
      var options = Self.small
      options.salt = 17
      options.samplesPerEvent = 2
      let simulation = PoolSimulation(seed: seed, options: options)
      let clusters = Int.random(in: 1...6, using: &simulation.generator)
      let id = simulation.create(sectors: clusters * 128 - Int.random(in: 0..<128, using: &simulation.generator), isThick: true)
      if seed % 2 == 0 {
        simulation.takeSteps(Int.random(in: 0...60, using: &simulation.generator))
        simulation.crash(keepsCache: seed % 4 == 0)
        simulation.finishRecovery()
        if simulation.model.objects[id] == nil {
          #expect(simulation.engine.state.usedCount == 0, "seed \(seed): a replica that never was keeps its space")
          return
        }
      } else {
        simulation.finish()
      }
      #expect(simulation.engine.state.usedCount == clusters, "seed \(seed)")
      simulation.checkNothingLeaks()
    }
  }
}
