/// Why bytes are not the object they should be, or why an object may not be.
public enum ObjectError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A value a person or program asked for is not allowed.
  case invalid(what: String, reason: String)
  /// The stored bytes at `key` are not an object of `kind`.
  case malformed(key: String, kind: String, reason: String)
  /// A newer Keelson wrote the object in a form this one does not know.
  case newerVersion(key: String, kind: String, found: Int, known: Int)

  public var description: String {
    switch self {
    case .invalid(let what, let reason): "\(what) is not valid: \(reason)"
    case .malformed(let key, let kind, let reason): "the store's \(key) is not a \(kind): \(reason)"
    case .newerVersion(let key, let kind, let found, let known):
      "the store's \(key) is a \(kind) of version \(found), this Keelson knows \(known): update it"
    }
  }
}
