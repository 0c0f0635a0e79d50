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
    return TestStore(directory: directory) { try SQLiteStore(path: directory.path + "/state.db") }
  }

  /// Every implementation of the contract.
  static let all = [sqlite]
}

struct TestStore: Sendable {
  let directory: TemporaryDirectory?
  let open: @Sendable () throws -> any StateStore
}

/// A directory that goes away with its last user.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/keelson-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
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
