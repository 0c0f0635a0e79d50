import Pool
import Reactor

/// Who copies what: reconciliation first, then the replicas under resync in turns.
extension Nexus {
  static let maximumCopiers = 4

  /// Gives work to copiers that have none.
  func assignCopies() {
    while let job = nextJob() {
      if let copier = copiers.first(where: { !$0.isBusy }) {
        copier.start(job)
      } else {
        let copier = RegionCopier(nexus: self, number: copiers.count)
        copiers.append(copier)
        copier.start(job)
      }
    }
  }

  private func nextJob() -> RegionCopier.Job? {
    guard !isOver, !isServiceDue, copiers.count < Self.maximumCopiers || copiers.contains(where: { !$0.isBusy }) else { return nil }
    return nextReconciliation() ?? nextResyncJob()
  }

  func bytes(ofRegion region: Int) -> Range<UInt64> {
    let start = UInt64(region) << UInt64(regionShift)
    return start..<min(start + 1 << UInt64(regionShift), sizeBytes)
  }

  /// The nearest member that holds what counts, unless it was tried.
  func copySource(_ failedMask: UInt8) -> Int? {
    for position in 0..<Self.maximumMembers {
      let index = Int(readOrder[position])
      if healthyMask & ~lostMask & ~failedMask & Self.bit(index) != 0 { return index }
    }
    return nil
  }

  /// Whether the job is still of use.
  func isWanted(_ job: RegionCopier.Job) -> Bool {
    guard !isOver, job.epoch == serviceEpoch, healthyMask & Self.bit(job.source) != 0 else { return false }
    switch job.purpose {
    case .reconciliation: return activeMask & job.targetMask == job.targetMask
    case .resync(let index, let number):
      guard let resync = resyncs[index], resync.number == number else { return false }
      return syncMask & Self.bit(index) != 0 && resync.stage == .copying
    }
  }

  func copyTargetFailed(_ index: Int, _ refusal: ReplicaRefusal) { fault(index, refusal) }

  func copied(_ job: RegionCopier.Job, _ outcome: RegionCopier.Outcome) {
    switch job.purpose {
    case .reconciliation: reconciliationEnded(job, outcome)
    case .resync(let index, let number):
      if let resync = resyncs[index], resync.number == number { resyncJobEnded(resync, job, outcome) }
    }
    // The next ones from a fresh stack.
    scheduleCopies()
    letGoIfQuiet()
  }

  func scheduleCopies() {
    if isCopyDue { return }
    isCopyDue = true
    after { [self] in
      isCopyDue = false
      assignCopies()
    }
  }

  // MARK: Reconciliation

  /// Makes the members equal in the regions of the log, as they may differ after a crash or after service ended (R5).
  func beginReconciliation() {
    guard activeMask != 0, log.awaitingCount > 0 else { return }
    if setMask.nonzeroBitCount == 1 { return clearReconciliation() }
    if reconciliation.isDone { reconciliation = RegionQueue(log.awaitingRegions) }
    for slot in awaitingRegion {
      let (first, last) = lockedRegions(slot)
      for region in first...last { reconciliation.moveToFront(region) }
    }
    scheduleCopies()
  }

  /// Nobody is left to differ from.
  private func clearReconciliation() {
    for region in log.awaitingRegions { log.reconciled(region) }
    reconciliation = RegionQueue()
    finishReconciliation()
  }

  private func nextReconciliation() -> RegionCopier.Job? {
    // A member on its way out may be the next nexus's source: what is shown to hosts must be on it too (R8), so its fate is
    // waited for.
    guard activeMask != 0, setMask == activeMask, let source = copySource(reconciliationFailedMask), activeMask != Self.bit(source),
      let region = reconciliation.take()
    else { return nil }
    return RegionCopier.Job(
      purpose: .reconciliation, region: region, range: bytes(ofRegion: region), source: source,
      targetMask: activeMask & ~Self.bit(source), isCompared: true, isLocked: false, epoch: serviceEpoch)
  }

  private func reconciliationEnded(_ job: RegionCopier.Job, _ outcome: RegionCopier.Outcome) {
    guard job.epoch == serviceEpoch, !isOver else { return }
    guard outcome == .done, setMask & ~(job.targetMask | Self.bit(job.source)) == 0 else {
      reconciliation.putBack(job.region)
      if outcome == .sourceFailed, healthyMask & Self.bit(job.source) != 0 {
        reconciliationFailedMask |= Self.bit(job.source)
        // None of them can be read: one that cannot show what it holds is no member.
        if copySource(reconciliationFailedMask) == nil {
          reconciliationFailedMask = 0
          fault(job.source, .readFault, .read)
        }
      }
      return
    }
    reconciliation.done()
    reconciledRegions += 1
    log.reconciled(job.region)
    resumeRegion()
    if log.awaitingCount == 0 { finishReconciliation() }
  }

  private func finishReconciliation() {
    // All members hold the same now, whatever their caches lost.
    lostMask = 0
    reconciliationFailedMask = 0
    unsafe surroundings.nexusChanged()
    resumeRegion()
    watchIdleness()
    beginReturns()
    scheduleCopies()
  }
}
