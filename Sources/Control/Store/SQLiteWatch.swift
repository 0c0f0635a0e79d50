import Foundation
import Synchronization

/// A position in the history of a SQLite store.
final class SQLiteWatch: StoreWatch {
  private struct State {
    /// The first revision not yet delivered.
    var next: StoreRevision
    var isCancelled = false
  }

  /// Kept, so that the store stays open as long as it is watched.
  private let store: SQLiteStore
  private let prefix: String
  private let state: Mutex<State>

  init(store: SQLiteStore, prefix: String, next: StoreRevision) {
    self.store = store
    self.prefix = prefix
    state = Mutex(State(next: next))
  }

  func poll() throws(StoreError) -> StoreWatchBatch? {
    let next = try state.withLock { (state) throws(StoreError) in
      if state.isCancelled { throw .watchCancelled }
      return state.next
    }
    let (events, head) = try store.engine.read { (database) throws(StoreError) in
      let head = try database.head()
      if next <= head.compacted { throw .compacted(asked: next, oldest: head.compacted + 1) }
      if next > head.revision + 1 { throw .revisionFromFuture(asked: next, current: head.revision) }
      let events = try database.events(prefix: prefix, from: next, limit: StoreLimits.watchBatchEvents)
      return (events, head.revision)
    }
    // A full batch ends at its last event; otherwise all up to the head is known, so that a quiet prefix is never compacted away.
    let isFull = events.count >= StoreLimits.watchBatchEvents
    let reached = isFull ? events.last?.revision ?? head : head
    state.withLock { $0.next = reached + 1 }
    return events.isEmpty ? nil : StoreWatchBatch(events: events, revision: reached)
  }

  func next(timeoutNanoseconds: UInt64?) throws(StoreError) -> StoreWatchBatch? {
    let deadline = timeoutNanoseconds.map { BootClock.nanoseconds().addingReportingOverflow($0) }
      .map { $0.overflow ? UInt64.max : $0.partialValue }
    while true {
      if let batch = try poll() { return batch }
      if let deadline, BootClock.nanoseconds() >= deadline { return nil }
      let known = state.withLock { $0.next - 1 }
      try store.watcher.wait(beyond: known, deadline: deadline) { state.withLock { $0.isCancelled } }
    }
  }

  func cancel() {
    state.withLock { $0.isCancelled = true }
    store.watcher.wakeWaiters()
  }
}
