/// When a node that ended is started again: soon, later each time, and soon again once it has run for a while.
struct RestartPolicy: Equatable, Sendable {
  static let firstDelayNanoseconds: UInt64 = 100_000_000
  static let maximumDelayNanoseconds: UInt64 = 5_000_000_000
  /// A node that has run so long is in good health: its end was something new.
  static let healthyNanoseconds: UInt64 = 10_000_000_000

  /// Ends in a row after a short run.
  private(set) var failureCount = 0

  /// Notes that the node ended after such a time, and returns how long to wait before the next start.
  mutating func delay(afterRunOf nanoseconds: UInt64) -> UInt64 {
    if nanoseconds >= Self.healthyNanoseconds { failureCount = 0 }
    failureCount += 1
    return min(Self.firstDelayNanoseconds << UInt64(min(failureCount - 1, 20)), Self.maximumDelayNanoseconds)
  }
}
