/// Notices that a host has gone: no command of it for longer than it promised (NVMe Base 2.0, 3.9).
///
/// Any command counts, as CTRATT.TBKAS says. Times are nanoseconds of one monotonic clock.
struct KeepAliveTimer {
  /// KAS: the timer's granularity in units of 100 ms.
  static let granularity: UInt16 = 10
  /// A discovery controller without a keep-alive time ends after this time without a command.
  static let discoveryIdleNanoseconds: UInt64 = 120_000_000_000

  /// KATO, rounded up to the granularity; 0 for none.
  private(set) var timeoutMilliseconds: UInt32
  /// After how long a silence the host is gone; nil for never.
  private(set) var limitNanoseconds: UInt64?
  private var lastCommand: UInt64
  private let idleLimit: UInt64?

  init(timeoutMilliseconds: UInt32, isDiscovery: Bool, now: UInt64) {
    idleLimit = isDiscovery ? Self.discoveryIdleNanoseconds : nil
    lastCommand = now
    self.timeoutMilliseconds = 0
    setTimeout(timeoutMilliseconds)
  }

  /// Sets KATO. The time runs from the last command.
  mutating func setTimeout(_ milliseconds: UInt32) {
    let unit = UInt64(Self.granularity) * 100
    let rounded = (UInt64(milliseconds) + unit - 1) / unit * unit
    timeoutMilliseconds = UInt32(min(rounded, UInt64(UInt32.max) / unit * unit))
    let timeout = UInt64(timeoutMilliseconds) * 1_000_000
    limitNanoseconds = timeout == 0 ? idleLimit : timeout + Self.margin(of: timeout)
  }

  /// A host sends its keep-alive within the time, but the network and we may be late: half the time more, 1 s to 5 s.
  private static func margin(of timeout: UInt64) -> UInt64 { min(max(timeout / 2, 1_000_000_000), 5_000_000_000) }

  /// To be called with every command, and every completion.
  @inline(__always)
  mutating func touch(_ now: UInt64) { lastCommand = now }

  func isExpired(_ now: UInt64) -> Bool {
    guard let limitNanoseconds, now > lastCommand else { return false }
    return now - lastCommand > limitNanoseconds
  }

  /// When the host will be gone if nothing comes; nil for never.
  var expiry: UInt64? { limitNanoseconds.map { lastCommand + $0 } }
}
