import Glibc

/// CLOCK_MONOTONIC, in nanoseconds.
enum MonotonicClock {
  static func nanoseconds() -> UInt64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// The time `nanoseconds` from now; the end of time if that is further than 64 bits go.
  static func deadline(after nanoseconds: UInt64) -> UInt64 {
    let (sum, overflow) = Self.nanoseconds().addingReportingOverflow(nanoseconds)
    return overflow ? .max : sum
  }
}
