extension JSONValue {
  /// The value as JSON (RFC 8259), on one line or indented by two spaces. Numbers that are not finite become `null`:
  /// JSON has no form for them.
  public func text(indented: Bool = false) -> String {
    var text = ""
    append(to: &text, indentation: indented ? 0 : nil)
    return text
  }

  private func append(to text: inout String, indentation: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += "\(value)"
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): Self.append(quoted: value, to: &text)
    case .array(let elements):
      Self.append(list: elements, open: "[", close: "]", to: &text, indentation: indentation) { element, text, inner in
        element.append(to: &text, indentation: inner)
      }
    case .object(let members):
      Self.append(list: members, open: "{", close: "}", to: &text, indentation: indentation) { member, text, inner in
        Self.append(quoted: member.name, to: &text)
        text += inner == nil ? ":" : ": "
        member.value.append(to: &text, indentation: inner)
      }
    }
  }

  private static func append<Element>(
    list: [Element], open: String, close: String, to text: inout String, indentation: Int?,
    _ appendElement: (Element, inout String, Int?) -> Void
  ) {
    text += open
    let inner = indentation.map { $0 + 1 }
    for (index, element) in list.enumerated() {
      if index > 0 { text += "," }
      if let inner { text += "\n" + String(repeating: "  ", count: inner) }
      appendElement(element, &text, inner)
    }
    if let indentation, !list.isEmpty { text += "\n" + String(repeating: "  ", count: indentation) }
    text += close
  }

  static func append(quoted value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
