import Reactor

/// Why a plan cannot be carried out.
public struct BenchPlanError: Error, Equatable, Sendable {
  public var message: String
  /// What to change.
  public var hint: String
}

extension BenchPlan {
  /// Checks the plan against a target and divides the target among the jobs, in equal parts of whole blocks.
  public func regions(deviceSizeBytes: UInt64, deviceBlockBytes: UInt32) throws(BenchPlanError) -> [BenchRegion] {
    try check()
    if blockBytes % UInt64(deviceBlockBytes) != 0 {
      throw BenchPlanError(
        message: "--bs is \(blockBytes) bytes, but the target takes multiples of \(deviceBlockBytes)",
        hint: "Use --bs \(max(4096, deviceBlockBytes)).")
    }
    let size = sizeBytes ?? deviceSizeBytes
    if size > deviceSizeBytes {
      throw BenchPlanError(
        message: "--size is \(size) bytes, but the target has \(deviceSizeBytes)", hint: "Use a smaller --size, or leave it out.")
    }
    let blockCount = size / blockBytes / UInt64(jobCount)
    if blockCount == 0 {
      throw BenchPlanError(
        message: "\(size) bytes hold no block of \(blockBytes) bytes for each of \(jobCount) job(s)",
        hint: "Use a larger --size, a smaller --bs or fewer --jobs.")
    }
    if verify {
      if blockCount * UInt64(jobCount) > Self.maximumVerifiedBlockCount {
        throw BenchPlanError(
          message: "--verify keeps track of at most \(Self.maximumVerifiedBlockCount) blocks, but \(size) bytes have "
            + "\(blockCount * UInt64(jobCount)) of \(blockBytes) bytes",
          hint: "Use --size \(Self.maximumVerifiedBlockCount * blockBytes) or less, or a larger --bs.")
      }
      if blockCount < UInt64(depth) {
        throw BenchPlanError(
          message:
            "--verify never has two writes in flight to one block, so \(blockCount) block(s) per job cannot keep --iodepth \(depth) busy",
          hint: "Use a larger --size or a smaller --iodepth.")
      }
    }
    return (0..<UInt64(jobCount)).map { BenchRegion(offsetBytes: $0 * blockCount * blockBytes, blockCount: blockCount) }
  }

  /// Checks what can be said without a target: before one is opened, created or connected to.
  public func check() throws(BenchPlanError) {
    if blockBytes == 0 || blockBytes % 512 != 0 {
      throw BenchPlanError(message: "--bs is \(blockBytes) bytes, but every target takes multiples of 512", hint: "Use --bs 4096.")
    }
    if blockBytes > BlockDevice.maximumTransferBytes {
      throw BenchPlanError(
        message: "--bs is \(blockBytes) bytes, but one request moves at most \(BlockDevice.maximumTransferBytes)",
        hint: "Use --bs 1m or less, and a larger --iodepth for more bandwidth.")
    }
    if depth < 1 || depth > Self.maximumDepth {
      throw BenchPlanError(
        message: "--iodepth is \(depth), but must be from 1 to \(Self.maximumDepth)", hint: "Use more --jobs for more requests in flight.")
    }
    if jobCount < 1 || jobCount > Self.maximumJobCount {
      throw BenchPlanError(
        message: "--jobs is \(jobCount), but must be from 1 to \(Self.maximumJobCount)", hint: "One job per processor core is enough.")
    }
    if readPercent < 0 || readPercent > 100 {
      throw BenchPlanError(message: "--rwmix is \(readPercent), but must be from 0 to 100", hint: "--rwmix 70 reads 70 % of the time.")
    }
    if runtimeNanoseconds == nil && !stopsAfterOnePass {
      throw BenchPlanError(message: "nothing would end the run", hint: "Use --runtime or --size.")
    }
    if runtimeNanoseconds == 0 {
      throw BenchPlanError(message: "--runtime is 0", hint: "Use --runtime 10s.")
    }
    if let sizeBytes, sizeBytes / blockBytes < UInt64(jobCount) {
      throw BenchPlanError(
        message: "\(sizeBytes) bytes hold no block of \(blockBytes) bytes for each of \(jobCount) job(s)",
        hint: "Use a larger --size, a smaller --bs or fewer --jobs.")
    }
    if verify && !pattern.writes {
      throw BenchPlanError(
        message: "--verify proves what was written, but --rw \(pattern.rawValue) writes nothing",
        hint: "Use --rw write, randwrite or randrw.")
    }
  }
}
