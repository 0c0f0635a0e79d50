/// Who waits for payload memory of one kind: first come, first served within a controller, and controllers in turn.
///
/// A controller that may not hold more lets others pass. When memory itself is short nobody passes, so that a large command is
/// not starved by small ones.
final class MemoryLine {
  struct Waiter {
    let connection: Connection
    /// The command to go on with, or nil to parse on.
    let slot: Int?
  }

  private struct Queue {
    let share: MemoryShare
    var waiters: [Waiter]
    var first = 0
  }

  private var queues: [Queue] = []
  private var turn = 0
  private var current: Waiter?
  /// The one being served may take memory, once.
  private var hasPermit = false
  private var staysFirst = false
  private var isOverShare = false
  /// The last who was served found memory itself short.
  private var isExhausted = false

  /// Whether a controller other than this one's waits for memory, not for its own limit.
  func isExhausted(forOthersThan share: MemoryShare) -> Bool { isExhausted && queues.contains { $0.share !== share } }

  var isEmpty: Bool { queues.isEmpty }

  /// Whether memory may be taken now without overtaking anybody.
  @inline(__always)
  var isOpen: Bool { queues.isEmpty || hasPermit }

  /// Memory was taken.
  @inline(__always)
  func taken() { if hasPermit { hasPermit = false } }

  /// Lines up; the one being served who found nothing stays where it is.
  /// - Parameter isOverShare: whether it was its controller's limit that was in the way.
  func join(_ waiter: Waiter, isOverShare: Bool) {
    let share = waiter.connection.share
    if let current, hasPermit, current.connection === waiter.connection, current.slot == waiter.slot {
      staysFirst = true
      self.isOverShare = isOverShare
      return
    }
    if let index = queues.firstIndex(where: { $0.share === share }) {
      queues[index].waiters.append(waiter)
    } else {
      queues.append(Queue(share: share, waiters: [waiter]))
    }
  }

  /// Serves as many as there is memory for.
  func serve() {
    var passedOver = 0
    isExhausted = false
    while passedOver < queues.count {
      if turn >= queues.count { turn = 0 }
      let waiter = queues[turn].waiters[queues[turn].first]
      if !waiter.connection.isEnding {
        current = waiter
        hasPermit = true
        staysFirst = false
        if let slot = waiter.slot { waiter.connection.startWithBuffer(slot) } else { waiter.connection.resumeReceiving() }
        hasPermit = false
        current = nil
        if staysFirst {
          if !isOverShare {
            isExhausted = true
            return
          }
          passedOver += 1
          turn += 1
          continue
        }
      }
      passedOver = 0
      dropFirst()
    }
  }

  private func dropFirst() {
    queues[turn].first += 1
    if queues[turn].first == queues[turn].waiters.count {
      queues.remove(at: turn)
      return
    }
    if queues[turn].first == 256 {
      queues[turn].waiters.removeFirst(256)
      queues[turn].first = 0
    }
    turn += 1
  }
}
