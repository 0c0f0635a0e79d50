import Reactor
import Testing

@testable import Bench

@Suite struct BenchJobTests {
  @Test func onePassOfSequentialReadsTouchesEveryBlockOnceInOrder() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    let plan = BenchPlan(pattern: .read, depth: 4, stopsAfterOnePass: true)
    let result = try runOne(plan, on: device)
    #expect(device.offsetsInOrder == (0..<64).map { $0 * 4096 })
    #expect(device.largestQueue == 4)
    #expect(result.meter.reads.count == 64)
    #expect(result.meter.writes.count == 0)
    #expect(result.meter.reads.maximumNanoseconds >= result.meter.reads.minimumNanoseconds)
    #expect(result.runtimeNanoseconds > 0)
    #expect(result.errors.isEmpty && result.firstError == nil && result.verification == nil)
  }

  @Test func jobsKeepToTheirOwnParts() throws {
    let device = MemoryDevice(sizeBytes: 30 * 4096)
    let plan = BenchPlan(pattern: .write, depth: 2, jobCount: 3, stopsAfterOnePass: true)
    let results = try run(plan, on: device)
    #expect(results.map(\.meter.writes.count) == [10, 10, 10])
    #expect(device.offsetsInOrder.sorted() == (0..<30).map { $0 * 4096 })
  }

  @Test func aRunWithoutAnEndGoesOnPastTheLastBlock() throws {
    let device = MemoryDevice(sizeBytes: 8 * 512)
    let plan = BenchPlan(pattern: .read, blockBytes: 512, depth: 2, runtimeNanoseconds: anHourInNanoseconds)
    _ = try run(plan, on: device, drainAfter: 20)
    #expect(device.offsetsInOrder == (0..<21).map { $0 % 8 * 512 })
  }

  @Test func aTimedRunStopsAtItsTime() throws {
    let device = MemoryDevice(sizeBytes: 8 * 512)
    let plan = BenchPlan(pattern: .read, blockBytes: 512, depth: 2, runtimeNanoseconds: 20_000_000)
    let result = try runOne(plan, on: device)
    #expect(result.runtimeNanoseconds >= 20_000_000)
    #expect(device.offsetsInOrder == device.offsetsInOrder.indices.map { UInt64($0 % 8 * 512) })
    #expect(result.meter.reads.count == UInt64(device.offsetsInOrder.count))
  }

  @Test func randomReadsAreUniform() throws {
    let device = MemoryDevice(sizeBytes: 16 * 512)
    let plan = BenchPlan(pattern: .randread, blockBytes: 512, depth: 8, runtimeNanoseconds: anHourInNanoseconds)
    _ = try run(plan, on: device, drainAfter: 8000)
    let total = device.offsetsInOrder.count
    for block in 0..<16 as Range<UInt64> {
      let share = Double(device.offsetsInOrder.count { $0 == block * 512 }) / Double(total)
      #expect(abs(share - 1.0 / 16) < 0.03)
    }
  }

  @Test func theMixOfReadsAndWritesIsAsAsked() throws {
    let device = MemoryDevice(sizeBytes: 4000 * 512)
    let plan = BenchPlan(pattern: .randrw, readPercent: 70, blockBytes: 512, depth: 8, stopsAfterOnePass: true)
    let result = try runOne(plan, on: device)
    #expect(result.meter.reads.count + result.meter.writes.count == 4000)
    #expect(abs(Double(result.meter.reads.count) / 4000 - 0.7) < 0.04)
    for percent in [0, 100] {
      var extreme = plan
      extreme.readPercent = percent
      let result = try runOne(extreme, on: device)
      #expect(result.meter.reads.count == (percent == 100 ? 4000 : 0))
    }
  }

  @Test func theSameSeedGivesTheSameOffsets() throws {
    let plan = BenchPlan(pattern: .randwrite, depth: 1, stopsAfterOnePass: true, seed: 5)
    var other = plan
    other.seed = 6
    let devices = try [plan, plan, other].map { plan in
      let device = MemoryDevice(sizeBytes: 128 * 4096)
      _ = try run(plan, on: device)
      return device
    }
    #expect(devices[0].offsetsInOrder == devices[1].offsetsInOrder)
    #expect(devices[0].storage == devices[1].storage)
    #expect(devices[0].offsetsInOrder != devices[2].offsetsInOrder)
  }

  @Test func flushesAndForcedWrites() throws {
    let device = MemoryDevice(sizeBytes: 100 * 512)
    let plan = BenchPlan(
      pattern: .write, blockBytes: 512, depth: 4, stopsAfterOnePass: true, forceUnitAccess: true, flushEveryWrites: 10, flushAtEnd: true)
    let result = try runOne(plan, on: device)
    #expect(device.writeCount == 100)
    #expect(device.forcedWriteCount == 100)
    // After the hundredth write there is no next request that a flush would precede, but the final one.
    #expect(device.flushCount == 10)
    #expect(result.meter.flushes.count == 10)
  }

  @Test func errorsAreCountedByStatusWithTheFirstOnesDetails() throws {
    let device = MemoryDevice(sizeBytes: 100 * 512)
    device.statusOfRead = { $0 == 3 || $0 == 7 ? .readFault : $0 == 9 ? .connectionLost : .success }
    let plan = BenchPlan(pattern: .read, blockBytes: 512, depth: 1, stopsAfterOnePass: true)
    let result = try runOne(plan, on: device)
    #expect(result.errors == [.init(status: .readFault, count: 2), .init(status: .connectionLost, count: 1)])
    #expect(result.firstError?.offsetBytes == 3 * 512)
    #expect(result.firstError?.status == .readFault)
    #expect(result.firstError?.operation == .read)
    #expect(result.meter.reads.count == 97)
    #expect(!result.gaveUp)
  }

  @Test func aDeviceThatOnlyFailsIsGivenUp() throws {
    let device = MemoryDevice(sizeBytes: 100 * 512)
    device.statusOfWrite = { _ in .writeFault }
    let plan = BenchPlan(
      pattern: .randwrite, blockBytes: 512, depth: 4, runtimeNanoseconds: anHourInNanoseconds, flushAtEnd: true, maximumErrorCount: 50)
    let result = try runOne(plan, on: device)
    #expect(result.gaveUp)
    #expect((50..<54).contains(result.meter.errors.value))
    #expect(device.flushCount == 0)
  }

  @Test func whatABusyDeviceDoesNotTakeIsSubmittedAgain() throws {
    let device = MemoryDevice(sizeBytes: 64 * 512)
    device.statusOfWrite = { $0 % 3 == 0 ? .busy : .success }
    for verify in [false, true] {
      let plan = BenchPlan(pattern: .write, blockBytes: 512, depth: 4, stopsAfterOnePass: true, verify: verify)
      let result = try runOne(plan, on: device)
      #expect(result.meter.writes.count == 64)
      #expect(result.meter.busyRetries.value >= 31)
      #expect(result.errors.isEmpty)
      #expect((result.verification?.errorCount ?? 0) == 0)
    }
  }

  @Test func aBusyDeviceDoesNotPreventTheEnd() throws {
    let device = MemoryDevice(sizeBytes: 64 * 512)
    device.statusOfWrite = { _ in .busy }
    let plan = BenchPlan(pattern: .randwrite, blockBytes: 512, depth: 4, runtimeNanoseconds: 5_000_000, verify: true)
    let result = try runOne(plan, on: device, maximumSteps: 50_000_000)
    #expect(result.meter.writes.count == 0)
    #expect(result.verification?.blockCount == 0)
  }

  @Test func drainEndsARunEarly() throws {
    let device = MemoryDevice(sizeBytes: 64 * 512)
    let plan = BenchPlan(pattern: .randread, blockBytes: 512, depth: 4, runtimeNanoseconds: anHourInNanoseconds)
    let payloads = Payloads(plan)
    let region = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: 512)[0]
    let job = unsafe BenchJob(plan: plan, number: 0, region: region, device: device, buffer: payloads.memory)
    job.start()
    for _ in 0..<100 { _ = device.deliverOne() }
    #expect(job.inFlightCount == 4)
    job.drain()
    #expect(!job.isFinished)
    while device.deliverOne() {}
    #expect(job.isFinished)
    #expect(job.result().meter.reads.count == 104)
    withExtendedLifetime(payloads) {}
  }

  @Test func samplesGiveWhatHappenedSinceTheLastOne() throws {
    let device = MemoryDevice(sizeBytes: 64 * 512)
    let plan = BenchPlan(pattern: .randread, blockBytes: 512, depth: 4, stopsAfterOnePass: true)
    let payloads = Payloads(plan)
    let region = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: 512)[0]
    let job = unsafe BenchJob(plan: plan, number: 0, region: region, device: device, buffer: payloads.memory)
    job.start()
    for _ in 0..<10 { _ = device.deliverOne() }
    let first = job.sample()
    #expect(first.readCount == 10 && first.readBytes == 5120 && first.writeCount == 0)
    #expect(first.meanLatencyNanoseconds > 0 && first.operationsPerSecond > 0)
    #expect(first.phase == .running)
    #expect(job.sample().readCount == 0)
    while device.deliverOne() {}
    let last = job.sample()
    #expect(last.readCount == 54 && last.phase == .finished)
    withExtendedLifetime(payloads) {}
  }

  @Test func sampledRates() {
    let meter = BenchMeter()
    var sampler = BenchSampler([meter], blockBytes: 4096, nowNanoseconds: 1_000)
    for _ in 0..<50 { meter.reads.record(100) }
    for _ in 0..<50 { meter.writes.record(300) }
    let sample = sampler.sample(nowNanoseconds: 500_001_000)
    #expect(sample.operationsPerSecond == 200)
    #expect(sample.bytesPerSecond == 200 * 4096)
    #expect(sample.meanLatencyNanoseconds == 200)
  }

  private var patient: BenchPlan {
    BenchPlan(
      pattern: .write, depth: 4, runtimeNanoseconds: anHourInNanoseconds, stopsAfterOnePass: true, verify: true,
      reconnectNanoseconds: anHourInNanoseconds)
  }

  @Test(arguments: [false, true]) func `requests lost with the connection are sent again`(takeEffect: Bool) throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    device.failedWritesTakeEffect = takeEffect
    device.statusOfWrite = { (10..<30).contains($0) ? .connectionLost : (40..<45).contains($0) ? .inaccessible : .success }
    let result = try runOne(patient, on: device)
    #expect(result.errors.isEmpty && !result.gaveUp)
    #expect(result.pauses.count == 2 && result.pauses.longestNanoseconds > 0)
    #expect(result.meter.writes.count == 64)
    let verification = try #require(result.verification)
    #expect(verification.blockCount == 64 && verification.errorCount == 0 && verification.uncertainBlockCount == 0)
  }

  @Test func `without a connection one request asks for all`() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    device.statusOfWrite = { (10..<30).contains($0) ? .connectionLost : .success }
    var inFlight: [Int] = []
    let statusOfWrite = device.statusOfWrite
    device.statusOfWrite = { number in
      if (20..<30).contains(number) { inFlight.append(device.queuedCount) }
      return statusOfWrite(number)
    }
    _ = try runOne(patient, on: device)
    #expect(inFlight == Array(repeating: 0, count: 10))
  }

  @Test func `a connection that does not come back in time is an error`() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    device.statusOfWrite = { $0 >= 10 ? .connectionLost : .success }
    var plan = patient
    plan.reconnectNanoseconds = 1_000_000
    plan.maximumErrorCount = 8
    let result = try runOne(plan, on: device)
    // What is in flight when the job gives up counts too.
    #expect(result.gaveUp && result.errors.map(\.status) == [.connectionLost])
    #expect((8..<12).contains(result.errors[0].count))
    #expect(result.pauses.count == 0 && result.meter.writes.count == 10)
  }

  @Test func `a run cut short does not wait for the connection, nor vouch for what was lost`() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    device.statusOfWrite = { $0 >= 10 ? .connectionLost : .success }
    let result = try runOne(patient, on: device, drainAfter: 100)
    #expect(result.errors == [.init(status: .connectionLost, count: 4)])
    #expect(result.verification?.uncertainBlockCount == 4 && result.verification?.blockCount == 10)
  }
}
