import Reactor
import Testing

@testable import Bench

@Suite struct BenchDriverTests {
  /// Runs a plan on a reactor of this thread; `prepare` may change the device and the driver before the start.
  private func results(
    _ plan: BenchPlan, sizeBytes: UInt64, _ prepare: (MemoryDevice, BenchDriver, Reactor) -> Void = { _, _, _ in }
  ) throws -> [BenchJobResult] {
    let reactor = try Reactor(configuration: .init(arenaBytes: 1 << 20))
    let device = MemoryDevice(sizeBytes: sizeBytes)
    device.reactor = reactor
    reactor.register(device)
    let regions = try plan.regions(deviceSizeBytes: sizeBytes, deviceBlockBytes: device.blockSizeBytes)
    let payloads = regions.map { _ in Payloads(plan) }
    let jobs = regions.indices.map { number in
      unsafe BenchJob(plan: plan, number: number, region: regions[number], device: device, buffer: payloads[number].memory)
    }
    var results: [BenchJobResult] = []
    var calls = 0
    let driver = BenchDriver(reactor: reactor, jobs: jobs) {
      results = $0
      calls += 1
    }
    prepare(device, driver, reactor)
    driver.start()
    #expect(reactor.run(until: { driver.isFinished }, timeoutNanoseconds: 60_000_000_000))
    #expect(calls == 1)
    reactor.unregister(device)
    withExtendedLifetime(payloads) {}
    return results
  }

  @Test func aVerifiedRunOfTwoJobsOnAReactor() throws {
    let plan = BenchPlan(
      pattern: .randrw, readPercent: 30, depth: 4, jobCount: 2, runtimeNanoseconds: 30_000_000, verify: true, flushAtEnd: true)
    let results = try results(plan, sizeBytes: 64 * 4096)
    #expect(results.count == 2)
    for result in results {
      let verification = try #require(result.verification)
      #expect(verification.blockCount > 0 && verification.errorCount == 0)
      #expect(result.runtimeNanoseconds >= 30_000_000)
      #expect(result.errors.isEmpty)
    }
  }

  @Test func aBusyDeviceIsAskedAgainByTheTimer() throws {
    let plan = BenchPlan(pattern: .write, depth: 2, stopsAfterOnePass: true)
    let results = try results(plan, sizeBytes: 16 * 4096) { device, _, _ in
      // The first requests all come back, so that nothing is in flight and only the timer can go on.
      device.statusOfWrite = { $0 < 2 ? .busy : .success }
    }
    #expect(results.map(\.meter.writes.count) == [16])
    #expect(results.map(\.meter.busyRetries.value) == [2])
  }

  @Test func anEarlyEndFromAMessage() throws {
    let plan = BenchPlan(pattern: .randread, depth: 2, runtimeNanoseconds: anHourInNanoseconds)
    let results = try results(plan, sizeBytes: 16 * 4096) { _, driver, reactor in
      let bound = ReactorBound(driver)
      reactor.post { _ in bound.value.drain() }
    }
    #expect(results.count == 1)
  }
}
