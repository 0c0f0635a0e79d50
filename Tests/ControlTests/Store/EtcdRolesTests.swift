import Foundation
import Testing

@testable import Control

@Suite struct EtcdRolesTests {
  private static let keys = [
    "spec/volume/v", "assign/a/replica/1", "status/a/node", "status/b/node", "insync/1", "lease/x", "spec/node/a", "event/a/volume/v/Moved",
    "event/b/volume/v/Moved",
  ]

  @Test func `each user writes its own keys and reads all`() throws {
    let server = try EtcdServer()
    let directory = try TemporaryDirectory()
    let first = try server.open()
    try first.put("spec/volume/v", "1")
    #expect(
      try Self.newAccounts(server.options, ["a", "b"], directory) == ["root", "controller", "operator", "reader", "node-a", "node-b"])
    // Twice is as good as once.
    #expect(try Self.newAccounts(server.options, ["a", "b"], directory) == [])
    try EtcdRoles(server.options).enableAuthentication()
    #expect(throws: StoreError.self) { try first.get("spec/volume/v") }
    #expect(try Self.written(by: "controller", server, directory) == Self.keys)
    #expect(try Self.written(by: "operator", server, directory) == ["spec/volume/v", "spec/node/a"])
    #expect(try Self.written(by: "reader", server, directory) == [])
    #expect(try Self.written(by: "node-a", server, directory) == ["status/a/node", "insync/1", "lease/x", "event/a/volume/v/Moved"])
    #expect(try Self.written(by: "node-b", server, directory) == ["status/b/node", "insync/1", "lease/x", "event/b/volume/v/Moved"])
    // A node that comes later, by root's word.
    #expect(try Self.newAccounts(Self.options(server, "root", directory), ["c"], directory) == ["node-c"])
    #expect(try Self.written(by: "node-c", server, directory) == ["insync/1", "lease/x"])
  }

  private static func newAccounts(_ options: EtcdOptions, _ nodes: [String], _ directory: TemporaryDirectory) throws -> [String] {
    let roles = try EtcdRoles(options)
    let accounts = try roles.makeAccounts(nodes: nodes, directory: directory.path)
    for account in accounts {
      let attributes = try FileManager.default.attributesOfItem(atPath: account.passwordPath)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    return accounts.filter { $0.isNew }.map { $0.name }
  }

  private static func options(_ server: EtcdServer, _ name: String, _ directory: TemporaryDirectory) -> EtcdOptions {
    var options = server.options
    options.user = name
    options.passwordPath = "\(directory.path)/\(name)"
    return options
  }

  /// The keys that a user may write; all can be read and watched.
  private static func written(by name: String, _ server: EtcdServer, _ directory: TemporaryDirectory) throws -> [String] {
    let store = try EtcdStore(options(server, name, directory))
    let watch = try store.watch(prefix: "spec/", fromRevision: 1)
    let batch = try watch.next(timeoutNanoseconds: 10 * secondNanoseconds)
    #expect(batch?.events.isEmpty == false)
    return try keys.filter { try write(name, to: $0, in: store) }
  }

  /// Writes as processes do, on a condition, which has to be read; false if etcd does not let it.
  private static func write(_ text: String, to key: String, in store: EtcdStore) throws -> Bool {
    let known = try store.get(key)
    let compare = StoreCompare.modRevision(key: key, equals: known?.modRevision ?? 0)
    let put = StoreOperation.put(key: key, value: Data(text.utf8))
    let change = StoreTransaction(compares: [compare], operations: [put], readsOnRefusal: [key])
    do {
      let outcome = try store.transact(change)
      return outcome.committedRevision != nil
    } catch {
      #expect("\(error)".contains("permission denied"))
      return false
    }
  }
}
