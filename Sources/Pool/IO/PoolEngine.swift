import CLinux
import Glibc
import Reactor

/// The machine of a pool: carries out the requests of all its replicas, and every change of its metadata, on one `PoolDisk`.
///
/// All of a pool lives on one thread, that of the reactor it is bound to: looking up where a block is needs no lock, and all first
/// writes share one journal. Overwrites and reads cost one look-up and one disk operation. A first write writes its data, then its
/// entries join the next record; few records are in flight at a time, and those that come meanwhile share the next (group
/// commit). It is answered when data and record were written (R17f).
///
/// Order that survives power loss (R17b): fresh clusters are zeros, durably, so a record that outlives its data shows zeros where
/// zeros were. Where something else was (data of a parent, clusters of unknown content) the record holds checksums of the data, and the
/// next opening takes what did not arrive for never written (`PoolEngine+Sent`). Over holes the data is flushed first.
@safe final class PoolEngine {
  static let slotCount = 1024
  private static let bounceBytes = 4096

  let superblock: Superblock
  let geometry: PoolGeometry
  /// Nil for a pool in memory.
  var journal: Journal?
  var state: PoolState
  var disk: PoolDisk
  let report: PoolReport
  /// Checksums of data; nil in a pool without.
  let sums: BlockSums?

  // Requests.
  let slots: UnsafeMutablePointer<Slot>
  private var freeHead: Int32 = 0
  @exclusivity(unchecked) private var waiting = WaitingQueue()
  @exclusivity(unchecked) private var answers = AnswerQueue()
  private var isAnswerPosted = false
  private let zeros: UnsafeMutableRawPointer
  var devices: [Device] = []
  var busySlots = 0

  // Who waits for what. Indexes of slots.
  var claims: [Claim] = []
  var claimWaiters: [Int32] = []
  var heldWaiters: [Int32] = []
  var spaceWaiters: [Int32] = []
  /// Operations on clusters in flight, by the parity of the epoch they began in: a cluster freed in one epoch is left alone until
  /// both counters were seen at zero since.
  var epoch: UInt64 = 2
  private var inFlightByParity = (0, 0)

  // The journal: entries that wait for the next record, and those of the record in flight.
  var stagedEntries: [MetadataEntry] = []
  var stagedGroups: [StagedGroup] = []
  var stagedBytes = ByteWriter()
  /// Records being written, oldest first; they count in this order, whichever ends first.
  var commits: [Commit] = []
  /// A record could not be written: what follows on it does not count.
  var isJournalBroken = false
  var wantsCheckpoint = false
  var isCommitPosted = false
  let journalBuffers: UnsafeMutableRawPointer

  // Flushes: one in flight, those that come meanwhile share the next.
  var syncWaiters: [Waiter] = []
  var syncingWaiters: [Waiter] = []
  var isSyncing = false
  var syncedSequence: UInt64 = 0

  // Data that records hold checksums of (`PoolEngine+Sent`).
  /// Blocks for which records are under way.
  var sendingBlocks = 0
  /// Slots whose record was written and whose data was not.
  var limboCount = 0
  /// Found not to have arrived, and no record says so yet: until then none says that all arrived.
  var isRetracting: Bool { !state.unarrived.isEmpty || retractorCount > 0 }
  var retractorCount = 0
  var settleWaiters: [Int32] = []
  /// A flush has begun since these records and their data were written: hosts may rely on them.
  var promisedSequence: UInt64 = 0
  /// Overwrites of what is not settled: no flush begins while their data is being written.
  var rewriting = 0
  var isSyncDelayed = false
  var settleTarget: UInt64 = 0
  var settleStep = SettleStep.idle
  var arrivingSequence: UInt64 = 0
  var syncedNote: UInt64 = 0
  /// For tests, which must find out what happens without.
  var waitsForSettling = true

  // Background work.
  var checkpointNumber: UInt64
  var checkpoint: CheckpointWriter?
  var checkpointStep = CheckpointStep.chunks
  let checkpointBuffer: UnsafeMutableRawPointer
  var canZero: Bool
  var cleaning: Range<Int>?
  var cleanerStep = CleanerStep.idle
  /// Clusters that are being made ready.
  var readying: [Int] = []
  var dismantling: Dismantling?
  let copyBuffer: UnsafeMutableRawPointer
  var isQuiescing = false
  var quiescent: (() -> Void)?

  // Control.
  var actions: [Int: (PoolError?) -> Void] = [:]
  var nextAction = 0
  var busy: Set<Identifier> = []
  /// Layers whose replicas are being made larger.
  var growing: Set<UInt32> = []
  /// Replicas that are being frozen: what would change them waits.
  var freezing: Set<Identifier> = []
  var layerWaiters: [(layer: UInt32, action: Int)] = []
  var drainWaiters: [(replica: Identifier, action: Int)] = []
  var bootID = Identifier.none
  /// They outlive their requests.
  var fillers: [ThickFiller] = []

  /// Records in flight at once. More wait less for each other, and take more of the device.
  static let commitLimit = 4

  /// A record being written.
  struct Commit {
    /// Which of the buffers it is written from.
    var buffer: Int
    var sequence: UInt64
    /// What it says has arrived.
    var note: UInt64
    var entries: [MetadataEntry]
    var waiters: [Waiter]
    /// How its write ended, once it has.
    var result: Int32?
  }

  struct StagedGroup {
    var entryCount: Int
    var byteCount: Int
    var waiter: Waiter
  }

  init(
    superblock: Superblock, state: consuming PoolState, journal: Journal?, checkpointNumber: UInt64, disk: PoolDisk, report: PoolReport,
    sumFrames: Int = BlockSums.maximumFrames
  ) {
    self.superblock = superblock
    geometry = superblock.geometry
    var state = state
    sums =
      superblock.sums.isPresent && journal != nil
      ? BlockSums(
        area: superblock.sums, geometry: superblock.geometry, unsettled: state.unsettled, replayed: state.replayedSums,
        maximumFrames: sumFrames) : nil
    state.replayedSums = [:]
    self.state = state
    self.journal = journal
    self.checkpointNumber = checkpointNumber
    self.disk = disk
    self.report = report
    canZero = true
    unsafe zeros = ZeroBuffer.shared.base
    unsafe slots = .allocate(capacity: Self.slotCount)
    unsafe journalBuffers = .allocate(byteCount: Self.commitLimit * MetadataRecord.limitBytes, alignment: 4096)
    unsafe checkpointBuffer = .allocate(byteCount: MetadataRecord.limitBytes, alignment: 4096)
    unsafe copyBuffer = .allocate(byteCount: 64 << 10, alignment: 4096)
    let nobody = BlockClient()
    for index in 0..<Self.slotCount {
      unsafe (slots + index).initialize(
        to: Slot(
          client: .passUnretained(nobody), clientToken: 0, buffer: nil, bounce: nil, offset: 0, end: 0, pieceEnd: 0, failure: 0, cluster: 0,
          device: 0, next: index + 1 < Self.slotCount ? Int32(index + 1) : -1, operation: .flush, phase: .idle, isDurable: false,
          needsFlush: false, needsOrder: false, isWritingData: false, isWritingRecord: false, epochParity: 0))
    }
    disk.engine = self
    promisedSequence = self.state.sent.highestSequence
  }

  deinit {
    for index in 0..<Self.slotCount { unsafe slots[index].bounce?.deallocate() }
    unsafe slots.deallocate()
    unsafe journalBuffers.deallocate()
    unsafe checkpointBuffer.deallocate()
    unsafe copyBuffer.deallocate()
  }

  var isFaulted: Bool { report.isFaulted }

  // MARK: Requests

  /// Starts a request that its device has found to be inside itself, or answers it if it was not.
  func submit(_ request: BlockRequest, device: Int, for client: BlockClient, isAccepted: Bool) {
    devices[device].inFlight += 1
    let reference = unsafe Unmanaged.passUnretained(client)
    guard isAccepted else { return unsafe answer(reference, request.token, .outOfRange, device) }
    if request.operation == .read || request.operation == .write, request.byteCount > BlockDevice.maximumTransferBytes {
      return unsafe answer(reference, request.token, .outOfRange, device)
    }
    if request.operation != .read, isFaulted { return unsafe answer(reference, request.token, .writeFault, device) }
    if freeHead < 0 {
      if unsafe !waiting.append(.init(request: request, device: Int32(device), client: reference)) {
        unsafe answer(reference, request.token, .busy, device)
      }
      return
    }
    unsafe start(request, device, reference)
  }

  private func start(_ request: BlockRequest, _ device: Int, _ client: Unmanaged<BlockClient>) {
    let index = freeHead
    let slot = unsafe slots + Int(index)
    unsafe freeHead = slot.pointee.next
    busySlots += 1
    unsafe slot.pointee.client = unsafe client
    unsafe slot.pointee.clientToken = request.token
    let hasData = request.operation == .read || request.operation == .write
    unsafe slot.pointee.buffer = unsafe hasData ? request.buffer : nil
    unsafe slot.pointee.offset = request.offsetBytes
    unsafe slot.pointee.end = request.offsetBytes &+ request.byteCount
    unsafe slot.pointee.device = Int32(device)
    unsafe slot.pointee.operation = request.operation
    unsafe slot.pointee.isDurable = request.forceUnitAccess
    unsafe slot.pointee.needsFlush = false
    unsafe slot.pointee.phase = .idle
    switch request.operation {
    case .read, .write, .writeZeroes: break
    case .flush:
      unsafe slot.pointee.end = 0
      unsafe slot.pointee.offset = 0
      unsafe slot.pointee.phase = .awaitingFlush
      return joinSync(.slot(index))
    case .deallocate:
      // Only whole 4 KiB blocks of the device (R9).
      unsafe slot.pointee.offset = min(request.offsetBytes &+ 4095, .max - 4095) & ~4095
      unsafe slot.pointee.end = (request.offsetBytes &+ request.byteCount) & ~4095
      unsafe slot.pointee.isDurable = false
    }
    advance(index)
  }

  /// Goes on with what is left of a request.
  func advance(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    if unsafe slot.pointee.offset >= slot.pointee.end { return conclude(index) }
    switch unsafe slot.pointee.operation {
    case .read: if sums == nil { read(index) } else { checkedRead(index) }
    case .write: write(index)
    case .writeZeroes:
      let device = unsafe devices[Int(slot.pointee.device)]
      let isPartial = unsafe slot.pointee.offset & 4095 != 0 || slot.pointee.end &- slot.pointee.offset < 4096
      if device.isThick || isPartial { write(index) } else { trim(index) }
    case .deallocate: if unsafe devices[Int(slot.pointee.device)].isThick { write(index) } else { trim(index) }
    case .flush: conclude(index)
    }
  }

  private func conclude(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    if unsafe slot.pointee.isDurable && slot.pointee.needsFlush {
      unsafe slot.pointee.phase = .awaitingFlush
      return joinSync(.slot(index))
    }
    finish(index, .success)
  }

  private func read(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let layer = unsafe devices[Int(slot.pointee.device)].layerIndex
    while unsafe slot.pointee.offset < slot.pointee.end {
      let place = unsafe state.locate(layerIndex: layer, offset: slot.pointee.offset, end: slot.pointee.end)
      guard let storageOffset = place.storageOffset else {
        unsafe memset(slot.pointee.buffer!, 0, Int(place.byteCount))
        unsafe slot.pointee.buffer! += Int(place.byteCount)
        unsafe slot.pointee.offset &+= place.byteCount
        continue
      }
      unsafe slot.pointee.pieceEnd = unsafe slot.pointee.offset &+ place.byteCount
      unsafe slot.pointee.phase = .reading
      unsafe enterEpoch(slot)
      return unsafe disk.read(
        token: Int(index), into: slot.pointee.buffer!, byteCount: Int(place.byteCount), offsetBytes: storageOffset)
    }
    finish(index, .success)
  }

  /// How far a part of a write goes: not over the end of a cluster; zeros not beyond what there is of them.
  private func write(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    // Also in the middle of a request: what is unsettled would be written in place, with nobody to settle it.
    if isFaulted { return finish(index, .writeFault) }
    let deviceIndex = unsafe Int(slot.pointee.device)
    if devices[deviceIndex].isHeld {
      heldWaiters.append(index)
      return
    }
    let offset = unsafe slot.pointee.offset
    let clusterEnd = (offset | (geometry.clusterBytes &- 1)) &+ 1
    var pieceEnd = unsafe min(slot.pointee.end, clusterEnd)
    if unsafe slot.pointee.operation != .write {
      pieceEnd = min(pieceEnd, offset &+ UInt64(ZeroBuffer.byteCount))
      if !devices[deviceIndex].isThick { pieceEnd = min(pieceEnd, (offset | 4095) &+ 1) }
    }
    unsafe slot.pointee.pieceEnd = pieceEnd
    let layer = devices[deviceIndex].layerIndex
    let own = state.ownCluster(layerIndex: layer, offset: offset, end: pieceEnd)
    if own.isWhole, let cluster = own.cluster, state.sent.count > 0, isUnsettled(index, cluster, offset, pieceEnd, canResend: true) {
      return
    }
    guard own.isWhole, let cluster = own.cluster, sums == nil else {
      if unsafe slot.pointee.operation != .write && !devices[deviceIndex].isThick {
        let place = state.locate(layerIndex: layer, offset: offset, end: pieceEnd)
        if place.storageOffset == nil && place.byteCount == pieceEnd &- offset {
          // It may be another's record that made them zeros.
          unsafe slot.pointee.needsFlush = unsafe slot.pointee.needsFlush || !isMetadataDurable
          unsafe movePast(slot)
          return advance(index)
        }
      }
      return firstWrite(index, deviceIndex, own.cluster, isOverwrite: own.isWhole)
    }
    let durably = unsafe slot.pointee.isDurable && isMetadataDurable
    unsafe slot.pointee.needsFlush = unsafe slot.pointee.needsFlush || !durably
    unsafe slot.pointee.phase = .overwriting
    devices[deviceIndex].changing += 1
    unsafe enterEpoch(slot)
    unsafe disk.write(
      token: Int(index), from: source(slot), byteCount: Int(pieceEnd &- offset),
      offsetBytes: geometry.storageOffset(cluster: cluster) &+ (offset & (geometry.clusterBytes &- 1)), durably: durably)
  }

  @inline(__always)
  func source(_ slot: UnsafeMutablePointer<Slot>) -> UnsafeRawPointer {
    unsafe UnsafeRawPointer(slot.pointee.buffer ?? zeros)
  }

  /// Whether no record waits for a flush.
  var isMetadataDurable: Bool {
    guard let journal else { return true }
    return journal.durableSequence == journal.writtenSequence
  }

  // MARK: Epochs

  func enterEpoch(_ slot: UnsafeMutablePointer<Slot>) {
    unsafe slot.pointee.epochParity = UInt8(truncatingIfNeeded: epoch & 1)
    if epoch & 1 == 0 { inFlightByParity.0 &+= 1 } else { inFlightByParity.1 &+= 1 }
  }

  func leaveEpoch(_ slot: UnsafeMutablePointer<Slot>) {
    if unsafe slot.pointee.epochParity == 0 { inFlightByParity.0 &-= 1 } else { inFlightByParity.1 &-= 1 }
    if state.quarantinedCount > 0 { releaseFreed() }
  }

  /// Moves the epoch on as far as it goes, and lets freed clusters go whose time has come.
  func releaseFreed() {
    guard let last = state.quarantine.last else { return }
    while epoch < last.epoch + 2, (epoch & 1 == 0 ? inFlightByParity.1 : inFlightByParity.0) == 0 { epoch += 1 }
    let before = state.quarantinedCount
    state.release(durableSequence: journal?.durableSequence ?? .max, epoch: epoch)
    guard state.quarantinedCount < before else { return }
    retrySpaceWaiters()
    clean()
  }

  // MARK: Ends

  /// The disk tells that an operation has ended.
  func completed(token: Int, result: Int32) {
    if token < Self.slotCount { return slotCompleted(Int32(truncatingIfNeeded: token), result) }
    switch token {
    case Token.journal..<Token.journal + Self.commitLimit: journalCompleted(token - Token.journal, result)
    case Token.commit:
      isCommitPosted = false
      commitNext()
    case Token.sync: syncCompleted(result)
    case Token.checkpoint: checkpointCompleted(result)
    case Token.answers: giveAnswers()
    case Token.cleaner: cleanerCompleted(result)
    case Token.dismantler: dismantlerCompleted(result)
    default: sumsCompleted(token, result)
    }
  }

  private func slotCompleted(_ index: Int32, _ result: Int32) {
    let slot = unsafe slots + Int(index)
    let phase = unsafe slot.pointee.phase
    if phase == .yielding {
      unsafe slot.pointee.phase = .reading
      return advance(index)
    }
    unsafe leaveEpoch(slot)
    if phase == .writingBoth {
      unsafe slot.pointee.isWritingData = false
      if unsafe slot.pointee.sequence != 0 { leaveLimbo() }
      return bothWritten(index, failure: result)
    }
    if phase == .rewriting { rewritten() }
    if result < 0 { return failed(index, phase, result) }
    switch phase {
    case .reading:
      if sums != nil { return checkedReadCompleted(index) }
      unsafe movePast(slot)
      advance(index)
    case .overwriting:
      unsafe movePast(slot)
      unsafe doneChanging(slot)
      advance(index)
    case .rewriting: committed(index)
    default: firstWriteCompleted(index, phase)
    }
  }

  func movePast(_ slot: UnsafeMutablePointer<Slot>) {
    let count = unsafe slot.pointee.pieceEnd &- slot.pointee.offset
    if unsafe slot.pointee.buffer != nil { unsafe slot.pointee.buffer! += Int(count) }
    unsafe slot.pointee.offset = unsafe slot.pointee.pieceEnd
  }

  func failed(_ index: Int32, _ phase: Phase, _ result: Int32) {
    let slot = unsafe slots + Int(index)
    let isRead = phase == .reading || phase == .fillingHead || phase == .fillingTail
    unsafe report.note(
      isRead ? .read : .write, code: -result, replica: devices[Int(slot.pointee.device)].replica, offsetBytes: slot.pointee.offset,
      storageOffsetBytes: disk.takeFailedOffset())
    if phase != .reading {
      if sums != nil, phase != .fillingHead, phase != .fillingTail { noteFailedWrite(index) }
      if phase != .overwriting {
        // Parts of it may be there, in blocks that hold no data.
        unsafe state.clusters.stale.insert(Int(UInt32(bitPattern: slot.pointee.cluster)))
        release(claimsOf: index)
      }
      unsafe doneChanging(slot)
    }
    let isRequestRead = unsafe slot.pointee.operation == .read
    finish(index, isRequestRead ? .readFault : result == -ENOSPC ? .capacityExceeded : .writeFault)
  }

  /// Frees the slot, lets the first that waits have it, and tells the client, in this order: the client may submit again.
  func finish(_ index: Int32, _ status: BlockStatus) {
    if sums != nil { endSums(index) }
    let slot = unsafe slots + Int(index)
    if unsafe slot.pointee.isSent { unsafe endSending(slot) }
    let answer = unsafe AnswerQueue.Answer(
      client: slot.pointee.client, token: slot.pointee.clientToken, status: status, device: slot.pointee.device)
    // Nothing was waited for, so this may be inside `submit`.
    let isImmediate = unsafe slot.pointee.phase == .idle
    unsafe slot.pointee.phase = .idle
    unsafe slot.pointee.next = freeHead
    freeHead = index
    busySlots -= 1
    while freeHead >= 0, let entry = unsafe waiting.popFirst() { unsafe start(entry.request, Int(entry.device), entry.client) }
    if isImmediate { return postpone(answer) }
    devices[Int(answer.device)].inFlight -= 1
    answer.give()
    if isQuiescing { checkQuiescent() }
  }

  private func answer(_ client: Unmanaged<BlockClient>, _ token: UInt64, _ status: BlockStatus, _ device: Int) {
    unsafe postpone(.init(client: client, token: token, status: status, device: Int32(device)))
  }

  private func postpone(_ answer: AnswerQueue.Answer) {
    unsafe answers.append(answer)
    if isAnswerPosted { return }
    isAnswerPosted = true
    disk.postpone(token: Token.answers)
  }

  private func giveAnswers() {
    isAnswerPosted = false
    // Only those of before: a client that submits again at once must not keep this loop going; its answers posted their own event.
    var count = unsafe answers.count
    while count > 0, let answer = unsafe answers.popFirst() {
      count -= 1
      devices[Int(answer.device)].inFlight -= 1
      answer.give()
    }
    if isQuiescing { checkQuiescent() }
  }

  var hasAnswers: Bool { isAnswerPosted }
}
