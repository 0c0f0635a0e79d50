import Control
import Synchronization

/// A process's way to the store that ends at a chosen call: from then on nothing is done any more, as when the process was killed.
final class MortalStore: StateStore {
  enum End: CaseIterable, Sendable {
    /// The call is not made.
    case before
    /// The call is made, and its answer comes to nobody.
    case after
  }

  private struct Life {
    /// Calls until the end; nil for ever.
    var left: Int?
    var end = End.before
    var isOver = false
    var callCount = 0
  }

  private let store: any StateStore
  private let life = Mutex(Life())

  init(_ store: any StateStore) { self.store = store }

  /// Calls since `arm`.
  var callCount: Int { life.withLock { $0.callCount } }
  var isOver: Bool { life.withLock { $0.isOver } }

  /// From now on `calls` calls are made, and with the next one it ends.
  func arm(calls: Int, _ end: End) { life.withLock { $0 = Life(left: calls, end: end) } }

  private func call<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
    let (isAllowed, isAnswered) = life.withLock { life -> (Bool, Bool) in
      if life.isOver { return (false, false) }
      life.callCount += 1
      guard let left = life.left else { return (true, true) }
      life.left = left - 1
      if left > 0 { return (true, true) }
      life.isOver = true
      return (life.end == .after, false)
    }
    if !isAllowed { throw .closed }
    let value = try body()
    if !isAnswered { throw .closed }
    return value
  }

  var identity: String { store.identity }
  func get(_ key: String) throws(StoreError) -> StoreEntry? { try call { () throws(StoreError) in try store.get(key) } }
  func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
    try call { () throws(StoreError) in try store.list(prefix: prefix, after: after, limit: limit) }
  }
  func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
    try call { () throws(StoreError) in try store.transact(transaction) }
  }
  func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
    try store.watch(prefix: prefix, fromRevision: fromRevision)
  }
  func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease { try store.grantLease(ttlSeconds: ttlSeconds) }
  func keepAlive(_ lease: StoreLeaseID) throws(StoreError) { try store.keepAlive(lease) }
  func revoke(_ lease: StoreLeaseID) throws(StoreError) { try store.revoke(lease) }
  /// The store is others' too.
  func close() {}
}
