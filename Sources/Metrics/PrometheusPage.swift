/// A page of the Prometheus text exposition format, version 0.0.4, as another process wrote it: its samples, by the names of their families.
///
/// It reads what `PrometheusText` writes, and any other page of the format, whose bytes are not trusted: what is no sample is refused, and what
/// it holds is bounded by the page's length and `maximumSamples`.
public struct PrometheusPage: Sendable {
  public struct Sample: Equatable, Sendable {
    public let labels: [String: String]
    public let value: Double

    public init(labels: [String: String], value: Double) {
      self.labels = labels
      self.value = value
    }
  }

  public enum ParseError: Error, Equatable, Sendable {
    case notASample(line: Int)
    case tooManySamples
  }

  public static let maximumSamples = 2_000_000
  public static let maximumLabels = 32

  private var samples: [String: [Sample]] = [:]

  /// Everything said under a name, in the page's order.
  public subscript(name: String) -> [Sample] { samples[name] ?? [] }

  public init(_ text: String) throws(ParseError) {
    var number = 0
    var total = 0
    for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      var reader = Reader(rest: line)
      reader.skipSpaces()
      guard let first = reader.rest.first, first != UInt8(ascii: "#") else { continue }
      guard let (name, sample) = reader.sample() else { throw .notASample(line: number) }
      total += 1
      if total > Self.maximumSamples { throw .tooManySamples }
      samples[name, default: []].append(sample)
    }
  }

  /// What is left of a line.
  private struct Reader {
    var rest: Substring.UTF8View

    mutating func skipSpaces() { rest = rest.drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") } }

    private mutating func take(_ byte: UInt8) -> Bool {
      guard rest.first == byte else { return false }
      rest = rest.dropFirst()
      return true
    }

    /// Letters, digits, `_` and `:`.
    private mutating func name() -> String? {
      let word = rest.prefix { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "_"), UInt8(ascii: ":"):
          true
        default: false
        }
      }
      guard let first = word.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return nil }
      rest = rest[word.endIndex...]
      return String(word)
    }

    private mutating func quoted() -> String? {
      guard take(UInt8(ascii: "\"")) else { return nil }
      var bytes: [UInt8] = []
      while let byte = rest.first {
        rest = rest.dropFirst()
        switch byte {
        case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
        case UInt8(ascii: "\\"):
          guard let escaped = rest.first else { return nil }
          rest = rest.dropFirst()
          bytes.append(escaped == UInt8(ascii: "n") ? UInt8(ascii: "\n") : escaped)
        default: bytes.append(byte)
        }
      }
      return nil
    }

    private mutating func labels() -> [String: String]? {
      var labels: [String: String] = [:]
      guard take(UInt8(ascii: "{")) else { return labels }
      while true {
        skipSpaces()
        if take(UInt8(ascii: "}")) { return labels }
        guard labels.count < PrometheusPage.maximumLabels, let name = self.name() else { return nil }
        skipSpaces()
        guard take(UInt8(ascii: "=")) else { return nil }
        skipSpaces()
        guard let value = quoted(), labels.updateValue(value, forKey: name) == nil else { return nil }
        skipSpaces()
        if take(UInt8(ascii: ",")) { continue }
        guard take(UInt8(ascii: "}")) else { return nil }
        return labels
      }
    }

    /// Name, labels, value; a time behind it is not looked at.
    mutating func sample() -> (String, Sample)? {
      guard let name = self.name() else { return nil }
      skipSpaces()
      guard let labels = self.labels() else { return nil }
      skipSpaces()
      let words = rest.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") })
      guard words.count == 1 || (words.count == 2 && Int64(Substring(words[1])) != nil) else { return nil }
      let text = String(words[0])
      let value: Double
      switch text {
      case "+Inf", "Inf": value = .infinity
      case "-Inf": value = -.infinity
      case "NaN": value = .nan
      default:
        guard let text, let number = Double(text) else { return nil }
        value = number
      }
      return (name, Sample(labels: labels, value: value))
    }
  }
}
