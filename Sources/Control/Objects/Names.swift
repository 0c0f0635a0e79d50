/// The rule for names that people give to volumes and pools: DNS labels (RFC 1123, 2.1), since they become parts of keys, file
/// names and Kubernetes objects.
public enum Names {
  public static let maximumLength = 63

  /// Throws unless `name` is 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends. `kind` begins the
  /// sentence: "volume name".
  public static func validate(_ name: String, kind: String) throws(ObjectError) {
    let bytes = Array(name.utf8)
    func refuse(_ reason: String) -> ObjectError { .invalid(what: "\(kind) \"\(name.prefix(80))\"", reason: reason) }
    if bytes.isEmpty { throw refuse("it is empty") }
    if bytes.count > maximumLength { throw refuse("it has \(bytes.count) characters, at most \(maximumLength) are allowed") }
    if !bytes.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) {
      throw refuse("only lower-case letters a-z, digits and hyphens are allowed")
    }
    if !isAlphanumeric(bytes[0]) || !isAlphanumeric(bytes[bytes.count - 1]) {
      throw refuse("it must begin and end with a letter or a digit")
    }
  }

  /// Kubernetes names nodes so.
  public static let maximumNodeLength = 253

  /// Throws unless `name` is a DNS subdomain (RFC 1123, 2.1), as Kubernetes' node names are: parts of lower-case letters, digits and hyphens, with a
  /// letter or digit at both ends, joined by dots, 253 characters in all.
  public static func validate(node name: String) throws(ObjectError) {
    func refuse(_ reason: String) -> ObjectError { .invalid(what: "node name \"\(name.prefix(80))\"", reason: reason) }
    if name.isEmpty { throw refuse("it is empty") }
    let count = name.utf8.count
    if count > maximumNodeLength { throw refuse("it has \(count) characters, at most \(maximumNodeLength) are allowed") }
    for part in name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      if !part.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") }) {
        throw refuse("only lower-case letters a-z, digits, hyphens and dots are allowed")
      }
      guard let first = part.first, let last = part.last, isAlphanumeric(first), isAlphanumeric(last) else {
        throw refuse("it, and each part between dots, must begin and end with a letter or a digit")
      }
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}
