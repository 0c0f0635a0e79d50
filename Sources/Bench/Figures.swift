/// Numbers as the report writes them.
enum Figures {
  /// `value` rounded to `decimals` places (at most 9); values too large for that as Swift writes them.
  static func fixed(_ value: Double, decimals: Int) -> String {
    let scale = (0..<decimals).reduce(UInt64(1)) { product, _ in product * 10 }
    let scaled = (value * Double(scale)).rounded()
    if !(scaled >= 0 && scaled < 0x1p53) { return "\(value)" }
    let whole = UInt64(scaled)
    if decimals == 0 { return "\(whole)" }
    let fraction = "\(whole % scale)"
    return "\(whole / scale)." + String(repeating: "0", count: decimals - fraction.utf8.count) + fraction
  }

  /// Three digits: `1.23`, `12.3`, `123`.
  static func threeDigits(_ value: Double) -> String { fixed(value, decimals: value < 9.995 ? 2 : value < 99.95 ? 1 : 0) }

  /// `850 ns`, `12.3 us`, `4.56 ms`, `1.20 s`.
  static func latency(_ nanoseconds: Double) -> String {
    if nanoseconds < 999.5 { return fixed(nanoseconds, decimals: 0) + " ns" }
    if nanoseconds < 999_500 { return threeDigits(nanoseconds / 1e3) + " us" }
    if nanoseconds < 999_500_000 { return threeDigits(nanoseconds / 1e6) + " ms" }
    return threeDigits(nanoseconds / 1e9) + " s"
  }

  /// `999`, `1.23k`, `45.6k`, `1.20M`.
  static func count(_ value: Double) -> String {
    if value < 999.5 { return fixed(value, decimals: 0) }
    if value < 999_500 { return threeDigits(value / 1e3) + "k" }
    return threeDigits(value / 1e6) + "M"
  }

  static func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

  static func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
}
