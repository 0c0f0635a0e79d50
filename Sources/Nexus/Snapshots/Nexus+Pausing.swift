import Reactor

/// The pause of changes while a snapshot is taken. Reads and flushes go on.
extension Nexus {
  /// A change that has not begun waits until the pause is over. It keeps its range and what it has pinned.
  func awaitEndOfPause(_ slot: Int) {
    awaitingPause.append(slot)
    watchPatience()
  }

  func endPause() {
    isPaused = false
    let waiting = awaitingPause
    awaitingPause = []
    for slot in waiting { run(slot) }
  }

  /// Whether no change is under way: each has its end, or has not begun. Then all members hold the same, as nothing awaits
  /// reconciliation. Long ones wait between two of their steps, at which members are alike.
  var isQuiet: Bool {
    if scrubber?.isBusy == true { return false }
    for slot in 0..<slots.capacity where slots.isInUse(slot) && !slots[slot].isEnding && !slots[slot].isWaiting {
      switch slots[slot].request.operation {
      case .read, .flush: continue
      case .write, .writeZeroes, .deallocate:
        if slots[slot].phase != .direct || slots[slot].sentMask != 0 || slots[slot].pending != 0 { return false }
      }
    }
    return true
  }
}
