/// The rules for names that people give to things. They become parts of keys, file names and Kubernetes objects: volumes, snapshots, pools and
/// groups are DNS labels (RFC 1123, 2.1), nodes are called as Kubernetes calls them, by a DNS subdomain.
public enum Names {
  public static let maximumLength = 63
  /// It fits `NQN.node`, of at most 223 bytes, and, with `@` and a host's UUID behind it, CSI's `node_id`, of at most 256.
  public static let maximumNodeLength = 192

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

  /// Throws unless `name` may be a node's: lower-case letters, digits and hyphens, in parts joined by dots, each with a letter or digit at both
  /// ends, and not longer than CSI can say.
  public static func validate(node name: String) throws(ObjectError) {
    let bytes = Array(name.utf8)
    func refuse(_ reason: String) -> ObjectError { .invalid(what: "node name \"\(name.prefix(80))\"", reason: reason) }
    if bytes.isEmpty { throw refuse("it is empty") }
    if bytes.count > maximumNodeLength { throw refuse("it has \(bytes.count) characters, at most \(maximumNodeLength) are allowed") }
    if !bytes.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }) {
      throw refuse("only lower-case letters a-z, digits, hyphens and dots are allowed")
    }
    for part in bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      guard let first = part.first, let last = part.last, isAlphanumeric(first), isAlphanumeric(last) else {
        throw refuse("each of its parts between dots must begin and end with a letter or a digit")
      }
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}
