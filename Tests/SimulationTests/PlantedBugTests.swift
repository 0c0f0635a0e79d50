import Testing

@testable import Simulation

/// The checks find what they are for: each error, planted into the nexus or the gates, is caught by some of the first seeds.
@Suite struct PlantedBugTests {
  @Test(arguments: PlantedBug.allCases) func `is caught`(bug: PlantedBug) {
    for seed in 1...600 {
      guard SimulationRun(seed: UInt64(seed), bug: bug).run().failure != nil else { continue }
      let honest = SimulationRun(seed: UInt64(seed)).run().failure
      #expect(honest == nil, "seed \(seed) fails without the error, too")
      return
    }
    Issue.record("600 seeds did not find it")
  }
}
