import Pool

/// How far a replica is on its way into the set, and how it ended; for people.
public struct Rebuild: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// What it missed is recorded (R6).
    case recorded
    /// No record is unbroken: everything allocated is compared (R6).
    case compared
    /// It is new: everything allocated is copied.
    case full
  }

  public enum State: Equatable, Sendable {
    case running
    case paused
    case done
    case failed(reason: String)
  }

  public let replica: Identifier
  public let kind: Kind
  /// Why the replica had been away.
  public let cause: String
  public internal(set) var state = State.running
  public internal(set) var bytesToDo: UInt64 = 0
  public internal(set) var bytesDone: UInt64 = 0
  /// Read or compared at the source.
  public internal(set) var bytesRead: UInt64 = 0
  /// Written to the replica.
  public internal(set) var bytesSent: UInt64 = 0
  /// On the reactor's clock.
  public let beganNanoseconds: UInt64
  public internal(set) var endedNanoseconds: UInt64?

  /// Bytes of the volume per second since it began, up to `now`.
  public func bytesPerSecond(now: UInt64) -> UInt64 {
    let time = (endedNanoseconds ?? now) &- beganNanoseconds
    return time == 0 ? 0 : UInt64(Double(bytesDone) / (Double(time) / 1e9))
  }

  /// How long it goes on at that rate; nil while there is nothing to tell it from.
  public func secondsLeft(now: UInt64) -> UInt64? {
    let rate = bytesPerSecond(now: now)
    return rate == 0 ? nil : (bytesToDo - min(bytesToDo, bytesDone)) / rate
  }
}
