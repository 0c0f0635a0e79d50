/// Numbers as text, without a locale.
public enum DecimalText {
  /// `value` rounded to `decimals` places (at most 9). Values that are not finite or beyond 2⁵³ give Swift's own text.
  public static func fixed(_ value: Double, decimals: Int) -> String {
    precondition(decimals >= 0 && decimals <= 9)
    let scale = (0..<decimals).reduce(UInt64(1)) { product, _ in product * 10 }
    let scaled = (value.magnitude * Double(scale)).rounded()
    if !(scaled < 0x1p53) { return "\(value)" }
    let whole = UInt64(scaled)
    let sign = value < 0 && whole > 0 ? "-" : ""
    if decimals == 0 { return "\(sign)\(whole)" }
    let fraction = "\(whole % scale)"
    return "\(sign)\(whole / scale)." + String(repeating: "0", count: decimals - fraction.utf8.count) + fraction
  }

  /// `1.23`, `12.3` or `123`.
  public static func threeDigits(_ value: Double) -> String {
    fixed(value, decimals: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
  }

  /// A count for people: `999`, `1.23k`, `45.6M`.
  public static func count(_ value: Double) -> String {
    if value < 999.5 { return fixed(value, decimals: 0) }
    if value < 999_500 { return threeDigits(value / 1e3) + "k" }
    if value < 999_500_000 { return threeDigits(value / 1e6) + "M" }
    return threeDigits(value / 1e9) + "G"
  }

  static func twoDigits(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
