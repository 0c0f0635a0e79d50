import Dispatch
import Foundation
import Synchronization

/// One process's events on their way to the store: counted where they repeat, batched, bounded in number and rate, and gone by themselves
/// after about an hour. Recording never waits and never fails; while the store is away the latest are kept in memory.
public final class EventLog: Sendable {
  /// Of one source in the store; the oldest give way.
  public static let maximumEvents = 500
  /// Waiting to be written; what comes on top is lost.
  static let maximumPending = 256
  /// How long the same thing happening again waits before it is counted in the store.
  static let repeatNanoseconds: UInt64 = 30_000_000_000
  /// Between two transactions.
  static let intervalNanoseconds: UInt64 = 1_000_000_000
  /// For how long new events are put under one lease.
  private static let leaseShareSeconds = 600
  private static let batchEvents = 60

  private struct Pending {
    var event: Event
    /// Monotonic.
    var dueAt: UInt64
  }

  private struct State {
    /// Ordered by arrival; at most one of each key.
    var pending: [Pending] = []
    /// What is in the store from this source, as far as known, and when it was last written.
    var written: [String: (event: Event, at: UInt64)] = [:]
    var isLoaded = false
    var isScheduled = false
    var isStopped = false
    var lastSentAt: UInt64 = 0
    var lease: (id: StoreLeaseID, grantedAt: UInt64)?
  }

  private let store: any StateStore
  private let source: String
  private let lifetimeSeconds: Int
  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "keelson.events")

  /// `source` is a node's name, or what else writes: "controller".
  public init(store: any StateStore, source: String, lifetimeSeconds: Int = Event.lifetimeSeconds) {
    self.store = store
    self.source = source
    self.lifetimeSeconds = lifetimeSeconds
  }

  /// Notes that something happened. `reason` is one word, the same for the same thing; `message` is a sentence.
  public func record(_ kind: Event.ObjectKind, _ object: String, _ reason: String, _ message: String, isWarning: Bool = false) {
    let now = BootClock.nanoseconds()
    let event = Event(
      kind, object, reason, message, isWarning: isWarning, source: source, firstAt: .now, lastAt: .now)
    let key = event.key
    state.withLock { state in
      if state.isStopped { return }
      if let position = state.pending.firstIndex(where: { $0.event.key == key }) {
        let isNews = state.pending[position].event.message != event.message
        state.pending[position].event.message = event.message
        state.pending[position].event.isWarning = isWarning
        state.pending[position].event.count += 1
        state.pending[position].event.lastAt = event.lastAt
        if isNews { state.pending[position].dueAt = min(state.pending[position].dueAt, now) }
      } else if state.pending.count < Self.maximumPending {
        var dueAt = now
        if let last = state.written[key], last.event.message == event.message { dueAt = max(now, last.at + Self.repeatNanoseconds) }
        state.pending.append(Pending(event: event, dueAt: dueAt))
      }
      schedule(&state, now)
    }
  }

  /// Writes what waits, also what was to wait longer, and returns when it is in the store or `nanoseconds` are over.
  public func flush(nanoseconds: UInt64 = 2_000_000_000) {
    let end = BootClock.nanoseconds() + nanoseconds
    state.withLock { state in
      for index in state.pending.indices { state.pending[index].dueAt = 0 }
      state.lastSentAt = 0
    }
    queue.async { self.send() }
    while BootClock.nanoseconds() < end, state.withLock({ !$0.pending.isEmpty && !$0.isStopped }) { usleep(5_000) }
  }

  /// Takes nothing more. What was not written is lost.
  public func stop() { state.withLock { $0.isStopped = true } }

  private func schedule(_ state: inout State, _ now: UInt64) {
    guard !state.isScheduled, !state.isStopped, let due = state.pending.map(\.dueAt).min() else { return }
    state.isScheduled = true
    let at = max(due, state.lastSentAt + Self.intervalNanoseconds)
    queue.asyncAfter(deadline: .now() + .nanoseconds(at > now ? Int(clamping: at - now) : 0)) {
      self.state.withLock { $0.isScheduled = false }
      self.send()
    }
  }

  /// On the queue.
  private func send() {
    do throws(StoreError) {
      try load()
      let now = BootClock.nanoseconds()
      let batch = state.withLock { state in Array(state.pending.filter { $0.dueAt <= now }.prefix(Self.batchEvents)) }
      if !batch.isEmpty { try write(batch.map(\.event), now) }
    } catch {
      if case .closed = error { return stop() }
      if case .leaseNotFound = error { state.withLock { $0.lease = nil } }
    }
    state.withLock { state in
      state.lastSentAt = BootClock.nanoseconds()
      schedule(&state, state.lastSentAt)
    }
  }

  /// What an earlier process of the same name wrote goes on being counted.
  private func load() throws(StoreError) {
    if state.withLock({ $0.isLoaded }) { return }
    let entries = try store.listAll(prefix: Keys.events(source: source), limit: 4 * Self.maximumEvents).entries
    let now = BootClock.nanoseconds()
    state.withLock { state in
      state.isLoaded = true
      for entry in entries {
        guard let stored = try? Stored<Event>(entry) else { continue }
        let age = UInt64(max(0, Date.now.timeIntervalSince(stored.object.lastAt)) * 1e9)
        state.written[entry.key] = (stored.object, now > age ? now - age : 0)
      }
    }
  }

  private func write(_ events: [Event], _ now: UInt64) throws(StoreError) {
    let lease = try currentLease(now)
    let lifetime = UInt64(lifetimeSeconds) * 1_000_000_000
    var operations: [StoreOperation] = []
    var merged: [Event] = []
    var removed: [String] = []
    let known = state.withLock { state in
      state.written = state.written.filter { $0.value.at + lifetime > now }
      return state.written
    }
    for var event in events {
      if let last = known[event.key]?.event {
        event.count += last.count
        event.firstAt = last.firstAt
      }
      merged.append(event)
      operations.append(.put(key: event.key, value: event.encoded(), lease: lease))
    }
    let added = merged.filter { known[$0.key] == nil }.count
    let excess = known.count + added - Self.maximumEvents
    if excess > 0 {
      let kept = Set(merged.map(\.key))
      let oldest = known.filter { !kept.contains($0.key) }.sorted { ($0.value.at, $0.key) < ($1.value.at, $1.key) }
      removed = oldest.prefix(min(excess, Self.batchEvents)).map(\.key)
      operations += removed.map { .delete(key: $0) }
    }
    _ = try store.transact(StoreTransaction(operations: operations))
    state.withLock { state in
      for key in removed { state.written[key] = nil }
      for (event, sent) in zip(merged, events) {
        state.written[event.key] = (event, now)
        // What happened while this was being written stays to be counted.
        guard let position = state.pending.firstIndex(where: { $0.event.key == event.key }) else { continue }
        let rest = state.pending[position].event.count - sent.count
        if rest == 0 {
          state.pending.remove(at: position)
        } else {
          state.pending[position].event.count = rest
          state.pending[position].dueAt = now + Self.repeatNanoseconds
        }
      }
    }
  }

  private func currentLease(_ now: UInt64) throws(StoreError) -> StoreLeaseID {
    let share = UInt64(min(Self.leaseShareSeconds, lifetimeSeconds)) * 1_000_000_000
    if let lease = state.withLock({ $0.lease }), lease.grantedAt + share > now { return lease.id }
    let lease = try store.grantLease(ttlSeconds: lifetimeSeconds + min(Self.leaseShareSeconds, lifetimeSeconds))
    state.withLock { $0.lease = (lease.id, now) }
    return lease.id
  }
}
