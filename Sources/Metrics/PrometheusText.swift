/// One page of metrics in the Prometheus text exposition format, version 0.0.4.
///
/// A family is opened once, with its name, kind and help; then come its samples:
///
///     var page = PrometheusText()
///     page.family("keelson_reads_total", .counter, help: "Read commands completed.")
///     page.sample(12, labels: [("volume", "db")])
public struct PrometheusText: Sendable {
  /// What an answer over HTTP says its body is.
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  public enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
  }

  public typealias Label = (name: String, value: String)

  /// The bounds of rendered histograms, as exponents of two nanoseconds: 4 µs to 17 s.
  public static let histogramExponents = 12...34

  public private(set) var text = ""
  private var familyName = ""
  private var familyKind = Kind.gauge
  private var familyNames: Set<String> = []

  public init() {}

  /// Begins a family. The name is ours, unique on the page, and of letters, digits and `_`; counters end in `_total`.
  public mutating func family(_ name: String, _ kind: Kind, help: String) {
    precondition(Self.isName(name), "metric name \(name) is not valid")
    precondition(familyNames.insert(name).inserted, "metric \(name) is on the page already")
    precondition(kind != .counter || name.hasSuffix("_total"), "counter \(name) does not end in _total")
    familyName = name
    familyKind = kind
    text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
  }

  /// One whole-number value of the open counter or gauge family.
  public mutating func sample(_ value: some BinaryInteger, labels: [Label] = []) {
    precondition(familyKind != .histogram)
    line(familyName, labels, "\(value)")
  }

  /// One value of the open counter or gauge family.
  public mutating func sample(_ value: Double, labels: [Label] = []) {
    precondition(familyKind != .histogram)
    line(familyName, labels, Self.number(value))
  }

  /// One histogram of the open histogram family, in seconds. The bounds are one nanosecond below powers of two, where the
  /// counts are exact; the last is `+Inf`, and equals the count by construction.
  public mutating func sample(_ histogram: LatencyHistogram, labels: [Label] = []) {
    precondition(familyKind == .histogram)
    var below: UInt64 = 0
    var index = 0
    for exponent in Self.histogramExponents {
      let end = LatencyHistogram.bucketIndex(of: 1 << UInt64(exponent))
      while index < end {
        below &+= histogram.countInBucket(index)
        index += 1
      }
      let bound = Double((UInt64(1) << UInt64(exponent)) - 1) / 1e9
      line(familyName + "_bucket", labels + [("le", Self.number(bound))], "\(below)")
    }
    while index < LatencyHistogram.bucketCount {
      below &+= histogram.countInBucket(index)
      index += 1
    }
    line(familyName + "_bucket", labels + [("le", "+Inf")], "\(below)")
    line(familyName + "_sum", labels, Self.number(Double(histogram.sumNanoseconds) / 1e9))
    line(familyName + "_count", labels, "\(below)")
  }

  /// One histogram of the open histogram family, from classes of its own: for each the first nanosecond above it, nil for the last, which has no
  /// end, and how many values it has.
  public mutating func sample(classes: [(endNanoseconds: UInt64?, count: UInt64)], sumNanoseconds: UInt64, labels: [Label] = []) {
    precondition(familyKind == .histogram && classes.last.map { $0.endNanoseconds == nil } == true)
    var below: UInt64 = 0
    for one in classes {
      below &+= one.count
      let bound = one.endNanoseconds.map { Self.number(Double($0 - 1) / 1e9) } ?? "+Inf"
      line(familyName + "_bucket", labels + [("le", bound)], "\(below)")
    }
    line(familyName + "_sum", labels, Self.number(Double(sumNanoseconds) / 1e9))
    line(familyName + "_count", labels, "\(below)")
  }

  private mutating func line(_ name: String, _ labels: [Label], _ value: String) {
    precondition(!familyName.isEmpty, "a sample needs a family")
    text += name
    if !labels.isEmpty {
      text += "{"
      for (index, label) in labels.enumerated() {
        precondition(Self.isName(label.name), "label name \(label.name) is not valid")
        if index > 0 { text += "," }
        text += "\(label.name)=\"\(Self.escaped(label.value, quotes: true))\""
      }
      text += "}"
    }
    text += " \(value)\n"
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return "\(value)"
  }

  /// Label values come from users: backslash, line feed and (in quotes) the double quote are escaped.
  static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\"" where quotes: result += "\\\""
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
    }
  }
}
