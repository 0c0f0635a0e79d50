/// Time spans as people write them: `500ms`, `60s`, `2m`, `1h`; a bare number counts seconds.
public enum TimeSpan {
  public enum ParseError: Error, Equatable, Sendable {
    case notATimeSpan
    case tooLarge
  }

  /// Nanoseconds, at most `Int64.max` of them (292 years).
  public static func parse(_ text: String) throws(ParseError) -> UInt64 {
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    if digits.isEmpty { throw .notATimeSpan }
    let scale: UInt64
    switch text.dropFirst(digits.count) {
    case "ns": scale = 1
    case "us": scale = 1_000
    case "ms": scale = 1_000_000
    case "", "s": scale = 1_000_000_000
    case "m", "min": scale = 60_000_000_000
    case "h": scale = 3_600_000_000_000
    default: throw .notATimeSpan
    }
    guard let number = UInt64(String(digits) ?? "") else { throw .tooLarge }
    let (nanoseconds, overflow) = number.multipliedReportingOverflow(by: scale)
    if overflow || nanoseconds > UInt64(Int64.max) { throw .tooLarge }
    return nanoseconds
  }

  /// A span for people in three digits: `850 ns`, `12.3 us`, `4.56 ms`, `10.0 s`, `3m 20s`, `2h 05m`.
  public static func text(nanoseconds: UInt64) -> String {
    if nanoseconds < 1000 { return "\(nanoseconds) ns" }
    let value = Double(nanoseconds)
    if value < 999_500 { return "\(DecimalText.threeDigits(value / 1e3)) us" }
    if value < 999_500_000 { return "\(DecimalText.threeDigits(value / 1e6)) ms" }
    if value < 59.95e9 { return "\(DecimalText.threeDigits(value / 1e9)) s" }
    let seconds = nanoseconds / 1_000_000_000 + (nanoseconds % 1_000_000_000 >= 500_000_000 ? 1 : 0)
    if seconds < 3600 { return "\(seconds / 60)m \(DecimalText.twoDigits(seconds % 60))s" }
    return "\(seconds / 3600)h \(DecimalText.twoDigits(seconds / 60 % 60))m"
  }
}
