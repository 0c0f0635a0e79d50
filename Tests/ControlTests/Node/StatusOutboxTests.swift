import Foundation
import Testing

@testable import Control

/// What a node says of itself, on its way to the store.
@Suite struct StatusOutboxTests {
  private func text(_ store: any StateStore, _ key: String, becomes expected: String?) throws -> Bool {
    for _ in 0..<30_000 {
      if try store.text(key) == expected { return true }
      usleep(2_000)
    }
    return false
  }

  private func put(_ key: String, _ text: String) -> StoreOperation { .put(key: key, value: Data(text.utf8)) }

  @Test func `news arrive in order, over what was there and over what others wrote meanwhile`() throws {
    let store = try StoreFactory.sqlite.make().open()
    try store.put("a", "old")
    let outbox = StatusOutbox(store: store, log: NodeLog(name: "test"))
    for number in 0..<200 { outbox.add(put("a", "\(number)")) }
    #expect(try text(store, "a", becomes: "199"))
    try store.put("a", "another's")
    outbox.add(put("a", "mine"))
    #expect(try text(store, "a", becomes: "mine"))
    outbox.add(.delete(key: "a"))
    outbox.add(.delete(key: "b"))
    outbox.add(put("c", "1"))
    #expect(try text(store, "c", becomes: "1") && store.get("a") == nil)
    outbox.add(put("a", "again"))
    #expect(try text(store, "a", becomes: "again"))
    try store.put("c", "another's")
    outbox.add(.delete(key: "c"))
    #expect(try text(store, "c", becomes: nil))
  }

  @Test func `what it sends holds once, however late it comes`() throws {
    let store = RecordingStore(try StoreFactory.sqlite.make().open())
    let outbox = StatusOutbox(store: store, log: NodeLog(name: "test"))
    outbox.add(.delete(key: "gone"))
    for number in 0..<5 {
      outbox.add(put("a", "\(number)"))
      outbox.add(.delete(key: "b"))
      #expect(try text(store, "a", becomes: "\(number)"))
    }
    let sent = store.transactions.filter { $0.operations.contains { $0.key == "a" } }
    #expect(sent.count >= 5)
    for transaction in sent { #expect(try store.transact(transaction).committedRevision == nil) }
    #expect(try store.text("a") == "4")
  }
}

/// Remembers what was asked of it.
private final class RecordingStore: StateStore {
  private let store: any StateStore
  private let recorded = Recorded()

  private final class Recorded: @unchecked Sendable {
    let lock = NSLock()
    var transactions: [StoreTransaction] = []
  }

  init(_ store: any StateStore) { self.store = store }

  var transactions: [StoreTransaction] { recorded.lock.withLock { recorded.transactions } }
  var identity: String { store.identity }
  func get(_ key: String) throws(StoreError) -> StoreEntry? { try store.get(key) }
  func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
    try store.list(prefix: prefix, after: after, limit: limit)
  }
  func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
    recorded.lock.withLock { recorded.transactions.append(transaction) }
    return try store.transact(transaction)
  }
  func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
    try store.watch(prefix: prefix, fromRevision: fromRevision)
  }
  func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease { try store.grantLease(ttlSeconds: ttlSeconds) }
  func keepAlive(_ lease: StoreLeaseID) throws(StoreError) { try store.keepAlive(lease) }
  func revoke(_ lease: StoreLeaseID) throws(StoreError) { try store.revoke(lease) }
  func close() { store.close() }
}
