import Pool
import Reactor

/// What a replica must have before it is sent changes: the volume's size, and its snapshots (R4, R15).
///
/// A snapshot that was taken while it was away is restored first: what the replica may hold otherwise is compared with the snapshot on a
/// member and copied, all is flushed, and the replica takes the snapshot itself; the next snapshot is restored over that, and in the end the
/// data of now. What may differ from the first one is in the members' record of what the replica missed, or anything if there is none. The
/// record goes on while snapshots are restored, and nothing leaves it for them, so that it need not be frozen with each snapshot: what
/// was missed after the snapshot is equal to it, and a comparison finds that. From one snapshot to the next the pools know what changed.
extension Nexus {
  private static let equipRetryNanoseconds: UInt64 = 20_000_000

  func equip(_ resync: Resync) {
    guard isCurrent(resync) else { return }
    let index = resync.index
    resync.stage = .equipping
    guard let claimed = replicas[index].claimed else { return endResync(index, "it was lost") }
    if claimed.sizeBytes < sizeBytes {
      let size = sizeBytes
      return ask(index, .grow(toSizeBytes: size)) { [self] result in
        guard isCurrent(resync) else { return }
        if case .failure(let refusal) = result { return endResync(index, "it could not grow: \(refusal)") }
        replicas[index].claimed?.sizeBytes = size
        equip(resync)
      }
    }
    let missing = record.ready.first { !claimed.snapshots.contains($0.id) }
    if let missing, !plantedErrors.contains(.skipsRestoring) {
      return isRebuildingPaused || activeMask == 0 ? equipLater(resync) : restore(missing, resync)
    }
    if take?.keepsReplicasOut == true || growth != nil && growth?.stage != .waiting { return equipLater(resync) }
    shareLog(resync, claimed)
  }

  private func equipLater(_ resync: Resync) {
    after(nanoseconds: Self.equipRetryNanoseconds) { [self] in equip(resync) }
  }

  // MARK: One snapshot

  private func restore(_ snapshot: VolumeSnapshot, _ resync: Resync) {
    guard let source = copySource(resync.failedSourceMask) else {
      return endResync(resync.index, "there is no member to copy snapshots from")
    }
    let work = RestoreWork(snapshot: snapshot, source: source)
    if let last = resync.lastRestored, record.ready.contains(where: { $0.id == last }) {
      return listChanges(work, resync, [(source, of: snapshot.id, since: last)])
    }
    // One that it has is later than this one: what it holds is not what the record goes by.
    let isInOrder = record.ready.drop { $0.id != snapshot.id }.allSatisfy {
      replicas[resync.index].claimed?.snapshots.contains($0.id) == false
    }
    if resync.kind == .recorded, isInOrder { return listMissed(work, resync) }
    listChanges(work, resync, [(source, of: snapshot.id, since: nil), (resync.index, of: nil, since: nil)])
  }

  private func listMissed(_ work: RestoreWork, _ resync: Resync) {
    ask(work.source, .metadata) { [self] result in
      guard isCurrent(resync) else { return }
      guard case .success(.metadata(let metadata)) = result else { return sourceFailed(work, resync, result) }
      let peer = replicas[resync.index].id
      work.regions = metadata.missed.first { $0.peer == peer }?.regions ?? []
      // What is being put on record.
      work.regions += log.regions
      begin(work, resync)
    }
  }

  private func listChanges(
    _ work: RestoreWork, _ resync: Resync, _ sides: [(index: Int, of: Identifier?, since: Identifier?)], from offset: UInt64 = 0
  ) {
    guard let side = sides.first else { return begin(work, resync) }
    ask(side.index, .changedRanges(of: side.of, since: side.since, fromOffsetBytes: offset)) { [self] result in
      guard isCurrent(resync) else { return }
      guard case .success(.ranges(let ranges, let next)) = result, next == nil || next! > offset else {
        if side.index == resync.index { return endResync(resync.index, "it did not tell what it holds") }
        return sourceFailed(work, resync, result)
      }
      for range in ranges where !range.isEmpty && range.upperBound <= sizeBytes {
        work.regions += Array(Int(range.lowerBound >> UInt64(regionShift))...Int((range.upperBound - 1) >> UInt64(regionShift)))
      }
      if work.regions.count > 1 << 16 { work.regions = Array(Set(work.regions)) }
      if let next, next < sizeBytes {
        listChanges(work, resync, sides, from: next)
      } else {
        listChanges(work, resync, Array(sides.dropFirst()))
      }
    }
  }

  private func sourceFailed(_ work: RestoreWork, _ resync: Resync, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    if case .failure(.invalid) = result {
      // It was deleted meanwhile, or the one before it was.
      resync.lastRestored = nil
      guard record.ready.contains(where: { $0.id == work.snapshot.id }) else { return equipLater(resync) }
    }
    if case .failure(let refusal) = result, refusal != .lost, healthyMask & Self.bit(work.source) != 0, setMask.nonzeroBitCount == 1 {
      return endResync(resync.index, "snapshot \(work.snapshot.id) cannot be read: \(refusal)")
    }
    resync.failedSourceMask |= Self.bit(work.source)
    equipLater(resync)
  }

  private func begin(_ work: RestoreWork, _ resync: Resync) {
    let regions = Array(Set(work.regions.filter { $0 < log.regionCount })).sorted()
    var pieces: [Range<UInt64>] = []
    for region in regions {
      let range = bytes(ofRegion: region)
      let end = min(range.upperBound, work.snapshot.sizeBytes)
      for start in stride(from: range.lowerBound, to: max(range.lowerBound, end), by: Int(SnapshotRestorer.pieceBytes)) {
        pieces.append(start..<min(start + SnapshotRestorer.pieceBytes, end))
      }
    }
    resync.progress.bytesToDo += pieces.reduce(0) { $0 + UInt64($1.count) }
    let restorer = SnapshotRestorer(
      nexus: self, target: resync.index, source: work.source, snapshot: work.snapshot.id, pieces: pieces,
      isWanted: { [unowned self] in
        isCurrent(resync) && activeMask != 0 && healthyMask & Self.bit(work.source) != 0
          && record.ready.contains { $0.id == work.snapshot.id }
      },
      told: { count, sent in
        resync.progress.bytesDone += count
        resync.progress.bytesRead += count
        resync.progress.bytesSent += sent
      })
    restorers.append(restorer)
    restorer.start { [self] outcome in
      restorers.removeAll { $0 === restorer }
      letGoIfQuiet()
      guard isCurrent(resync) else { return }
      switch outcome {
      case .done: takeOn(work, resync)
      case .targetFailed(let reason): endResync(resync.index, reason)
      case .sourceFailed(let refusal): sourceFailed(work, resync, .failure(refusal))
      case .pointless: equipLater(resync)
      }
    }
  }

  /// It holds what the snapshot does: once that is durable, it takes the snapshot.
  private func takeOn(_ work: RestoreWork, _ resync: Resync) {
    let bit = Self.bit(resync.index)
    flushes.flush(bit & ~writeThroughMask) { [self] failedMask in
      guard isCurrent(resync) else { return }
      if failedMask != 0 { return endResync(resync.index, "it could not be flushed") }
      guard record.ready.contains(where: { $0.id == work.snapshot.id }) else { return equip(resync) }
      ask(resync.index, .createSnapshot(work.snapshot.id, sizeBytes: work.snapshot.sizeBytes)) { [self] result in
        guard isCurrent(resync) else { return }
        if case .failure(let refusal) = result { return endResync(resync.index, "it could not take a snapshot: \(refusal)") }
        replicas[resync.index].claimed?.snapshots.append(work.snapshot.id)
        resync.lastRestored = work.snapshot.id
        resync.hasRestored = true
        restoredSnapshots += 1
        equip(resync)
      }
    }
  }
}

/// What is known of a snapshot to be restored.
private final class RestoreWork {
  let snapshot: VolumeSnapshot
  let source: Int
  var regions: [Int] = []

  init(snapshot: VolumeSnapshot, source: Int) {
    self.snapshot = snapshot
    self.source = source
  }
}
