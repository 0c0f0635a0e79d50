import CLinux
import Foundation
import Protobuf

/// Users and roles of an etcd cluster that hold each process to its own keys: the layout of `Keys`, which is by writer, as permissions.
///
/// All read everything below `keelson/`, in which there are no secrets. The controller writes everything, an operator what is wanted
/// (`spec/`), a node its own status and events, the in-sync records and leases, a reader nothing.
public struct EtcdRoles: Sendable {
  /// A user and the role of the same name.
  public struct Account: Equatable, Sendable {
    public var name: String
    /// The file whose first line is the password.
    public var passwordPath: String
    /// Prefixes of the store's keys that the user may write.
    public var writes: [String]
    public var isNew: Bool
  }

  private let client: EtcdClient
  private let store: EtcdStore

  /// Opens the store, founding it if there is none; where etcd asks who calls, `options` must be root's.
  public init(_ options: EtcdOptions) throws(StoreError) {
    store = try EtcdStore(options)
    client = store.client
  }

  /// Makes what is missing of the users `root`, `controller`, `operator`, `reader` and `node-NAME` of each node, with random passwords in
  /// files of their names (mode 0600) in `directory`. A user that is there keeps its password if its file is there too. Idempotent.
  public func makeAccounts(nodes: [String], directory: String) throws(StoreError) -> [Account] {
    var plans: [(name: String, writes: [String])] = [("root", []), ("controller", [""]), ("operator", ["spec/"]), ("reader", [])]
    for node in nodes {
      plans.append(("node-\(node)", [Keys.statuses(node: node), Keys.events(source: node), Keys.inSyncRecords, "lease/"]))
    }
    var accounts: [Account] = []
    for plan in plans {
      let path = "\(directory)/\(plan.name)"
      let (password, isNew) = try Self.password(at: path)
      try makeUser(plan.name, password, changesPassword: isNew)
      try attempt("RoleAdd", Etcd.NameRequest(name: plan.name))
      if plan.name != "root" {
        try grant(plan.name, .read, EtcdStore.identityKey, [])
        try grant(plan.name, .read, prefix: "")
        for prefix in plan.writes { try grant(plan.name, .readWrite, prefix: prefix) }
      }
      try attempt("UserGrantRole", Etcd.UserRoleRequest(user: plan.name, role: plan.name))
      accounts.append(Account(name: plan.name, passwordPath: path, writes: plan.writes, isNew: isNew))
    }
    return accounts
  }

  /// From now on etcd asks every caller who it is.
  public func enableAuthentication() throws(StoreError) { try attempt("AuthEnable", Etcd.NameRequest(name: "")) }

  private func makeUser(_ name: String, _ password: String, changesPassword: Bool) throws(StoreError) {
    let request = Etcd.CredentialsRequest(name: name, password: password)
    if try attempt("UserAdd", request), changesPassword { try attempt("UserChangePassword", request) }
  }

  private func grant(_ role: String, _ kind: Etcd.Permission.Kind, prefix: String) throws(StoreError) {
    let (start, end) = store.keys.range(prefix: prefix)
    try grant(role, kind, start, end)
  }

  private func grant(_ role: String, _ kind: Etcd.Permission.Kind, _ key: [UInt8], _ end: [UInt8]) throws(StoreError) {
    let permission = Etcd.Permission(kind: kind, key: key, rangeEnd: end)
    try attempt("RoleGrantPermission", Etcd.RolePermissionRequest(role: role, permission: permission))
  }

  /// True if it was there already.
  @discardableResult
  private func attempt(_ method: String, _ request: some ProtobufWritable) throws(StoreError) -> Bool {
    do throws(EtcdClient.Failure) {
      let _: Etcd.PlainResponse = try client.call("/etcdserverpb.Auth/\(method)", request, .always)
      return false
    } catch {
      if case .rejected(let status) = error, status.code == .failedPrecondition, status.message.contains("already exists") { return true }
      throw EtcdStore.error(error)
    }
  }

  /// What the file holds, or what it was just given.
  private static func password(at path: String) throws(StoreError) -> (String, isNew: Bool) {
    if let text = try? String(contentsOfFile: path, encoding: .utf8) {
      guard let line = text.split(separator: "\n").first else { throw .unavailable(reason: "\(path) is to hold a password and is empty") }
      return (String(line), false)
    }
    var random = SystemRandomNumberGenerator()
    let digits = Array("0123456789abcdef".utf8)
    let password = String(decoding: (0..<64).map { _ in digits.randomElement(using: &random)! }, as: UTF8.self)
    let descriptor = unsafe keelson_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor < 0 { throw .unavailable(reason: "cannot write a password to \(path): \(SQLiteBell.message(-descriptor))") }
    let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try file.write(contentsOf: Data("\(password)\n".utf8))
      try file.synchronize()
    } catch {
      throw .unavailable(reason: "cannot write a password to \(path): \(error.localizedDescription)")
    }
    return (password, true)
  }
}
