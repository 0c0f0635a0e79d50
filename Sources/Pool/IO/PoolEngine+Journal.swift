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
    commitNext()
  }

  /// Writes the next record if there is something for it and none is in flight.
  func commitNext() {
    if isJournalBusy || stagedGroups.isEmpty { return }
    if isFaulted { return failStaged() }
    guard let maximum = journal?.maximumBodyBytes else {
      take(groups: stagedGroups.count)
      isJournalBusy = true
      return disk.postpone(token: Token.journal)
    }
    var groups = 0
    var byteCount = 0
    while groups < stagedGroups.count, byteCount + stagedGroups[groups].byteCount <= maximum {
      byteCount += stagedGroups[groups].byteCount
      groups += 1
    }
    // Full until the checkpoint in progress lets it go on.
    guard journal!.hasRoom(bodyBytes: byteCount) else { return beginCheckpoint() }
    let body = Array(stagedBytes.bytes.prefix(byteCount))
    var rest = ByteWriter()
    rest.append(bytes: stagedBytes.bytes.dropFirst(byteCount))
    stagedBytes = rest
    take(groups: groups)
    let (offset, bytes) = journal!.seal(body: body)
    unsafe bytes.withUnsafeBytes { unsafe journalBuffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    isJournalBusy = true
    unsafe disk.write(token: Token.journal, from: journalBuffer, byteCount: bytes.count, offsetBytes: offset, durably: false)
  }

  private func take(groups count: Int) {
    let entryCount = stagedGroups.prefix(count).reduce(0) { $0 + $1.entryCount }
    committingEntries = Array(stagedEntries.prefix(entryCount))
    stagedEntries.removeFirst(entryCount)
    committingWaiters = stagedGroups.prefix(count).map(\.waiter)
    stagedGroups.removeFirst(count)
  }

  func journalCompleted(_ result: Int32) {
    isJournalBusy = false
    let waiters = committingWaiters
    committingWaiters = []
    if result < 0 {
      fault(.write, code: -result, what: "the journal")
      for waiter in waiters { failed(waiter) }
      return
    }
    let sequence = journal.map { $0.head.sequence - 1 } ?? 0
    journal?.writtenSequence = sequence
    for entry in committingEntries { state.apply(entry, sequence: sequence, epoch: epoch) }
    committingEntries = []
    // Between two records: the state is what the journal says up to its head.
    if let journal, journal.usedBytes > journal.byteCount / 2 || (sums?.journaledCount ?? 0) > BlockSums.journaledLimit {
      beginCheckpoint()
    }
    for waiter in waiters { recordWritten(waiter) }
    commitNext()
    if state.quarantinedCount > 0 { freedSomething() }
    dismantle()
    if isQuiescing { checkQuiescent() }
  }

  /// Freed clusters come back when their record is durable; many are worth a flush of their own.
  private func freedSomething() {
    if journal == nil { return releaseFreed() }
    if !isSyncing && syncWaiters.isEmpty && (state.quarantinedCount >= 64 || !spaceWaiters.isEmpty) { joinSync(.nobody) }
  }

  private func recordWritten(_ waiter: Waiter) {
    switch waiter {
    case .slot(let index): committed(index)
    case .action(let number): joinSync(.action(number))
    case .cleaner: cleanerCommitted()
    case .readier: joinSync(.readier)
    case .dismantler: dismantlerCommitted()
    case .marker: joinSync(.marker)
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
    isSyncing = true
    if sums != nil { beginSettling() }
    swap(&syncWaiters, &syncingWaiters)
    syncedSequence = journal?.writtenSequence ?? 0
    disk.sync(token: Token.sync)
  }

  func syncCompleted(_ result: Int32) {
    isSyncing = false
    let waiters = syncingWaiters
    syncingWaiters.removeAll(keepingCapacity: true)
    if result < 0 {
      fault(.flush, code: -result, what: "the pool")
      for waiter in waiters { failed(waiter) }
    } else {
      if journal != nil, syncedSequence > journal!.durableSequence { journal!.durableSequence = syncedSequence }
      if state.quarantinedCount > 0 { releaseFreed() }
      if sums != nil { endSettling() }
      for waiter in waiters { flushed(waiter) }
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
    case .nobody: break
    }
  }

  // MARK: Faults

  /// Metadata cannot be written: nothing changes any more, and reads go on.
  func fault(_ operation: PoolReport.Operation, code: Int32, what: String) {
    report.fault(operation, code: code, what: what)
    failStaged()
    let waiters = syncWaiters
    syncWaiters = []
    for waiter in waiters { failed(waiter) }
    let parked = claimWaiters + heldWaiters + spaceWaiters
    claimWaiters = []
    heldWaiters = []
    spaceWaiters = []
    for index in parked where index >= 0 {
      if unsafe slots[Int(index)].operation == .read { advance(index) } else { finish(index, .writeFault) }
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

  private func failed(_ waiter: Waiter) {
    switch waiter {
    case .slot(let index):
      let slot = unsafe slots + Int(index)
      let phase = unsafe slot.pointee.phase
      if phase == .awaitingOrder || phase == .committing {
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
    case .nobody: break
    }
  }
}
