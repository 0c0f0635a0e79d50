import Metrics
import Reactor

/// What happened since the last sample, in all jobs together.
public struct BenchSample: Sendable, Equatable {
  public var intervalNanoseconds: UInt64 = 0
  public var readCount: UInt64 = 0
  public var writeCount: UInt64 = 0
  public var readBytes: UInt64 = 0
  public var writeBytes: UInt64 = 0
  /// The mean over reads and writes; 0 if there were none.
  public var meanLatencyNanoseconds: UInt64 = 0
  /// Since the beginning.
  public var errorCount: UInt64 = 0
  public var verifyErrorCount: UInt64 = 0
  public var blocksReadBack: UInt64 = 0
  public var blocksToReadBack: UInt64 = 0
  /// The phase of the job that is least far.
  public var phase = BenchPhase.idle

  /// Requests that ended since the last sample, in any way and phase.
  public var endedCount: UInt64 = 0

  public var operationsPerSecond: Double { perSecond(readCount + writeCount) }
  public var bytesPerSecond: Double { perSecond(readBytes + writeBytes) }

  private func perSecond(_ amount: UInt64) -> Double {
    intervalNanoseconds == 0 ? 0 : Double(amount) * 1e9 / Double(intervalNanoseconds)
  }
}

/// Turns the meters of running jobs into rates. May live on another thread than the jobs.
public struct BenchSampler: Sendable {
  private let meters: [BenchMeter]
  private let blockBytes: UInt64
  private var previousNanoseconds: UInt64
  private var previousReadCount: UInt64 = 0
  private var previousWriteCount: UInt64 = 0
  private var previousLatencySum: UInt64 = 0
  private var previousEndedCount: UInt64 = 0

  public init(_ meters: [BenchMeter], blockBytes: UInt64, nowNanoseconds: UInt64 = Clock.monotonicNanoseconds()) {
    self.meters = meters
    self.blockBytes = blockBytes
    previousNanoseconds = nowNanoseconds
  }

  public mutating func sample(nowNanoseconds: UInt64 = Clock.monotonicNanoseconds()) -> BenchSample {
    var readCount: UInt64 = 0
    var writeCount: UInt64 = 0
    var latencySum: UInt64 = 0
    var endedCount: UInt64 = 0
    var sample = BenchSample()
    sample.phase = .finished
    for meter in meters {
      readCount &+= meter.reads.count
      writeCount &+= meter.writes.count
      endedCount &+= meter.reads.count &+ meter.writes.count &+ meter.flushes.count &+ meter.errors.value &+ meter.blocksReadBack.value
      latencySum &+= meter.reads.sumNanoseconds &+ meter.writes.sumNanoseconds
      sample.errorCount += meter.errors.value
      sample.verifyErrorCount += meter.verifyErrors.value
      sample.blocksReadBack += meter.blocksReadBack.value
      sample.blocksToReadBack += UInt64(max(0, meter.blocksToReadBack.value))
      sample.phase = min(sample.phase, meter.phase)
    }
    sample.intervalNanoseconds = nowNanoseconds &- previousNanoseconds
    sample.readCount = readCount &- previousReadCount
    sample.writeCount = writeCount &- previousWriteCount
    sample.readBytes = sample.readCount &* blockBytes
    sample.writeBytes = sample.writeCount &* blockBytes
    let count = sample.readCount &+ sample.writeCount
    sample.meanLatencyNanoseconds = count == 0 ? 0 : (latencySum &- previousLatencySum) / count
    sample.endedCount = endedCount &- previousEndedCount
    previousEndedCount = endedCount
    previousNanoseconds = nowNanoseconds
    previousReadCount = readCount
    previousWriteCount = writeCount
    previousLatencySum = latencySum
    return sample
  }
}
