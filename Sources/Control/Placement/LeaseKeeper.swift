import Foundation

/// Keeps one lease alive from a thread of its own, at a third of its time to live, and says once when it is lost. One per process.
public final class LeaseKeeper: Sendable {
  public let lease: StoreLease
  private let store: any StateStore
  private let signal = StopSignal()

  /// Grants a lease and begins to keep it. `onLost` is called at most once, on the keeper's thread, when the lease is gone, or may be
  /// because the store did not answer for its whole time to live.
  public init(store: any StateStore, ttlSeconds: Int, onLost: @escaping @Sendable () -> Void) throws(StoreError) {
    self.store = store
    let grantedAt = BootClock.nanoseconds()
    let lease = try store.grantLease(ttlSeconds: ttlSeconds)
    self.lease = lease
    let thread = Thread { [signal] in Self.keep(lease, grantedAt, store, signal, onLost) }
    thread.name = "keelson-lease"
    thread.stackSize = 256 << 10
    thread.start()
  }

  /// Stops keeping it; the lease ends by itself. Does not call `onLost`.
  public func stop() { signal.stop() }

  /// Stops keeping it and ends it now, its keys with it.
  public func revoke() {
    signal.stop()
    try? store.revoke(lease.id)
  }

  deinit { signal.stop() }

  private static func keep(
    _ lease: StoreLease, _ grantedAt: UInt64, _ store: any StateStore, _ signal: StopSignal, _ onLost: @Sendable () -> Void
  ) {
    let ttlNanoseconds = UInt64(lease.ttlSeconds) * 1_000_000_000
    var validUntil = grantedAt + ttlNanoseconds
    while !signal.wait(nanoseconds: ttlNanoseconds / 3) {
      // Counted from before the request: the store's own count begins later.
      let askedAt = BootClock.nanoseconds()
      do throws(StoreError) {
        try store.keepAlive(lease.id)
        validUntil = askedAt + ttlNanoseconds
      } catch {
        var isLost = BootClock.nanoseconds() >= validUntil
        if case .leaseNotFound = error { isLost = true }
        if case .closed = error { isLost = true }
        if isLost {
          if !signal.isStopped { onLost() }
          return
        }
      }
    }
  }
}

/// A flag that a thread can sleep on.
final class StopSignal: Sendable {
  private let condition = Guarded()

  /// An NSCondition and what it guards.
  private final class Guarded: @unchecked Sendable {
    let condition = NSCondition()
    var isStopped = false
  }

  var isStopped: Bool { condition.condition.withLock { condition.isStopped } }

  func stop() {
    condition.condition.withLock {
      condition.isStopped = true
      condition.condition.broadcast()
    }
  }

  /// Sleeps. True if it was stopped.
  func wait(nanoseconds: UInt64) -> Bool {
    let end = Date(timeIntervalSinceNow: Double(nanoseconds) / 1e9)
    condition.condition.lock()
    defer { condition.condition.unlock() }
    while !condition.isStopped {
      if !condition.condition.wait(until: end) { break }
    }
    return condition.isStopped
  }
}
