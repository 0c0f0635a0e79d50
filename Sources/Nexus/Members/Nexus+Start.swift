import Pool
import Reactor

/// From doors to service: claims (R3), whose caches count (R7), and logs and records made alike before the first command.
extension Nexus {
  // MARK: Doors

  /// There is a door to a replica of this volume: the first, or a new one after its connection or process was lost. One that the
  /// nexus has not heard of is new. Returns false when there are too many replicas.
  @discardableResult
  public func replicaAppeared(_ id: Identifier, _ door: ReplicaDoor) -> Bool {
    guard !isOver else { return false }
    var index = replicas.count
    if let known = replicas.firstIndex(where: { $0.id == id }) {
      index = known
      // As long as it is in the set it counts, and what it holds may be needed.
      guard !replicas[index].isUnwanted || setMask & Self.bit(index) != 0 else { return false }
    } else {
      guard let free = placeForReplica() else { return false }
      index = free
      let entry = ReplicaEntry(id: id, reason: "new")
      if index == replicas.count { replicas.append(entry) } else { replace(index, by: entry) }
      orderReads()
    }
    if replicas[index].door != nil {
      // What was under way through the old one is settled by the new claim (R11), not by waiting for it.
      let session = replicas[index].session
      sessionEnded(index, session, .lost)
      if isOver { return false }
    }
    closeDoor(index)
    replicas[index].door = door
    let session = replicas[index].session
    unsafe paths[index] = Unmanaged.passUnretained(door)
    door.sessionEnded = { [unowned self] refusal in sessionEnded(index, session, refusal) }
    claimReplica(index)
    return true
  }

  // MARK: Claims

  func claimReplicas() { for index in replicas.indices { claimReplica(index) } }

  /// Claims a replica that has a door and no accepted claim.
  func claimReplica(_ index: Int) {
    // One on its way out comes back when that is known.
    guard !isOver, replicas[index].door != nil, !replicas[index].isClaiming, replicas[index].claimed == nil,
      leavingMask & Self.bit(index) == 0
    else { return }
    replicas[index].isClaiming = true
    let session = replicas[index].session
    let sentAt = leaseNow
    let floor = plantedErrors.contains(.trustsRolledBack) ? 0 : replicas[index].floorGeneration
    replicas[index].door!.ask(floor == 0 ? .claim(claim) : .claimFrom(claim, floorGeneration: floor)) { [self] result in
      guard replicas[index].session == session, !isOver else { return }
      replicas[index].isClaiming = false
      switch result {
      case .success(.claimed(let claimed)): accepted(index, claimed, sentAt: sentAt)
      case .success: claimFailed(index, "it answered a claim with something else", after: Self.retryClaimNanoseconds)
      case .failure(.claimed(let generation)) where generation > claim.generation: fence()
      case .failure(.rolledBack(let generation)): rolledBack(index, to: generation)
      case .failure(let refusal):
        let delay: UInt64 = refusal == .busy ? 10_000_000 : Self.retryClaimNanoseconds
        claimFailed(index, "its claim was refused: \(refusal)", after: delay)
      }
    }
  }

  func claimFailed(_ index: Int, _ reason: String, after delay: UInt64) {
    replicas[index].reason = reason
    let session = replicas[index].session
    after(nanoseconds: delay) { [self] in if replicas[index].session == session { claimReplica(index) } }
    gather()
  }

  private func accepted(_ index: Int, _ claimed: ClaimedReplica, sentAt: UInt64) {
    let bit = Self.bit(index)
    if let objection = takeGeometry(index, claimed) {
      replicas[index].reason = objection
      return gather()
    }
    replicas[index].claimed = claimed
    replicas[index].isTakenIn = false
    // Known to itself from now on, and to the store before anything relies on it.
    if configuration.confirmedGeneration != nil { replicas[index].floorGeneration = claim.generation }
    rolledBackMask &= ~bit
    replicas[index].leaseEndNanoseconds = Self.leaseEnd(sentAt, claimed.leaseNanoseconds)
    if claimed.isWriteThrough { writeThroughMask |= bit } else { writeThroughMask &= ~bit }
    if setMask & bit != 0 {
      replicas[index].reason = ""
      if claimed.before.mayHaveLostCache, !plantedErrors.contains(.trustsLostCaches) {
        lostMask |= bit
        saidLostMask |= bit
      } else {
        saidLostMask &= ~bit
      }
      // One that was waited for: its log and records are taken in before anything is served.
      if phase == .prepared, activeMask == 0 {
        endService()
        phase = .gathering
      }
      gather()
    } else if phase == .prepared {
      beginResync(index)
    }
    if record.snapshots.contains(where: { $0.state == .deleting }) { scheduleSnapshots(0) }
    unsafe surroundings.nexusChanged()
  }

  /// Takes the shape of logs from the first replica; the others must have it too. Returns what is wrong with it.
  private func takeGeometry(_ index: Int, _ claimed: ClaimedReplica) -> String? {
    let shift = claimed.regionBytes.trailingZeroBitCount
    let door = replicas[index].door!
    // A larger one has grown with members whose growth was never committed; a smaller one grows before it is made equal (R15).
    let isMember = setMask & Self.bit(index) != 0
    guard claimed.sizeBytes >= sizeBytes || !isMember, door.sizeBytes >= min(claimed.sizeBytes, sizeBytes) else {
      return "it has \(claimed.sizeBytes) bytes, the volume \(sizeBytes)"
    }
    guard door.blockSizeBytes <= blockSizeBytes else { return "its blocks are larger than the volume's" }
    guard claimed.regionBytes.nonzeroBitCount == 1, claimed.regionBytes >= Self.unitBytes, claimed.leaseNanoseconds > 0 else {
      return "its pool's settings make no sense"
    }
    let regionCount = Int((sizeBytes + claimed.regionBytes - 1) >> UInt64(shift))
    let needed = min(Int(2 * (Self.maximumTransferBytes >> UInt64(shift) + 2)), regionCount)
    guard claimed.maximumHotRegions >= needed else { return "its activity log is too small" }
    if hasGeometry {
      guard shift == regionShift else { return "its activity log has another unit than the other replicas'" }
      log.limit(to: claimed.maximumHotRegions)
    } else {
      hasGeometry = true
      regionShift = shift
      log = ActivityLog(regionCount: regionCount, capacity: claimed.maximumHotRegions)
    }
    limitSteps()
    return nil
  }

  // MARK: Gathering

  func beginGathering() {
    graceEndNanoseconds = reactor.now + configuration.graceNanoseconds
    after(nanoseconds: configuration.graceNanoseconds + 1) { [self] in gather() }
  }

  /// Members whose claim is accepted.
  var reachedMask: UInt8 {
    var mask: UInt8 = 0
    for index in replicas.indices where setMask & Self.bit(index) != 0 && replicas[index].claimed != nil { mask |= Self.bit(index) }
    return mask & ~leavingMask
  }

  /// Goes on if enough members are there (R3, R7).
  func gather() {
    guard phase == .gathering, !isOver else { return }
    let members = setMask & ~leavingMask
    let decision = StartDecision.decide(
      setMask: members, reachedMask: reachedMask, lostMask: lostMask, rolledBackMask: rolledBackMask,
      isGraceOver: reactor.now >= graceEndNanoseconds, minInSync: minInSync)
    switch decision.action {
    case .wait(let reason): tellWaiting(reason, members & ~reachedMask)
    case .go(let leaving):
      phase = .preparing
      // If all have lost their caches, any will do: what they hold is the truth from now on.
      if decision.sourceMask & lostMask != 0 { lostMask = 0 }
      prepare(reachedMask, leaving: leaving)
    }
  }

  private func tellWaiting(_ reason: StartDecision.Reason, _ missing: UInt8) {
    let names = replicas.indices.filter { missing & Self.bit($0) != 0 }
      .map { "\(replicas[$0].id)\(replicas[$0].reason.isEmpty ? "" : " (\(replicas[$0].reason))")" }.joined(separator: ", ")
    let text: String
    switch reason {
    case .grace, .noneReached: text = "waiting for in-sync replicas: \(names)"
    case .cachesLost:
      text = "all reachable replicas may have lost acknowledged writes with the power; bring back one of \(names)"
    }
    let isBlocked = reason == .cachesLost || reactor.now >= graceEndNanoseconds
    let told = isBlocked ? State.blocked(reason: text) : .starting(reason: text)
    if case .blocked = state, !isBlocked { return }
    if state != told {
      state = told
      unsafe surroundings.nexusChanged()
    }
  }

  // MARK: Preparing

  /// Makes the members' logs alike, and their records of absent replicas complete, so that the log in memory is the log of each. What those that
  /// were taken in before hold by now they are asked for: their records have changed since their claim, and others need them, too.
  private func prepare(_ reached: UInt8, leaving: UInt8) {
    let epoch = serviceEpoch
    let told = ToldRecords()
    for index in replicas.indices where reached & Self.bit(index) != 0 {
      if !replicas[index].isTakenIn {
        told.missed[index] = replicas[index].claimed?.before.missed ?? []
      } else if !plantedErrors.contains(.trustsUnseenRecords) {
        told.pending += 1
      }
    }
    if told.pending == 0 { return makeAlike(reached, leaving: leaving, told.missed) }
    for index in replicas.indices where reached & Self.bit(index) != 0 && replicas[index].isTakenIn {
      ask(index, .metadata) { [self] result in
        told.pending -= 1
        guard phase == .preparing, serviceEpoch == epoch, !isOver else { return }
        switch result {
        case .success(.metadata(let metadata)): told.missed[index] = metadata.missed
        case .success: fault(index, .invalid("it was asked for its metadata and told something else"))
        case .failure(let refusal): fault(index, refusal)
        }
        guard told.pending == 0, phase == .preparing, serviceEpoch == epoch, !isOver else { return }
        guard reachedMask == reached else {
          phase = .gathering
          return gather()
        }
        makeAlike(reached, leaving: leaving, told.missed)
      }
    }
  }

  private func makeAlike(_ reached: UInt8, leaving: UInt8, _ missed: [[(peer: Identifier, regions: [Int])]]) {
    let epoch = serviceEpoch
    let now = reactor.now
    // What members on their way out have missed so far is recorded already, and stays so.
    let remaining = setMask & ~leavingMask
    var evidence: UInt8 = 0
    for index in replicas.indices where reached & Self.bit(index) != 0 {
      guard let before = replicas[index].claimed?.before else { continue }
      if !replicas[index].isTakenIn {
        for region in before.hotRegions where region < log.regionCount {
          guard log.adopt(region) else {
            block("the activity log of replica \(replicas[index].id) does not fit those of its peers", failed: index)
            return
          }
        }
      }
      for other in replicas.indices where remaining & Self.bit(other) == 0 && !isOfAnotherLineage(other) && !replicas[other].isForgotten {
        let isRecorded = missed[index].contains { $0.peer == replicas[other].id }
        // Or its departure was never stored here, so that no region has left this log since.
        if isRecorded || (!replicas[index].isTakenIn && before.claim.inSync.contains(replicas[other].id)) { evidence |= Self.bit(other) }
      }
    }
    // A record that nobody has was asked for only.
    if !plantedErrors.contains(.trustsUnseenRecords) {
      recordedMask &= evidence | remaining
      unrecordedMask &= recordedMask
    }
    recordedMask |= evidence
    for region in log.regions { log.setHot(region, now: now) }
    let hot = log.regions
    // A single member has nobody to differ from; those on their way out count until they are known to be out.
    if setMask.nonzeroBitCount > 1 { log.awaitReconciliation() }
    let recorded = recordedMask & ~remaining
    let records = replicas.indices.map { other in
      let found = recorded & Self.bit(other) == 0 ? [] : missed.joined().filter { $0.peer == replicas[other].id }.flatMap(\.regions)
      return Array(Set(found + hot).filter { $0 < log.regionCount }).sorted()
    }
    askAll(reached) { index in
      var asked = questions(.activity, hot, isMember: true)
      for (peer, _) in missed[index] {
        // It joined since, or nothing will be put on its record from now on, so that it must not be found by the next nexus.
        let isAway = replicas.indices.contains { replicas[$0].id == peer && remaining & Self.bit($0) == 0 && !replicas[$0].isForgotten }
        if !isAway { asked.append(.forgetPeer(peer)) }
      }
      for other in replicas.indices where recorded & Self.bit(other) != 0 {
        let peer = replicas[other].id
        // Of its own record and its log nothing is missing; one that it has not yet may not be less than that for a moment.
        let isKnown = missed[index].contains { $0.peer == peer } || plantedErrors.contains(.trustsUnseenRecords)
        asked += isKnown ? questions(.missed(peer: peer), records[other], isMember: true) : recordQuestions(of: peer, records[other])
      }
      return asked
    } then: { [self] in
      guard phase == .preparing, serviceEpoch == epoch else { return }
      unrecordedMask &= ~recorded
      finishPreparing(reached, leaving: leaving, epoch: epoch)
    }
  }

  private static let quietStepNanoseconds: UInt64 = 1_000_000

  /// What was under way when service ended must be over before anything is compared.
  private func finishPreparing(_ reached: UInt8, leaving: UInt8, epoch: Int) {
    guard phase == .preparing, serviceEpoch == epoch, !isOver else { return }
    if reachedMask != reached {
      phase = .gathering
      return gather()
    }
    let isQuiet = !(0..<slots.capacity).contains { slots.isInUse($0) && slots[$0].pending > 0 } && !copiers.contains { $0.isBusy }
    guard isQuiet else {
      return after(nanoseconds: Self.quietStepNanoseconds) { [self] in finishPreparing(reached, leaving: leaving, epoch: epoch) }
    }
    phase = .prepared
    healthyMask = reached
    for index in replicas.indices where reached & Self.bit(index) != 0 { replicas[index].isTakenIn = true }
    leavingMask |= leaving
    for index in replicas.indices where leaving & Self.bit(index) != 0 && replicas[index].reason.isEmpty {
      replicas[index].reason = "it could not be reached"
    }
    storeSetIfPrepared()
    commitIfNeeded()
    serveIfPossible()
    beginReturns()
  }

  /// Serves if all that are in the set are well, or on their way out.
  func serveIfPossible() {
    isServiceDue = false
    letGoOfUnwanted()
    guard phase == .prepared, activeMask == 0, !isOver else { return }
    let unreached = setMask & ~healthyMask & ~leavingMask & ~joiningMask
    let isTimeOver = reactor.now >= graceEndNanoseconds || unreached & ~rolledBackMask == 0
    if unreached != 0, healthyMask.nonzeroBitCount >= minInSync, isTimeOver {
      // Somebody joined meanwhile: those that did not come are not needed any more.
      leavingMask |= unreached
      commitIfNeeded()
      return serveIfPossible()
    }
    guard unreached != 0 || healthyMask.nonzeroBitCount < minInSync || isConfirmed else {
      // The next nexus shall know which claim every member has accepted (R3).
      return commitIfNeeded()
    }
    guard unreached == 0, healthyMask.nonzeroBitCount >= minInSync else {
      let text = "\(healthyMask.nonzeroBitCount) of at least \(minInSync) replicas are in sync and can be reached"
      if state != .blocked(reason: text) {
        state = .blocked(reason: text)
        unsafe surroundings.nexusChanged()
      }
      return
    }
    // Without service, copies lock nothing: commands that wait hold their ranges.
    isServiceDue = copiers.contains { $0.job?.isLocked == false }
    if isServiceDue { return after(nanoseconds: Self.quietStepNanoseconds) { [self] in serveIfPossible() } }
    activeMask = healthyMask
    serviceBeganNanoseconds = reactor.now
    state = .serving
    computeLeases()
    beginReconciliation()
    unsafe surroundings.nexusChanged()
    resumeService()
    watchIdleness()
    scheduleCopies()
    scheduleSnapshots(0)
  }
}

/// What members hold of absent replicas, by member, when all have told.
private final class ToldRecords {
  var pending = 0
  var missed: [[(peer: Identifier, regions: [Int])]] = Array(repeating: [], count: Nexus.maximumMembers)
}
