import Reactor

/// Commands that wait: for service, for a region, for the log, for a commit, for a lease; how they go on, how they are given up
/// when their client ends, and how they end when they have waited too long (R12).
extension Nexus {
  /// Keeps a command until there is service again. It keeps its range, so that order is kept too (R9).
  func awaitService(_ slot: Int) {
    if isOver { return finishLater(slot, .inaccessible) }
    if slots[slot].isAbandoned { return finishLater(slot, .aborted) }
    awaitingService.append(slot)
    watchPatience()
  }

  /// There is service: what waited for it begins, or begins anew.
  func resumeService() {
    let waiting = awaitingService
    awaitingService = []
    for slot in waiting {
      releaseBounce(slot)
      slots[slot].phase = .direct
      slots[slot].sentMask = 0
      slots[slot].failedMask = 0
      slots[slot].triedMask = 0
      slots[slot].status = .success
      if slots[slot].isStepped { slots[slot].position = slots[slot].end }
      run(slot)
    }
  }

  /// Whether it has to wait until one of its regions is equal on all members (R8).
  func awaitsRegion(_ slot: Int) -> Bool {
    let (first, last) = lockedRegions(slot)
    guard let region = log.firstAwaiting(first, last) else { return false }
    awaitingRegion.append(slot)
    reconciliation.moveToFront(region)
    watchPatience()
    return true
  }

  /// A region is equal on all members now.
  func resumeRegion() {
    let waiting = awaitingRegion
    awaitingRegion = []
    for slot in waiting { run(slot) }
  }

  func lockedRegions(_ slot: Int) -> (first: Int, last: Int) {
    (
      Int(slots[slot].lockedStart >> UInt64(regionShift)),
      Int((slots[slot].lockedEnd - 1) >> UInt64(regionShift))
    )
  }

  // MARK: Patience

  private var patienceStepNanoseconds: UInt64 { max(1, min(500_000_000, configuration.patienceNanoseconds / 8)) }

  /// From now on looks at what waits, until nothing does.
  func watchPatience() {
    if isPatienceEventDue { return }
    isPatienceEventDue = true
    after(nanoseconds: patienceStepNanoseconds) { [self] in
      isPatienceEventDue = false
      endImpatient()
      if hasWaiting { watchPatience() }
    }
  }

  private var hasWaiting: Bool {
    !awaitingService.isEmpty || !awaitingRegion.isEmpty || !awaitingLog.isEmpty || !awaitingActivation.isEmpty
      || !awaitingCommit.isEmpty || !awaitingLease.isEmpty || !awaitingBuffer.isEmpty || !awaitingPause.isEmpty
      || locks.waitingCount > 0
  }

  private func isImpatient(_ slot: Int) -> Bool {
    let hasClient = unsafe slots[slot].client != nil
    return hasClient && (isCutOff || reactor.now &- slots[slot].arrivalNanoseconds >= configuration.patienceNanoseconds)
  }

  func endImpatient() {
    var ending: [Int] = []
    let before = impatientCommands
    // What was changed on some members only is in the activity log, and is made equal before service begins again.
    takeImpatient(from: &awaitingService, into: &ending)
    takeImpatient(from: &awaitingRegion, into: &ending)
    takeImpatient(from: &awaitingLease, into: &ending)
    takeImpatient(from: &awaitingLog, into: &ending)
    takeImpatient(from: &awaitingActivation, into: &ending)
    takeImpatient(from: &awaitingBuffer, into: &ending) { !$0.isLevelling }
    takeImpatient(from: &awaitingPause, into: &ending)
    // Those that wait for the range of one that waits: it may keep it for longer than they can.
    for slot in 0..<slots.capacity where slots.isInUse(slot) && slots[slot].isWaiting && isImpatient(slot) {
      slots[slot].isWaiting = false
      locks.forgetUnblocked(slot: slot)
      unlock(slot)
      ending.append(slot)
    }
    impatientCommands += UInt64(ending.count)
    for slot in ending { finishLater(slot, .inaccessible) }
    // Some members have them and some do not: their ranges stay locked until all have.
    for slot in awaitingCommit + awaitingBuffer where isImpatient(slot) { detach(slot) }
    runUnblocked()
    if impatientCommands != before { unsafe surroundings.nexusChanged() }
  }

  private func takeImpatient(from list: inout [Int], into ending: inout [Int], if mayEnd: (borrowing NexusSlot) -> Bool = { _ in true }) {
    var kept: [Int] = []
    for slot in list { if isImpatient(slot), mayEnd(slots[slot]) { ending.append(slot) } else { kept.append(slot) } }
    list = kept
  }

  /// Tells the client and goes on alone: the range stays locked until it is known what the change came to (R1).
  private func detach(_ slot: Int) {
    guard let client = unsafe slots[slot].client else { return }
    unsafe slots[slot].client = nil
    // Long ones end after the step under way.
    slots[slot].isAbandoned = true
    impatientCommands += 1
    unsafe client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: slots[slot].request.token, status: .inaccessible) }
  }

  // MARK: Clients that end

  /// Commands of a client that ended: those of which no member has heard have had no effect and never will (R12). Long ones
  /// end after the step under way.
  func discardWaiting(of client: BlockClient) {
    let pointer = unsafe Unmanaged.passUnretained(client).toOpaque()
    for slot in 0..<slots.capacity where slots.isInUse(slot) && !slots[slot].isEnding {
      guard let owner = unsafe slots[slot].client, unsafe owner.toOpaque() == pointer else { continue }
      slots[slot].isAbandoned = true
      if slots[slot].isWaiting {
        slots[slot].isWaiting = false
        locks.forgetUnblocked(slot: slot)
        unlock(slot)
        finishLater(slot, .aborted)
      } else if isGivenUp(slot) {
        finishLater(slot, .aborted)
      }
    }
    runUnblocked()
  }

  /// Takes it from where it waits, if it may go from there.
  private func isGivenUp(_ slot: Int) -> Bool {
    // It runs never again, whatever became of an earlier try: that is made equal first.
    if Self.take(slot, from: &awaitingService) { return true }
    if slots[slot].sentMask != 0 { return Self.take(slot, from: &awaitingRegion) }
    return Self.take(slot, from: &awaitingRegion) || Self.take(slot, from: &awaitingLog) || Self.take(slot, from: &awaitingActivation)
      || Self.take(slot, from: &awaitingBuffer) || Self.take(slot, from: &awaitingPause) || Self.take(slot, from: &awaitingLease)
  }

  private static func take(_ slot: Int, from list: inout [Int]) -> Bool {
    guard let position = list.firstIndex(of: slot) else { return false }
    list.remove(at: position)
    return true
  }

  /// Another nexus owns the volume, or this one is at its end: what waits is told.
  func endWaiting() {
    let waiting = awaitingService + awaitingRegion + awaitingLog + awaitingActivation + awaitingLease + awaitingBuffer + awaitingPause
    awaitingService = []
    awaitingRegion = []
    awaitingLog = []
    awaitingActivation = []
    awaitingLease = []
    awaitingBuffer = []
    awaitingPause = []
    for slot in waiting where !slots[slot].isEnding { finishLater(slot, .inaccessible) }
  }
}
