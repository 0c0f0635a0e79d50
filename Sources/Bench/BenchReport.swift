import Metrics
import Reactor

/// The figures of a finished benchmark, all jobs together.
public struct BenchReport: Sendable {
  /// Requests of one kind.
  public struct Direction: Sendable {
    public var latencies: LatencyHistogram
    /// Successful requests per second of the longest job's time.
    public var operationsPerSecond: Double
    public var bytesPerSecond: Double
    public var byteCount: UInt64
    public var operationCount: UInt64 { latencies.count }
  }

  public struct Verification: Sendable {
    public var blockCount: UInt64
    public var checkedInRunCount: UInt64
    public var uncertainBlockCount: UInt64
    public var errorCount: UInt64
    public var mismatches: [VerifyMismatch]
  }

  public let target: String
  public let plan: BenchPlan
  public let reads: Direction
  public let writes: Direction
  public let flushes: Direction
  /// Of the job that took longest.
  public let runtimeNanoseconds: UInt64
  public let errors: [BenchJobResult.StatusCount]
  public let errorCount: UInt64
  /// The earliest of the jobs' first errors.
  public let firstError: BenchError?
  public let gaveUp: Bool
  public let busyRetryCount: UInt64
  /// Of the job that had most of them, and the longest of any.
  public let pauses: BenchPauses
  public let verification: Verification?
  /// Processor time of this process during the run, if it was measured.
  public let processorTime: ProcessorTime?

  public init(target: String, plan: BenchPlan, results: [BenchJobResult], processorTime: ProcessorTime? = nil) {
    precondition(!results.isEmpty)
    self.target = target
    self.plan = plan
    self.processorTime = processorTime
    let runtime = results.map(\.runtimeNanoseconds).max() ?? 0
    runtimeNanoseconds = runtime
    let merged = { (histogram: (BenchMeter) -> LatencyHistogram, blockBytes: UInt64) in
      let latencies = LatencyHistogram()
      for result in results { latencies.merge(histogram(result.meter)) }
      let perSecond = runtime == 0 ? 0 : Double(latencies.count) * 1e9 / Double(runtime)
      return Direction(
        latencies: latencies, operationsPerSecond: perSecond, bytesPerSecond: perSecond * Double(blockBytes),
        byteCount: latencies.count * blockBytes)
    }
    reads = merged({ $0.reads }, plan.blockBytes)
    writes = merged({ $0.writes }, plan.blockBytes)
    flushes = merged({ $0.flushes }, 0)
    var counts: [BenchJobResult.StatusCount] = []
    for rawValue in UInt8(0)..<16 {
      guard let status = BlockStatus(rawValue: rawValue) else { continue }
      let count = results.flatMap(\.errors).filter { $0.status == status }.reduce(UInt64(0)) { $0 + $1.count }
      if count > 0 { counts.append(.init(status: status, count: count)) }
    }
    errors = counts
    errorCount = counts.reduce(0) { $0 + $1.count }
    firstError = results.compactMap(\.firstError).min { $0.afterNanoseconds < $1.afterNanoseconds }
    gaveUp = results.contains { $0.gaveUp }
    busyRetryCount = results.reduce(0) { $0 + $1.meter.busyRetries.value }
    pauses = BenchPauses(
      count: results.map(\.pauses.count).max() ?? 0, longestNanoseconds: results.map(\.pauses.longestNanoseconds).max() ?? 0)
    let parts = results.compactMap(\.verification)
    if parts.isEmpty {
      verification = nil
    } else {
      verification = Verification(
        blockCount: parts.reduce(0) { $0 + $1.blockCount }, checkedInRunCount: parts.reduce(0) { $0 + $1.checkedInRunCount },
        uncertainBlockCount: parts.reduce(0) { $0 + $1.uncertainBlockCount }, errorCount: parts.reduce(0) { $0 + $1.errorCount },
        mismatches: Array(parts.flatMap(\.mismatches).prefix(BenchJob.maximumKeptMismatches)))
    }
  }

  /// No request failed, no block was wrong, and nothing was given up.
  public var isClean: Bool { errorCount == 0 && (verification?.errorCount ?? 0) == 0 && !gaveUp }
}

extension BlockStatus {
  /// What went wrong, for people.
  public var sentence: String {
    switch self {
    case .success: "success"
    case .outOfRange: "the range is not inside the target"
    case .readFault: "the target reported a read error"
    case .writeFault: "the target reported a write error"
    case .capacityExceeded: "the target has no space left"
    case .connectionLost: "the connection was lost, and nobody knows whether the request was carried out"
    case .aborted: "the request was given up before it was carried out"
    case .inaccessible: "the path cannot serve now"
    case .unsupported: "the target does not support the operation"
    case .busy: "the target stayed busy"
    case .refused: "the target refused: wrong host, wrong generation, or read-only"
    }
  }
}
