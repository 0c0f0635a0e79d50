import Reactor

/// One of a job's requests, from submission to completion.
struct BenchSlot {
  enum State: UInt8 {
    case free
    case inFlight
    /// The device was busy, or its connection lost; to be submitted again.
    case deferred
  }

  var state = State.free
  var operation = BlockOperation.read
  /// For a read: whether the data can be judged.
  var isChecked = false
  /// Its connection was lost once: what happens later does not say that nothing happened then.
  var wasLost = false
  /// Within the job's region.
  var block: UInt64 = 0
  /// For a write in a verified run: its version. For a checked read: the version complete at submission.
  var version: UInt32 = 0
  var startNanoseconds: UInt64 = 0
}

/// The first request of a job that failed.
public struct BenchError: Sendable, Equatable {
  public var operation: BlockOperation
  public var offsetBytes: UInt64
  public var byteCount: UInt64
  public var status: BlockStatus
  /// Since the start of the job.
  public var afterNanoseconds: UInt64
}
