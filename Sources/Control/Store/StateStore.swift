import Foundation

/// The one meeting point of all Keelson processes: a small, linearizable, watchable map from keys to values.
///
/// The semantics are those of etcd v3 (API reference, "KV", "Watch" and "Lease"), so that etcd can sit behind the same contract: one
/// revision for the whole store, raised by one for every transaction that changes something; per key the revision of its creation and of
/// its last change, and a version that counts changes since creation.
///
/// Calls block the calling thread for at most the implementation's own time-out, so a plain thread can use them as they are. From Swift
/// concurrency go through `run(_:)`, which keeps the blocking off the cooperative pool. All methods are safe from any thread.
public protocol StateStore: AnyObject, Sendable {
  /// Names the store for good: two stores never share it, and a restored copy keeps it (R18 compares revisions within one identity).
  var identity: String { get }

  /// The entry at `key`, or nil if there is none.
  func get(_ key: String) throws(StoreError) -> StoreEntry?

  /// Up to `limit` entries (1...`StoreLimits.maximumPageEntries`) whose keys begin with `prefix` and sort after `after`, ascending by the
  /// keys' bytes. Each page is a snapshot at its own revision; to follow the prefix from here on, watch from the *first* page's
  /// revision + 1 and let newer modification revisions win (`StoreMirror` does).
  func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage

  /// Applies all operations at one revision if every compare holds; otherwise changes nothing and says which compares failed.
  /// `StoreError.outcomeUnknown` means that the caller must read back before it may assume either.
  func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome

  /// Follows the changes of all keys that begin with `prefix`, from `fromRevision` on without a gap; nil means "from now on".
  /// Throws `compacted` if that history is gone and `revisionFromFuture` if the store has not come that far (it went back in time).
  func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch

  /// Grants a lease of 1...`StoreLimits.maximumLeaseSeconds` seconds. Keys put with it vanish when it expires or is revoked.
  func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease

  /// Makes the lease last its whole time again, counted from now. Throws `leaseNotFound` once it expired or was revoked.
  func keepAlive(_ lease: StoreLeaseID) throws(StoreError)

  /// Ends the lease now and deletes its keys at one revision. Throws `leaseNotFound` if there is none.
  func revoke(_ lease: StoreLeaseID) throws(StoreError)

  /// Ends all watches and lets go of files and threads. Later calls throw `closed`. Idempotent.
  func close()
}

/// A position in the store's history that yields what changed next. It pulls: a slow reader costs no memory, and at worst finds its
/// history compacted. One reader at a time.
public protocol StoreWatch: AnyObject, Sendable {
  /// What is there now, without waiting: all events of one or more whole revisions, oldest first; nil if nothing changed.
  func poll() throws(StoreError) -> StoreWatchBatch?

  /// Waits for a batch. Nil after `timeoutNanoseconds` without one; nil as the time-out waits without end. Throws `watchCancelled` after
  /// `cancel()`.
  func next(timeoutNanoseconds: UInt64?) throws(StoreError) -> StoreWatchBatch?

  /// Ends the watch and wakes its reader, from any thread.
  func cancel()
}

extension StateStore {
  /// Runs blocking store calls on a thread of their own kind, for use from Swift concurrency.
  public func run<Value: Sendable>(_ body: @escaping @Sendable (any StateStore) throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
      StoreQueues.calls.async { continuation.resume(with: Result { try body(self) }) }
    }
  }

  /// All entries under `prefix`, page by page, at most `limit`; `revision` is the first page's, where a watch has to begin after.
  public func listAll(prefix: String, limit: Int = 1_000_000) throws(StoreError) -> StorePage {
    var page = try list(prefix: prefix, after: nil, limit: min(limit, StoreLimits.maximumPageEntries))
    while page.isTruncated, page.entries.count < limit, let last = page.entries.last {
      let next = try list(prefix: prefix, after: last.key, limit: min(limit - page.entries.count, StoreLimits.maximumPageEntries))
      page.entries.append(contentsOf: next.entries)
      page.isTruncated = next.isTruncated
    }
    return page
  }
}

extension StoreWatch {
  /// The batches as an asynchronous sequence; ends with the consuming task's cancellation or the first error.
  public func batches() -> AsyncThrowingStream<StoreWatchBatch, any Error> {
    let queue = DispatchQueue(label: "keelson.store.watch")
    return AsyncThrowingStream {
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<StoreWatchBatch?, any Error>) in
          queue.async {
            do {
              continuation.resume(returning: try self.next(timeoutNanoseconds: nil))
            } catch StoreError.watchCancelled {
              continuation.resume(returning: nil)
            } catch {
              continuation.resume(throwing: error)
            }
          }
        }
      } onCancel: {
        self.cancel()
      }
    }
  }
}

/// Threads for blocking store calls, apart from Swift's cooperative pool.
enum StoreQueues {
  static let calls = DispatchQueue(label: "keelson.store.calls", attributes: .concurrent)
}
