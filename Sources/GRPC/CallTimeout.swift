/// The text of `grpc-timeout` (gRPC over HTTP/2, "Requests"): at most eight digits and a unit.
enum CallTimeout {
  private static let units: [(unit: Character, nanoseconds: UInt64)] = [
    ("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000), ("M", 60_000_000_000), ("H", 3_600_000_000_000),
  ]

  /// In the finest unit that eight digits can hold, rounded up: a server must not give up before its caller.
  static func text(nanoseconds: UInt64) -> String {
    for (unit, size) in units {
      let count = nanoseconds / size + (nanoseconds % size == 0 ? 0 : 1)
      if count <= 99_999_999 { return "\(count)\(unit)" }
    }
    return "99999999H"
  }

  /// Nanoseconds; nil if the text is not a time-out. Times beyond what 64 bits hold are the longest there is.
  static func nanoseconds(_ text: String) -> UInt64? {
    guard let last = text.last, let size = units.first(where: { $0.unit == last })?.nanoseconds else { return nil }
    let digits = text.utf8.dropLast()
    if digits.isEmpty || digits.count > 8 || !digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) { return nil }
    let count = digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - UInt8(ascii: "0")) }
    let (product, overflow) = count.multipliedReportingOverflow(by: size)
    return overflow ? .max : product
  }
}
