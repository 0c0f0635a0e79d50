/// Spreads the bytes of rebuilds over time.
public struct RebuildThrottle: Equatable, Sendable {
  /// 0 for as fast as it goes.
  public var bytesPerSecond: UInt64
  private var freeNanoseconds: UInt64 = 0

  public init(bytesPerSecond: UInt64 = 0) { self.bytesPerSecond = bytesPerSecond }

  /// How many nanoseconds from `now` so many bytes may be copied; they are counted as copied.
  public mutating func delay(_ count: UInt64, now: UInt64) -> UInt64 {
    if bytesPerSecond == 0 { return 0 }
    let start = max(now, freeNanoseconds)
    freeNanoseconds = start + UInt64(Double(count) / Double(bytesPerSecond) * 1e9)
    return start - now
  }
}
