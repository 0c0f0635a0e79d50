import Metrics
import Synchronization

/// Where a job is.
public enum BenchPhase: UInt8, Sendable, Comparable {
  case idle
  /// Requests are submitted and measured.
  case running
  /// No new ones; waiting for those in flight.
  case draining
  /// The final flush.
  case flushing
  /// Every written block is read back.
  case verifying
  case finished

  public static func < (left: BenchPhase, right: BenchPhase) -> Bool { left.rawValue < right.rawValue }
}

/// The figures of one job. The job's thread writes them, any thread may read them while it does.
public final class BenchMeter: Sendable {
  /// Successful requests of the measured run only; reading back is not in them.
  public let reads = LatencyHistogram()
  public let writes = LatencyHistogram()
  public let flushes = LatencyHistogram()
  /// Requests that ended with an error, in any phase.
  public let errors = Counter()
  /// Requests that the device could not take and that were submitted again.
  public let busyRetries = Counter()
  /// Blocks checked while the run went on.
  public let blocksCheckedInRun = Counter()
  /// Blocks checked after the run, and how many there are to check.
  public let blocksReadBack = Counter()
  public let blocksToReadBack = Gauge()
  public let verifyErrors = Counter()
  private let phaseCell = Atomic<UInt8>(0)

  public init() {}

  public var phase: BenchPhase { BenchPhase(rawValue: phaseCell.load(ordering: .acquiring)) ?? .idle }

  func enter(_ phase: BenchPhase) { phaseCell.store(phase.rawValue, ordering: .releasing) }
}
