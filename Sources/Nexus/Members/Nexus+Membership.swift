import Pool
import Reactor

/// A change of the in-sync set on its way (R2): first those that stay, then the store, then what must be durable on those that stay.
struct MembershipStep {
  enum Stage {
    /// Those that stay are asked whether they are there still.
    case asking
    /// Its outcome is not known.
    case committing
    /// It is committed; the replicas store the set, and what those that left miss from now on.
    case storing
  }

  let number: Int
  var stage = Stage.asking
  /// The replicas have been asked to store it.
  var isAsked = false
  let leavingMask: UInt8
  var joiningMask: UInt8 = 0
  /// Absent replicas that are known to have accepted this generation.
  var returningMask: UInt8 = 0
  /// All members had accepted this generation when it was sent.
  var isConfirming = false
  /// Size and snapshots, if they change too.
  var record: VolumeRecord?
}

/// Members leave and join by committed changes only (R2, R4).
extension Nexus {
  /// Commits what the store does not know yet, one change at a time.
  func commitIfNeeded() {
    guard membershipStep == nil, !isOver, phase == .prepared else { return }
    let isConfirmationDue = !isConfirmed && isClaimedByAll
    if leavingMask == 0 && joiningMask & ~setMask == 0 && returningMask == 0 && dueRecord == nil && !isConfirmationDue { return }
    membershipCount += 1
    let step = MembershipStep(number: membershipCount, leavingMask: leavingMask & setMask)
    membershipStep = step
    if step.leavingMask == 0 { commit() } else { askThoseThatStay(step) }
  }

  /// Only what has every member's claim may be confirmed (R3).
  private var isClaimedByAll: Bool { setMask & ~healthyMask & ~leavingMask == 0 }

  /// Nobody leaves on the strength of members that are gone themselves: they may have lost their caches with the power, and who
  /// leaves may hold the only good copy (R7). What they are asked for is what they must know anyhow (R6).
  private func askThoseThatStay(_ step: MembershipStep) {
    let epoch = serviceEpoch
    let hot = plantedErrors.contains(.forgetsDeparted) ? [] : log.regions
    askAll(healthyMask) { _ in
      replicas.indices.filter { step.leavingMask & Self.bit($0) != 0 }
        .flatMap { questions(.missed(peer: replicas[$0].id), hot, isMember: true) }
    } then: { [self] in
      guard membershipStep?.number == step.number, serviceEpoch == epoch, phase == .prepared else { return }
      if leavingMask & setMask == step.leavingMask { return commit() }
      // One of them did not answer, and leaves too.
      membershipStep = nil
      commitIfNeeded()
    }
  }

  /// Service ended before the store was told: those that were to leave are members still, to be claimed anew.
  func withdrawMembership() {
    var told: UInt8 = 0
    if let step = membershipStep, step.stage != .asking { told = step.leavingMask } else { membershipStep = nil }
    let withdrawn = leavingMask & setMask & ~told
    if withdrawn == 0 { return }
    leavingMask &= ~withdrawn
    for index in replicas.indices where withdrawn & Self.bit(index) != 0 { replicas[index].claimed = nil }
    after(nanoseconds: Self.retryClaimNanoseconds) { [self] in claimReplicas() }
  }

  private func commit() {
    guard var step = membershipStep else { return }
    step.stage = .committing
    step.joiningMask = joiningMask & ~setMask
    step.returningMask = returningMask & ~setMask
    step.isConfirming = isClaimedByAll
    returningMask = 0
    step.record = dueRecord
    dueRecord = nil
    membershipStep = step
    let record = step.record ?? record
    let members = (setMask & ~leavingMask) | step.joiningMask
    // From here on until the outcome is known, an acknowledgement needs both sets.
    setMask |= step.joiningMask
    computeLeases()
    unsafe surroundings.commit(
      MembershipChange(
        members: identifiers(members),
        leaving: replicas.indices.filter { step.leavingMask & Self.bit($0) != 0 }
          .map { Absence(replicas[$0].id, reason: replicas[$0].reason, generation: replicas[$0].floorGeneration) },
        joining: identifiers(step.joiningMask), returning: identifiers(step.returningMask), sizeBytes: record.sizeBytes,
        snapshots: record.snapshots, isConfirming: step.isConfirming))
  }

  private func identifiers(_ mask: UInt8) -> [Identifier] {
    replicas.indices.filter { mask & Self.bit($0) != 0 }.map { replicas[$0].id }
  }

  /// The outcome of the last `NexusSurroundings.commit` is known.
  public func membershipCommitted(_ outcome: MembershipOutcome) {
    guard var step = membershipStep, step.stage == .committing else { return }
    switch outcome {
    case .fenced: fence()
    case .committed(let setVersion, let storeRevision):
      step.stage = .storing
      membershipStep = step
      if let changed = step.record { record = changed }
      if step.isConfirming { isConfirmed = true }
      returnKnownMask |= step.returningMask
      claim.setVersion = setVersion
      claim.storeRevision = max(claim.storeRevision, storeRevision)
      claim.inSync = identifiers(setMask & ~step.leavingMask)
      storeSetIfPrepared()
    }
  }

  /// Members that are being claimed or prepared store the set, and what those that left miss, when their logs are known: not before,
  /// as the record of what is in the logs would lack what theirs hold.
  func storeSetIfPrepared() {
    guard phase == .prepared, let step = membershipStep, step.stage == .storing, !step.isAsked else { return }
    membershipStep!.isAsked = true
    storeSet(step)
  }

  /// The replicas that stay store the new set, and that all regions of the log may be missed by those that left (R6); only then is
  /// anything acknowledged without them.
  private func storeSet(_ step: MembershipStep) {
    let hot = plantedErrors.contains(.forgetsDeparted) ? [] : log.regions
    // One that cannot be reached now is told by the claim that lets it come back.
    askAll(logMask | (syncMask & step.joiningMask)) { index in
      var asked: [ReplicaQuestion] = []
      for left in replicas.indices where step.leavingMask & Self.bit(left) != 0 {
        // One that lost its data misses everything.
        let regions = rolledBackMask & Self.bit(left) != 0 ? Array(0..<log.regionCount) : hot
        asked += questions(.missed(peer: replicas[left].id), regions, isMember: true)
      }
      asked.append(.storeSet(claim))
      return asked
    } then: { [self] in
      guard membershipStep?.stage == .storing else { return }
      settleMembership(step)
    }
  }

  private func settleMembership(_ step: MembershipStep) {
    membershipStep = nil
    // Their claims end here: what begins below must not take them for replicas that may return at once.
    for index in replicas.indices where step.leavingMask & Self.bit(index) != 0 { scheduleReturn(index) }
    setMask &= ~step.leavingMask
    leavingMask &= ~step.leavingMask
    // Whatever became hot since was recorded as it did.
    recordedMask |= step.leavingMask
    unrecordedMask &= ~step.leavingMask
    lostMask &= setMask
    saidLostMask &= setMask
    for index in replicas.indices where step.leavingMask & Self.bit(index) != 0 {
      // The commit has told the store what it has accepted.
      if replicas[index].floorGeneration == claim.generation { returnKnownMask |= Self.bit(index) }
    }
    let joined = step.joiningMask
    joiningMask &= ~joined
    recordedMask &= ~joined
    for index in replicas.indices where joined & Self.bit(index) != 0 { finishJoin(index) }
    computeLeases()
    unsafe surroundings.nexusChanged()
    let waiting = awaitingCommit
    awaitingCommit = []
    for slot in waiting where !slots[slot].isEnding { settle(slot) }
    commitIfNeeded()
    gather()
    serveIfPossible()
    releaseHeldReads()
    pumpLog()
    beginReconciliation()
    letGoOfUnwanted()
    beginReturns()
    recordSettled()
  }

  /// Reads go to the nearest first, then to the quickest.
  func orderReads() {
    readOrder = latencies.order(nearest: configuration.nearest.flatMap { nearest in replicas.firstIndex { $0.id == nearest } })
  }
}
