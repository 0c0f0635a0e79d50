import Foundation

/// A `StateStore` in one SQLite file, for all processes of one machine. The file must lie on a local file system.
///
/// Durable: every change is on disk when the call returns (write-ahead log, synchronous FULL). Linearizable: writers exclude each other
/// through SQLite's lock, and every read begins a new snapshot. Nothing polls: a store nobody changes wakes nobody, and a lease wakes each
/// process at most once per its time to live.
public final class SQLiteStore: StateStore {
  /// How much history watches may fall back on. Beyond either figure the oldest quarter goes, in whole revisions.
  public struct HistoryLimits: Sendable {
    public var events: UInt64
    public var bytes: UInt64

    public init(events: UInt64 = 20_000, bytes: UInt64 = 64 << 20) {
      self.events = events
      self.bytes = bytes
    }
  }

  let engine: SQLiteEngine
  let watcher: SQLiteWatcher

  /// Opens the store at `path`, creating it if there is no file. Next to it lie SQLite's `-wal` and `-shm` and the empty `-bell`.
  /// Throws `foreignFile`, `newerSchema` or `corrupt` without touching a file that is not a usable store. A call waits for other processes
  /// for at most `busyTimeoutMilliseconds`, then throws `busy`.
  public init(path: String, busyTimeoutMilliseconds: Int32 = 5_000, history: HistoryLimits = HistoryLimits()) throws(StoreError) {
    engine = try SQLiteEngine(path: path, busyTimeoutMilliseconds: busyTimeoutMilliseconds, history: history)
    watcher = try SQLiteWatcher(engine: engine)
    watcher.start()
  }

  deinit { close() }

  public var identity: String { engine.identity }

  public func get(_ key: String) throws(StoreError) -> StoreEntry? {
    try StoreLimits.validate(key: key)
    return try engine.read { (database) throws(StoreError) in try database.entry(key) }
  }

  public func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
    try StoreLimits.validate(prefix: prefix)
    if let after { try StoreLimits.validate(key: after) }
    try StoreLimits.validate(pageLimit: limit)
    return try engine.read { (database) throws(StoreError) in
      var entries = try database.entries(prefix: prefix, after: after, limit: limit + 1)
      let isTruncated = entries.count > limit
      if isTruncated { entries.removeLast() }
      return StorePage(entries: entries, revision: try database.head().revision, isTruncated: isTruncated)
    }
  }

  public func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
    try StoreLimits.validate(transaction)
    return try engine.write { (change) throws(StoreError) in
      var failed: [Int] = []
      for (index, compare) in transaction.compares.enumerated() where try !change.holds(compare) { failed.append(index) }
      if failed.isEmpty {
        try change.apply(transaction.operations)
        return .committed(revision: change.revision)
      }
      var reads: [StoreEntry?] = []
      for key in transaction.readsOnRefusal { reads.append(try change.entry(key)) }
      return .refused(failedCompares: failed, reads: reads, revision: change.revision)
    }
  }

  public func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
    try StoreLimits.validate(prefix: prefix)
    let next = try engine.read { (database) throws(StoreError) in
      let head = try database.head()
      let next = fromRevision ?? head.revision + 1
      if next > head.revision + 1 { throw .revisionFromFuture(asked: next, current: head.revision) }
      if next <= head.compacted { throw .compacted(asked: next, oldest: head.compacted + 1) }
      return next
    }
    return SQLiteWatch(store: self, prefix: prefix, next: next)
  }

  public func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease {
    try StoreLimits.validate(leaseSeconds: ttlSeconds)
    let id = try engine.write { (change) throws(StoreError) in try change.grantLease(ttlSeconds: ttlSeconds) }
    return StoreLease(id: id, ttlSeconds: ttlSeconds)
  }

  public func keepAlive(_ lease: StoreLeaseID) throws(StoreError) {
    try engine.write { (change) throws(StoreError) in try change.keepAlive(lease) }
  }

  public func revoke(_ lease: StoreLeaseID) throws(StoreError) {
    try engine.write { (change) throws(StoreError) in try change.revoke(lease) }
  }

  public func close() {
    watcher.stop()
    engine.close()
  }
}
