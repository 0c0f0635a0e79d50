import Testing

@testable import Pool

/// Pools with checksums under random operations, kills and power losses: no read may fail or give anything else than the model has.
@Suite struct IntegritySimulationTests {
  private static let options = PoolSimulation.Options(integrity: .crc32c)

  @Test func `random operations act as on the model`() {
    for seed in PowerLossTests.seeds(60) {
      let simulation = PoolSimulation(seed: seed, options: Self.options)
      simulation.runChange()
      for _ in 0..<60 {
        if Int.random(in: 0..<4, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
      }
      simulation.checkContents()
      simulation.checkRecovery()
      #expect(simulation.engine.report.checksumErrors == 0)
      #expect(simulation.engine.sums?.adoptedCount == 0, "seed \(seed): nothing crashed")
    }
  }

  @Test(arguments: [true, false]) func `kills and power losses in a row`(canZero: Bool) {
    var adopted = 0
    for seed in PowerLossTests.seeds(40) {
      var options = Self.options
      options.canZero = canZero
      let simulation = PoolSimulation(seed: seed &+ (canZero ? 0 : 100_000), options: options)
      for _ in 0..<5 {
        for _ in 0..<10 {
          if Int.random(in: 0..<3, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
        }
        simulation.beginBatch()
        simulation.crash(keepsCache: Int.random(in: 0..<4, using: &simulation.generator) == 0)
        simulation.checkContents()
        #expect(simulation.engine.report.checksumErrors == 0, "seed \(seed): \(simulation.engine.report.errors.last ?? "")")
        adopted += simulation.engine.sums?.adoptedCount ?? 0
      }
    }
    // Otherwise nothing was torn, and nothing was shown.
    #expect(adopted > 0 || PowerLossTests.seeds(40).count < 10)
  }

  @Test func `a power loss at any moment`() {
    for seed in PowerLossTests.seeds(1) {
      let simulation = PoolSimulation(seed: seed &+ 500_000, options: Self.options)
      simulation.samplesPerEvent = 2
      for _ in 0..<16 {
        if Int.random(in: 0..<3, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
      }
    }
  }
}
