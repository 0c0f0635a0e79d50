import Glibc
import Reactor

/// Records and flushes.
extension PoolEngine {
  /// No group of entries may be larger: it is one record or part of one.
  var maximumGroupBytes: Int { journal?.maximumBodyBytes ?? 64 << 10 }

  /// Puts entries, all or none of which shall survive, into the next record; `waiter` hears when it was written.
  func stage(_ entries: [MetadataEntry], _ waiter: Waiter) {
    let before = stagedBytes.bytes.count
    if journal != nil { for entry in entries { entry.encode(into: &stagedBytes) } }
    let byteCount = stagedBytes.bytes.count - before
    precondition(byteCount <= maximumGroupBytes, "a group of entries that fits into no record")
    stagedEntries += entries
    stagedGroups.append(StagedGroup(entryCount: entries.count, byteCount: byteCount, waiter: waiter))
    postCommit()
  }

  /// Writes what is staged later in this pass, so that all that comes in one pass shares a record.
  func postCommit() {
    if isCommitPosted { return }
    isCommitPosted = true
    disk.postpone(token: Token.commit)
  }

  /// Writes the next records, as long as there is something for them and room.
  func commitNext() {
    if isFaulted { return failStaged() }
    // The state is what the journal says up to its head only when no record is in flight.
    if wantsCheckpoint && commits.isEmpty && limboCount == 0 { beginCheckpoint() }
    while !wantsCheckpoint, !stagedGroups.isEmpty, commits.count < Self.commitLimit {
      guard journal != nil else {
        if !commits.isEmpty { return }
        take(groups: stagedGroups.count, buffer: 0, sequence: 0, note: 0)
        return disk.postpone(token: Token.journal)
      }
      if !writeRecord() { return }
    }
  }

  /// False if the journal is full, until the checkpoint in progress, or the next, lets it go on.
  private func writeRecord() -> Bool {
    let maximum = maximumGroupBytes
    var groups = 0
    var byteCount = 0
    while groups < stagedGroups.count, byteCount + stagedGroups[groups].byteCount <= maximum {
      byteCount += stagedGroups[groups].byteCount
      groups += 1
    }
    guard journal!.hasRoom(bodyBytes: byteCount) else {
      if checkpoint == nil {
        wantsCheckpoint = true
        if commits.isEmpty && limboCount == 0 { beginCheckpoint() }
      }
      return false
    }
    let sequence = journal!.head.sequence
    let body: [UInt8]
    if byteCount == stagedBytes.bytes.count {
      body = stagedBytes.bytes
      stagedBytes = ByteWriter()
    } else {
      body = Array(stagedBytes.bytes.prefix(byteCount))
      var rest = ByteWriter()
      rest.append(bytes: stagedBytes.bytes.dropFirst(byteCount))
      stagedBytes = rest
    }
    guard let buffer = (0..<Self.commitLimit).first(where: { number in !commits.contains { $0.buffer == number } }) else {
      preconditionFailure("a record for which there is no buffer")
    }
    take(groups: groups, buffer: buffer, sequence: sequence, note: journal!.arrivedSequence)
    let (offset, bytes) = journal!.seal(body: body)
    let memory = unsafe journalBuffers + buffer * MetadataRecord.limitBytes
    unsafe bytes.withUnsafeBytes { unsafe memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    unsafe disk.write(token: Token.journal + buffer, from: memory, byteCount: bytes.count, offsetBytes: offset, durably: false)
    return true
  }

  private func take(groups count: Int, buffer: Int, sequence: UInt64, note: UInt64) {
    let waiters = stagedGroups.prefix(count).map(\.waiter)
    let entries: [MetadataEntry]
    if count == stagedGroups.count {
      entries = stagedEntries
      stagedEntries = []
      stagedGroups.removeAll(keepingCapacity: true)
    } else {
      let entryCount = stagedGroups.prefix(count).reduce(0) { $0 + $1.entryCount }
      entries = Array(stagedEntries.prefix(entryCount))
      stagedEntries.removeFirst(entryCount)
      stagedGroups.removeFirst(count)
    }
    commits.append(Commit(buffer: buffer, sequence: sequence, note: note, entries: entries, waiters: waiters, result: nil))
  }

  func journalCompleted(_ buffer: Int, _ result: Int32) {
    guard let position = commits.firstIndex(where: { $0.buffer == buffer }) else { preconditionFailure("a record that nobody wrote") }
    commits[position].result = result
    // A record counts when all before it are there.
    while let result = commits.first?.result {
      let commit = commits.removeFirst()
      if result < 0 && !isJournalBroken {
        isJournalBroken = true
        fault(.write, code: -result, what: "the journal")
      }
      if isJournalBroken {
        for waiter in commit.waiters { failed(waiter) }
      } else {
        recordEnded(commit)
      }
    }
    postCommit()
    if state.quarantinedCount > 0 { freedSomething() }
    dismantle()
    if isQuiescing { checkQuiescent() }
  }

  private func recordEnded(_ commit: Commit) {
    journal?.writtenSequence = commit.sequence
    journal?.notedSequence = commit.note
    for entry in commit.entries { state.apply(entry, sequence: commit.sequence, epoch: epoch) }
    if let journal, checkpoint == nil,
      journal.usedBytes > journal.byteCount / 2 || (sums?.journaledCount ?? 0) > BlockSums.journaledLimit
    {
      wantsCheckpoint = true
    }
    // All of them, before anyone can begin a flush.
    for waiter in commit.waiters { if case .slot(let index) = waiter { noteRecord(index, commit.sequence) } }
    for waiter in commit.waiters { recordWritten(waiter) }
  }

  /// Freed clusters come back when their record is durable; many are worth a flush of their own.
  private func freedSomething() {
    if journal == nil { return releaseFreed() }
    if !isSyncing && syncWaiters.isEmpty && (state.quarantinedCount >= 64 || !spaceWaiters.isEmpty) { joinSync(.nobody) }
  }

  private func recordWritten(_ waiter: Waiter) {
    switch waiter {
    case .slot(let index):
      let slot = unsafe slots + Int(index)
      if unsafe slot.pointee.phase == .resending { return rewrite(index) }
      if unsafe slot.pointee.phase == .retracting { return retracted(index) }
      guard unsafe slot.pointee.phase == .writingBoth else { return committed(index) }
      unsafe slot.pointee.isWritingRecord = false
      bothWritten(index, failure: 0)
    case .action(let number): joinSync(.action(number))
    case .cleaner: cleanerCommitted()
    case .readier: joinSync(.readier)
    case .dismantler: dismantlerCommitted()
    case .marker: joinSync(.marker)
    case .settler: settleOn()
    case .retractor: retractorCount -= 1
    case .checkpoint, .sums, .nobody: break
    }
  }

  // MARK: Flushes

  /// Waits for a flush that begins from now on.
  func joinSync(_ waiter: Waiter) {
    syncWaiters.append(waiter)
    if !isSyncing { sync() }
  }

  private func sync() {
    if isFaulted {
      let waiters = syncWaiters
      syncWaiters = []
      for waiter in waiters { failed(waiter) }
      return
    }
    if rewriting > 0 {
      isSyncDelayed = true
      return
    }
    isSyncing = true
    if sums != nil { beginSettling() }
    swap(&syncWaiters, &syncingWaiters)
    syncedSequence = journal?.writtenSequence ?? 0
    noteArriving()
    disk.sync(token: Token.sync)
  }

  func resumeSync() { if !isSyncing && !syncWaiters.isEmpty { sync() } }

  func syncCompleted(_ result: Int32) {
    isSyncing = false
    let waiters = syncingWaiters
    syncingWaiters.removeAll(keepingCapacity: true)
    if result < 0 {
      fault(.flush, code: -result, what: "the pool")
      for waiter in waiters { failed(waiter) }
    } else {
      if journal != nil, syncedSequence > journal!.durableSequence { journal!.durableSequence = syncedSequence }
      noteArrived()
      // Before anyone can begin the next flush.
      if sums != nil { endSettling() }
      if state.quarantinedCount > 0 { releaseFreed() }
      for waiter in waiters { flushed(waiter) }
      if !settleWaiters.isEmpty { retrySettleWaiters() }
    }
    if !syncWaiters.isEmpty && !isSyncing { sync() }
    // Nothing more comes back that could be waited for.
    if !spaceWaiters.isEmpty && !isSyncing { retrySpaceWaiters() }
    if isQuiescing { checkQuiescent() }
  }

  private func flushed(_ waiter: Waiter) {
    switch waiter {
    case .slot(let index):
      if unsafe slots[Int(index)].phase == .awaitingOrder { stageWritten(index) } else { finish(index, .success) }
    case .action(let number): actionDone(number, nil)
    case .cleaner: cleanerFlushed()
    case .readier: becomeReady()
    case .dismantler: dismantlerFlushed()
    case .checkpoint: checkpointFlushed()
    case .marker: marksDurable()
    case .sums: savingEnded()
    case .settler: settleOn()
    case .retractor, .nobody: break
    }
  }

  // MARK: Faults

  /// Metadata cannot be written: nothing changes any more, and reads go on.
  func fault(_ operation: PoolReport.Operation, code: Int32, what: String) {
    report.fault(operation, code: code, what: what, offsetBytes: disk.takeFailedOffset())
    failStaged()
    let waiters = syncWaiters
    syncWaiters = []
    for waiter in waiters { failed(waiter) }
    let parked = claimWaiters + heldWaiters + spaceWaiters + settleWaiters
    settleWaiters = []
    claimWaiters = []
    heldWaiters = []
    spaceWaiters = []
    for index in parked where index >= 0 {
      if unsafe slots[Int(index)].phase == .resending {
        failed(.slot(index))
      } else if unsafe slots[Int(index)].operation == .read {
        advance(index)
      } else {
        finish(index, .writeFault)
      }
    }
    if parked.contains(Self.sweeperHolder) { sweepNext() }
    if parked.contains(Self.dismantlerHolder) { abandonDismantling() }
    if isQuiescing { checkQuiescent() }
  }

  private func failStaged() {
    let groups = stagedGroups
    stagedGroups = []
    stagedEntries = []
    stagedBytes = ByteWriter()
    for group in groups { failed(group.waiter) }
  }

  func failed(_ waiter: Waiter) {
    switch waiter {
    case .slot(let index):
      let slot = unsafe slots + Int(index)
      let phase = unsafe slot.pointee.phase
      if phase == .writingBoth {
        unsafe slot.pointee.isWritingRecord = false
        return bothWritten(index, failure: Self.recordFailure)
      }
      if phase == .awaitingOrder || phase == .committing || phase == .retracting || phase == .resending {
        release(claimsOf: index)
        unsafe doneChanging(slot)
      }
      finish(index, .writeFault)
    case .action(let number): actionDone(number, .faulted(pool: superblock.name, detail: report.message ?? ""))
    case .cleaner:
      cleanerStep = .idle
      cleaning = nil
    case .readier: readying = []
    case .dismantler: abandonDismantling()
    case .checkpoint: checkpoint = nil
    case .marker: marksFailed()
    case .sums: savingEnded()
    case .settler: settleStep = .idle
    case .retractor, .nobody: break
    }
  }
}
