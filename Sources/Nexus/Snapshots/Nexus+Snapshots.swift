import Pool
import Reactor

/// Snapshots of the volume (R15), one after the other.
///
/// "preparing" is committed; changes wait, those under way end, all is flushed, every member takes it; changes go on; "ready" is
/// committed. Changes need not wait for that last commit: whatever becomes of it, every member of the set has the snapshot by then, and until
/// the store says "ready" nobody relies on it. Each try has a name of its own on the replicas. One that is given up, or whose nexus
/// died, becomes "deleting": late answers and late replicas can add nothing to the next try.
///
/// The invariant: a replica is sent changes only while it has every snapshot that is ready, and none is between its pause and its
/// commit. So what a replica without a snapshot holds is never later than the snapshot, but for what its record says it missed.
extension Nexus {
  public static let maximumSnapshots = 256
  private static let stepNanoseconds: UInt64 = 1_000_000
  private static let restNanoseconds: UInt64 = 20_000_000
  static let cleanRetryNanoseconds: UInt64 = 1_000_000_000

  // MARK: Orders

  /// Takes a snapshot and tells when the store knows that it is ready, or why it was given up. `id` is its name on the replicas and was
  /// never used before; `request` is what it is for, and may be tried again under another `id`.
  public func takeSnapshot(
    id: Identifier, request: Identifier, then done: @escaping (Result<VolumeSnapshot, SnapshotFailure>) -> Void
  ) {
    let take = SnapshotTake(id: id, request: request, beganNanoseconds: reactor.now, done: done)
    if plannedRecord.snapshots.count >= Self.maximumSnapshots {
      return after { done(.failure(SnapshotFailure("the volume has \(Self.maximumSnapshots) snapshots already"))) }
    }
    takeOrders.append(take)
    after { [self] in stepSnapshots() }
  }

  /// Deletes what was taken for a request, on every replica; on those that are away when they come back.
  public func deleteSnapshots(request: Identifier) {
    guard !isOver else { return }
    let cancelled = takeOrders.filter { $0.request == request }
    takeOrders.removeAll { $0.request == request }
    for order in cancelled { after { order.done(.failure(SnapshotFailure("it was deleted meanwhile"))) } }
    if let take, take.request == request, take.stage != .concluding { endTake(.failure(SnapshotFailure("it was deleted meanwhile"))) }
    guard plannedRecord.snapshots.contains(where: { $0.request == request && $0.state != .deleting }) else { return }
    changeRecord { record in
      for index in record.snapshots.indices where record.snapshots[index].request == request && record.snapshots[index].id != take?.id {
        record.snapshots[index].state = .deleting
      }
    }
  }

  // MARK: Steps

  func scheduleSnapshots(_ delay: UInt64) {
    if isSnapshotStepDue { return }
    isSnapshotStepDue = true
    after(nanoseconds: delay) { [self] in
      isSnapshotStepDue = false
      stepSnapshots()
    }
  }

  /// Does what can be done now about snapshots and the size; called again whenever that may have changed.
  func stepSnapshots() {
    if isOver { return endOrders("another nexus owns the volume, or this one ends") }
    settleSnapshots()
    if let take {
      stepTake(take)
    } else if let growth {
      stepGrowth(growth)
    } else if !takeOrders.isEmpty {
      guard activeMask != 0 else { return endOrders("the volume is not served") }
      guard log.awaitingCount == 0, lostMask == 0 else { return scheduleSnapshots(Self.restNanoseconds) }
      let next = takeOrders.removeFirst()
      take = next
      changeRecord { $0.snapshots.append(VolumeSnapshot(id: next.id, request: next.request, state: .preparing, sizeBytes: sizeBytes)) }
    }
  }

  private func stepTake(_ take: SnapshotTake) {
    switch take.stage {
    case .recording:
      guard record.snapshots.contains(where: { $0.id == take.id }), membershipStep == nil else { return }
      take.stage = .flushing
      flushes.flush(activeMask & ~writeThroughMask) { [self] failedMask in
        guard self.take === take, take.stage == .flushing else { return }
        for index in replicas.indices where failedMask & Self.bit(index) != 0 { fault(index, .writeFault, .flush) }
        if self.take === take { waitToPause(take) }
      }
    case .flushing, .settling, .taking: break
    case .draining: drain(take)
    case .concluding:
      guard let taken = record.snapshots.first(where: { $0.id == take.id && $0.state == .ready }) else { return }
      self.take = nil
      take.done(.success(taken))
      beginReturns()
      unsafe surroundings.nexusChanged()
      after { [self] in stepSnapshots() }
    }
  }

  /// All that are in the set are there, and nobody is on the way in or out.
  var isSetSteady: Bool {
    activeMask != 0 && setMask == activeMask && healthyMask == activeMask && leavingMask == 0 && joiningMask == 0 && membershipStep == nil
      && dueRecord == nil && log.awaitingCount == 0 && lostMask == 0
  }

  private func waitToPause(_ take: SnapshotTake) {
    guard self.take === take, take.stage == .flushing else { return }
    guard isSetSteady else {
      if reactor.now &- take.beganNanoseconds > 2 * configuration.pauseNanoseconds {
        return endTake(.failure(SnapshotFailure("the volume's replicas did not come to rest")))
      }
      return after(nanoseconds: Self.stepNanoseconds) { [self] in waitToPause(take) }
    }
    take.stage = .draining
    take.pauseBeganNanoseconds = reactor.now
    isPaused = !plantedErrors.contains(.snapshotsWithoutPause)
    after(nanoseconds: configuration.pauseNanoseconds) { [self] in
      guard self.take === take, take.stage != .concluding else { return }
      endTake(
        .failure(
          SnapshotFailure("its members did not take it within the \(configuration.pauseNanoseconds / 1_000_000) ms that changes may wait")))
    }
    sendReplicasAway("a snapshot is being taken")
    drain(take)
  }

  /// Replicas outside of the set that are sent changes, or about to be, begin anew when the volume's new state is theirs to have.
  func sendReplicasAway(_ reason: String) {
    for index in replicas.indices where (syncMask | preparingMask) & Self.bit(index) != 0 {
      // No fault of its own.
      replicas[index].returnDelayNanoseconds = 0
      endResync(index, reason)
    }
  }

  private func drain(_ take: SnapshotTake) {
    guard self.take === take, take.stage == .draining else { return }
    guard activeMask != 0, log.awaitingCount == 0 else { return endTake(.failure(SnapshotFailure("service ended meanwhile"))) }
    let isDrained = plantedErrors.contains(.snapshotsWithoutPause) || isQuiet
    guard isDrained, isSetSteady else { return after(nanoseconds: Self.stepNanoseconds) { [self] in drain(take) } }
    take.stage = .settling
    flushes.flush(activeMask & ~writeThroughMask) { [self] failedMask in
      guard self.take === take, take.stage == .settling else { return }
      for index in replicas.indices where failedMask & Self.bit(index) != 0 { fault(index, .writeFault, .flush) }
      guard self.take === take else { return }
      take.stage = .draining
      if failedMask != 0 || !isSetSteady { return drain(take) }
      askToTake(take)
    }
  }

  private func askToTake(_ take: SnapshotTake) {
    take.stage = .taking
    if plantedErrors.contains(.readyBeforeTaken) { return conclude(take, note: false) }
    let round = TakingRound()
    for index in replicas.indices where activeMask & Self.bit(index) != 0 {
      round.pending += 1
      ask(index, .createSnapshot(take.id, sizeBytes: sizeBytes)) { [self] result in
        round.pending -= 1
        switch result {
        case .success:
          round.tookMask |= Self.bit(index)
          replicas[index].claimed?.snapshots.append(take.id)
        case .failure(let refusal): round.refusals.append((index, refusal))
        }
        guard round.pending == 0, self.take === take, take.stage == .taking, !isOver else { return }
        taken(take, round)
      }
    }
  }

  /// All have answered. One that did not take it leaves, if enough others stay who did.
  private func taken(_ take: SnapshotTake, _ round: TakingRound) {
    for (index, refusal) in round.refusals where healthyMask & Self.bit(index) != 0 {
      let rest = healthyMask & ~Self.bit(index)
      let mayLeave = rest.nonzeroBitCount >= minInSync && rest & ~lostMask != 0 && rest & round.tookMask != 0
      guard refusal == .lost || mayLeave else {
        return endTake(.failure(SnapshotFailure("replica \(replicas[index].id) did not take it: \(refusal)")))
      }
      fault(index, refusal)
      if self.take !== take { return }
    }
    take.tookMask = round.tookMask
    guard activeMask != 0, setMask & ~leavingMask & ~round.tookMask == 0 else {
      return endTake(.failure(SnapshotFailure("not all replicas in sync took it")))
    }
    conclude(take, note: true)
  }

  private func conclude(_ take: SnapshotTake, note: Bool) {
    take.stage = .concluding
    if note { longestPauseNanoseconds = max(longestPauseNanoseconds, reactor.now &- take.pauseBeganNanoseconds) }
    changeRecord { record in
      for index in record.snapshots.indices where record.snapshots[index].id == take.id { record.snapshots[index].state = .ready }
    }
    endPause()
    if !note {
      // The planted error: they take it afterwards.
      for index in replicas.indices where activeMask & Self.bit(index) != 0 {
        ask(index, .createSnapshot(take.id, sizeBytes: sizeBytes)) { _ in }
      }
    }
  }

  // MARK: Ends

  /// Gives a snapshot up: what there is of it is deleted. Changes go on.
  func endTake(_ result: Result<VolumeSnapshot, SnapshotFailure>) {
    guard let ended = take else { return }
    take = nil
    endPause()
    ended.done(result)
    unsafe surroundings.nexusChanged()
    after { [self] in
      beginReturns()
      stepSnapshots()
    }
  }

  private func endOrders(_ reason: String) {
    let orders = takeOrders
    takeOrders = []
    if isOver { endTake(.failure(SnapshotFailure(reason))) }
    if isOver { endGrowth(.failure(SnapshotFailure(reason))) }
    for order in orders { order.done(.failure(SnapshotFailure(reason))) }
  }

  /// Service ended. What all members have taken or grown to is committed when there is service again.
  func endSnapshotWork() {
    isPaused = false
    if let take, take.stage != .concluding { endTake(.failure(SnapshotFailure("service ended meanwhile"))) }
    if let growth, growth.stage != .committing { endGrowth(.failure(SnapshotFailure("service ended meanwhile"))) }
    if !takeOrders.isEmpty { after { [self] in stepSnapshots() } }
  }
}

private final class TakingRound {
  var pending = 0
  var tookMask: UInt8 = 0
  var refusals: [(index: Int, refusal: ReplicaRefusal)] = []
}
