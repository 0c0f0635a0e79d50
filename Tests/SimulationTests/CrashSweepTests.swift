import Testing

@testable import Simulation

@Suite struct CrashSweepTests {
  /// `keelson-sim --sweep` looks at every event; here at some.
  @Test(arguments: [2, 3]) func `survives a crash anywhere, and another during recovery`(replicas: Int) {
    let outcome = CrashSweep(replicas: replicas, step: 9, secondStep: 80).run()
    #expect(outcome.lives > 100)
    for failure in outcome.failures { Issue.record("\(failure)") }
  }
}
