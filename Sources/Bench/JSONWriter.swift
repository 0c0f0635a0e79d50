/// Writes one JSON document, indented by two spaces, in the order of the calls.
struct JSONWriter {
  private(set) var text = ""
  private var depth = 0
  private var needsComma = false

  /// An object; as a member if it has a name.
  mutating func object(_ name: String? = nil, _ members: (inout JSONWriter) -> Void) { list(name, "{", "}", members) }

  /// An array, whose elements are written without names.
  mutating func array(_ name: String, _ elements: (inout JSONWriter) -> Void) { list(name, "[", "]", elements) }

  mutating func member(_ name: String, _ value: String) {
    begin(name)
    text += Self.quoted(value)
  }

  mutating func member(_ name: String, _ value: UInt64) {
    begin(name)
    text += "\(value)"
  }

  mutating func member(_ name: String, _ value: Bool) {
    begin(name)
    text += value ? "true" : "false"
  }

  /// JSON has no form for numbers that are not finite; they become 0.
  mutating func member(_ name: String, _ value: Double) {
    begin(name)
    text += value.isFinite ? "\(value)" : "0"
  }

  private mutating func list(_ name: String?, _ open: String, _ close: String, _ content: (inout JSONWriter) -> Void) {
    begin(name)
    text += open
    depth += 1
    needsComma = false
    content(&self)
    depth -= 1
    if needsComma { text += "\n" + String(repeating: "  ", count: depth) }
    text += close
    needsComma = true
  }

  private mutating func begin(_ name: String?) {
    if needsComma { text += "," }
    if depth > 0 { text += "\n" + String(repeating: "  ", count: depth) }
    if let name { text += Self.quoted(name) + ": " }
    needsComma = true
  }

  static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      if scalar == "\"" || scalar == "\\" {
        result += "\\"
        result.unicodeScalars.append(scalar)
      } else if scalar.value < 0x20 || scalar.value == 0x7f {
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
