/// Where the state store is, as command lines and environments say it: `sqlite:PATH`.
public enum StoreLocation: Equatable, Sendable, CustomStringConvertible {
  /// One SQLite file, shared by all processes of this machine.
  case sqlite(path: String)

  /// Nil for anything that names no store.
  public init?(_ text: String) {
    let scheme = "sqlite:"
    guard text.hasPrefix(scheme), text.utf8.count > scheme.utf8.count else { return nil }
    self = .sqlite(path: String(text.dropFirst(scheme.count)))
  }

  public var description: String {
    switch self {
    case .sqlite(let path): "sqlite:\(path)"
    }
  }

  /// Opens the store, creating it if there is none.
  public func open() throws(StoreError) -> any StateStore {
    switch self {
    case .sqlite(let path): try SQLiteStore(path: path)
    }
  }
}
