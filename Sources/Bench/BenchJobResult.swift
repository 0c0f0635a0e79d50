import Reactor

/// What one job did, after it finished.
public struct BenchJobResult: Sendable {
  public struct StatusCount: Sendable, Equatable {
    public var status: BlockStatus
    public var count: UInt64
  }

  public struct Verification: Sendable {
    /// Blocks read back after the run: every block that was written and whose last write did not fail.
    public var blockCount: UInt64
    /// Reads that were checked while the run went on.
    public var checkedInRunCount: UInt64
    /// Blocks whose last write failed, so that nobody knows what they hold.
    public var uncertainBlockCount: UInt64
    public var errorCount: UInt64
    /// The first ones, at most `BenchJob.maximumKeptMismatches`.
    public var mismatches: [VerifyMismatch]
  }

  public var meter: BenchMeter
  /// From the start to the last completion of the measured run.
  public var runtimeNanoseconds: UInt64
  /// Statuses that occurred, in the order of `BlockStatus`.
  public var errors: [StatusCount]
  public var firstError: BenchError?
  /// The job gave up at the plan's `maximumErrorCount`.
  public var gaveUp: Bool
  public var verification: Verification?
  public var pauses = BenchPauses()
}

/// The times without a connection that a job lived through.
public struct BenchPauses: Sendable, Equatable {
  public var count = 0
  /// From the first request that was lost to the first that was answered again.
  public var longestNanoseconds: UInt64 = 0

  mutating func add(_ nanoseconds: UInt64) {
    count += 1
    longestNanoseconds = max(longestNanoseconds, nanoseconds)
  }
}
