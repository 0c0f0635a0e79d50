import Testing

@testable import Pool

/// Pools with checksums under random operations, kills and power losses: no read may fail or give anything else than the model has.
@Suite struct IntegritySimulationTests {
  private static func options(_ salt: UInt64) -> PoolSimulation.Options {
    .init(suite: "IntegritySimulationTests", salt: salt, integrity: .crc32c)
  }

  @Test func `random operations act as on the model`() async {
    await Seeds.forEach(40) { seed in
      let simulation = PoolSimulation(seed: seed, options: Self.options(31))
      simulation.run(.create)
      for _ in 0..<50 { simulation.runRound() }
      simulation.checkContents()
      simulation.checkReads()
      simulation.checkRecovery()
      simulation.checkNothingLeaks()
      #expect(simulation.engine.report.checksumErrors == 0)
      #expect(simulation.engine.sums?.adoptedCount == 0, "seed \(seed): nothing crashed")
    }
  }

  @Test(arguments: [true, false]) func `kills and power losses in a row`(canZero: Bool) {
    var adopted = 0
    for seed in Seeds.first(30) {
      var options = Self.options(canZero ? 32 : 33)
      options.canZero = canZero
      let simulation = PoolSimulation(seed: seed, options: options)
      simulation.run(.create)
      for _ in 0..<5 {
        for _ in 0..<8 { simulation.runRound() }
        simulation.begin(requests: 5, changes: 2)
        simulation.takeSteps(Int.random(in: 0...12, using: &simulation.generator))
        simulation.crash(keepsCache: Int.random(in: 0..<4, using: &simulation.generator) == 0)
        simulation.finishRecovery()
        simulation.checkContents()
        simulation.checkReads()
        #expect(simulation.engine.report.checksumErrors == 0, "seed \(seed): \(simulation.engine.report.errors.last ?? "")")
        adopted += simulation.engine.sums?.adoptedCount ?? 0
      }
    }
    // Otherwise nothing was torn, and nothing was shown.
    #expect(adopted > 0 || Seeds.first(30).count < 10)
  }

  @Test func `crashes at any moment`() async {
    await Seeds.forEach(4) { seed in
      var options = Self.options(34)
      options.samplesPerEvent = 2
      options.clusterCount = 8
      options.maximumSectors = 200
      options.maximumReplicas = 2
      let simulation = PoolSimulation(seed: seed, options: options)
      simulation.run(.create)
      for _ in 0..<8 { simulation.runRound() }
    }
  }
}
