import Pool
import Reactor

/// The activity log at work (R5): regions are in the members' logs before anything changes in them, and leave when everything in
/// them is durable everywhere.
extension Nexus {
  // MARK: Into the log

  /// Pins the regions of a change. False when it has to wait until the members' logs hold them; it is run again then.
  @inline(__always)
  func pinRegions(_ slot: Int) -> Bool {
    let (first, last) = lockedRegions(slot)
    slots[slot].firstPinned = Int32(truncatingIfNeeded: first)
    slots[slot].lastPinned = Int32(truncatingIfNeeded: last)
    if log.pinHot(first, last, now: reactor.now) {
      slots[slot].pinsRegions = true
      return true
    }
    awaitingLog.append(slot)
    watchPatience()
    pumpLog()
    // Without a replica to ask, the answer may be there already; never from inside of the question.
    return false
  }

  func unpinRegions(_ slot: Int) {
    slots[slot].pinsRegions = false
    log.unpin(Int(slots[slot].firstPinned), Int(slots[slot].lastPinned))
    if !awaitingLog.isEmpty { schedulePump() }
  }

  private func schedulePump() {
    if isPumpDue { return }
    isPumpDue = true
    after { [self] in
      isPumpDue = false
      pumpLog()
    }
  }

  /// Gives entries to the regions that changes wait for, in the order the changes came, and puts them into the logs, all that there
  /// are at once.
  func pumpLog() {
    guard activeMask != 0 else { return }
    var admitted = 0
    var ready: [Int] = []
    waiting: for slot in awaitingLog {
      switch log.admit(Int(slots[slot].firstPinned), Int(slots[slot].lastPinned), now: reactor.now) {
      case .pinned(let new):
        slots[slot].pinsRegions = true
        toActivate += new
        if log.areHot(Int(slots[slot].firstPinned), Int(slots[slot].lastPinned)) {
          ready.append(slot)
        } else {
          awaitingActivation.append(slot)
        }
        admitted += 1
      case .dropping: break waiting
      case .noRoom:
        beginDrop(isPressed: true)
        break waiting
      }
    }
    awaitingLog.removeFirst(admitted)
    activate()
    for slot in ready { run(slot) }
    if log.count * 8 >= min(log.capacity, log.regionCount) * 7, log.count > 0, log.regionCount > log.capacity { beginDrop(isPressed: true) }
  }

  /// One question per replica and batch; what comes meanwhile makes up the next batch.
  private func activate() {
    guard !isActivating, !toActivate.isEmpty else { return }
    isActivating = true
    let batch = toActivate.sorted()
    toActivate = []
    let epoch = serviceEpoch
    let absent = (recordedMask | leavingMask) & ~syncMask
    askAll(logMask) { _ in
      var asked: [ReplicaQuestion] = []
      // What an absent replica is going to miss is recorded together with what may differ (R6).
      for index in replicas.indices where absent & Self.bit(index) != 0 {
        asked += questions(.missed(peer: replicas[index].id), batch, isMember: true)
      }
      return plantedErrors.contains(.skipsActivityLog) ? asked : asked + questions(.activity, batch, isMember: true)
    } then: { [self] in
      guard serviceEpoch == epoch else { return }
      isActivating = false
      for region in batch { log.setHot(region, now: reactor.now) }
      let waiting = awaitingActivation
      awaitingActivation = []
      for slot in waiting {
        if log.areHot(Int(slots[slot].firstPinned), Int(slots[slot].lastPinned)) { run(slot) } else { awaitingActivation.append(slot) }
      }
      activate()
      watchIdleness()
    }
  }

  // MARK: Out of the log

  /// Looks after a while whether regions have become idle, as long as the log holds any.
  func watchIdleness() {
    if log.count > 0 { watchLatencies() }
    if isIdleEventDue || log.count == 0 || isOver { return }
    isIdleEventDue = true
    after(nanoseconds: max(configuration.idleNanoseconds / 2, 1)) { [self] in
      isIdleEventDue = false
      beginDrop(isPressed: false)
      watchIdleness()
    }
  }

  /// Whether every record of what absent replicas missed is durable, so that regions may leave the log (R6).
  private var mayDrop: Bool {
    activeMask != 0 && leavingMask == 0 && unrecordedMask == 0 && preparingMask == 0 && membershipStep == nil
  }

  /// Begins to take idle regions out of the log; when room is needed, the oldest ones, idle or not.
  func beginDrop(isPressed: Bool) {
    guard drop == nil, mayDrop else { return }
    let capacity = min(log.capacity, log.regionCount)
    let now = reactor.now
    let deadline = isPressed ? UInt64.max : now - min(now, configuration.idleNanoseconds)
    let candidates = log.candidates(usedBefore: deadline, limit: isPressed && shutDownCompletion == nil ? max(1, capacity / 4) : capacity)
    let isLossToSettle = saidLostMask & setMask != 0 && log.awaitingCount == 0 && lostMask == 0
    if candidates.isEmpty && !isLossToSettle { return }
    let batch = LogDrop(candidates: candidates, mask: logMask, settlesLoss: isLossToSettle)
    drop = batch
    // What was written through is durable as it is; but a change that is acknowledged may be in the log of a pool only.
    flushes.flush(logMask & ~writeThroughMask) { [self] failedMask in flushed(batch, failedMask) }
  }

  private static let dropRetryNanoseconds: UInt64 = 5_000_000

  private func flushed(_ batch: LogDrop, _ failedMask: UInt8) {
    guard drop === batch else { return }
    for index in replicas.indices where failedMask & Self.bit(index) != 0 { fault(index, .writeFault, .flush) }
    // Whoever came or went meanwhile may have missed something of it.
    guard drop === batch, mayDrop, failedMask == 0, logMask == batch.mask else {
      if drop === batch { drop = nil }
      return after(nanoseconds: Self.dropRetryNanoseconds) { [self] in pumpLog() }
    }
    let isBlind = plantedErrors.contains(.dropsReentered)
    let dropping = batch.candidates.filter {
      log.beginDrop($0.region, ifUnchangedSince: isBlind ? log.entry($0.region)?.sequence ?? 0 : $0.sequence)
    }.map(\.region).sorted()
    let settled = batch.settlesLoss && log.awaitingCount == 0 ? saidLostMask & setMask : 0
    askAll(batch.mask) { index in
      var asked = questions(.activity, dropping, isMember: false)
      if settled & Self.bit(index) != 0 { asked.append(.clearLostCache) }
      return asked
    } then: { [self] in
      guard drop === batch else { return }
      drop = nil
      saidLostMask &= ~settled
      for region in dropping { log.remove(region) }
      pumpLog()
      if shutDownCompletion != nil { goOnShuttingDown() }
    }
  }
}

/// Regions on their way out of the activity log.
final class LogDrop {
  let candidates: [(region: Int, sequence: UInt64)]
  let mask: UInt8
  /// Lost caches have been made good, and the replicas may forget about it.
  let settlesLoss: Bool

  init(candidates: [(region: Int, sequence: UInt64)], mask: UInt8, settlesLoss: Bool) {
    self.candidates = candidates
    self.mask = mask
    self.settlesLoss = settlesLoss
  }
}

/// Flushes of the nexus's own.
final class ReplicaFlushes: BlockClient {
  private unowned let nexus: Nexus
  private var pending: [UInt64: Flush] = [:]
  private var nextToken: UInt64 = 0

  private final class Flush {
    let index: Int
    let session: Int
    let round: Round
    init(index: Int, session: Int, round: Round) {
      self.index = index
      self.session = session
      self.round = round
    }
  }

  private final class Round {
    var pending = 0
    var failedMask: UInt8 = 0
    let done: (UInt8) -> Void
    init(_ done: @escaping (UInt8) -> Void) { self.done = done }
  }

  init(nexus: Nexus) { self.nexus = nexus }

  var isBusy: Bool { !pending.isEmpty }

  func abandon() { pending = [:] }

  /// Flushes the replicas and tells, later, which of them did not.
  func flush(_ mask: UInt8, then done: @escaping (UInt8) -> Void) {
    let round = Round(done)
    for index in nexus.replicas.indices where mask & Nexus.bit(index) != 0 {
      round.pending += 1
      submit(Flush(index: index, session: nexus.replicas[index].session, round: round))
    }
    if round.pending == 0 { nexus.after { done(0) } }
  }

  private func submit(_ flush: Flush) {
    guard let door = nexus.replicas[flush.index].door, nexus.replicas[flush.index].session == flush.session else {
      return nexus.after { [self] in ended(flush, .connectionLost) }
    }
    let token = nextToken
    nextToken += 1
    pending[token] = flush
    unsafe door.submit(BlockRequest(.flush, token: token), for: self)
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    guard let flush = pending.removeValue(forKey: token) else { return }
    if status == .busy {
      nexus.after(nanoseconds: max(nexus.retryNanoseconds, 1)) { [self] in submit(flush) }
    } else {
      ended(flush, status)
    }
  }

  private func ended(_ flush: Flush, _ status: BlockStatus) {
    flush.round.pending -= 1
    if status != .success { flush.round.failedMask |= Nexus.bit(flush.index) }
    if flush.round.pending == 0 { flush.round.done(flush.round.failedMask) }
    nexus.letGoIfQuiet()
  }
}
