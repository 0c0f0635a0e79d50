import Pool

/// A scrub: how far it is, and what it found; for people.
public struct Scrub: Equatable, Sendable {
  public enum State: Equatable, Sendable {
    case running
    case done
    case stopped
    case failed(reason: String)
  }

  public internal(set) var state = State.running
  /// Whose bytes are right where no majority says it, by an operator's choice.
  public let trusted: Identifier?
  public internal(set) var bytesToDo: UInt64 = 0
  public internal(set) var bytesDone: UInt64 = 0
  /// Blocks of 4096 bytes that were not the same on all members, or could not be read on one of them, twice.
  public internal(set) var differingBlocks: UInt64 = 0
  /// Those of them that are the same on all members now.
  public internal(set) var repairedBlocks: UInt64 = 0
  /// Where the rest begins, in bytes: nobody can tell which copy is right. At most `maximumFindings`.
  public internal(set) var unresolved: [UInt64] = []
  /// On the reactor's clock.
  public let beganNanoseconds: UInt64
  public internal(set) var endedNanoseconds: UInt64?

  public static let maximumFindings = 256

  public var unresolvedBlocks: UInt64 { differingBlocks - repairedBlocks }

  init(trusted: Identifier?, beganNanoseconds: UInt64) {
    self.trusted = trusted
    self.beganNanoseconds = beganNanoseconds
  }
}

/// Which copy of a block is right (R20).
enum ScrubVerdict: Equatable {
  /// The members of `mask` differ from those of `sources`, which are right.
  case repair(mask: UInt8, sources: UInt8)
  case unresolved

  /// Of the checksums of one block by member, nil where it could not be read; nil if all are the same. Who cannot be read is repaired
  /// from the others if they agree; else more than half of all decide, else `trusted`.
  static func of(_ checksums: [(index: Int, sum: UInt32?)], trusted: Int?) -> ScrubVerdict? {
    let all = checksums.reduce(UInt8(0)) { $0 | Nexus.bit($1.index) }
    var best: UInt8 = 0
    for (_, sum) in checksums {
      guard let sum else { continue }
      let same = checksums.reduce(UInt8(0)) { $1.sum == sum ? $0 | Nexus.bit($1.index) : $0 }
      if same.nonzeroBitCount > best.nonzeroBitCount { best = same }
    }
    if best == all { return nil }
    let readable = checksums.reduce(UInt8(0)) { $1.sum == nil ? $0 : $0 | Nexus.bit($1.index) }
    if best != 0, best == readable || best.nonzeroBitCount * 2 > all.nonzeroBitCount { return .repair(mask: all & ~best, sources: best) }
    if let trusted, readable & Nexus.bit(trusted) != 0 {
      let sum = checksums.first { $0.index == trusted }?.sum
      let same = checksums.reduce(UInt8(0)) { $1.sum == sum ? $0 | Nexus.bit($1.index) : $0 }
      return .repair(mask: all & ~same, sources: same)
    }
    return .unresolved
  }
}
