import Foundation
import Synchronization

/// Runs the reconciler on a live store. Any number may run; the one that holds `lease/controller` leads, and every transaction it makes
/// compares that key, so that one that lost the lead changes nothing any more.
public final class Controller: Sendable {
  /// Called with one line about each step taken and each failure met.
  public typealias Log = @Sendable (String) -> Void

  private let store: any StateStore
  private let name: String
  private let leaseSeconds: Int
  private let policy: ControllerPolicy
  private let log: Log
  private let events: EventLog
  private let signal = StopSignal()
  private let current = Mutex<Current>(Current())
  private let finished = StopSignal()

  private struct Current {
    /// What the thread sleeps on now.
    var watch: (any StoreWatch)?
    var isLeading = false
    var isStarted = false
  }

  /// A nexus whose node and whose controller end together waits for this first. One that loses the lead for nothing only reads everything
  /// anew.
  public static let standardLeaseSeconds = 3

  /// `name` tells this process apart in the leader record: "node-1/4711".
  public init(
    store: any StateStore, name: String, leaseSeconds: Int = Controller.standardLeaseSeconds, policy: ControllerPolicy = ControllerPolicy(),
    log: @escaping Log = { _ in }
  ) {
    self.policy = policy
    events = EventLog(store: store, source: Keys.controllerName)
    self.store = store
    self.name = name
    self.leaseSeconds = leaseSeconds
    self.log = log
  }

  public var isLeading: Bool { current.withLock { $0.isLeading } }

  /// Begins, on a thread of its own. Once.
  public func start() {
    let isFirst = current.withLock { current in
      defer { current.isStarted = true }
      return !current.isStarted
    }
    precondition(isFirst, "the controller was started before")
    let thread = Thread { self.loop() }
    thread.name = "keelson-control"
    thread.stackSize = 2 << 20
    thread.start()
  }

  /// Gives up the lead and ends; returns when the thread is done.
  public func stop() {
    signal.stop()
    interrupt()
    guard current.withLock({ $0.isStarted }) else { return }
    while !finished.wait(nanoseconds: 60_000_000_000) {}
    events.flush(nanoseconds: 500_000_000)
    events.stop()
  }

  private func loop() {
    while !signal.isStopped {
      do {
        try campaign()
      } catch StoreError.closed {
        break
      } catch StoreError.watchCancelled, StoreError.compacted {
        // Stopped, or the lead was lost, or too slow: the loop begins again with a new listing.
      } catch {
        log("controller: \(error)")
        _ = signal.wait(nanoseconds: 1_000_000_000)
      }
    }
    finished.stop()
  }

  /// Waits for the lead, then leads until it is lost or an error ends it.
  private func campaign() throws {
    let head = try store.list(prefix: Keys.controllerLease, after: nil, limit: 1)
    if !head.entries.isEmpty {
      try following(prefix: Keys.controllerLease, from: head.revision + 1) { watch in
        _ = try watch.next(timeoutNanoseconds: nil)
      }
      return
    }
    let keeper = try LeaseKeeper(store: store, ttlSeconds: leaseSeconds) { [weak self] in self?.interrupt() }
    defer { keeper.revoke() }
    let record = LeaderRecord(holder: name)
    let outcome = try store.transact(
      StoreTransaction(
        compares: [.absent(key: Keys.controllerLease)],
        operations: [.put(key: Keys.controllerLease, value: record.encoded(), lease: keeper.lease.id)]))
    guard let revision = outcome.committedRevision else { return }
    current.withLock { $0.isLeading = true }
    defer { current.withLock { $0.isLeading = false } }
    log("controller: \(name) leads")
    events.record(.controller, name, "Leads", "it leads since revision \(revision)")
    try lead(since: revision)
  }

  private func lead(since revision: StoreRevision) throws {
    let page = try store.listAll(prefix: "")
    var queue = ControlQueue(ClusterState(page.entries, revision: page.revision), policy: policy)
    try following(prefix: "", from: page.revision + 1) { watch in
      var random = SystemRandomNumberGenerator()
      var judge = LossJudge()
      var toldLost: Set<String> = []
      while !signal.isStopped {
        // Not from a listing before the lead.
        if queue.state.revision >= revision, queue.state.revisions[Keys.controllerLease] != revision {
          log("controller: \(name) no longer leads")
          return
        }
        queue.setReached(judge.judge(queue.state))
        let lost = queue.state.nodes.map(\.object).filter { queue.state.isLost($0.name) }
        for node in lost where !toldLost.contains(node.incarnation) {
          log("controller: \(node.name) is lost: its peers and this controller do not reach it")
        }
        toldLost = Set(lost.map(\.incarnation))
        while !signal.isStopped, let batch = queue.next(now: .now, using: &random) { try carryOut(batch, &queue, since: revision) }
        let due = queue.nextDue.map { UInt64(max(0, $0.timeIntervalSinceNow) * 1e9) + 1_000_000 }
        let look = [due, judge.nextLookNanoseconds].compactMap { $0 }.min()
        guard let batch = try watch.next(timeoutNanoseconds: look) else { continue }
        queue.apply(batch)
        // All that has come already, before anything is decided: fewer and larger transactions. Bounded, as others may go on writing.
        for _ in 0..<64 {
          guard let more = try watch.next(timeoutNanoseconds: 0) else { break }
          queue.apply(more)
        }
      }
    }
  }

  /// All steps in one transaction; where that is refused, each alone, since one that is out of date must not hold up the others.
  private func carryOut(_ batch: ControlQueue.Batch, _ queue: inout ControlQueue, since revision: StoreRevision) throws {
    let lead = StoreCompare.modRevision(key: Keys.controllerLease, equals: revision)
    var transaction = batch.transaction
    transaction.compares.append(lead)
    if let committed = try store.transact(transaction).committedRevision {
      queue.committed(transaction, at: committed)
      for step in batch.steps { tell(step) }
      return
    }
    for (position, step) in batch.steps.enumerated() {
      var transaction = step.transaction
      transaction.compares.append(lead)
      // A refusal means that the store is ahead; the watch will tell.
      if batch.steps.count > 1, let committed = try store.transact(transaction).committedRevision {
        queue.committed(transaction, at: committed)
        tell(step)
      } else {
        queue.refused(position, of: batch)
      }
    }
  }

  private func tell(_ step: Reconciler.Step) {
    log("controller: \(step.reason)")
    for notice in step.notices { events.record(notice.kind, notice.object, notice.reason, notice.message, isWarning: notice.isWarning) }
  }

  /// Opens a watch that `interrupt` can end.
  private func following(prefix: String, from revision: StoreRevision, _ body: (any StoreWatch) throws -> Void) throws {
    let watch = try store.watch(prefix: prefix, fromRevision: revision)
    current.withLock { $0.watch = watch }
    defer {
      current.withLock { $0.watch = nil }
      watch.cancel()
    }
    if signal.isStopped { return }
    try body(watch)
  }

  private func interrupt() { current.withLock { $0.watch }?.cancel() }
}
