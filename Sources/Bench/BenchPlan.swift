import Reactor

/// What a benchmark does: the same for all of its jobs.
public struct BenchPlan: Sendable, Equatable {
  public enum Pattern: String, Sendable, CaseIterable {
    case read
    case write
    case randread
    case randwrite
    case randrw

    public var isRandom: Bool { self != .read && self != .write }
    public var reads: Bool { self == .read || self == .randread || self == .randrw }
    public var writes: Bool { self == .write || self == .randwrite || self == .randrw }
  }

  public static let maximumDepth = 1024
  public static let maximumJobCount = 64
  /// `verify` keeps four bytes for each block: 256 MiB at most, in all jobs together.
  public static let maximumVerifiedBlockCount: UInt64 = 1 << 26

  public var pattern: Pattern
  /// For `randrw`: how many of 100 requests are reads.
  public var readPercent: Int
  public var blockBytes: UInt64
  /// Requests in flight per job.
  public var depth: Int
  public var jobCount: Int
  /// How long to go on; without it only `stopsAfterOnePass` ends the run.
  public var runtimeNanoseconds: UInt64?
  /// How much of the target is used, from its beginning; nil means all of it.
  public var sizeBytes: UInt64?
  /// Each job ends when it has moved as many bytes as its part of the target has.
  public var stopsAfterOnePass: Bool
  /// Write blocks that describe themselves, and prove that what is read back is what was written last.
  public var verify: Bool
  /// Decides offsets, directions and data. Data of another seed is told apart, so a verified run should have a fresh one.
  public var seed: UInt64
  /// Writes are durable before they complete.
  public var forceUnitAccess: Bool
  /// A flush after every so many writes of a job; 0 means none.
  public var flushEveryWrites: UInt32
  /// A flush after the last write, before anything is read back.
  public var flushAtEnd: Bool
  /// A job gives up at this many errors.
  public var maximumErrorCount: UInt64
  /// How long requests whose connection was lost are kept and sent again, as a host's block layer does; 0 makes each an error.
  public var reconnectNanoseconds: UInt64

  public init(
    pattern: Pattern = .randread, readPercent: Int = 70, blockBytes: UInt64 = 4096, depth: Int = 32, jobCount: Int = 1,
    runtimeNanoseconds: UInt64? = nil, sizeBytes: UInt64? = nil, stopsAfterOnePass: Bool = false, verify: Bool = false,
    seed: UInt64 = 1, forceUnitAccess: Bool = false, flushEveryWrites: UInt32 = 0, flushAtEnd: Bool = false,
    maximumErrorCount: UInt64 = 1000, reconnectNanoseconds: UInt64 = 0
  ) {
    self.pattern = pattern
    self.readPercent = readPercent
    self.blockBytes = blockBytes
    self.depth = depth
    self.jobCount = jobCount
    self.runtimeNanoseconds = runtimeNanoseconds
    self.sizeBytes = sizeBytes
    self.stopsAfterOnePass = stopsAfterOnePass
    self.verify = verify
    self.seed = seed
    self.forceUnitAccess = forceUnitAccess
    self.flushEveryWrites = flushEveryWrites
    self.flushAtEnd = flushAtEnd
    self.maximumErrorCount = maximumErrorCount
    self.reconnectNanoseconds = reconnectNanoseconds
  }

  /// The memory one job needs for its payloads, in bytes.
  public var bufferBytesPerJob: Int { depth * Int(blockBytes) }
}

/// The part of the target that belongs to one job alone.
public struct BenchRegion: Sendable, Equatable {
  public var offsetBytes: UInt64
  /// In blocks of the plan's `blockBytes`.
  public var blockCount: UInt64
}
