import Testing

@testable import Control

@Suite struct RestartPolicyTests {
  @Test func `each end after a short run waits twice as long, up to a limit`() {
    var policy = RestartPolicy()
    let delays = (0..<9).map { _ in policy.delay(afterRunOf: 1_000_000) / 1_000_000 }
    #expect(delays == [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000])
    for _ in 0..<100 { _ = policy.delay(afterRunOf: 0) }
    #expect(policy.delay(afterRunOf: 0) == RestartPolicy.maximumDelayNanoseconds)
  }

  @Test func `a node that ran for a while starts again soon`() {
    var policy = RestartPolicy()
    for _ in 0..<5 { _ = policy.delay(afterRunOf: 0) }
    #expect(policy.failureCount == 5)
    #expect(policy.delay(afterRunOf: RestartPolicy.healthyNanoseconds) == RestartPolicy.firstDelayNanoseconds)
    #expect(policy.failureCount == 1)
  }
}
