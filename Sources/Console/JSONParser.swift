/// Reads JSON (RFC 8259), strictly, from bytes nobody vouches for: size and depth are bounded, and so is memory, to a small
/// multiple of the size.
public struct JSONParser {
  public enum Failure: Error, Equatable, Sendable {
    case tooLarge
    case tooDeep(offset: Int)
    /// The text ends inside a value.
    case truncated
    case unexpectedByte(offset: Int)
    case badNumber(offset: Int)
    case badString(offset: Int)
    /// Something follows the value.
    case trailingBytes(offset: Int)
  }

  public static let defaultMaximumByteCount = 16 << 20
  public static let maximumDepth = 64

  public static func parse(
    _ text: String, maximumByteCount: Int = defaultMaximumByteCount
  ) throws(Failure) -> JSONValue {
    try parse(Array(text.utf8), maximumByteCount: maximumByteCount)
  }

  public static func parse(
    _ bytes: [UInt8], maximumByteCount: Int = defaultMaximumByteCount
  ) throws(Failure) -> JSONValue {
    if bytes.count > maximumByteCount { throw .tooLarge }
    var parser = JSONParser(bytes: bytes)
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    if parser.offset < bytes.count { throw .trailingBytes(offset: parser.offset) }
    return value
  }

  private let bytes: [UInt8]
  private var offset = 0

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private mutating func skipSpace() {
    while offset < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[offset]) { offset += 1 }
  }

  private func peek() throws(Failure) -> UInt8 {
    if offset >= bytes.count { throw .truncated }
    return bytes[offset]
  }

  private mutating func expect(_ literal: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
    for byte in "\(literal)".utf8 {
      if try peek() != byte { throw .unexpectedByte(offset: offset) }
      offset += 1
    }
    return value
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    if depth > Self.maximumDepth { throw .tooDeep(offset: offset) }
    skipSpace()
    switch try peek() {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try expect("true", .bool(true))
    case UInt8(ascii: "f"): return try expect("false", .bool(false))
    case UInt8(ascii: "n"): return try expect("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw .unexpectedByte(offset: offset)
    }
  }

  private mutating func array(depth: Int) throws(Failure) -> JSONValue {
    var elements: [JSONValue] = []
    offset += 1
    skipSpace()
    if try peek() == UInt8(ascii: "]") {
      offset += 1
      return .array([])
    }
    while true {
      elements.append(try value(depth: depth + 1))
      if try endsList(with: UInt8(ascii: "]")) { return .array(elements) }
    }
  }

  private mutating func object(depth: Int) throws(Failure) -> JSONValue {
    var members: [JSONValue.Member] = []
    offset += 1
    skipSpace()
    if try peek() == UInt8(ascii: "}") {
      offset += 1
      return .object([])
    }
    while true {
      skipSpace()
      if try peek() != UInt8(ascii: "\"") { throw .unexpectedByte(offset: offset) }
      let name = try string()
      skipSpace()
      if try peek() != UInt8(ascii: ":") { throw .unexpectedByte(offset: offset) }
      offset += 1
      members.append(JSONValue.Member(name, try value(depth: depth + 1)))
      if try endsList(with: UInt8(ascii: "}")) { return .object(members) }
    }
  }

  /// Behind an element: true at the end of the list, false at a comma.
  private mutating func endsList(with close: UInt8) throws(Failure) -> Bool {
    skipSpace()
    let byte = try peek()
    if byte != close && byte != UInt8(ascii: ",") { throw .unexpectedByte(offset: offset) }
    offset += 1
    return byte == close
  }

  private mutating func digits() -> Int {
    let start = offset
    while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
    return offset - start
  }

  private mutating func number() throws(Failure) -> JSONValue {
    let start = offset
    var isInteger = true
    if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
    let first = offset
    let wholeDigits = digits()
    if wholeDigits == 0 || (wholeDigits > 1 && bytes[first] == UInt8(ascii: "0")) { throw .badNumber(offset: start) }
    if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
      isInteger = false
      offset += 1
      if digits() == 0 { throw .badNumber(offset: start) }
    }
    if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      offset += 1
      if offset < bytes.count, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-") { offset += 1 }
      if digits() == 0 { throw .badNumber(offset: start) }
    }
    // A number longer than any that a double can tell apart is refused, not read slowly.
    if offset - start > 1100 { throw .badNumber(offset: start) }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else { throw .badNumber(offset: start) }
    return .number(number)
  }

  private mutating func string() throws(Failure) -> String {
    let start = offset
    var content: [UInt8] = []
    offset += 1
    while true {
      let byte = try peek()
      offset += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: content, as: UTF8.self) else { throw .badString(offset: start) }
        return text
      case UInt8(ascii: "\\"):
        content.append(contentsOf: String(Character(try escape(start))).utf8)
      case 0..<0x20:
        throw .badString(offset: start)
      default:
        content.append(byte)
      }
    }
  }

  private mutating func escape(_ start: Int) throws(Failure) -> Unicode.Scalar {
    let byte = try peek()
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw .badString(offset: start)
    }
    let unit = try hexadecimal(start)
    if let scalar = Unicode.Scalar(unit) { return scalar }
    // The first half of a pair: the second must follow.
    if unit >= 0xdc00 { throw .badString(offset: start) }
    for expected in [UInt8(ascii: "\\"), UInt8(ascii: "u")] {
      if try peek() != expected { throw .badString(offset: start) }
      offset += 1
    }
    let second = try hexadecimal(start)
    if !(0xdc00...0xdfff).contains(second) { throw .badString(offset: start) }
    guard let scalar = Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (second - 0xdc00)) else { throw .badString(offset: start) }
    return scalar
  }

  private mutating func hexadecimal(_ start: Int) throws(Failure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(try peek())).hexDigitValue else { throw .badString(offset: start) }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }
}
