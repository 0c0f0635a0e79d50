/// Labels of nodes, as in "zone=a": what topology is made of.
public enum Labels {
  public static let maximumCount = 32

  /// Reads "KEY=VALUE". Throws `ObjectError.invalid`.
  public static func parse(_ text: String) throws(ObjectError) -> (key: String, value: String) {
    guard let equals = text.firstIndex(of: "=") else {
      throw .invalid(what: "label \"\(text.prefix(80))\"", reason: "it is not written as KEY=VALUE")
    }
    let (key, value) = (String(text[..<equals]), String(text[text.index(after: equals)...]))
    try validate(key: key)
    try validate(value: value, of: key)
    return (key, value)
  }

  /// Throws unless all may be a node's labels.
  public static func validate(_ labels: [String: String]) throws(ObjectError) {
    if labels.count > maximumCount {
      throw .invalid(what: "labels", reason: "there are \(labels.count), at most \(maximumCount) are allowed")
    }
    for key in labels.keys.sorted() {
      try validate(key: key)
      try validate(value: labels[key] ?? "", of: key)
    }
  }

  /// 1 to 253 letters, digits, hyphens, dots, underscores and slashes, as Kubernetes' label keys are.
  public static func validate(key: String) throws(ObjectError) {
    let isFit = !key.isEmpty && key.utf8.count <= 253 && key.utf8.allSatisfy { isPlain($0) || $0 == UInt8(ascii: "/") }
    if !isFit {
      throw .invalid(
        what: "label key \"\(key.prefix(80))\"", reason: "it must be 1 to 253 letters, digits, hyphens, dots, underscores and slashes")
    }
  }

  private static func validate(value: String, of key: String) throws(ObjectError) {
    if value.isEmpty || value.utf8.count > 63 || !value.utf8.allSatisfy(isPlain) {
      throw .invalid(
        what: "value \"\(value.prefix(80))\" of label \(key)", reason: "it must be 1 to 63 letters, digits, hyphens, dots and underscores")
    }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// "rack=r1,zone=a"
  public static func text(_ labels: [String: String]) -> String {
    labels.keys.sorted().map { "\($0)=\(labels[$0] ?? "")" }.joined(separator: ",")
  }
}
