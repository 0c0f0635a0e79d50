import Testing

@testable import Reactor

@Suite struct ReactorSpinTests {
  /// Busy in its first poll, for longer than a spin; then without work.
  private final class Worker: EventHandler {
    let workNanoseconds: UInt64
    var polls = 0
    var isAsleep = false

    init(workNanoseconds: UInt64) { self.workNanoseconds = workNanoseconds }

    override func poll() -> Bool {
      polls += 1
      if polls > 1 { return false }
      let end = Clock.monotonicNanoseconds() + workNanoseconds
      while Clock.monotonicNanoseconds() < end {}
      return true
    }

    override func prepareToSleep() { isAsleep = true }
  }

  @Test func `a pass longer than a spin is followed by a spin`() throws {
    let spin: UInt64 = 40_000_000
    let reactor = try Reactor(configuration: .init(arenaBytes: 2 << 20, spinNanoseconds: spin))
    let worker = Worker(workNanoseconds: spin + spin / 4)
    reactor.register(worker)
    try #require(reactor.makeHot(worker))
    let start = Clock.monotonicNanoseconds()
    #expect(reactor.run(until: { worker.isAsleep }, timeoutNanoseconds: 5_000_000_000))
    // One poll that worked, one that found nothing, and those of the spin.
    #expect(worker.polls > 2)
    #expect(Clock.monotonicNanoseconds() - start >= worker.workNanoseconds + spin)
  }

  @Test func `idle time counts from the first look that found nothing`() {
    var clock = SpinClock()
    #expect(clock.idleNanoseconds(1000) == 0)
    #expect(clock.idleNanoseconds(1700) == 700)
    clock.worked()
    #expect(clock.idleNanoseconds(5000) == 0)
    #expect(clock.idleNanoseconds(5010) == 10)
  }
}
