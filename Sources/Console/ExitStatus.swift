/// What the process tells its caller.
public enum ExitStatus: Int32, Sendable {
  case success = 0
  case failed = 1
  /// The command line was wrong; nothing was tried.
  case usage = 2
  case notFound = 3
  /// The time given to wait is over; the work may still complete.
  case timeout = 4
}
