import Pool
import Reactor

/// The return of a replica, and the coming of a new one (R4, R6).
extension Nexus {
  /// Regions copied before they are flushed and taken off the record.
  private static let batchRegions = 64
  private static let retryNanoseconds: UInt64 = 1_000_000_000
  static let longestRetryNanoseconds: UInt64 = 64_000_000_000
  private static let drainStepNanoseconds: UInt64 = 1_000_000
  static let maximumHistory = 32

  /// Rebuilds under way, and the latest that ended, oldest first.
  public var rebuilds: [Rebuild] { rebuildHistory + resyncs.compactMap { $0?.progress } }

  /// Begins with all that are there and outside of the set.
  func beginReturns() { for index in replicas.indices { beginResync(index) } }

  /// A member left, and that is known: if it can be talked to still, it may return.
  func scheduleReturn(_ index: Int) {
    guard replicas[index].door != nil else { return }
    // A door that came after it failed: nothing is known against it.
    if replicas[index].claimed == nil { return after { [self] in claimReplica(index) } }
    replicas[index].claimed = nil
    replicas[index].returnDelayNanoseconds =
      min(max(replicas[index].returnDelayNanoseconds * 2, Self.retryNanoseconds), Self.longestRetryNanoseconds)
    let session = replicas[index].session
    after(nanoseconds: replicas[index].returnDelayNanoseconds) { [self] in
      if replicas[index].session == session { claimReplica(index) }
    }
  }

  func beginResync(_ index: Int) {
    let bit = Self.bit(index)
    guard phase == .prepared, resyncs[index] == nil, setMask & bit == 0, !replicas[index].isUnwanted, let claimed = replicas[index].claimed,
      !isRebuildingPaused,
      copySource(0) != nil, log.awaitingCount == 0 || activeMask == 0, membershipStep == nil, leavingMask == 0, !isOver
    else { return }
    if configuration.confirmedGeneration != nil, returnKnownMask & bit == 0 {
      // Before any region leaves the record of it, the store knows what it has accepted: an older copy of it would lack that region.
      returningMask |= bit
      return commitIfNeeded()
    }
    let kind: Rebuild.Kind
    if claimed.before.claim.generation == 0 {
      kind = .full
    } else {
      kind = recordedMask & bit != 0 ? .recorded : .compared
    }
    resyncCount += 1
    let resync = Resync(
      index: index, number: resyncCount, kind: kind,
      progress: Rebuild(
        replica: replicas[index].id, kind: kind, cause: replicas[index].reason, beganNanoseconds: reactor.now))
    resyncs[index] = resync
    unsafe surroundings.nexusChanged()
    recordOwn(resync, claimed)
  }

  func isCurrent(_ resync: Resync) -> Bool { resyncs[resync.index] === resync && !isOver }

  // MARK: Preparing

  /// First the members take into their record what the replica may have that they have not: its log, and what it recorded of them
  /// while they were away and it was a member (R6).
  private func recordOwn(_ resync: Resync, _ claimed: ClaimedReplica) {
    var own = claimed.before.hotRegions
    for (peer, regions) in claimed.before.missed {
      if replicas.indices.contains(where: { replicas[$0].id == peer && setMask & Self.bit($0) != 0 }) { own += regions }
    }
    let regions = Array(Set(own.filter { $0 < log.regionCount })).sorted()
    let name = RegionSetName.missed(peer: replicas[resync.index].id)
    askAll(logMask & ~Self.bit(resync.index)) { _ in
      resync.kind == .recorded && !regions.isEmpty ? questions(name, regions, isMember: true) : []
    } then: { [self] in
      if isCurrent(resync) { equip(resync) }
    }
  }

  /// Then its own log becomes that of the members, and its stale records are dropped; from here on it is asked with them.
  func shareLog(_ resync: Resync, _ claimed: ClaimedReplica) {
    let bit = Self.bit(resync.index)
    resync.stage = .preparing
    preparingMask |= bit
    let hot = log.regions
    let stale = claimed.before.hotRegions.filter { $0 < log.regionCount && log.entry($0) == nil }
    log.limit(to: claimed.maximumHotRegions)
    askAll(bit) { _ in
      var asked = questions(.activity, stale, isMember: false) + questions(.activity, hot, isMember: true)
      for (peer, _) in claimed.before.missed {
        let known = replicas.firstIndex { $0.id == peer }
        // A record of its own is no unbroken one, where the members have none.
        if known == nil || recordedMask & ~setMask & Self.bit(known!) == 0 { asked.append(.forgetPeer(peer)) }
      }
      return asked
    } then: { [self] in
      guard isCurrent(resync) else { return }
      preparingMask &= ~bit
      syncMask |= bit
      drain(resync)
    }
  }

  /// Changes that were sent without it must be over before anything is compared.
  private func drain(_ resync: Resync) {
    guard isCurrent(resync) else { return }
    let bit = Self.bit(resync.index)
    // A repair by a scrub goes to members only.
    let isDrained =
      scrubber?.isBusy != true
      && !(0..<slots.capacity).contains { slot in
        slots.isInUse(slot) && slots[slot].pending > 0 && slots[slot].sentMask != 0 && slots[slot].sentMask & bit == 0
          && slots[slot].request.operation != .flush
      }
    if isDrained { findWork(resync) } else { after(nanoseconds: Self.drainStepNanoseconds) { [self] in drain(resync) } }
  }

  /// What the members recorded, or everything that is allocated.
  private func findWork(_ resync: Resync) {
    guard isCurrent(resync) else { return }
    if membershipStep?.stage == .storing {
      // A record that is being made by those that were asked before this one would be overlooked.
      return after(nanoseconds: Self.drainStepNanoseconds) { [self] in findWork(resync) }
    }
    let found = FoundRegions()
    let peer = replicas[resync.index].id
    let members = healthyMask
    for index in replicas.indices where members & Self.bit(index) != 0 {
      found.pending += 1
      ask(index, .metadata) { [self] result in
        guard isCurrent(resync) else { return }
        if case .success(.metadata(let metadata)) = result {
          for (other, regions) in metadata.missed {
            if other == peer { found.regions += regions } else { found.records[other, default: []] += regions }
          }
          found.answered += 1
        } else if case .failure(let refusal) = result {
          fault(index, refusal)
        }
        found.pending -= 1
        if found.pending == 0, isCurrent(resync) {
          if found.answered == 0 { return endResync(resync.index, "no member told what it missed") }
          if resync.kind == .recorded { takeRecords(resync, found) } else { listAllocated(resync, found) }
        }
      }
    }
    if found.pending == 0 { endResync(resync.index, "there is no member to copy from") }
  }

  private func listAllocated(_ resync: Resync, _ found: FoundRegions) {
    guard let source = copySource(resync.failedSourceMask) else { return endResync(resync.index, "there is no member to copy from") }
    if let last = resync.lastRestored, record.ready.contains(where: { $0.id == last }) {
      // It is equal to that one, and has been sent every change since it began to be.
      return list(resync, found, [source], since: last, from: 0)
    }
    var sides = [source]
    if resync.kind == .compared || resync.hasRestored { sides.append(resync.index) }
    list(resync, found, sides, since: nil, from: 0)
  }

  private func list(_ resync: Resync, _ found: FoundRegions, _ sides: [Int], since last: Identifier?, from offset: UInt64) {
    guard let side = sides.first else { return takeRecords(resync, found) }
    let question =
      last == nil
      ? ReplicaQuestion.allocatedRanges(fromOffsetBytes: offset) : .changedRanges(of: nil, since: last, fromOffsetBytes: offset)
    ask(side, question) { [self] result in
      guard isCurrent(resync) else { return }
      guard case .success(.ranges(let ranges, let next)) = result, next == nil || next! > offset else {
        if last != nil, case .failure(.invalid) = result {
          // That snapshot was deleted meanwhile.
          resync.lastRestored = nil
          return listAllocated(resync, found)
        }
        if side != resync.index, case .failure(let refusal) = result, refusal != .lost { fault(side, refusal) }
        if isCurrent(resync) { endResync(resync.index, "replica \(replicas[side].id) did not tell what it holds") }
        return
      }
      for range in ranges where !range.isEmpty && range.upperBound <= sizeBytes {
        found.regions += Array(Int(range.lowerBound >> UInt64(regionShift))...Int((range.upperBound - 1) >> UInt64(regionShift)))
      }
      if found.regions.count > 1 << 16 { found.regions = Array(Set(found.regions)) }
      if let next, next < sizeBytes {
        list(resync, found, sides, since: last, from: next)
      } else {
        list(resync, found, Array(sides.dropFirst()), since: last, from: 0)
      }
    }
  }

  /// The work is known. It is recorded, so that what is done need not be done again if this ends early; and the replica takes over
  /// the records of others that are away (R4).
  private func takeRecords(_ resync: Resync, _ found: FoundRegions) {
    let bit = Self.bit(resync.index)
    let regions = Array(Set(found.regions.filter { $0 < log.regionCount })).sorted()
    let peer = replicas[resync.index].id
    let others = replicas.indices.filter { recordedMask & ~setMask & ~bit & Self.bit($0) != 0 }
    // From now on members may hold a record of it. Should this end before they say so, the record goes on all the same: whoever finds it
    // takes it for unbroken. What counts after service has ended is what they hold then (`makeAlike`).
    recordedMask |= bit
    askAll(logMask) { index in
      if index == resync.index {
        return others.flatMap { other in
          questions(
            .missed(peer: replicas[other].id), Array(Set(found.records[replicas[other].id] ?? [])).sorted(), isMember: true)
        }
      }
      return resync.kind == .recorded ? [] : recordQuestions(of: peer, regions)
    } then: { [self] in
      guard isCurrent(resync) else { return }
      resync.queue = RegionQueue(regions)
      resync.progress.bytesToDo += regions.reduce(0) { $0 + UInt64(bytes(ofRegion: $1).count) }
      resync.stage = .copying
      unsafe surroundings.nexusChanged()
      scheduleCopies()
      finishIfCopied(resync)
    }
  }

  // MARK: Copying

  func nextResyncJob() -> RegionCopier.Job? {
    guard !isRebuildingPaused else { return nil }
    for step in 0..<Self.maximumMembers {
      let index = (nextResync + step) % Self.maximumMembers
      guard let resync = resyncs[index], resync.stage == .copying, !resync.queue.isEmpty else { continue }
      guard let source = copySource(resync.failedSourceMask) else {
        endResync(index, "no member could be read")
        continue
      }
      guard let region = resync.queue.take() else { continue }
      nextResync = index + 1
      return RegionCopier.Job(
        purpose: .resync(index, number: resync.number), region: region, range: bytes(ofRegion: region), source: source,
        targetMask: Self.bit(index),
        isCompared: resync.kind != .full || resync.hasRestored, isLocked: activeMask != 0, epoch: serviceEpoch)
    }
    return nil
  }

  func resyncJobEnded(_ resync: Resync, _ job: RegionCopier.Job, _ outcome: RegionCopier.Outcome) {
    guard resync.stage == .copying, job.epoch == serviceEpoch else { return }
    switch outcome {
    case .done:
      resync.queue.done()
      resync.copied.append(job.region)
      resync.progress.bytesDone += UInt64(job.range.count)
      if resync.copied.count >= Self.batchRegions { clearCopied(resync) }
      finishIfCopied(resync)
    case .sourceFailed:
      // Another member may do better.
      resync.failedSourceMask |= Self.bit(job.source)
      resync.queue.putBack(job.region)
    case .targetFailed, .pointless: resync.queue.putBack(job.region)
    }
  }

  /// What was copied is flushed at the target, and only then taken off the record (R6). The target has missed nothing since: its
  /// resync would be over.
  private func clearCopied(_ resync: Resync) {
    guard !resync.isClearing, !resync.copied.isEmpty else { return }
    resync.isClearing = true
    let batch = plantedErrors.contains(.clearsUncopied) ? Array(0..<log.regionCount) : resync.copied.sorted()
    resync.copied = []
    let bit = Self.bit(resync.index)
    flushes.flush(bit & ~writeThroughMask) { [self] failedMask in
      guard isCurrent(resync) else { return }
      if failedMask != 0 { return endResync(resync.index, "it could not be flushed") }
      let name = RegionSetName.missed(peer: replicas[resync.index].id)
      askAll(logMask & ~bit) { _ in
        questions(name, batch, isMember: false)
      } then: { [self] in
        guard isCurrent(resync) else { return }
        resync.isClearing = false
        if resync.copied.count >= Self.batchRegions { clearCopied(resync) }
        finishIfCopied(resync)
      }
    }
  }

  private func finishIfCopied(_ resync: Resync) {
    guard resync.stage == .copying, resync.queue.isDone, !resync.isClearing else { return }
    if resync.copied.isEmpty { finish(resync) } else { clearCopied(resync) }
  }

  // MARK: Joining

  /// It is equal. Once that is durable, it may join (R4).
  private func finish(_ resync: Resync) {
    resync.stage = .finishing
    let bit = Self.bit(resync.index)
    flushes.flush(bit & ~writeThroughMask) { [self] failedMask in
      guard isCurrent(resync) else { return }
      if failedMask != 0 { return endResync(resync.index, "it could not be flushed") }
      let hasLost = replicas[resync.index].claimed?.before.mayHaveLostCache == true
      askAll(bit) { _ in
        hasLost ? [.clearLostCache] : []
      } then: { [self] in
        guard isCurrent(resync), syncMask & bit != 0 else { return }
        joiningMask |= bit
        unsafe surroundings.nexusChanged()
        commitIfNeeded()
      }
    }
  }

  /// The set that holds it is known and stored.
  func finishJoin(_ index: Int) {
    let bit = Self.bit(index)
    let id = replicas[index].id
    if let resync = resyncs[index] {
      resync.progress.bytesDone = resync.progress.bytesToDo
      remember(resync, .done)
    }
    resyncs[index] = nil
    replicas[index].returnDelayNanoseconds = 0
    replicas[index].isForeign = false
    // It may have failed meanwhile; then it leaves by the next change.
    if leavingMask & bit != 0 { return }
    syncMask &= ~bit
    if phase == .prepared, replicas[index].claimed != nil {
      healthyMask |= bit
      replicas[index].isTakenIn = true
      if activeMask != 0 { activeMask |= bit }
    }
    askAll(logMask & ~bit, { _ in [.forgetPeer(id)] }, then: {})
  }

  // MARK: Ends

  /// The replica is absent again. Whatever is in the log may be missed by it.
  func endResync(_ index: Int, _ reason: String) {
    let bit = Self.bit(index)
    guard joiningMask & bit == 0 else { return }
    let wasUnderWay = resyncs[index] != nil
    syncMask &= ~bit
    preparingMask &= ~bit
    replicas[index].reason = reason
    if let resync = resyncs[index] { remember(resync, .failed(reason: reason)) }
    resyncs[index] = nil
    guard wasUnderWay, !isOver else { return }
    if recordedMask & bit != 0 {
      unrecordedMask |= bit
      after { [self] in recordHot() }
    }
    scheduleReturn(index)
    unsafe surroundings.nexusChanged()
  }

  /// Takes all of the log into the records of replicas that ceased to be sent changes (R6).
  private func recordHot() {
    let mask = unrecordedMask
    guard mask != 0, activeMask != 0 else { return }
    let epoch = serviceEpoch
    let hot = log.regions
    askAll(logMask) { _ in
      replicas.indices.filter { mask & Self.bit($0) != 0 }
        .flatMap { questions(.missed(peer: replicas[$0].id), hot, isMember: true) }
    } then: { [self] in
      guard serviceEpoch == epoch else { return }
      unrecordedMask &= ~mask
      pumpLog()
    }
  }

  private func remember(_ resync: Resync, _ state: Rebuild.State) {
    resync.progress.state = state
    resync.progress.endedNanoseconds = reactor.now
    rebuildHistory.append(resync.progress)
    if rebuildHistory.count > Self.maximumHistory { rebuildHistory.removeFirst() }
  }

  func noteRead(_ count: UInt64, for job: RegionCopier.Job) {
    if case .resync(let index, _) = job.purpose { resyncs[index]?.progress.bytesRead += count }
  }

  func noteSent(_ count: UInt64, for job: RegionCopier.Job) {
    reconciledBytes += job.purpose == .reconciliation ? count : 0
    if case .resync(let index, _) = job.purpose { resyncs[index]?.progress.bytesSent += count }
  }
}

/// What members told of a returning replica.
private final class FoundRegions {
  var pending = 0
  var answered = 0
  var regions: [Int] = []
  /// Of other replicas; looked up by name only.
  var records: [Identifier: [Int]] = [:]
}
