import Pool
import Reactor

/// A stop in order: everything ends, the log is emptied, claims and leases are given back, so that the next nexus starts at once.
extension Nexus {
  /// Takes no more commands and tells when all is over; then `retire`. Hosts must be gone, so that nothing new comes.
  public func shutDown(then done: @escaping () -> Void) {
    precondition(shutDownCompletion == nil, "a nexus is shut down twice")
    shutDownCompletion = done
    if slots.usedCount == 0 { after { [self] in goOnShuttingDown() } }
  }

  func goOnShuttingDown() {
    guard let done = shutDownCompletion, slots.usedCount == 0, state != .stopped else { return }
    if !isFenced, activeMask != 0, log.awaitingCount == 0, log.count > 0 || saidLostMask & setMask != 0, shutDownTries < 4 {
      // An empty log spares the next nexus its comparison.
      shutDownTries += 1
      if drop == nil { beginDrop(isPressed: true) }
      if drop != nil { return }
      return after(nanoseconds: 1_000_000) { [self] in goOnShuttingDown() }
    }
    let claimed = replicas.indices.filter { replicas[$0].claimed != nil }
    state = isFenced ? .fenced : .stopped
    let wasFenced = isFenced
    stopScrub()
    endService()
    stepSnapshots()
    let round = ReleaseRound(claimed.count)
    let finish = { [self] in
      shutDownCompletion = nil
      done()
    }
    if claimed.isEmpty || wasFenced { return after { finish() } }
    for index in claimed {
      replicas[index].door?.sessionEnded = nil
      replicas[index].door?.ask(.release) { _ in
        round.pending -= 1
        if round.pending == 0 { finish() }
      }
    }
  }
}

private final class ReleaseRound {
  var pending: Int
  init(_ pending: Int) { self.pending = pending }
}

/// Before a stop that hosts are to notice little of.
extension Nexus {
  private static let preparationStepNanoseconds: UInt64 = 2_000_000
  private static let preparationNanoseconds: UInt64 = 1_000_000_000

  /// Empties the log as far as that goes while commands are served, so that `shutDown` has little left to do. Takes a second at most.
  public func prepareShutDown(then done: @escaping () -> Void) {
    if drop == nil, !isOver { beginDrop(isPressed: true) }
    awaitDrop(until: reactor.now + Self.preparationNanoseconds, done)
  }

  private func awaitDrop(until end: UInt64, _ done: @escaping () -> Void) {
    after(nanoseconds: Self.preparationStepNanoseconds) { [self] in
      if drop == nil || isOver || reactor.now >= end { return done() }
      awaitDrop(until: end, done)
    }
  }
}
