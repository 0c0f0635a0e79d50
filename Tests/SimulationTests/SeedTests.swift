import Testing

@testable import Simulation

/// Lives of a volume drawn from seeds. `keelson-sim` runs thousands of them; here are enough to see that they run.
@Suite struct SeedTests {
  @Test func `keeps its rules in lives drawn from seeds`() {
    var (commands, generations) = (0, UInt64(0))
    for seed in 1...60 {
      let outcome = SimulationRun(seed: UInt64(seed)).run()
      if let failure = outcome.failure { Issue.record("seed \(seed): \(failure). Again: keelson-sim --seed \(seed) --trace") }
      commands += outcome.succeededCommands
      generations += outcome.generations
    }
    #expect(commands > 4000)
    #expect(generations > 60)
  }

  /// Seeds that have shown something once, in the nexus or in the simulation.
  private static let regressions: [UInt64] = [
    1, 26, 54, 64, 167, 241, 362, 364, 381, 540, 559, 594, 597, 696, 713, 765, 817, 855, 888, 1068, 1118, 1362, 1515, 1579, 1631,
    1759, 1779, 2071, 2201, 2204, 2297, 2301, 2399, 2452, 2581, 2822, 2943,
  ]

  @Test(arguments: regressions) func `keeps what was mended`(seed: UInt64) {
    let outcome = SimulationRun(seed: seed).run()
    #expect(outcome.failure == nil, "keelson-sim --seed \(seed) --trace")
  }

  @Test func `the same seed gives the same life`() {
    for seed in 1...5 {
      let (first, second) = (SimulationRun(seed: UInt64(seed)).run(), SimulationRun(seed: UInt64(seed)).run())
      #expect(first.traceHash == second.traceHash)
    }
  }
}
