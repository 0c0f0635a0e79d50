import NVMe

/// What hosts asked of a subsystem, since it was made, and how long that took. Counted on the subsystem's reactor, read there, and copied out:
/// plain numbers in place, so that counting costs neither memory nor locks.
public struct Traffic: Sendable {
  /// Commands of one kind that succeeded.
  public struct Operation: Sendable {
    public internal(set) var commands: UInt64 = 0
    /// Of the namespace.
    public internal(set) var bytes: UInt64 = 0

    @inline(__always)
    mutating func count(_ byteCount: UInt64) {
      commands &+= 1
      bytes &+= byteCount
    }

    mutating func add(_ other: Operation) {
      commands &+= other.commands
      bytes &+= other.bytes
    }
  }

  public internal(set) var reads = Operation()
  public internal(set) var writes = Operation()
  public internal(set) var flushes = Operation()
  /// Write Zeroes, and Dataset Management with deallocation: their bytes are not counted.
  public internal(set) var trims = Operation()
  public internal(set) var readLatency = LatencyClasses()
  public internal(set) var writeLatency = LatencyClasses()
  /// Answered with an error.
  public internal(set) var failures: UInt64 = 0
  /// Told that another path must be taken (NVMe Base 2.0, status code type 3).
  public internal(set) var redirections: UInt64 = 0

  /// Whether anything was ever asked for.
  public var isEmpty: Bool {
    reads.commands | writes.commands | flushes.commands | trims.commands | failures | redirections == 0
  }

  /// Counts a command that succeeded, from when it was received.
  @inline(__always)
  mutating func count(opcode: UInt8, byteCount: UInt64, nanoseconds: UInt64) {
    switch opcode {
    case IOOpcode.read.rawValue:
      reads.count(byteCount)
      readLatency.record(nanoseconds)
    case IOOpcode.write.rawValue:
      writes.count(byteCount)
      writeLatency.record(nanoseconds)
    case IOOpcode.flush.rawValue: flushes.count(0)
    default: trims.count(0)
    }
  }

  @inline(__always)
  mutating func countRefusal(_ status: Status) {
    if status.isPathRelated { redirections &+= 1 } else { failures &+= 1 }
  }

  /// With what another subsystem counted.
  public func adding(_ other: Traffic) -> Traffic {
    var sum = self
    sum.add(other)
    return sum
  }

  /// Adds what another subsystem counted.
  mutating func add(_ other: Traffic) {
    reads.add(other.reads)
    writes.add(other.writes)
    flushes.add(other.flushes)
    trims.add(other.trims)
    readLatency.add(other.readLatency)
    writeLatency.add(other.writeLatency)
    failures &+= other.failures
    redirections &+= other.redirections
  }
}

/// Latencies in fixed classes, two for each power of two from 4 µs to 17 s; what is quicker or slower has a class of its own. 384 bytes in place.
public struct LatencyClasses: Sendable {
  static let firstExponent = 12
  static let endExponent = 34
  public static let count = 2 + (endExponent - firstExponent) * 2

  private var counts = InlineArray<46, UInt64>(repeating: 0)
  public private(set) var sumNanoseconds: UInt64 = 0

  @inline(__always)
  mutating func record(_ nanoseconds: UInt64) {
    counts[Self.position(of: nanoseconds)] &+= 1
    sumNanoseconds &+= nanoseconds
  }

  mutating func add(_ other: LatencyClasses) {
    for position in 0..<Self.count { counts[position] &+= other.counts[position] }
    sumNanoseconds &+= other.sumNanoseconds
  }

  /// How many fell into a class.
  public subscript(position: Int) -> UInt64 { counts[position] }

  @inline(__always)
  static func position(of nanoseconds: UInt64) -> Int {
    let exponent = 63 - (nanoseconds | 1).leadingZeroBitCount
    if exponent < firstExponent { return 0 }
    if exponent >= endExponent { return count - 1 }
    return 1 + (exponent - firstExponent) * 2 + Int(truncatingIfNeeded: nanoseconds >> UInt64(exponent - 1) & 1)
  }

  /// The first value above a class; nil for the last, which has no end.
  public static func end(of position: Int) -> UInt64? {
    precondition(position >= 0 && position < count)
    if position == count - 1 { return nil }
    let power = UInt64(1) << UInt64(firstExponent + position / 2)
    return position % 2 == 0 ? power : power + power / 2
  }
}

/// What a target tells of one of its subsystems.
public struct SubsystemFigures: Sendable {
  public let name: QualifiedName
  /// Its hosts are nexuses.
  public let usesReplicaArena: Bool
  public let connections: Int
  /// Whether this path serves now.
  public let isOptimized: Bool
  public let traffic: Traffic
}

/// What a target tells of itself.
public struct TargetFigures: Sendable {
  public internal(set) var subsystems: [SubsystemFigures] = []
  /// Of subsystems that are gone.
  public internal(set) var pastHostTraffic = Traffic()
  public internal(set) var pastReplicaTraffic = Traffic()
}
