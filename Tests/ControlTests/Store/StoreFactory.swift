import Foundation
import Testing

@testable import Control

/// Makes stores of one kind for the contract's tests. Each `TestStore` is empty and may be opened several times, as other processes would.
struct StoreFactory: Sendable, CustomTestStringConvertible {
  var name: String
  var make: @Sendable () throws -> TestStore

  var testDescription: String { name }

  static let sqlite = StoreFactory(name: "SQLite") {
    let directory = try TemporaryDirectory()
    return TestStore { try SQLiteStore(path: directory.path + "/state.db") }
  }

  static let etcd = StoreFactory(name: "etcd") {
    let server = try EtcdServer()
    return TestStore { try ServedEtcdStore(server) }
  }

  /// Every implementation of the contract.
  static let all = [sqlite, etcd]
}

struct TestStore: Sendable {
  let open: @Sendable () throws -> any StateStore
}

/// A directory of its own, removed with all others when the tests end.
struct TemporaryDirectory: Sendable {
  let path: String

  private static let root: String = {
    atexit { TemporaryDirectory.removeAll() }
    return FileManager.default.temporaryDirectory.path + "/keelson-tests-\(ProcessInfo.processInfo.processIdentifier)"
  }()

  init() throws {
    path = Self.root + "/" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  private static func removeAll() { try? FileManager.default.removeItem(atPath: root) }
}

extension StateStore {
  /// Puts one key without a condition.
  @discardableResult
  func put(_ key: String, _ text: String, lease: StoreLeaseID = 0) throws -> StoreRevision {
    let outcome = try transact(StoreTransaction(operations: [.put(key: key, value: Data(text.utf8), lease: lease)]))
    return outcome.committedRevision ?? 0
  }

  func text(_ key: String) throws -> String? {
    try get(key).map { String(decoding: $0.value, as: UTF8.self) }
  }
}

let secondNanoseconds: UInt64 = 1_000_000_000
