import Glibc
import Reactor

/// Pages of checksums between memory and storage.
///
/// A page is written over the older of its two places, and no page again before a flush made durable what was written of it: one place
/// always holds all that the records before the last checkpoint say of it, and the records behind that say the rest.
extension PoolEngine {
  // MARK: Loading

  /// Brings a page into memory; `waiter` hears of it.
  func load(_ page: Int, for waiter: BlockSums.Waiter) {
    guard let sums else { return }
    sums.loadWaiters.append((UInt32(page), waiter))
    enqueueLoad(page)
  }

  /// Brings a page into memory if that can begin at once; nobody waits for it.
  func prefetch(_ page: Int) {
    guard let sums, sums.loadQueue.isEmpty, !isQuiescing else { return }
    enqueueLoad(page)
  }

  private func enqueueLoad(_ page: Int) {
    guard let sums, sums.frame(ofPage: page) == nil, !sums.loads.contains(UInt32(page)), !sums.loadQueue.contains(UInt32(page)) else {
      return
    }
    sums.loadQueue.append(UInt32(page))
    startLoads()
  }

  func startLoads() {
    guard let sums else { return }
    while let page = sums.loadQueue.first, let load = sums.loads.firstIndex(of: nil) {
      guard let frame = sums.takeFrame() else {
        // Saved ones make room; where none can be saved any more, nobody waits for ever.
        if !isFaulted { return saveSums() }
        sums.loadQueue = []
        let waiters = sums.loadWaiters
        sums.loadWaiters = []
        for waiter in waiters { loadEnded(waiter.waiter, -EIO) }
        return
      }
      sums.loadQueue.removeFirst()
      sums.loads[load] = page
      sums.loadFrames[load] = Int32(frame)
      unsafe disk.read(
        token: Token.sumLoads + load, into: sums.loadBuffers + load * 2 * SumArea.pageBytes, byteCount: 2 * SumArea.pageBytes,
        offsetBytes: sums.area.storageOffset(page: Int(page)))
    }
  }

  private func loadCompleted(_ load: Int, _ result: Int32) {
    guard let sums, let number = sums.loads[load] else { return }
    let page = Int(number)
    let frame = Int(sums.loadFrames[load])
    sums.loads[load] = nil
    if result < 0 {
      sums.dropFrame(frame)
    } else {
      let buffer = unsafe sums.loadBuffers + load * 2 * SumArea.pageBytes
      let format = unsafe SumPage(poolID: superblock.id)
      let (first, second) = unsafe (
        format.examine(buffer, number: page), format.examine(buffer + SumArea.pageBytes, number: page)
      )
      if let (place, sequence) = unsafe SumPage.choose(first, second) {
        let start = unsafe buffer + place * SumArea.pageBytes + SumPage.headerBytes
        unsafe sums.install(page, frame: frame, sums: sequence == 0 ? nil : UnsafeRawPointer(start), sequence: sequence, place: place)
      } else {
        // What it said is lost, and no crash did that: its blocks match nothing from now on, until they are written anew.
        unsafe sums.install(page, frame: frame, sums: nil, sequence: 1, place: 0)
        sums.adoptable.remove(page)
        if sums.damaged.insert(page).inserted { report.noteDamagedSums(storageOffsetBytes: sums.area.storageOffset(page: page)) }
      }
    }
    let waiters = sums.loadWaiters.filter { $0.page == number }
    sums.loadWaiters.removeAll { $0.page == number }
    for waiter in waiters { loadEnded(waiter.waiter, result) }
    startLoads()
    if isQuiescing { checkQuiescent() }
  }

  private func loadEnded(_ waiter: BlockSums.Waiter, _ result: Int32) {
    switch waiter {
    case .slot(let index): if result < 0 { failLoaded(index, result) } else { resumeLoaded(index) }
    case .dismantler: if result < 0 { dismantlerCompleted(result) } else { copyNext() }
    case .sweeper: if result < 0 { sweepFailed() } else { sweepNext() }
    case .folder:
      sums?.foldOutstanding -= 1
      if result < 0 { fault(.read, code: -result, what: "checksums") }
      if sums?.foldOutstanding == 0 { continueCheckpointSums() }
    }
  }

  // MARK: Saving

  /// Writes all changed pages, then flushes; one pass at a time.
  func saveSums() {
    guard let sums, !sums.isSaving, !isFaulted else { return }
    sums.isSaving = true
    sums.toSave = sums.dirtyFrames()
    sums.saved = []
    continueSaving()
  }

  private func continueSaving() {
    guard let sums else { return }
    let format = unsafe SumPage(poolID: superblock.id)
    while !sums.toSave.isEmpty, let save = sums.saveFrames.firstIndex(of: -1) {
      let frame = sums.toSave.removeLast()
      sums.saveFrames[save] = frame
      sums.saved.append(frame)
      sums.savesInFlight += 1
      let buffer = unsafe sums.saveBuffers + save * SumArea.pageBytes
      let offset = unsafe sums.beginSave(Int(frame), format, into: buffer)
      unsafe disk.write(
        token: Token.sumSaves + save, from: buffer, byteCount: SumArea.pageBytes, offsetBytes: offset, durably: false)
    }
    if sums.savesInFlight > 0 { return }
    if sums.saved.isEmpty || isFaulted { savingEnded() } else { joinSync(.sums) }
  }

  private func saveCompleted(_ save: Int, _ result: Int32) {
    guard let sums else { return }
    sums.saveFrames[save] = -1
    sums.savesInFlight -= 1
    if result < 0 {
      sums.toSave = []
      fault(.write, code: -result, what: "checksums")
    }
    continueSaving()
  }

  /// What was saved is durable, or the pool is faulted.
  func savingEnded() {
    guard let sums else { return }
    for frame in sums.saved { unsafe sums.frames[Int(frame)].isSaving = false }
    sums.saved = []
    sums.isSaving = false
    startLoads()
    if checkpoint != nil && checkpointStep == .sums { continueCheckpointSums() }
    if isQuiescing { checkQuiescent() }
  }

  func sumsCompleted(_ token: Int, _ result: Int32) {
    if token >= Token.sumSweep { return sweepCompleted(result) }
    if token >= Token.sumSaves { saveCompleted(token - Token.sumSaves, result) } else { loadCompleted(token - Token.sumLoads, result) }
  }

  // MARK: Checkpoints

  /// A checkpoint begins: the changes so far that are not in memory pages must get there before it counts.
  func beginCheckpointSums() {
    guard let sums else { return }
    precondition(sums.folding.isEmpty && sums.foldOutstanding == 0)
    swap(&sums.folding, &sums.overlay)
    sums.foldPages = sums.folding.keys.sorted(by: >)
    sums.journaledCount = 0
    sums.isCheckpointPass = false
  }

  private static let foldBatch = 64

  /// Makes durable in pages what the records before the checkpoint say of checksums, step by step.
  func continueCheckpointSums() {
    guard let sums, checkpoint != nil, checkpointStep == .sums, !sums.isSaving, sums.foldOutstanding == 0 else { return }
    var pages: [Int] = []
    while pages.count < min(Self.foldBatch, max(1, sums.frameCount / 4)), let page = sums.foldPages.popLast() {
      if sums.folding[page] != nil { pages.append(Int(page)) }
    }
    if !pages.isEmpty {
      sums.foldOutstanding = pages.count
      for page in pages { load(page, for: .folder) }
      return
    }
    if sums.isCheckpointPass {
      checkpointStep = .flushing
      return joinSync(.checkpoint)
    }
    sums.isCheckpointPass = true
    saveSums()
  }

  // MARK: Copies

  /// Whether the checksums of the blocks that are copied next are in memory; otherwise the copy goes on when they are.
  func hasCopySums(_ copy: Copy, _ blocks: Range<Int>) -> Bool {
    guard let sums else { return true }
    for block in [blocks.lowerBound, blocks.upperBound - 1] {
      let page = sums.page(ofBlock: geometry.poolBlock(cluster: copy.from, block: block))
      if sums.frame(ofPage: page) == nil {
        load(page, for: .dismantler)
        return false
      }
    }
    return true
  }

  /// The checksums that blocks take with them when they are copied: those recorded, so that damage stays visible; where a block may be
  /// the rest of a write that was never flushed, that of what was read. Nil if they are not in memory any more.
  func copiedSums(_ copy: Copy, _ blocks: Range<Int>) -> MetadataEntry? {
    guard let sums else { return nil }
    var values: [UInt32] = []
    for block in blocks {
      let source = geometry.poolBlock(cluster: copy.from, block: block)
      guard let sum = sums.sum(ofBlock: source) else { return nil }
      let isAdoptable = sums.adoptable.contains(sums.page(ofBlock: source))
      values.append(
        isAdoptable ? unsafe CRC32C.checksum(copyBuffer + (block - blocks.lowerBound) * 4096, byteCount: 4096) : sum)
    }
    return .sums(cluster: UInt32(copy.to), first: UInt32(blocks.lowerBound), values: values)
  }

  /// Takes the checksums in entries that are about to be recorded.
  func takeSums(of entries: [MetadataEntry]) {
    guard let sums else { return }
    for case .sums(let cluster, let first, let values) in entries {
      for (position, value) in values.enumerated() {
        sums.set(block: geometry.poolBlock(cluster: Int(cluster), block: Int(first) + position), value)
      }
    }
  }
}
