import Testing

@testable import Simulation

@Suite struct CrashSweepTests {
  /// `keelson-sim --sweep` looks at every event; here at some.
  @Test(arguments: CrashSweep.Schedule.allCases, [2, 3])
  func `survives a crash anywhere, and another during recovery`(schedule: CrashSweep.Schedule, replicas: Int) {
    let outcome = CrashSweep(schedule, replicas: replicas, step: schedule == .commands ? 9 : 23, secondStep: 100).run()
    #expect(outcome.lives > 30)
    for failure in outcome.failures { Issue.record("\(failure)") }
  }
}
