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

  @Test func `the same seed gives the same life`() {
    for seed in 1...5 {
      let (first, second) = (SimulationRun(seed: UInt64(seed)).run(), SimulationRun(seed: UInt64(seed)).run())
      #expect(first.traceHash == second.traceHash)
    }
  }
}
