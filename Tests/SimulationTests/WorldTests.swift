import Testing

@testable import Simulation

/// The world itself, around a server that can do next to nothing.
@Suite struct WorldTests {
  private func run(seed: UInt64) -> SimulationOutcome {
    SimulationRun(
      seed: seed,
      plan: {
        $0.cluster = Cluster.Options(replicaCount: 1, minInSync: 1)
        // There is nobody to mend it from, and nothing that could.
        $0.troubles.removeAll { $0 == .rot || $0 == .scrub }
      },
      makeServer: { process, configuration, _ in PassingServer(process: process, configuration: configuration) }
    ).run()
  }

  @Test func `one replica behind its gate keeps what it was given`() {
    var succeeded = 0
    for seed in 1...40 {
      let outcome = run(seed: UInt64(seed))
      if let failure = outcome.failure { Issue.record("seed \(seed): \(failure)") }
      succeeded += outcome.succeededCommands
    }
    #expect(succeeded > 4000)
  }

  @Test func `the same seed gives the same run`() {
    for seed in 1...10 {
      let (first, second) = (run(seed: UInt64(seed)), run(seed: UInt64(seed)))
      #expect(first.traceHash == second.traceHash)
      #expect(first.eventCount == second.eventCount)
    }
    #expect(run(seed: 1).traceHash != run(seed: 2).traceHash)
  }
}
