import Reactor
import Testing

@testable import Bench

/// Verified runs against devices that keep their word, and against devices that lie.
@Suite struct VerifyTests {
  /// Every block written exactly once.
  private let once = BenchPlan(pattern: .write, depth: 4, stopsAfterOnePass: true, verify: true, seed: 99)
  /// Blocks written several times.
  private let often = BenchPlan(
    pattern: .randwrite, blockBytes: 1024, depth: 8, runtimeNanoseconds: anHourInNanoseconds, verify: true, seed: 99)

  private func verification(
    _ plan: BenchPlan, on device: MemoryDevice, drainAfter: Int = .max
  ) throws -> BenchJobResult.Verification {
    try #require(runOne(plan, on: device, drainAfter: drainAfter).verification)
  }

  @Test(arguments: [BenchPlan.Pattern.write, .randwrite, .randrw], [1, 8])
  func anHonestDeviceHasNoErrors(pattern: BenchPlan.Pattern, depth: Int) throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      let device = MemoryDevice(sizeBytes: 32 * 1024, seed: seed)
      let plan = BenchPlan(
        pattern: pattern, readPercent: 50, blockBytes: 1024, depth: depth, runtimeNanoseconds: anHourInNanoseconds, verify: true,
        seed: seed,
        flushAtEnd: true)
      let result = try runOne(plan, on: device, drainAfter: 600)
      let verification = try #require(result.verification)
      #expect(verification.errorCount == 0, "\(verification.mismatches)")
      #expect(verification.blockCount == 32)
      #expect(verification.uncertainBlockCount == 0)
      if pattern == .randrw { #expect(verification.checkedInRunCount > 0) }
      #expect(device.flushCount == 1)
    }
  }

  @Test func everyWrittenBlockIsReadBack() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    let verification = try verification(once, on: device)
    #expect(verification.blockCount == 64)
    #expect(verification.errorCount == 0)
    #expect(device.readCount == 64)
  }

  @Test func noTwoWritesAreInFlightToOneBlock() throws {
    let device = MemoryDevice(sizeBytes: 8 * 512)
    var plan = often
    plan.blockBytes = 512
    plan.depth = 8
    let payloads = Payloads(plan)
    let region = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: 512)[0]
    let job = unsafe BenchJob(plan: plan, number: 0, region: region, device: device, buffer: payloads.memory)
    job.start()
    for _ in 0..<500 {
      let offsets = device.queuedWriteOffsets
      #expect(Set(offsets).count == offsets.count)
      _ = device.deliverOne()
    }
    job.drain()
    while device.deliverOne() {}
    #expect(job.isFinished && job.result().verification?.errorCount == 0)
    withExtendedLifetime(payloads) {}
  }

  @Test func aLostFirstWriteIsFound() throws {
    let device = MemoryDevice(sizeBytes: 64 * 4096)
    device.lie = .loseWrite(10)
    let verification = try verification(once, on: device)
    #expect(verification.errorCount == 1)
    #expect(verification.mismatches.first?.finding == .foreign)
    #expect(verification.mismatches.first?.expectedVersion == 1)
  }

  @Test func aLostOverwriteIsFoundAsTheOlderVersion() throws {
    let device = MemoryDevice(sizeBytes: 8 * 512)
    // Eight blocks, one in flight, sequential: write number 8 + 3 is the second one of block 3.
    let plan = BenchPlan(pattern: .write, blockBytes: 512, depth: 1, runtimeNanoseconds: anHourInNanoseconds, verify: true)
    device.lie = .loseWrite(11)
    let payloads = Payloads(plan)
    let region = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: 512)[0]
    let job = unsafe BenchJob(plan: plan, number: 0, region: region, device: device, buffer: payloads.memory)
    job.start()
    for _ in 0..<15 { _ = device.deliverOne() }
    job.drain()
    while device.deliverOne() {}
    let verification = try #require(job.result().verification)
    #expect(verification.blockCount == 8)
    #expect(verification.errorCount == 1)
    #expect(verification.mismatches == [VerifyMismatch(offsetBytes: 3 * 512, expectedVersion: 2, finding: .otherVersion(1))])
    withExtendedLifetime(payloads) {}
  }

  @Test func aDeviceThatReturnsOldVersionsIsFound() throws {
    let device = MemoryDevice(sizeBytes: 32 * 1024)
    device.lie = .readOldVersions
    let verification = try verification(often, on: device, drainAfter: 600)
    #expect(verification.blockCount == 32)
    #expect(verification.errorCount == 32)
    #expect(verification.mismatches.count == BenchJob.maximumKeptMismatches)
    for mismatch in verification.mismatches {
      // Before its first write a block held nothing of ours.
      let expected: VerifyMismatch.Finding = mismatch.expectedVersion == 1 ? .foreign : .otherVersion(mismatch.expectedVersion - 1)
      #expect(mismatch.finding == expected)
    }
    #expect(verification.mismatches.contains { $0.expectedVersion > 1 })
  }

  @Test func oldVersionsAreFoundDuringTheRunToo() throws {
    let device = MemoryDevice(sizeBytes: 8 * 512)
    device.lie = .readOldVersions
    // One request in flight: no read overlaps a write, so every read of a block written twice is wrong.
    let plan = BenchPlan(
      pattern: .randrw, readPercent: 50, blockBytes: 512, depth: 1, runtimeNanoseconds: anHourInNanoseconds, verify: true,
      maximumErrorCount: .max)
    let result = try runOne(plan, on: device, drainAfter: 600)
    let verification = try #require(result.verification)
    #expect(verification.checkedInRunCount > 8)
    #expect(verification.errorCount >= verification.checkedInRunCount)
  }

  @Test(arguments: [0, 8, 20, 32, 39, 40, 511, 512, 1000, 4095])
  func aFlippedBitIsFoundWhereverItIs(byte: Int) throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    device.lie = .corruptWrite(5, byte: byte)
    let verification = try verification(once, on: device)
    #expect(verification.errorCount == 1)
    let mismatch = try #require(verification.mismatches.first)
    #expect(Int(mismatch.offsetBytes) % 4096 == byte / 512 * 512)
    if byte % 512 < 40 {
      #expect(mismatch.finding == .foreign)
    } else {
      #expect(mismatch.finding == .damaged(offsetBytes: mismatch.offsetBytes / 4096 * 4096 + UInt64(byte)))
    }
  }

  @Test func aTornWriteIsFound() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    device.lie = .tearWrite(5)
    let mismatch = try #require(verification(once, on: device).mismatches.first)
    #expect(mismatch.offsetBytes % 4096 == 2048)
  }

  @Test func swappedBlocksAreFound() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    device.lie = .swapReads(4096, 12288)
    let verification = try verification(once, on: device)
    #expect(
      verification.mismatches.sorted { $0.offsetBytes < $1.offsetBytes } == [
        VerifyMismatch(offsetBytes: 4096, expectedVersion: 1, finding: .misplaced(fromOffsetBytes: 12288)),
        VerifyMismatch(offsetBytes: 12288, expectedVersion: 1, finding: .misplaced(fromOffsetBytes: 4096)),
      ])
  }

  @Test func aMisdirectedWriteIsFound() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    var plan = once
    plan.depth = 1
    // The last write lands on block 2: block 15 lacks it, and block 2 has what is not its own.
    device.lie = .misplaceWrite(15, toOffsetBytes: 2 * 4096)
    let verification = try verification(plan, on: device)
    #expect(
      verification.mismatches == [
        VerifyMismatch(offsetBytes: 2 * 4096, expectedVersion: 1, finding: .misplaced(fromOffsetBytes: 15 * 4096)),
        VerifyMismatch(offsetBytes: 15 * 4096, expectedVersion: 1, finding: .foreign),
      ])
  }

  @Test func aReadThatFillsNothingIsFound() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    device.lie = .readNothing
    var plan = once
    plan.depth = 16
    // Every payload still holds the data just written there, unless the job cleared it.
    let verification = try verification(plan, on: device)
    #expect(verification.errorCount == 16)
  }

  @Test func dataOfAnEarlierRunIsToldApart() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    #expect(try verification(once, on: device).errorCount == 0)
    var second = once
    second.seed = 100
    device.lie = .loseWrite(16 + 3)
    let verification = try verification(second, on: device)
    #expect(verification.errorCount == 1)
    #expect(verification.mismatches.first?.finding == .otherRun)
  }

  @Test func dataOfAnotherJobsPartIsFound() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    var plan = once
    plan.jobCount = 2
    device.lie = .swapReads(0, 8 * 4096)
    let results = try run(plan, on: device)
    #expect(results.map { $0.verification?.errorCount } == [1, 1])
  }

  @Test func anUnreadableBlockIsAVerifyErrorAndAnError() throws {
    let device = MemoryDevice(sizeBytes: 16 * 4096)
    device.statusOfRead = { $0 == 4 ? .readFault : .success }
    let result = try runOne(once, on: device)
    #expect(result.verification?.errorCount == 1)
    #expect(result.verification?.mismatches.first?.finding == .unreadable)
    #expect(result.verification?.blockCount == 16)
    #expect(result.errors == [.init(status: .readFault, count: 1)])
    // Reading back is not part of the measurement.
    #expect(result.meter.reads.count == 0)
  }

  @Test(arguments: [true, false])
  func afterAWriteOfUnknownFateTheBlockIsLeftAlone(takesEffect: Bool) throws {
    let device = MemoryDevice(sizeBytes: 16 * 512)
    device.failedWritesTakeEffect = takesEffect
    device.statusOfWrite = { $0 == 20 || $0 == 40 ? .connectionLost : .success }
    var plan = often
    plan.blockBytes = 512
    plan.pattern = .randrw
    let result = try runOne(plan, on: device, drainAfter: 600)
    let verification = try #require(result.verification)
    #expect(verification.uncertainBlockCount == 2)
    #expect(verification.errorCount == 0)
    #expect(result.errors == [.init(status: .connectionLost, count: 2)])
  }

  @Test func aWriteThatHadNoEffectLeavesTheOldVersionExpected() throws {
    for takesEffect in [false, true] {
      let device = MemoryDevice(sizeBytes: 4 * 512)
      device.failedWritesTakeEffect = takesEffect
      // Sequential, one in flight: the last write before the end is refused.
      device.statusOfWrite = { $0 == 7 ? .refused : .success }
      let plan = BenchPlan(pattern: .write, blockBytes: 512, depth: 1, runtimeNanoseconds: anHourInNanoseconds, verify: true)
      let payloads = Payloads(plan)
      let region = try plan.regions(deviceSizeBytes: device.sizeBytes, deviceBlockBytes: 512)[0]
      let job = unsafe BenchJob(plan: plan, number: 0, region: region, device: device, buffer: payloads.memory)
      job.start()
      for _ in 0..<7 { _ = device.deliverOne() }
      job.drain()
      while device.deliverOne() {}
      let verification = try #require(job.result().verification)
      #expect(verification.uncertainBlockCount == 0)
      // A device that refuses and writes nevertheless has lied.
      #expect(verification.errorCount == (takesEffect ? 1 : 0))
      withExtendedLifetime(payloads) {}
    }
  }

  @Test func whenNoBlockCanBeWrittenAnyMoreTheRunEnds() throws {
    let device = MemoryDevice(sizeBytes: 4 * 512)
    device.statusOfWrite = { _ in .writeFault }
    let plan = BenchPlan(pattern: .randwrite, blockBytes: 512, depth: 4, runtimeNanoseconds: anHourInNanoseconds, verify: true)
    let result = try runOne(plan, on: device)
    #expect(result.verification?.uncertainBlockCount == 4)
    #expect(result.verification?.blockCount == 0)
  }
}
