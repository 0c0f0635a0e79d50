/// Where the state store is, as command lines and environments say it: `sqlite:PATH`, or
/// `etcd://HOST:PORT,HOST:PORT` with, after a `?`, how to be let in: `ca=PATH`, `cert=PATH`, `key=PATH`, `server-name=NAME`, `tls=true`,
/// `user=NAME`, `password-file=PATH`, joined by `&`.
public enum StoreLocation: Equatable, Sendable, CustomStringConvertible {
  /// One SQLite file, shared by all processes of this machine.
  case sqlite(path: String)
  /// An etcd cluster, shared by all nodes.
  case etcd(EtcdOptions)

  /// Nil for anything that names no store.
  public init?(_ text: String) {
    let (sqlite, etcd) = ("sqlite:", "etcd://")
    if text.hasPrefix(sqlite), text.utf8.count > sqlite.utf8.count {
      self = .sqlite(path: String(text.dropFirst(sqlite.count)))
    } else if text.hasPrefix(etcd), let options = EtcdOptions(text.dropFirst(etcd.count)) {
      self = .etcd(options)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .sqlite(let path): "sqlite:\(path)"
    case .etcd(let options): "etcd://\(options.text)"
    }
  }

  /// Opens the store, creating it if there is none.
  public func open() throws(StoreError) -> any StateStore {
    switch self {
    case .sqlite(let path): try SQLiteStore(path: path)
    case .etcd(let options): try EtcdStore(options)
    }
  }
}
