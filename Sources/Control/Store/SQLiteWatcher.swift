import CLinux
import Foundation

/// The one thread of a store: sleeps until the bell rings or the next lease ends, tells the waiting watches how far the store has come,
/// and ends leases.
final class SQLiteWatcher: @unchecked Sendable {
  private let engine: SQLiteEngine
  private let bell: SQLiteBell
  /// Guards all that follows.
  private let condition = NSCondition()
  private var revision: StoreRevision = 0
  private var isStopped = false
  private var isThreadDone = false
  private var wakeUps = 0

  init(engine: SQLiteEngine) throws(StoreError) {
    self.engine = engine
    bell = try SQLiteBell(path: engine.bellPath)
  }

  /// How often the thread woke up: an idle store's does not grow.
  var wakeUpCount: Int { condition.withLock { wakeUps } }

  func start() {
    let thread = Thread { self.loop() }
    thread.name = "keelson-store"
    thread.stackSize = 512 << 10
    thread.start()
  }

  /// Ends the thread and wakes all waiters; returns when the thread touches nothing any more.
  func stop() {
    condition.lock()
    defer { condition.unlock() }
    if isStopped { return }
    isStopped = true
    condition.broadcast()
    bell.poke()
    while !isThreadDone { condition.wait() }
    bell.close()
  }

  /// Wakes all waiters, so that they look at their own conditions.
  func wakeWaiters() { condition.withLock { condition.broadcast() } }

  /// Waits until the store is beyond `known`, `deadline` (boot clock) is over, or `isCancelled` holds. Throws `closed` once stopped.
  func wait(beyond known: StoreRevision, deadline: UInt64?, isCancelled: () -> Bool) throws(StoreError) {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if isStopped { throw .closed }
      if revision > known || isCancelled() { return }
      guard let deadline else {
        condition.wait()
        continue
      }
      let now = BootClock.nanoseconds()
      if now >= deadline { return }
      _ = condition.wait(until: Date(timeIntervalSinceNow: Double(deadline - now) / 1e9))
    }
  }

  private func loop() {
    while !condition.withLock({ isStopped }) {
      let wakeup = bell.wait(timeoutNanoseconds: refresh())
      condition.withLock { wakeUps += 1 }
      if !wakeup.isRung && !wakeup.isPoked {
        // The write itself ends what is over. If it cannot (disk full, lock held), `refresh` makes a pause before the next attempt.
        try? engine.write { (_) throws(StoreError) in }
      }
    }
    condition.withLock {
      isThreadDone = true
      condition.broadcast()
    }
  }

  /// Reads how far the store is and tells the waiters. Returns how long to sleep for the next lease, nil if there is none.
  private func refresh() -> UInt64? {
    let retryNanoseconds: UInt64 = 1_000_000_000
    let leastNanoseconds: UInt64 = 10_000_000
    do throws(StoreError) {
      let (head, expiry) = try engine.read { (database) throws(StoreError) in
        (try database.head().revision, try database.nextLeaseExpiry(bootID: engine.bootID))
      }
      condition.withLock {
        if head > revision {
          revision = head
          condition.broadcast()
        }
      }
      guard let expiry else { return nil }
      let now = BootClock.nanoseconds()
      return expiry > now ? max(expiry - now, leastNanoseconds) : leastNanoseconds
    } catch {
      return retryNanoseconds
    }
  }
}
