import CLinux
import Glibc

/// Time as the data path sees it.
public enum Clock {
  /// Nanoseconds on CLOCK_MONOTONIC.
  @inline(__always)
  public static func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }

  /// Nanoseconds on CLOCK_BOOTTIME, which goes on in suspend.
  public static func bootNanoseconds() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
