import Glibc
import Reactor

/// Which pages of checksums are settled: durable marks before overwrites, taking them back behind flushes, and looking through what a
/// crash left.
extension PoolEngine {
  // MARK: Marks

  private static let markedAtOnce = 512

  /// Records that pages are not settled: steps (1) record, (2) flush, (3) their data is overwritten. Those who come meanwhile share
  /// the next.
  func mark() {
    guard let sums, sums.marking.isEmpty, !sums.markWaiters.isEmpty else { return }
    if sums.marksWanted.isEmpty {
      sums.markingWaiters = sums.markWaiters
      sums.markWaiters = []
      return marksDurable()
    }
    sums.marking = Array(sums.marksWanted.prefix(Self.markedAtOnce))
    sums.marksWanted.removeFirst(sums.marking.count)
    // All that wait: who finds a page of his missing asks again.
    sums.markingWaiters = sums.markWaiters
    sums.markWaiters = []
    for page in sums.marking { state.unsettled.insert(Int(page)) }
    stage(sums.marking.map { .unsettled(first: $0, count: 1) }, .marker)
  }

  func marksDurable() {
    guard let sums else { return }
    for page in sums.marking { sums.durable.insert(Int(page)) }
    sums.marking = []
    let waiters = sums.markingWaiters
    sums.markingWaiters = []
    for index in waiters {
      let (block, count) = unsafe (sums.slots[Int(index)].firstBlock, sums.slots[Int(index)].blockCount)
      let pages = sums.page(ofBlock: block)...sums.page(ofBlock: block + count - 1)
      let isMarked = pages.allSatisfy { sums.durable.contains($0) }
      if isMarked { fillHead(index) } else { sums.markWaiters.append(index) }
    }
    for index in sums.markWaiters {
      let (block, count) = unsafe (sums.slots[Int(index)].firstBlock, sums.slots[Int(index)].blockCount)
      for page in sums.page(ofBlock: block)...sums.page(ofBlock: block + count - 1)
      where !sums.durable.contains(page) && !sums.marksWanted.contains(UInt32(page)) {
        sums.marksWanted.append(UInt32(page))
      }
    }
    mark()
    if isQuiescing { checkQuiescent() }
  }

  /// The pool became faulted before that.
  func marksFailed() {
    guard let sums else { return }
    let waiters = sums.markingWaiters + sums.markWaiters
    sums.marking = []
    sums.marksWanted = []
    sums.markingWaiters = []
    sums.markWaiters = []
    for index in waiters {
      release(claimsOf: index)
      unsafe doneChanging(slots + Int(index))
      finish(index, .writeFault)
    }
  }

  // MARK: Settling

  /// A flush begins: pages that nobody changed since the last rotation can be settled behind it.
  func beginSettling() {
    guard let sums, let journal else { return }
    sums.candidates = []
    guard sums.isRotationForced || journal.writtenSequence >= sums.rotationSequence + sums.rotationRecords else { return }
    sums.isRotationForced = false
    sums.rotationSequence = journal.writtenSequence
    var page = state.unsettled.first(from: 0)
    while let found = page {
      if !sums.hot.contains(found) && !sums.adoptable.contains(found) { sums.candidates.append(found) }
      page = state.unsettled.first(from: found + 1)
    }
    sums.hot = ClusterSet(capacity: sums.pageCount)
    // Changes under way belong to both times.
    for index in 0..<Self.slotCount where unsafe sums.slots[index].isWriting {
      let (block, count) = unsafe (sums.slots[index].firstBlock, sums.slots[index].blockCount)
      for page in sums.page(ofBlock: block)...sums.page(ofBlock: block + count - 1) { sums.hot.insert(page) }
    }
  }

  /// The flush has ended: what the candidates' blocks hold is durable, and so is every record about them that was written before; the
  /// record that says so follows on all others.
  func endSettling() {
    guard let sums, !sums.candidates.isEmpty else { return }
    var entries: [MetadataEntry] = []
    for page in sums.candidates where !sums.hot.contains(page) && !sums.adoptable.contains(page) {
      state.unsettled.remove(page)
      sums.durable.remove(page)
      if case .settled(let first, let count) = entries.last, Int(first + count) == page {
        entries[entries.count - 1] = .settled(first: first, count: count + 1)
      } else {
        entries.append(.settled(first: UInt32(page), count: 1))
      }
    }
    sums.candidates = []
    for start in stride(from: 0, to: entries.count, by: Self.markedAtOnce) {
      stage(Array(entries[start..<min(start + Self.markedAtOnce, entries.count)]), .nobody)
    }
  }

  /// Settles all that can be, as nothing changes any more.
  func settleAll(_ body: @escaping () -> Void) {
    guard let sums, !isFaulted, state.unsettled.count > 0 else { return body() }
    sums.hot = ClusterSet(capacity: sums.pageCount)
    sums.isRotationForced = true
    flush { _ in body() }
  }

  // MARK: Looking through what a crash left

  static let sweeperHolder: Int32 = -3
  private static let sweptBlocks = 16

  /// Begins to look through the pages that were not settled when the pool was opened, one run of blocks after the other.
  func sweep() {
    guard let sums, !sums.isSweeping, sums.adoptable.count > 0, !isQuiescing, !isFaulted, !(disk is BlockingDisk) else { return }
    sums.isSweeping = true
    sums.sweepPage = -1
    sweepNext()
  }

  func sweepNext() {
    guard let sums, sums.isSweeping else { return }
    if isQuiescing || isFaulted { return endSweep() }
    while true {
      if sums.sweepPage < 0 {
        guard let page = sums.adoptable.first(from: 0) else { return endSweep() }
        sums.sweepPage = page
        sums.sweepBlock = page * sums.blocksPerPage
      }
      let end = min((sums.sweepPage + 1) * sums.blocksPerPage, geometry.clusterCount * geometry.blocksPerCluster)
      while sums.sweepBlock < end {
        let (cluster, first) = (sums.sweepBlock / geometry.blocksPerCluster, sums.sweepBlock % geometry.blocksPerCluster)
        let limit = min(geometry.blocksPerCluster, first + end - sums.sweepBlock)
        guard let layer = state.layerIndexes[state.clusters.owner(cluster)] else {
          sums.sweepBlock += limit - first
          continue
        }
        let run = state.clusters.run(cluster, from: first, to: limit)
        guard run.isData else {
          sums.sweepBlock += run.count
          continue
        }
        sums.sweepCount = min(run.count, Self.sweptBlocks)
        return sweepRun(cluster, first, layer)
      }
      // Changes since were recorded as any others: from now on what does not match is damage.
      sums.adoptable.remove(sums.sweepPage)
      sums.sweepPage = -1
    }
  }

  private func sweepRun(_ cluster: Int, _ first: Int, _ layer: Int) {
    guard let sums else { return }
    guard sums.frame(ofPage: sums.sweepPage) != nil else { return load(sums.sweepPage, for: .sweeper) }
    let base = UInt64(state.clusters.logical(cluster)) * UInt64(geometry.blocksPerCluster) + UInt64(first)
    guard claim(layerIndex: layer, blocks: base..<base + UInt64(sums.sweepCount), holder: Self.sweeperHolder) else {
      claimWaiters.append(Self.sweeperHolder)
      return
    }
    unsafe disk.read(
      token: Token.sumSweep, into: sums.sweepBuffer, byteCount: sums.sweepCount * 4096,
      offsetBytes: geometry.storageOffset(cluster: cluster, block: first))
    sums.sweepOwner = (state.clusters.owner(cluster), state.clusters.logical(cluster))
  }

  func sweepCompleted(_ result: Int32) {
    guard let sums else { return }
    let (cluster, first) = (sums.sweepBlock / geometry.blocksPerCluster, sums.sweepBlock % geometry.blocksPerCluster)
    var isDone = result < 0
    // Whoever frees a cluster or hands it on asks nobody; then this run is looked at again.
    if !isDone, state.clusters.owner(cluster) == sums.sweepOwner.layer, state.clusters.logical(cluster) == sums.sweepOwner.logical,
      state.clusters.run(cluster, from: first, to: first + sums.sweepCount) == (true, sums.sweepCount),
      sums.frame(ofPage: sums.sweepPage) != nil
    {
      // The page may have been found damaged; its readers will hear of that.
      _ = unsafe adopt(firstBlock: sums.sweepBlock, count: sums.sweepCount, sums.sweepBuffer)
      isDone = true
    }
    if result < 0 { report.note(.read, code: -result, replica: .none, offsetBytes: 0) }
    if isDone { sums.sweepBlock += sums.sweepCount }
    release(claimsOf: Self.sweeperHolder)
    sweepNext()
  }

  func sweepFailed() {
    guard let sums else { return }
    sums.sweepBlock += max(1, sums.sweepCount)
    sweepNext()
  }

  private func endSweep() {
    sums?.isSweeping = false
    if isQuiescing { checkQuiescent() }
  }
}
