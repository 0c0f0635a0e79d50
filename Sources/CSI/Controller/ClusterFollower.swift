import Control
import Foundation
import GRPC
import Reactor
import Synchronization

/// One copy of all objects of the store, kept current by one watch, for all calls of a process: hundreds may wait at the same time for what
/// the nodes say, and each would otherwise read everything for itself.
final class ClusterFollower: Sendable {
  private struct Waiter {
    var deadline: UInt64
    var revision: StoreRevision
    /// True when it is over.
    var look: (ClusterState) -> Bool
    var giveUp: () -> Void
  }

  private struct Shared {
    var cluster: ClusterState?
    var revision: StoreRevision = 0
    var waiters: [UInt64: Waiter] = [:]
    var lastWaiter: UInt64 = 0
    var watch: (any StoreWatch)?
    var isStopped = false
  }

  /// What is guarded by one lock; conditions run under it, one at a time.
  private final class Guarded: @unchecked Sendable {
    let lock = NSLock()
    var shared = Shared()
  }

  private let store: any StateStore
  private let guarded = Guarded()

  init(store: any StateStore) {
    self.store = store
    PlainThread.start(name: "keelson-follow") { [self] in run() }
  }

  func stop() {
    let watch = with { shared in
      shared.isStopped = true
      return shared.watch
    }
    watch?.cancel()
  }

  private func with<Value>(_ body: (inout Shared) throws -> Value) rethrows -> Value {
    guarded.lock.lock()
    defer { guarded.lock.unlock() }
    return try body(&guarded.shared)
  }

  /// Waits until `condition`, which is asked for every state from `revision` on, gives a value; nil once the time is over. Throws what it
  /// throws, or `CancellationError`.
  func wait<Value: Sendable>(
    from revision: StoreRevision = 0, nanoseconds: UInt64, until condition: @escaping @Sendable (ClusterState) throws -> Value?
  ) async throws -> Value? {
    let outcome = FollowerOutcome<Value>()
    let id = with { shared in
      shared.lastWaiter += 1
      return shared.lastWaiter
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        outcome.begin(continuation)
        let waiter = Waiter(
          deadline: Clock.monotonicNanoseconds() &+ nanoseconds, revision: revision,
          look: { cluster in
            do {
              guard let value = try condition(cluster) else { return false }
              outcome.finish(.success(value))
            } catch {
              outcome.finish(.failure(error))
            }
            return true
          }, giveUp: { outcome.finish(.success(nil)) })
        with { shared in
          if shared.isStopped { return waiter.giveUp() }
          if let cluster = shared.cluster, shared.revision >= revision, waiter.look(cluster) { return }
          shared.waiters[id] = waiter
        }
      }
    } onCancel: {
      with { _ = $0.waiters.removeValue(forKey: id) }
      outcome.finish(.failure(CancellationError()))
    }
  }

  /// All objects, as of now or later. Where the copy does not follow in time they are read.
  func current() async throws -> ClusterState {
    let revision = try await store.run { try $0.list(prefix: Keys.controllerLease, after: nil, limit: 1).revision }
    if let cluster = try await wait(from: revision, nanoseconds: 200_000_000, until: { $0 }) { return cluster }
    return try await store.run { ClusterState(try $0.listAll(prefix: "").entries) }
  }

  /// The copy as it is, maybe behind: for hints.
  var latest: ClusterState? { with { $0.cluster } }

  // MARK: The following thread

  private func run() {
    while !with({ $0.isStopped }) {
      do {
        try follow()
      } catch StoreError.closed {
        break
      } catch {
        // The store is away, or our history of it is gone: read everything again, soon.
        usleep(200_000)
        expire()
      }
    }
    let left = with { shared in
      let waiters = Array(shared.waiters.values)
      shared.waiters = [:]
      shared.isStopped = true
      return waiters
    }
    for waiter in left { waiter.giveUp() }
  }

  private func follow() throws {
    let page = try store.listAll(prefix: "")
    let watch = try store.watch(prefix: "", fromRevision: page.revision + 1)
    with { $0.watch = watch }
    defer { watch.cancel() }
    let cluster = ClusterState(page.entries, revision: page.revision)
    with { shared in
      shared.cluster = cluster
      shared.revision = page.revision
      Self.tell(&shared)
    }
    while !with({ $0.isStopped }) {
      if let batch = try watch.next(timeoutNanoseconds: 500_000_000) {
        var batches = [batch]
        // What came meanwhile is looked at together.
        while batches.count < 64, let more = try watch.poll() { batches.append(more) }
        with { shared in
          for batch in batches { shared.cluster?.follow(batch) }
          shared.revision = max(shared.revision, batches[batches.count - 1].revision)
          Self.tell(&shared)
        }
      }
      expire()
    }
  }

  /// Asks all waiters about the state as it is now.
  private static func tell(_ shared: inout Shared) {
    guard let cluster = shared.cluster else { return }
    let ready = shared.waiters.filter { shared.revision >= $0.value.revision && $0.value.look(cluster) }
    for id in ready.keys { shared.waiters[id] = nil }
  }

  private func expire() {
    let now = Clock.monotonicNanoseconds()
    let late = with { shared in
      let late = shared.waiters.filter { $0.value.deadline <= now }
      for id in late.keys { shared.waiters[id] = nil }
      return Array(late.values)
    }
    for waiter in late { waiter.giveUp() }
  }
}

/// The one answer that a waiter gets.
private final class FollowerOutcome<Value: Sendable>: Sendable {
  private struct State {
    var continuation: CheckedContinuation<Value?, any Error>?
    var early: Result<Value?, any Error>?
    var isOver = false
  }

  private let state = Mutex(State())

  func begin(_ continuation: CheckedContinuation<Value?, any Error>) {
    let early = state.withLock { state -> Result<Value?, any Error>? in
      if state.early == nil { state.continuation = continuation }
      return state.early
    }
    if let early { continuation.resume(with: early) }
  }

  func finish(_ result: Result<Value?, any Error>) {
    let continuation = state.withLock { state -> CheckedContinuation<Value?, any Error>? in
      if state.isOver { return nil }
      state.isOver = true
      state.early = result
      defer { state.continuation = nil }
      return state.continuation
    }
    continuation?.resume(with: result)
  }
}
