/// Sizes as people write them. All units are binary: `4k`, `4K`, `4KiB` and `4096` are the same size. Decimal units (`1MB`)
/// are refused, because half the world reads them as binary ones.
public enum ByteSize {
  public enum ParseError: Error, Equatable, Sendable {
    case notASize
    case decimalUnit
    case tooLarge
  }

  /// The number of bytes that `text` names. Whole numbers only; at most `Int64.max`.
  public static func parse(_ text: String) throws(ParseError) -> UInt64 {
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    if digits.isEmpty { throw .notASize }
    guard let exponent = try exponent(ofUnit: text.dropFirst(digits.count).lowercased()) else { throw .notASize }
    guard let number = UInt64(String(digits) ?? "") else { throw .tooLarge }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << exponent)
    if overflow || bytes > UInt64(Int64.max) { throw .tooLarge }
    return bytes
  }

  private static func exponent(ofUnit unit: String) throws(ParseError) -> UInt64? {
    switch unit {
    case "", "b": return 0
    case "k", "kib": return 10
    case "m", "mib": return 20
    case "g", "gib": return 30
    case "t", "tib": return 40
    case "p", "pib": return 50
    case "kb", "mb", "gb", "tb", "pb": throw .decimalUnit
    default: return nil
    }
  }

  /// A size for people: `20 GiB`, `1.5 MiB`, `512 B`; at most one decimal, whole units without one.
  public static func text(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = bytes < 1024 ? 0 : (63 - bytes.leadingZeroBitCount) / 10
    if unit == 0 { return "\(bytes) B" }
    let scale = Double(UInt64(1) << UInt64(unit * 10))
    var tenths = (Double(bytes) / scale * 10).rounded()
    if tenths >= 10240 && unit + 1 < units.count {
      unit += 1
      tenths = 10
    }
    return "\(DecimalText.fixed(tenths / 10, decimals: tenths.truncatingRemainder(dividingBy: 10) == 0 ? 0 : 1)) \(units[unit])"
  }
}
