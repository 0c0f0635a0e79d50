import Glibc
import Reactor

/// First writes whose record holds checksums of the data, so that both are written at once: where a record without its data would hide what
/// the parent has, or show what was on the storage before.
///
/// The next opening reads the blocks that such records speak of, and what did not arrive was never written. That is right as long as
/// nothing else is written to these blocks, once hosts may rely on them: when a flush has begun. So whoever wants to write to one of them
/// again then waits until it is *settled*: (1) a flush that began when record and data were written has ended, (2) a record notes
/// that, and (3) is durable. Every record notes what has arrived, so as a rule this costs nothing but the flushes that hosts ask for;
/// where a write waits, or many blocks are unsettled, the pool flushes by itself. Before a flush has begun an overwrite needs only
/// a record of its own.
extension PoolEngine {
  enum SettleStep { case idle, flushing, noting, sealing }

  /// So many unsettled blocks are worth flushes of their own.
  static let settledAtOnce = SentBlocks.limit / 2

  // MARK: Writing

  /// Says in which order data and record of a first write to claimed blocks go. Where the next opening would have to read too much, the
  /// data is flushed before.
  func chooseOrder(_ slot: UnsafeMutablePointer<Slot>, _ layerIndex: Int, _ cluster: Int, _ logical: UInt32, _ first: Int, _ stop: Int) {
    let loss = state.loss(layerIndex: layerIndex, cluster: cluster, logical: logical, first: first, stop: stop)
    if loss == .none { return }
    guard loss == .mapping, superblock.hasSent, journal != nil, state.sent.hasRoom(for: sendingBlocks + stop - first) else {
      unsafe slot.pointee.needsOrder = true
      return
    }
    unsafe slot.pointee.isSent = true
    unsafe slot.pointee.sentCount = Int32(stop - first)
    unsafe slot.pointee.sequence = 0
    sendingBlocks += stop - first
  }

  /// The checksums of the blocks of a write, those of filled ones included.
  func blockSums(_ slot: UnsafeMutablePointer<Slot>, count: Int) -> [UInt32] {
    // Byte 0 of the block that the piece starts in, if it were in the buffer.
    let skipped = unsafe Int(slot.pointee.offset & 4095)
    let (end, buffer) = unsafe (slot.pointee.pieceEnd, slot.pointee.buffer)
    var values: [UInt32] = []
    values.reserveCapacity(count)
    for position in 0..<count {
      if position == 0, skipped != 0 {
        unsafe values.append(slot.pointee.headSum)
      } else if position == count - 1, end & 4095 != 0 {
        unsafe values.append(slot.pointee.tailSum)
      } else if let buffer = unsafe buffer {
        unsafe values.append(CRC32C.checksum(buffer + (position * 4096 - skipped), byteCount: 4096))
      } else {
        values.append(Self.zeroBlockSum)
      }
    }
    return values
  }

  /// The entries of a write whose record holds its checksums. Blocks that hold data already are overwritten in place and are not in it.
  func planSent(
    _ slot: UnsafeMutablePointer<Slot>, layerIndex: Int, first: Int, stop: Int, _ values: [UInt32], _ entries: inout [MetadataEntry]
  ) {
    let (cluster, logical) = unsafe (cluster(slot), UInt32(slot.pointee.offset >> geometry.clusterShift))
    state.planAllocated(layerIndex: layerIndex, cluster: cluster, logical: logical) { entries.append($0) }
    forEachAbsentRun(cluster, first, stop) { run in
      entries.append(
        .sent(
          cluster: UInt32(cluster), first: UInt32(run.lowerBound),
          sums: values.count == run.count ? values : Array(values[run.lowerBound - first..<run.upperBound - first])))
    }
  }

  /// Calls `body` for the runs of blocks in `first..<stop` that hold no data.
  private func forEachAbsentRun(_ cluster: Int, _ first: Int, _ stop: Int, _ body: (Range<Int>) -> Void) {
    var position = first
    while position < stop {
      let run = state.clusters.run(cluster, from: position, to: stop)
      if !run.isData { body(position..<position + run.count) }
      position += run.count
    }
  }

  private func blocks(_ slot: UnsafeMutablePointer<Slot>) -> (first: Int, stop: Int) {
    let mask = geometry.clusterBytes &- 1
    let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    return (Int((offset & mask) >> PoolGeometry.blockShift), Int(((end &- 1) & mask) >> PoolGeometry.blockShift) + 1)
  }

  /// Data and record are written: the blocks count from now on.
  func markSent(_ slot: UnsafeMutablePointer<Slot>) {
    let (cluster, sequence) = unsafe (cluster(slot), slot.pointee.sequence)
    let (first, stop) = unsafe blocks(slot)
    forEachAbsentRun(cluster, first, stop) { run in
      state.clusters.setBlocks(cluster, run.lowerBound, run.count)
      state.sent.insert(geometry.poolBlock(cluster: cluster, block: run.lowerBound), count: run.count, sequence: sequence)
    }
    if state.sent.count >= Self.settledAtOnce { settle(through: state.sent.highestSequence) }
  }

  /// A slot's blocks are settled matters, or in the table.
  func endSending(_ slot: UnsafeMutablePointer<Slot>) {
    unsafe sendingBlocks -= Int(slot.pointee.sentCount)
    unsafe slot.pointee.isSent = false
    unsafe slot.pointee.sequence = 0
  }

  /// The record of a slot was written.
  func noteRecord(_ index: Int32, _ sequence: UInt64) {
    let slot = unsafe slots + Int(index)
    guard unsafe slot.pointee.isSent && slot.pointee.phase != .retracting else { return }
    unsafe slot.pointee.sequence = sequence
    if unsafe slot.pointee.phase == .writingBoth && slot.pointee.isWritingData { limboCount += 1 }
  }

  /// Data of which a record speaks already was written, or could not be.
  func leaveLimbo() {
    limboCount -= 1
    if limboCount == 0 && wantsCheckpoint { postCommit() }
  }

  /// The record is there and the data is not, nor will be: steps (1) another record says that the blocks hold nothing, (2) the request fails.
  /// Until (1) no record says that all has arrived.
  func retract(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    unsafe report.note(
      .write, code: -slot.pointee.failure, replica: devices[Int(slot.pointee.device)].replica, offsetBytes: slot.pointee.offset,
      storageOffsetBytes: disk.takeFailedOffset())
    unsafe slot.pointee.phase = .retracting
    let cluster = unsafe cluster(slot)
    let (first, stop) = unsafe blocks(slot)
    var entries: [MetadataEntry] = []
    forEachAbsentRun(cluster, first, stop) { run in
      entries.append(.cleared(cluster: UInt32(cluster), first: UInt32(run.lowerBound), count: UInt32(run.count)))
    }
    stage(entries, .slot(index))
  }

  /// Step (2).
  func retracted(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    if sums != nil { noteFailedWrite(index) }
    release(claimsOf: index)
    unsafe doneChanging(slot)
    finish(index, unsafe slot.pointee.failure == -ENOSPC ? .capacityExceeded : .writeFault)
  }

  // MARK: Settling

  /// Whether a write would change blocks that are not settled: then it is parked, or, if it can be and no flush has begun since, goes with
  /// a record of its own.
  func isUnsettled(_ index: Int32, _ cluster: Int, _ offset: UInt64, _ end: UInt64, canResend: Bool) -> Bool {
    let mask = geometry.clusterBytes &- 1
    let first = geometry.poolBlock(cluster: cluster, block: Int((offset & mask) >> PoolGeometry.blockShift))
    let stop = geometry.poolBlock(cluster: cluster, block: Int(((end &- 1) & mask) >> PoolGeometry.blockShift)) + 1
    guard waitsForSettling, !isFaulted, let sequences = state.sent.sequences(of: first..<stop) else { return false }
    if canResend && sums == nil && !isSyncDelayed && (offset | end) & 4095 == 0 && sequences.lowerBound > promisedSequence {
      resend(index, cluster, first..<stop)
    } else {
      settleWaiters.append(index)
      settle(through: sequences.upperBound)
    }
    return true
  }

  // MARK: Overwriting what is not settled

  /// Overwrites whole blocks on which nobody can rely yet: they may read as before the first write until a flush begins. Steps: (1) a
  /// record with the new checksums is written, which counts beside the last; (2) the data is. A kill in (2) leaves old or new, and both are
  /// known; a power loss may leave neither. So (2) does not begin when a flush has begun meanwhile, but waits as others, and no flush
  /// begins during (2).
  private func resend(_ index: Int32, _ cluster: Int, _ blocks: Range<Int>) {
    let slot = unsafe slots + Int(index)
    let deviceIndex = unsafe Int(slot.pointee.device)
    let base = unsafe slot.pointee.offset >> PoolGeometry.blockShift
    guard claim(layerIndex: devices[deviceIndex].layerIndex, blocks: base..<base + UInt64(blocks.count), holder: index) else {
      claimWaiters.append(index)
      return
    }
    unsafe slot.pointee.cluster = Int32(bitPattern: UInt32(cluster))
    unsafe slot.pointee.needsFlush = true
    unsafe slot.pointee.phase = .resending
    devices[deviceIndex].changing += 1
    let first = UInt32(blocks.lowerBound - geometry.poolBlock(cluster: cluster, block: 0))
    stage([.resent(cluster: UInt32(cluster), first: first, sums: unsafe blockSums(slot, count: blocks.count))], .slot(index))
  }

  /// Step (2).
  func rewrite(_ index: Int32) {
    // Nothing will be settled any more.
    if isFaulted { return failed(.slot(index)) }
    let slot = unsafe slots + Int(index)
    let cluster = unsafe cluster(slot)
    let (first, stop) = unsafe blocks(slot)
    let base = geometry.poolBlock(cluster: cluster, block: 0)
    if let sequences = state.sent.sequences(of: base + first..<base + stop), isSyncDelayed || sequences.lowerBound <= promisedSequence {
      settleWaiters.append(index)
      return settle(through: sequences.upperBound)
    }
    unsafe slot.pointee.phase = .rewriting
    rewriting += 1
    unsafe enterEpoch(slot)
    unsafe disk.write(
      token: Int(index), from: source(slot), byteCount: (stop - first) << 12,
      offsetBytes: geometry.storageOffset(cluster: cluster, block: first), durably: false)
  }

  /// The data of one was written, or could not be.
  func rewritten() {
    rewriting -= 1
    guard rewriting == 0, isSyncDelayed else { return }
    isSyncDelayed = false
    resumeSync()
  }

  /// Settles what records up to `sequence` speak of, as soon as that can be.
  private func settle(through sequence: UInt64) {
    settleTarget = max(settleTarget, sequence)
    if settleStep == .idle { settleOn() }
  }

  /// Takes the next step.
  func settleOn() {
    settleStep = .idle
    guard let journal, !isFaulted, journal.settledSequence < settleTarget else { return }
    if journal.notedSequence >= settleTarget {
      settleStep = .sealing
      joinSync(.settler)
    } else if journal.arrivedSequence >= settleTarget {
      settleStep = .noting
      stage([], .settler)
    } else {
      settleStep = .flushing
      joinSync(.settler)
    }
  }

  /// A flush begins: what will have arrived when it ends.
  func noteArriving() {
    guard let journal else { return }
    promisedSequence = state.sent.highestSequence
    syncedNote = journal.notedSequence
    if isRetracting {
      arrivingSequence = journal.arrivedSequence
      return
    }
    arrivingSequence = journal.writtenSequence
    if sendingBlocks == 0 { return }
    for index in 0..<Self.slotCount {
      let slot = unsafe slots + index
      if unsafe slot.pointee.isSent && slot.pointee.sequence != 0 {
        arrivingSequence = unsafe min(arrivingSequence, slot.pointee.sequence - 1)
      }
    }
  }

  /// The flush has ended.
  func noteArrived() {
    guard journal != nil else { return }
    journal!.arrivedSequence = max(journal!.arrivedSequence, arrivingSequence)
    guard syncedNote > journal!.settledSequence else { return }
    journal!.settledSequence = syncedNote
    state.sent.settle(through: syncedNote)
  }

  func retrySettleWaiters() {
    let waiters = settleWaiters
    settleWaiters.removeAll(keepingCapacity: true)
    for index in waiters { if unsafe slots[Int(index)].phase == .resending { rewrite(index) } else { advance(index) } }
  }

  /// Records what the opening found not to have arrived: otherwise a later note that all arrived would speak of it, too.
  func retractUnarrived() {
    guard !state.unarrived.isEmpty, !isFaulted else { return }
    var entries: [MetadataEntry] = []
    for block in state.unarrived {
      let (cluster, first) = (UInt32(block / geometry.blocksPerCluster), UInt32(block % geometry.blocksPerCluster))
      if case .cleared(cluster, let start, let count) = entries.last, start + count == first {
        entries[entries.count - 1] = .cleared(cluster: cluster, first: start, count: count + 1)
      } else {
        entries.append(.cleared(cluster: cluster, first: first, count: 1))
      }
    }
    state.unarrived = []
    let limit = maximumGroupBytes / 16
    for start in stride(from: 0, to: entries.count, by: limit) {
      retractorCount += 1
      stage(Array(entries[start..<min(start + limit, entries.count)]), .retractor)
    }
  }
}
