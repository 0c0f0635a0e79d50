import Pool
import Reactor

/// Members that fail: they leave (R2), or service ends for want of members (R1), or another nexus is found to own the volume (R3).
extension Nexus {
  static func bit(_ index: Int) -> UInt8 { 1 << UInt8(index) }

  /// The door of a replica is closed for good.
  func sessionEnded(_ index: Int, _ session: Int, _ refusal: ReplicaRefusal) {
    guard replicas[index].session == session, !isOver else { return }
    if case .claimed(let generation) = refusal, generation > claim.generation { return fence() }
    closeDoor(index)
    fault(index, .connectionLost, .flush)
    if replicas[index].reason.isEmpty { replicas[index].reason = "the connection was lost" }
    if phase != .prepared { after { [self] in gather() } }
  }

  /// Late answers of the door count for nothing from here on; what was submitted through it still ends.
  func closeDoor(_ index: Int) {
    if let door = replicas[index].door {
      door.sessionEnded = nil
      formerDoors.append(door)
    }
    replicas[index].door = nil
    unsafe paths[index] = nil
    replicas[index].session += 1
    replicas[index].claimed = nil
    replicas[index].isClaiming = false
    replicas[index].isRenewing = false
    replicas[index].isTakenIn = false
    replicas[index].slowness = nil
    replicas[index].cleaning = []
    latencies.forget(index)
    if slots.usedCount == 0, scrubber?.isBusy != true, !copiers.contains(where: { $0.isBusy }), restorers.isEmpty { formerDoors = [] }
  }

  /// A replica did not do what it was asked: it leaves, unless the set would become too small.
  func fault(_ index: Int, _ status: BlockStatus, _ operation: BlockOperation) {
    let bit = Self.bit(index)
    let reason = Self.reason(status, operation)
    forgetUnsentJoin(bit)
    if resyncs[index]?.stage == .equipping { return endResync(index, reason) }
    if (syncMask | preparingMask) & bit != 0, joiningMask & bit == 0 { return endResync(index, reason) }
    if joiningMask & syncMask & bit != 0 {
      // It may be in the set by now: it leaves by the next change.
      syncMask &= ~bit
      leavingMask |= bit
      replicas[index].reason = reason
      return
    }
    guard healthyMask & bit != 0 else { return }
    let rest = healthyMask & ~bit
    if rest.nonzeroBitCount >= minInSync, rest & ~lostMask != 0 {
      leave(index, reason)
    } else if Self.isPathLost(status) {
      block("the in-sync replica \(replicas[index].id) cannot be reached, and at least \(minInSync) must be", failed: index)
    } else if healthyMask != bit, status != .capacityExceeded || operation == .flush {
      block("the in-sync replica \(replicas[index].id) failed (\(reason)), and at least \(minInSync) must stay in sync", failed: index)
    }
    // Otherwise it stays. If it is the only one, its errors are the volume's; if it has no space, `settle` makes all equal.
  }

  /// A replica refused to keep records: without them it cannot be a member.
  func fault(_ index: Int, _ refusal: ReplicaRefusal) {
    switch refusal {
    case .claimed(let generation) where generation > claim.generation: fence()
    case .claimed, .unclaimed, .rolledBack: fault(index, .refused, .flush)
    case .lost: fault(index, .connectionLost, .flush)
    case .busy, .noSpace, .faulted, .invalid:
      let bit = Self.bit(index)
      let reason = "its records could not be kept: \(refusal)"
      forgetUnsentJoin(bit)
      if resyncs[index]?.stage == .equipping { return endResync(index, reason) }
      if (syncMask | preparingMask) & bit != 0, joiningMask & bit == 0 { return endResync(index, reason) }
      if phase == .preparing, setMask & ~leavingMask & bit != 0 {
        // It is no member to start with.
        replicas[index].claimed = nil
        replicas[index].reason = reason
        return after(nanoseconds: Self.retryClaimNanoseconds) { [self] in claimReplica(index) }
      }
      guard healthyMask & bit != 0 else { return fault(index, .writeFault, .flush) }
      let rest = healthyMask & ~bit
      if rest.nonzeroBitCount >= minInSync, rest & ~lostMask != 0 {
        leave(index, reason)
      } else {
        block("the in-sync replica \(replicas[index].id) failed (\(reason)), and at least \(minInSync) must stay in sync", failed: index)
      }
    }
  }

  /// One that only waits for its commit to be sent is no member, and changes are acknowledged without it: when it fails, or service ends,
  /// it must not come in by that commit. One whose commit was sent is in `setMask`.
  private func forgetUnsentJoin(_ mask: UInt8) {
    joiningMask &= setMask | ~mask
  }

  func leave(_ index: Int, _ reason: String) {
    let bit = Self.bit(index)
    activeMask &= ~bit
    healthyMask &= ~bit
    lostMask &= ~bit
    leavingMask |= bit
    replicas[index].reason = reason
    unsafe surroundings.nexusChanged()
    commitIfNeeded()
  }

  /// Ends service until enough members are claimed anew. What differs among them by then is in the activity log.
  func block(_ reason: String, failed: Int? = nil) {
    guard !isOver else { return }
    if let failed {
      healthyMask &= ~Self.bit(failed)
      replicas[failed].claimed = nil
      replicas[failed].reason = reason
    }
    state = .blocked(reason: reason)
    endService()
    phase = .gathering
    graceEndNanoseconds = reactor.now + configuration.graceNanoseconds
    unsafe surroundings.nexusChanged()
    after { [self] in gather() }
    after(nanoseconds: configuration.graceNanoseconds + 1) { [self] in gather() }
    // A member that failed and can still be talked to is tried again.
    if failed != nil { after(nanoseconds: Self.retryClaimNanoseconds) { [self] in claimReplicas() } }
  }

  static let retryClaimNanoseconds: UInt64 = 1_000_000_000

  /// Nothing is served from here on; what was under way ends, and waits.
  func endService() {
    activeMask = 0
    serviceEpoch += 1
    withdrawMembership()
    drop = nil
    isServiceDue = false
    isActivating = false
    toActivate = []
    reconciliation = RegionQueue()
    forgetUnsentJoin(~0)
    for index in replicas.indices where resyncs[index] != nil && joiningMask & Self.bit(index) == 0 {
      endResync(index, "the volume is not served")
    }
    // One whose way into the set is being committed is a member like the others.
    syncMask = 0
    preparingMask = 0
    endSnapshotWork()
    computeLeases()
    let waiting = awaitingLog + awaitingActivation + awaitingRegion + awaitingLease + awaitingCommit.filter { !slots[$0].isEnding }
    awaitingCommit = []
    awaitingLog = []
    awaitingActivation = []
    awaitingRegion = []
    awaitingLease = []
    for slot in waiting { awaitService(slot) }
    for copier in copiers { copier.giveUpWaiting() }
    scrubber?.giveUpWaiting()
  }

  /// Another nexus owns the volume.
  func fence() {
    guard !isOver else { return }
    isFenced = true
    state = .fenced
    stopScrub()
    endService()
    healthyMask = 0
    membershipStep = nil
    endWaiting()
    stepSnapshots()
    unsafe surroundings.nexusChanged()
  }

  private static func reason(_ status: BlockStatus, _ operation: BlockOperation) -> String {
    switch status {
    case .refused: "the replica refused this nexus"
    case .connectionLost, .inaccessible, .aborted: "the connection was lost"
    case .capacityExceeded: "no space for a \(operation)"
    case .success, .outOfRange, .readFault, .writeFault, .unsupported, .busy: "\(operation) failed (\(status))"
    }
  }

  func memberState(_ index: Int) -> NexusMember.State {
    let bit = Self.bit(index)
    if leavingMask & bit != 0 { return .leaving(reason: replicas[index].reason) }
    if joiningMask & bit != 0 { return .joining }
    if setMask & bit != 0 { return healthyMask & bit != 0 ? .inSync : .unreached(reason: replicas[index].reason) }
    return syncMask & bit != 0 ? .syncing : .out(reason: replicas[index].reason)
  }
}
