import Testing

@testable import Bench

@Suite struct BenchPlanTests {
  private func failure(_ plan: BenchPlan, sizeBytes: UInt64 = 1 << 20, blockBytes: UInt32 = 512) -> String? {
    do {
      _ = try plan.regions(deviceSizeBytes: sizeBytes, deviceBlockBytes: blockBytes)
      return nil
    } catch {
      #expect(!error.hint.isEmpty)
      return error.message
    }
  }

  private let good = BenchPlan(pattern: .randwrite, depth: 4, runtimeNanoseconds: 1_000_000_000)

  @Test func theTargetIsDividedIntoEqualParts() throws {
    var plan = good
    plan.jobCount = 3
    #expect(
      try plan.regions(deviceSizeBytes: 40960, deviceBlockBytes: 512) == [
        BenchRegion(offsetBytes: 0, blockCount: 3), BenchRegion(offsetBytes: 12288, blockCount: 3),
        BenchRegion(offsetBytes: 24576, blockCount: 3),
      ])
    plan.sizeBytes = 12288
    #expect(try plan.regions(deviceSizeBytes: 40960, deviceBlockBytes: 512).map(\.blockCount) == [1, 1, 1])
    #expect(plan.bufferBytesPerJob == 16384)
  }

  @Test func impossiblePlansAreExplained() {
    #expect(failure(good) == nil)
    var plan = good
    plan.blockBytes = 0
    #expect(failure(plan) == "--bs is 0 bytes, but every target takes multiples of 512")
    plan.blockBytes = 1024
    #expect(failure(plan) == nil)
    #expect(failure(plan, blockBytes: 4096) == "--bs is 1024 bytes, but the target takes multiples of 4096")
    plan.blockBytes = 2 << 20
    #expect(failure(plan) == "--bs is 2097152 bytes, but one request moves at most 1048576")
    plan = good
    plan.depth = 0
    #expect(failure(plan) == "--iodepth is 0, but must be from 1 to 1024")
    plan = good
    plan.jobCount = 65
    #expect(failure(plan) == "--jobs is 65, but must be from 1 to 64")
    plan = good
    plan.readPercent = 101
    #expect(failure(plan) == "--rwmix is 101, but must be from 0 to 100")
    plan = good
    plan.runtimeNanoseconds = nil
    #expect(failure(plan) == "nothing would end the run")
    plan.runtimeNanoseconds = 0
    #expect(failure(plan) == "--runtime is 0")
    plan = good
    plan.sizeBytes = 2 << 20
    #expect(failure(plan) == "--size is 2097152 bytes, but the target has 1048576")
    plan.sizeBytes = 4095
    #expect(failure(plan) == "4095 bytes hold no block of 4096 bytes for each of 1 job(s)")
  }

  @Test func verifiedPlansAreBounded() {
    var plan = good
    plan.verify = true
    #expect(failure(plan) == nil)
    plan.pattern = .randread
    #expect(failure(plan) == "--verify proves what was written, but --rw randread writes nothing")
    plan = good
    plan.verify = true
    #expect(failure(plan, sizeBytes: 4096 * ((1 << 26) + 1))?.hasPrefix("--verify keeps track of at most 67108864 blocks") == true)
    #expect(failure(plan, sizeBytes: 4096 * 3)?.hasPrefix("--verify never has two writes in flight to one block") == true)
  }
}
