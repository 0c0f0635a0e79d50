import Glibc
import Reactor

/// The checksums of a pool's data in memory: a bounded cache of pages, changes of pages that are not in it, and which pages are
/// settled. No I/O.
///
/// A page is *settled* when every block of it that holds data is known to match its checksum, durably. Before data of a settled page
/// is overwritten a durable record says that the page is not settled. So a block that does not match after a crash is either in a
/// page that is not settled, where it may be the rest of a write that was never flushed, or it is damaged.
@safe final class BlockSums {
  /// Pages in memory at most: 32 MiB, the checksums of 31.5 GiB of data.
  static let maximumFrames = 8192
  static let maximumLoads = 32
  static let maximumSaves = 16
  /// A checkpoint begins when so many checksums were recorded since the last: bounds what replaying holds in memory.
  static let journaledLimit = 1 << 20

  struct Frame {
    var page: UInt32 = 0
    var sequence: UInt64 = 0
    var pins: UInt32 = 0
    var isUsed = false
    var isDirty = false
    /// Written and not flushed yet.
    var isSaving = false
    var isReferenced = false
    /// Which of the page's places holds the valid one.
    var place: UInt8 = 0
  }

  /// What a request knows of checksums.
  struct Slot {
    var firstFrame: Int32 = -1
    var secondFrame: Int32 = -1
    /// Blocks of the pool that are read or written now.
    var firstBlock = 0
    var blockCount = 0
    var fillOffset: UInt64 = 0
    /// The block of the pool that a block is filled up from.
    var fillSource = 0
    var fillPhase = PoolEngine.Phase.idle
    /// Reads again alone, after a mismatch.
    var isExclusive = false
    /// Reads a part of a block.
    var isPart = false
    /// Changes blocks: their pages cannot become settled.
    var isWriting = false
    /// All its blocks hold data.
    var isOverwrite = false
  }

  enum Waiter: Equatable {
    case slot(Int32)
    case dismantler
    case sweeper
    case folder
  }

  let area: SumArea
  let blocksPerPage: Int
  let pageCount: Int
  let frameCount: Int
  let frames: UnsafeMutablePointer<Frame>
  private let values: NumberTable
  private let frameOfPage: NumberTable
  private var hand = 0
  private(set) var dirtyCount = 0
  let slots: UnsafeMutablePointer<Slot>

  /// Changes of pages that are not in memory: index within the page and checksum, in order.
  var overlay: [UInt32: [UInt64]]
  /// Those from before the checkpoint in progress.
  var folding: [UInt32: [UInt64]] = [:]
  var foldPages: [UInt32] = []
  var foldOutstanding = 0
  var journaledCount = 0

  // Which pages are settled. The pool's state has those that are not; here is what is known beside.
  /// Not settled, as a durable record says.
  var durable: ClusterSet
  /// Changed since the last rotation.
  var hot: ClusterSet
  /// Not settled when the pool was opened, and not looked at since: blocks that do not match are taken as they are.
  var adoptable: ClusterSet
  /// May become settled at the end of the flush in progress.
  var candidates: [Int] = []
  var rotationSequence: UInt64 = 0
  var rotationRecords: UInt64 = 1024
  var isRotationForced = false
  var marksWanted: [UInt32] = []
  var markWaiters: [Int32] = []
  var marking: [UInt32] = []
  var markingWaiters: [Int32] = []

  // Loads and saves in flight.
  var loads: [UInt32?]
  var loadFrames: [Int32]
  var loadQueue: [UInt32] = []
  var loadWaiters: [(page: UInt32, waiter: Waiter)] = []
  let loadBuffers: UnsafeMutableRawPointer
  let saveBuffers: UnsafeMutableRawPointer
  var saveFrames: [Int32]
  var toSave: [Int32] = []
  var saved: [Int32] = []
  var savesInFlight = 0
  var isSaving = false
  /// The pass that a checkpoint waits for was begun.
  var isCheckpointPass = false

  // Looking through adoptable pages.
  var sweepPage = -1
  var sweepBlock = 0
  var sweepCount = 0
  var sweepOwner: (layer: UInt32, logical: UInt32) = (0, 0)
  var isSweeping = false
  let sweepBuffer: UnsafeMutableRawPointer

  /// Blocks that were taken as they were found after a crash.
  var adoptedCount = 0
  /// Pages of which both places were damaged.
  var damaged: Set<Int> = []

  /// Takes over what replaying found.
  init(area: SumArea, geometry: PoolGeometry, unsettled: borrowing ClusterSet, replayed: [UInt32: [UInt64]], maximumFrames: Int) {
    self.area = area
    blocksPerPage = area.blocksPerPage
    pageCount = geometry.sumPageCount
    frameCount = min(pageCount, maximumFrames)
    overlay = replayed
    unsafe frames = .allocate(capacity: frameCount)
    unsafe frames.initialize(repeating: Frame(), count: frameCount)
    values = NumberTable(count: frameCount * 1024)
    frameOfPage = NumberTable(count: pageCount)
    unsafe slots = .allocate(capacity: PoolEngine.slotCount)
    unsafe slots.initialize(repeating: Slot(), count: PoolEngine.slotCount)
    durable = ClusterSet(capacity: pageCount)
    hot = ClusterSet(capacity: pageCount)
    adoptable = ClusterSet(capacity: pageCount)
    var page = unsettled.first(from: 0)
    while let found = page {
      durable.insert(found)
      adoptable.insert(found)
      page = unsettled.first(from: found + 1)
    }
    loads = [UInt32?](repeating: nil, count: Self.maximumLoads)
    loadFrames = [Int32](repeating: -1, count: Self.maximumLoads)
    saveFrames = [Int32](repeating: -1, count: Self.maximumSaves)
    unsafe loadBuffers = .allocate(byteCount: Self.maximumLoads * 2 * SumArea.pageBytes, alignment: 4096)
    unsafe saveBuffers = .allocate(byteCount: Self.maximumSaves * SumArea.pageBytes, alignment: 4096)
    unsafe sweepBuffer = .allocate(byteCount: 64 << 10, alignment: 4096)
  }

  deinit {
    unsafe frames.deallocate()
    unsafe slots.deallocate()
    unsafe loadBuffers.deallocate()
    unsafe saveBuffers.deallocate()
    unsafe sweepBuffer.deallocate()
  }

  // MARK: Pages in memory

  @inline(__always)
  func page(ofBlock block: Int) -> Int { block / blocksPerPage }

  /// The frame that holds a page; nil if none does.
  @inline(__always)
  func frame(ofPage page: Int) -> Int? {
    let number = frameOfPage[page]
    return number == 0 ? nil : Int(number) &- 1
  }

  /// The checksum of a block whose page is in memory.
  @inline(__always)
  func sum(frame: Int, index: Int) -> UInt32 { values[frame &* 1024 &+ index] }

  /// The checksum of a block; nil if its page is not in memory.
  func sum(ofBlock block: Int) -> UInt32? {
    let page = page(ofBlock: block)
    return frame(ofPage: page).map { sum(frame: $0, index: block - page * blocksPerPage) }
  }

  /// Notes a block's checksum. False if its page is not in memory.
  @discardableResult
  func set(block: Int, _ value: UInt32) -> Bool {
    let page = page(ofBlock: block)
    let index = block &- page &* blocksPerPage
    journaledCount &+= 1
    guard let frame = frame(ofPage: page) else {
      overlay[UInt32(page), default: []].append(UInt64(index) << 32 | UInt64(value))
      return false
    }
    values[frame &* 1024 &+ index] = value
    makeDirty(frame)
    return true
  }

  @inline(__always)
  private func makeDirty(_ frame: Int) {
    if unsafe frames[frame].isDirty { return }
    unsafe frames[frame].isDirty = true
    dirtyCount += 1
  }

  /// Finds a frame for a page that is to be loaded, and pins it; nil if all are in use.
  func takeFrame() -> Int? {
    for _ in 0..<2 * frameCount {
      hand = hand + 1 < frameCount ? hand + 1 : 0
      let frame = unsafe frames + hand
      if unsafe !frame.pointee.isUsed {
        unsafe frame.pointee = Frame()
        unsafe frame.pointee.isUsed = true
        unsafe frame.pointee.pins = 1
        return hand
      }
      if unsafe frame.pointee.pins > 0 || frame.pointee.isDirty || frame.pointee.isSaving { continue }
      if unsafe frame.pointee.isReferenced {
        unsafe frame.pointee.isReferenced = false
        continue
      }
      frameOfPage[unsafe Int(frame.pointee.page)] = 0
      unsafe frame.pointee = Frame()
      unsafe frame.pointee.isUsed = true
      unsafe frame.pointee.pins = 1
      return hand
    }
    return nil
  }

  /// Gives a frame back that was taken for a page that could not be loaded.
  func dropFrame(_ frame: Int) { unsafe frames[frame] = Frame() }

  /// Puts a page into the frame that was taken for it, and what changed meanwhile over it. `sums` nil for zeros.
  func install(_ page: Int, frame: Int, sums: UnsafeRawPointer?, sequence: UInt64, place: Int) {
    for index in 0..<blocksPerPage {
      values[frame * 1024 + index] = unsafe sums?.load(fromByteOffset: index * 4, as: UInt32.self).littleEndian ?? 0
    }
    unsafe frames[frame].page = UInt32(page)
    unsafe frames[frame].sequence = sequence
    unsafe frames[frame].place = UInt8(place)
    unsafe frames[frame].pins = 0
    unsafe frames[frame].isReferenced = true
    frameOfPage[page] = UInt32(frame + 1)
    for changes in [folding.removeValue(forKey: UInt32(page)), overlay.removeValue(forKey: UInt32(page))] {
      guard let changes else { continue }
      for change in changes { values[frame * 1024 + Int(change >> 32)] = UInt32(truncatingIfNeeded: change) }
      makeDirty(frame)
    }
  }

  /// The frames that must be saved, in the order of their pages, the last first.
  func dirtyFrames() -> [Int32] {
    (0..<frameCount).filter { unsafe frames[$0].isDirty }.sorted { unsafe frames[$0].page > frames[$1].page }.map { Int32($0) }
  }

  /// Puts a page as it is now into `buffer`, and counts it as saved.
  func beginSave(_ frame: Int, _ page: borrowing SumPage, into buffer: UnsafeMutableRawPointer) -> UInt64 {
    for index in 0..<blocksPerPage {
      unsafe buffer.storeBytes(
        of: values[frame * 1024 + index].littleEndian, toByteOffset: SumPage.headerBytes + index * 4, as: UInt32.self)
    }
    let used = unsafe SumPage.headerBytes + blocksPerPage * 4
    if used < SumArea.pageBytes { unsafe memset(buffer + used, 0, SumArea.pageBytes - used) }
    unsafe frames[frame].sequence += 1
    unsafe frames[frame].place ^= 1
    unsafe frames[frame].isDirty = false
    unsafe frames[frame].isSaving = true
    dirtyCount -= 1
    let number = unsafe Int(frames[frame].page)
    unsafe page.seal(buffer, number: number, sequence: frames[frame].sequence)
    return unsafe area.storageOffset(page: number) + UInt64(frames[frame].place) * UInt64(SumArea.pageBytes)
  }

  // MARK: Requests

  func pin(_ slot: Int32, _ first: Int, _ second: Int) {
    unpin(slot)
    unsafe slots[Int(slot)].firstFrame = Int32(first)
    unsafe frames[first].pins += 1
    unsafe frames[first].isReferenced = true
    if second != first {
      unsafe slots[Int(slot)].secondFrame = Int32(second)
      unsafe frames[second].pins += 1
      unsafe frames[second].isReferenced = true
    }
  }

  func unpin(_ slot: Int32) {
    let entry = unsafe slots + Int(slot)
    if unsafe entry.pointee.firstFrame >= 0 { unsafe frames[Int(entry.pointee.firstFrame)].pins -= 1 }
    if unsafe entry.pointee.secondFrame >= 0 { unsafe frames[Int(entry.pointee.secondFrame)].pins -= 1 }
    unsafe entry.pointee.firstFrame = -1
    unsafe entry.pointee.secondFrame = -1
  }

  /// Nothing of it is under way.
  var isIdle: Bool {
    !isSaving && marking.isEmpty && markWaiters.isEmpty && loadQueue.isEmpty && !isSweeping && loads.allSatisfy { $0 == nil }
  }
}
