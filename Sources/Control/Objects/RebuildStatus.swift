import Foundation

/// A replica's way back into the in-sync set, or its first way into it, as its nexus tells it: under way, or over.
public struct RebuildStatus: Codable, Equatable, Sendable {
  public enum Kind: String, Codable, Sendable {
    /// Only what was recorded as missed (R6).
    case recorded
    /// Everything allocated is compared, and copied where it differs.
    case compared
    /// The replica is new: everything allocated is copied.
    case full
  }

  public enum State: String, Codable, Sendable {
    case running, paused, done, failed
  }

  public var replica: ReplicaID
  public var node: String
  public var kind: Kind
  public var state: State
  /// Why the replica had been away.
  public var cause: String
  /// Why it ended before its end.
  public var failure: String?
  public var bytesToDo: UInt64
  public var bytesDone: UInt64
  /// Read or compared at the source.
  public var bytesRead: UInt64
  /// Written to the replica.
  public var bytesSent: UInt64
  /// Of the volume, since it began.
  public var bytesPerSecond: UInt64
  public var startedAt: Date
  public var endedAt: Date?

  public init(
    replica: ReplicaID, node: String, kind: Kind, state: State, cause: String, failure: String? = nil, bytesToDo: UInt64, bytesDone: UInt64,
    bytesRead: UInt64, bytesSent: UInt64, bytesPerSecond: UInt64, startedAt: Date, endedAt: Date? = nil
  ) {
    self.replica = replica
    self.node = node
    self.kind = kind
    self.state = state
    self.cause = cause
    self.failure = failure
    self.bytesToDo = bytesToDo
    self.bytesDone = bytesDone
    self.bytesRead = bytesRead
    self.bytesSent = bytesSent
    self.bytesPerSecond = bytesPerSecond
    self.startedAt = Self.wholeSeconds(startedAt)
    self.endedAt = endedAt.map(Self.wholeSeconds)
  }

  /// As it is written down.
  private static func wholeSeconds(_ date: Date) -> Date { Date(timeIntervalSince1970: date.timeIntervalSince1970.rounded(.down)) }

  public var isOver: Bool { state == .done || state == .failed }

  /// 0 to 1. What is not known yet counts as nothing done.
  public var fraction: Double {
    if state == .done { return 1 }
    return bytesToDo == 0 ? 0 : min(1, Double(bytesDone) / Double(bytesToDo))
  }

  /// How long it goes on at its rate so far; nil while there is nothing to tell it from.
  public var secondsLeft: UInt64? {
    if state != .running || bytesPerSecond == 0 { return nil }
    return (bytesToDo - min(bytesToDo, bytesDone)) / bytesPerSecond
  }
}
