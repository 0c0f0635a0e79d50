import Foundation

/// A scrub of a volume: how far it is, and what it found.
public struct ScrubStatus: Codable, Equatable, Sendable {
  public enum State: String, Codable, Sendable {
    case running, done, stopped, failed
  }

  /// The request it came of.
  public var id: UUID
  public var state: State
  public var failure: String?
  public var bytesToDo: UInt64 = 0
  public var bytesDone: UInt64 = 0
  /// Blocks of 4096 bytes that were not the same on all replicas, or could not be read on one of them.
  public var differingBlocks: UInt64 = 0
  /// Those of them that are the same everywhere now.
  public var repairedBlocks: UInt64 = 0
  /// Where blocks begin of which nobody can tell which copy is right, in bytes; the first ones.
  public var unresolved: [UInt64] = []
  public var startedAt: Date
  public var endedAt: Date?

  public static let maximumFindings = 64

  public init(id: UUID, state: State, startedAt: Date) {
    self.id = id
    self.state = state
    self.startedAt = Date(timeIntervalSince1970: startedAt.timeIntervalSince1970.rounded(.down))
  }

  public var unresolvedBlocks: UInt64 { differingBlocks - min(differingBlocks, repairedBlocks) }
  public var isOver: Bool { state != .running }

  /// 0 to 1.
  public var fraction: Double {
    if state == .done { return 1 }
    return bytesToDo == 0 ? 0 : min(1, Double(bytesDone) / Double(bytesToDo))
  }
}
