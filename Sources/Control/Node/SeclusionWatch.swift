import Dispatch
import Reactor

/// Whether this node is cut off, as far as it can know: none of its peers can be reached, and the state store does not answer. Others may have
/// taken over what it serves then, and cannot tell it.
///
/// The store is asked only while no peer can be reached. It may be asked at any time, as a call of it takes long to fail: a question
/// that has waited for `patienceNanoseconds` counts as unanswered. All state belongs to `queue`.
final class SeclusionWatch: @unchecked Sendable {
  private let patienceNanoseconds: UInt64
  private let intervalNanoseconds: UInt64
  private let now: @Sendable () -> UInt64
  /// Whether the store answers. May take as long as it likes.
  private let ask: @Sendable () -> Bool
  private let tell: @Sendable (Bool) -> Void
  private let queue = DispatchQueue(label: "keelson.seclusion")
  private var isAlone = false
  private var isSecluded = false
  private var isAsking = false
  private var isStopped = false
  /// When the store answered last, or the last peer was lost.
  private var lastSign: UInt64 = 0

  /// `tell` is called on a queue of its own, with each change.
  init(
    patienceNanoseconds: UInt64 = 1_000_000_000, intervalNanoseconds: UInt64 = 300_000_000,
    now: @escaping @Sendable () -> UInt64 = { BootClock.nanoseconds() }, ask: @escaping @Sendable () -> Bool,
    tell: @escaping @Sendable (Bool) -> Void
  ) {
    self.patienceNanoseconds = patienceNanoseconds
    self.intervalNanoseconds = intervalNanoseconds
    self.now = now
    self.ask = ask
    self.tell = tell
  }

  /// There are peers, and none of them can be reached; or no longer so.
  func setAlone(_ alone: Bool) {
    queue.async { [self] in
      if alone == isAlone || isStopped { return }
      isAlone = alone
      lastSign = now()
      if alone { look() } else { set(false) }
    }
  }

  func stop() {
    queue.sync {
      isStopped = true
      isAlone = false
    }
  }

  private func look() {
    guard isAlone else { return }
    if now() >= lastSign + patienceNanoseconds { set(true) }
    if !isAsking {
      isAsking = true
      DispatchQueue.global().async { [self] in
        let askedAt = now()
        let isThere = ask()
        queue.async { [self] in
          isAsking = false
          guard isThere else { return }
          lastSign = max(lastSign, askedAt)
          if isSecluded, now() < lastSign + patienceNanoseconds { set(false) }
        }
      }
    }
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(intervalNanoseconds))) { self.look() }
  }

  private func set(_ secluded: Bool) {
    if secluded == isSecluded || isStopped { return }
    isSecluded = secluded
    tell(secluded)
  }
}
