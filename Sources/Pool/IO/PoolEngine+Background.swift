import Glibc
import Reactor

/// What goes on beside the requests: checkpoints, zeroing freed clusters, taking layers apart.
extension PoolEngine {
  enum CheckpointStep { case chunks, sums, flushing, header }
  enum CleanerStep { case idle, zeroing, flushing, committing }

  // MARK: Checkpoints

  /// Begins a checkpoint; between two records only.
  func beginCheckpoint() {
    guard checkpoint == nil, let journal, !isFaulted else { return }
    precondition(commits.isEmpty && limboCount == 0)
    wantsCheckpoint = false
    checkpointNumber += 1
    checkpoint = CheckpointWriter(
      number: checkpointNumber, mark: journal.head, poolID: superblock.id, opening: journal.opening, superblock: superblock,
      state: state)
    checkpointStep = .chunks
    if sums != nil { beginCheckpointSums() }
    writeNextChunk()
  }

  private func writeNextChunk() {
    do throws(FormatFlaw) {
      guard let (offset, bytes) = try checkpoint!.nextChunk(state) else {
        if sums != nil {
          checkpointStep = .sums
          return continueCheckpointSums()
        }
        checkpointStep = .flushing
        return joinSync(.checkpoint)
      }
      write(bytes, offset, durably: false)
    } catch {
      checkpoint = nil
      fault(.write, code: ENOSPC, what: "a checkpoint, which is larger than its place")
    }
  }

  private func write(_ bytes: [UInt8], _ offset: UInt64, durably: Bool) {
    unsafe bytes.withUnsafeBytes { unsafe checkpointBuffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    unsafe disk.write(
      token: Token.checkpoint, from: checkpointBuffer, byteCount: bytes.count, offsetBytes: offset, durably: durably)
  }

  func checkpointFlushed() {
    guard checkpoint != nil, let journal else { return }
    checkpointStep = .header
    let (offset, bytes) = checkpoint!.header(durableSequence: journal.durableSequence, state: state)
    write(bytes, offset, durably: true)
  }

  func checkpointCompleted(_ result: Int32) {
    if result < 0 {
      checkpoint = nil
      return fault(.write, code: -result, what: "a checkpoint")
    }
    guard let writer = checkpoint else { return }
    if checkpointStep == .chunks { return writeNextChunk() }
    checkpoint = nil
    journal!.trim(to: writer.mark)
    commitNext()
    if isQuiescing { checkQuiescent() }
  }

  // MARK: Zeroing

  /// Clusters zeroed at once, at most this many bytes.
  private static let cleanedBytes: UInt64 = 64 << 20

  /// Gives freed clusters back to the storage, so that they are zeros: steps (1) zero, (2) flush, (3) record that they are clean.
  /// A crash before (3) leaves them free and of unknown content.
  func clean() {
    guard canZero, cleanerStep == .idle, !isQuiescing, !isFaulted, state.dirty.count > 0 else { return }
    guard let run = state.dirty.takeRun(limit: max(1, Int(Self.cleanedBytes / geometry.clusterBytes))) else { return }
    cleaning = run
    cleanerStep = .zeroing
    disk.zero(
      token: Token.cleaner, offsetBytes: geometry.storageOffset(cluster: run.lowerBound),
      byteCount: UInt64(run.count) << geometry.clusterShift)
  }

  func cleanerCompleted(_ result: Int32) {
    if result < 0 {
      // The storage cannot, or not now: they are used as they are.
      canZero = false
      if let run = cleaning { for cluster in run { state.dirty.insert(cluster) } }
      return cleanerIdle()
    }
    cleanerStep = .flushing
    joinSync(.cleaner)
  }

  func cleanerFlushed() {
    guard let run = cleaning else { return }
    cleanerStep = .committing
    stage([.cleaned(first: UInt32(run.lowerBound), count: UInt32(run.count))], .cleaner)
  }

  func cleanerCommitted() {
    cleanerIdle()
    makeReady()
  }

  // MARK: The store of clusters to give out

  /// Clusters made ready at once; a new batch is begun when half of one is left.
  private var readyBatch: Int { min(256, max(4, geometry.clusterCount / 16)) }

  /// Makes clean clusters ready: a durable record says that they are not known to be clean any more, and only then are they
  /// given out. For their data is written before the record that says whose they are, and without this a crash between the two
  /// would leave debris in clusters that pass for zeros.
  func makeReady() {
    guard readying.isEmpty, state.ready.count < (readyBatch + 1) / 2, state.clean.count > 0, !isQuiescing, !isFaulted else { return }
    var entries: [MetadataEntry] = []
    while readying.count < readyBatch, let run = state.clean.takeRun(limit: readyBatch - readying.count) {
      readying += run
      entries.append(.readied(first: UInt32(run.lowerBound), count: UInt32(run.count)))
    }
    stage(entries, .readier)
  }

  func becomeReady() {
    for cluster in readying { state.ready.insert(cluster) }
    readying = []
    retrySpaceWaiters()
    if isQuiescing { checkQuiescent() }
  }

  private func cleanerIdle() {
    cleaning = nil
    cleanerStep = .idle
    retrySpaceWaiters()
    clean()
    if isQuiescing { checkQuiescent() }
  }

  // MARK: Taking layers apart

  /// A dying layer and how far it is taken apart.
  struct Dismantling {
    var layer: UInt32
    var nextLogical: UInt32 = 0
    /// Logical clusters whose entries are in flight.
    var stepEnd: UInt32 = 0
    var isEnding = false
    /// The end waits until the child has grown.
    var isHeld = false
    var copy: Copy?
    /// Entries that wait for a flush of what the child holds.
    var entries: [MetadataEntry] = []
  }

  /// A copy of blocks from one cluster to another, run by run.
  struct Copy {
    var from: Int
    var to: Int
    var runs: [Range<Int>]
    var isReading: Bool
    var then: [MetadataEntry]
  }

  private static let dismantledLookups: UInt32 = 4096
  private static let copyBlocks = 16

  /// Takes the next layer that nobody names apart, if none is in work.
  ///
  /// Not before the record that took its name away is durable: from its first step on the child may overwrite clusters that
  /// were the layer's, and a power loss that undid the removal would show that under the old name.
  func dismantle() {
    guard dismantling == nil, !isQuiescing, !isFaulted, !state.dying.isEmpty else { return }
    // Those without a child first: what they free needs no merging.
    let childless = state.dying.last { id in (state.layerIndexes[id].flatMap { state.layers[$0] }?.childCount ?? 1) == 0 }
    let layer = childless ?? state.dying.last
    guard let layer else { return }
    dismantling = Dismantling(layer: layer)
    if isMetadataDurable { resumeDismantling() } else { joinSync(.dismantler) }
  }

  /// Leaves the layer in work as it is. Its name is gone, durably, and the next opening goes on; that is all that those who wait for
  /// its end can be told.
  func abandonDismantling() {
    dismantling = nil
    let waiters = layerWaiters
    layerWaiters = []
    release(claimsOf: Self.dismantlerHolder)
    for waiter in waiters { actionDone(waiter.action, nil) }
    if isQuiescing { checkQuiescent() }
  }

  /// Makes the next group of entries of the layer in work.
  func resumeDismantling() {
    guard var work = dismantling, let index = state.layerIndexes[work.layer], let layer = state.layers[index] else {
      dismantling = nil
      return
    }
    if isQuiescing || isFaulted { return abandonDismantling() }
    let child = layer.childCount == 0 ? nil : state.onlyChild(of: index)
    var entries: [MetadataEntry] = []
    var entryBytes = 0
    // Mostly there is less of a thin layer than it is large.
    let isBare = layer.allocated == 0 && layer.holeCount == 0
    let lookupEnd = work.nextLogical + (isBare ? 0 : min(Self.dismantledLookups, layer.clusterCount - work.nextLogical))
    var logical = work.nextLogical
    var planned = 0
    while logical < lookupEnd {
      guard let step = state.planDying(index, child: child, logical: logical) else {
        logical += 1
        continue
      }
      let blocks = UInt64(logical) * UInt64(geometry.blocksPerCluster)
      if let child, !claim(layerIndex: child, blocks: blocks..<blocks + UInt64(geometry.blocksPerCluster), holder: Self.dismantlerHolder) {
        if planned > 0 { break }
        dismantling = work
        claimWaiters.append(Self.dismantlerHolder)
        return
      }
      let stepBytes = step.entries.reduce(0) { $0 + $1.encodedBytes }
      let isCopy = if case .copy = step { true } else { false }
      // A group is one record at most, and a copy goes alone.
      if planned > 0, isCopy || entryBytes + stepBytes > maximumGroupBytes {
        claims.removeAll { $0.holder == Self.dismantlerHolder && $0.firstBlock == blocks }
        break
      }
      if case .copy(let from, let to, let mask, let then) = step {
        work.copy = Copy(from: from, to: to, runs: mask.runs, isReading: true, then: then)
        work.stepEnd = logical + 1
        dismantling = work
        return copyNext()
      }
      entries += step.entries
      entryBytes += stepBytes
      planned += 1
      logical += 1
    }
    work.stepEnd = logical
    if entries.isEmpty {
      work.nextLogical = logical
      if logical < layer.clusterCount && !isBare {
        dismantling = work
        // Later, as others want to be heard.
        return disk.postpone(token: Token.dismantler)
      }
      // Both would say what the child's parent and size are.
      if let child, let heir = state.layers[child], growing.contains(heir.id) {
        work.isHeld = true
        dismantling = work
        return
      }
      work.isEnding = true
      entries = state.planEnd(index, child: child)
    }
    // What the child holds is the reason to give the layer's up: it must be as durable as that.
    if child != nil, state.sent.highestSequence > journal?.arrivedSequence ?? .max {
      work.entries = entries
      dismantling = work
      return joinSync(.dismantler)
    }
    dismantling = work
    stage(entries, .dismantler)
  }

  /// Copies the next run of blocks, at most as much as the buffer holds.
  func copyNext() {
    guard let copy = dismantling?.copy else { return }
    guard let run = copy.runs.first else { return joinSync(.dismantler) }
    let count = min(run.count, Self.copyBlocks) * Int(PoolGeometry.blockBytes)
    if copy.isReading {
      guard hasCopySums(copy, run.lowerBound..<run.lowerBound + min(run.count, Self.copyBlocks)) else { return }
      unsafe disk.read(
        token: Token.dismantler, into: copyBuffer, byteCount: count,
        offsetBytes: geometry.storageOffset(cluster: copy.from, block: run.lowerBound))
    } else {
      unsafe disk.write(
        token: Token.dismantler, from: copyBuffer, byteCount: count,
        offsetBytes: geometry.storageOffset(cluster: copy.to, block: run.lowerBound), durably: false)
    }
  }

  func dismantlerCompleted(_ result: Int32) {
    guard var copy = dismantling?.copy else { return resumeDismantling() }
    if result < 0 {
      // The layer stays; the next opening tries again.
      report.note(
        copy.isReading ? .read : .write, code: -result, replica: .none, offsetBytes: 0, storageOffsetBytes: disk.takeFailedOffset())
      // Others are not to wait for that.
      if let layer = dismantling?.layer { state.dying.removeAll { $0 == layer } }
      abandonDismantling()
      return dismantle()
    }
    if copy.isReading {
      if sums != nil {
        let run = copy.runs[0]
        guard let carried = copiedSums(copy, run.lowerBound..<min(run.lowerBound + Self.copyBlocks, run.upperBound)) else {
          return copyNext()
        }
        copy.then.append(carried)
      }
      copy.isReading = false
    } else {
      copy.isReading = true
      let run = copy.runs[0]
      let rest = min(run.lowerBound + Self.copyBlocks, run.upperBound)..<run.upperBound
      if rest.isEmpty { copy.runs.removeFirst() } else { copy.runs[0] = rest }
    }
    dismantling!.copy = copy
    copyNext()
  }

  /// The copied blocks are durable, or the removal of the layer's name is.
  func dismantlerFlushed() {
    if let entries = dismantling?.entries, !entries.isEmpty {
      dismantling!.entries = []
      return stage(entries, .dismantler)
    }
    guard let copy = dismantling?.copy else { return resumeDismantling() }
    dismantling!.copy = nil
    state.clusters.unrecorded.remove(copy.to)
    if sums != nil { takeSums(of: copy.then) }
    // Checksums of blocks that hold no data yet mean nothing by themselves: where all is too much for a record they go before.
    var entries = copy.then
    if entries.reduce(0, { $0 + $1.encodedBytes }) > maximumGroupBytes {
      entries = copy.then.filter { if case .sums = $0 { false } else { true } }
      for carried in copy.then { if case .sums = carried { stage([carried], .nobody) } }
    }
    stage(entries, .dismantler)
  }

  func dismantlerCommitted() {
    guard var work = dismantling else { return }
    work.nextLogical = work.stepEnd
    dismantling = work.isEnding ? nil : work
    release(claimsOf: Self.dismantlerHolder)
    if work.isEnding {
      let done = layerWaiters.filter { $0.layer == work.layer }
      layerWaiters.removeAll { $0.layer == work.layer }
      for waiter in done { actionDone(waiter.action, nil) }
      return dismantle()
    }
    if dismantling != nil { resumeDismantling() }
  }

  // MARK: Standing still

  /// Calls `body` when nothing is in flight; no background work begins from now on.
  func quiesce(_ body: @escaping () -> Void) {
    settleAll { [self] in
      isQuiescing = true
      quiescent = body
      returnReady()
      checkQuiescent()
    }
  }

  /// What was made ready and not given out is as clean as it was: without this record the next opening would make it zeros again.
  private func returnReady() {
    guard journal != nil, !isFaulted, busySlots == 0, actions.isEmpty, readying.isEmpty, state.ready.count > 0 else { return }
    var entries: [MetadataEntry] = []
    while let run = state.ready.takeRun(limit: geometry.clusterCount) {
      entries.append(.cleaned(first: UInt32(run.lowerBound), count: UInt32(run.count)))
    }
    change(entries) { _ in }
  }

  func checkQuiescent() {
    guard busySlots == 0, !hasAnswers, commits.isEmpty, stagedGroups.isEmpty, !isSyncing, syncWaiters.isEmpty, checkpoint == nil,
      settleStep == .idle || isFaulted, cleanerStep == .idle || isFaulted, readying.isEmpty, dismantling == nil, actions.isEmpty,
      sums?.isIdle ?? true, let body = quiescent
    else { return }
    quiescent = nil
    body()
  }

  /// Begins what was left by the last opening.
  func resume() {
    isQuiescing = false
    retractUnarrived()
    makeReady()
    dismantle()
    clean()
  }
}
