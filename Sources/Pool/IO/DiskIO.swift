import CLinux
import Glibc
import Reactor

/// Carries out block requests on a file or block device: the machine inside `FileDevice`.
///
/// A request takes one of `slotCount` slots, and its number is the token of the operations on the descriptor; when all are
/// taken, it waits in a bounded queue; beyond that it is answered `busy`. A request that a short transfer or its size
/// divides is done piece by piece, one in flight at a time. Zeroing and deallocation beyond `directZeroBytes` are bulk: at most
/// `bulkLimit` pieces of all such requests are in flight, in turns, since the kernel holds a file's lock in each.
///
/// Nothing here allocates per request, takes a lock, or counts references.
@safe final class DiskIO: EventHandler {
  static let slotCount = 1024
  static let bulkLimit = 2
  static let bulkPieceBytes: UInt64 = 64 << 20
  /// Up to here writing zeros is cheaper than asking for them.
  static let directZeroBytes: UInt64 = 128 << 10
  private static let answerToken: UInt64 = 1 << 32
  private static let maximumAttempts: UInt8 = 100

  private let reactor: Reactor
  /// Keeps the descriptor open until `close`.
  private var file: DiskFile?
  private let descriptor: Int32
  private let sectorMask: UInt64
  private let isReadOnly: Bool
  private let slots: UnsafeMutablePointer<Slot>
  private let zeros: UnsafeMutableRawPointer
  /// A copy of `handlerID`: reading that of another module costs an exclusivity check.
  private var id = HandlerID.none
  private var freeHead: Int32 = 0
  private var bulkHead: Int32 = -1
  private var bulkTail: Int32 = -1
  private var bulkInFlight = 0
  /// Unchecked, as the methods of both queues call nobody.
  @exclusivity(unchecked) private var waiting = WaitingQueue()
  @exclusivity(unchecked) private var answers = AnswerQueue()
  private var isAnswerPosted = false
  /// Until the storage says that it cannot.
  var canPunchHoles = true
  var canZeroRanges = true
  private var isClosed = false
  /// Requests taken and not answered.
  private(set) var inFlight = 0

  /// Binds a file to `reactor`; called on its thread. `close` must be called before the last reference goes.
  init(file: DiskFile, reactor: Reactor) {
    self.reactor = reactor
    self.file = file
    descriptor = file.descriptor
    sectorMask = UInt64(file.sectorBytes) - 1
    isReadOnly = file.access == .readOnly
    unsafe zeros = ZeroBuffer.shared.base
    unsafe slots = .allocate(capacity: Self.slotCount)
    super.init()
    for index in 0..<Self.slotCount {
      unsafe (slots + index).initialize(
        to: Slot(
          client: .passUnretained(self), clientToken: 0, buffer: nil, offset: 0, end: 0, pieceBytes: 0,
          next: index + 1 < Self.slotCount ? Int32(index + 1) : -1, step: .sync, isDurable: false, isBulk: false, attempts: 0))
    }
    id = reactor.register(self)
  }

  deinit { unsafe slots.deallocate() }

  /// Leaves the reactor. Nothing may be in flight.
  func close() {
    if isClosed { return }
    precondition(inFlight == 0, "a device is closed with requests in flight")
    isClosed = true
    file = nil
    // Later, as this may be called from inside one of this object's completions.
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
  }

  // MARK: Requests

  /// Starts a request that the device has found to be inside itself, or answers it if it was not.
  func submit(_ request: BlockRequest, for client: BlockClient, isAccepted: Bool) {
    precondition(!isClosed, "a request for a closed device")
    inFlight += 1
    let reference = unsafe Unmanaged.passUnretained(client)
    guard isAccepted else { return unsafe answer(reference, request.token, .outOfRange) }
    switch request.operation {
    case .read:
      if request.byteCount > BlockDevice.maximumTransferBytes { return unsafe answer(reference, request.token, .outOfRange) }
    case .write:
      if isReadOnly { return unsafe answer(reference, request.token, .refused) }
      if request.byteCount > BlockDevice.maximumTransferBytes { return unsafe answer(reference, request.token, .outOfRange) }
    case .flush: break
    case .writeZeroes, .deallocate:
      if isReadOnly { return unsafe answer(reference, request.token, .refused) }
    }
    if freeHead < 0 {
      if unsafe !waiting.append(.init(request: request, client: reference)) { unsafe answer(reference, request.token, .busy) }
      return
    }
    unsafe start(request, reference)
  }

  /// Answers what waits for a slot with `.aborted` (R12).
  func discardUnstarted(of client: BlockClient) {
    let reference = unsafe Unmanaged.passUnretained(client)
    while let entry = unsafe waiting.remove(of: reference) { unsafe answer(reference, entry.request.token, .aborted) }
  }

  private func start(_ request: BlockRequest, _ client: Unmanaged<BlockClient>) {
    let index = freeHead
    let slot = unsafe slots + Int(index)
    unsafe freeHead = slot.pointee.next
    unsafe slot.pointee.client = unsafe client
    unsafe slot.pointee.clientToken = request.token
    unsafe slot.pointee.buffer = unsafe request.buffer
    unsafe slot.pointee.offset = request.offsetBytes
    unsafe slot.pointee.end = request.offsetBytes &+ request.byteCount
    unsafe slot.pointee.isDurable = request.forceUnitAccess
    unsafe slot.pointee.isBulk = false
    unsafe slot.pointee.attempts = 0
    switch request.operation {
    case .read: unsafe slot.pointee.step = .read
    case .write: unsafe slot.pointee.step = .write
    case .flush:
      unsafe slot.pointee.offset = 0
      unsafe slot.pointee.end = 0
      unsafe slot.pointee.step = .sync
    case .writeZeroes:
      unsafe slot.pointee.isBulk = request.byteCount > Self.directZeroBytes
      unsafe slot.pointee.step = unsafe slot.pointee.isBulk && canZeroRanges ? .zeroRange : .writeZeros
    case .deallocate:
      // Only whole 4 KiB blocks of the device (R9). Pieces are multiples of it.
      unsafe slot.pointee.offset = min(request.offsetBytes &+ 4095, .max - 4095) & ~4095
      unsafe slot.pointee.end = (request.offsetBytes &+ request.byteCount) & ~4095
      unsafe slot.pointee.isDurable = false
      unsafe slot.pointee.isBulk = true
      unsafe slot.pointee.step = canPunchHoles ? .punchHole : canZeroRanges ? .zeroRange : .writeZeros
      if unsafe slot.pointee.offset >= slot.pointee.end {
        release(index)
        return unsafe answer(client, request.token, .success)
      }
    }
    launch(index)
  }

  /// Starts the next piece of a slot, or queues it where its kind takes turns.
  private func launch(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    guard unsafe slot.pointee.isBulk else { return issue(index) }
    if bulkInFlight < Self.bulkLimit {
      bulkInFlight += 1
      return issue(index)
    }
    unsafe slot.pointee.next = -1
    if bulkTail >= 0 { unsafe slots[Int(bulkTail)].next = index } else { bulkHead = index }
    bulkTail = index
  }

  private func launchNextBulk() {
    guard bulkHead >= 0, bulkInFlight < Self.bulkLimit else { return }
    let index = bulkHead
    bulkHead = unsafe slots[Int(index)].next
    if bulkHead < 0 { bulkTail = -1 }
    bulkInFlight += 1
    issue(index)
  }

  private func issue(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let step = unsafe slot.pointee.step
    let token = UInt64(UInt32(index))
    if step == .sync { return reactor.sync(descriptor, id, token: token) }
    let offset = unsafe slot.pointee.offset
    var piece = unsafe slot.pointee.end &- offset
    switch step {
    case .read:
      unsafe reactor.read(
        descriptor, into: slot.pointee.buffer!, byteCount: Int(piece), offsetBytes: offset, id, token: token)
    case .write:
      unsafe reactor.write(
        descriptor, from: slot.pointee.buffer!, byteCount: Int(piece), offsetBytes: offset,
        durably: slot.pointee.isDurable, id, token: token)
    case .writeZeros:
      piece = min(piece, UInt64(ZeroBuffer.byteCount))
      unsafe reactor.write(
        descriptor, from: zeros, byteCount: Int(piece), offsetBytes: offset, durably: slot.pointee.isDurable, id,
        token: token)
    case .zeroRange:
      piece = min(piece, Self.bulkPieceBytes)
      reactor.zeroRange(descriptor, offsetBytes: offset, byteCount: piece, id, token: token)
    case .punchHole:
      piece = min(piece, Self.bulkPieceBytes)
      reactor.punchHole(descriptor, offsetBytes: offset, byteCount: piece, id, token: token)
    case .sync: break
    }
    unsafe slot.pointee.pieceBytes = piece
  }

  // MARK: Completions

  override func completed(token: UInt64, result: Int32) {
    if token == Self.answerToken { return giveAnswers() }
    let index = Int32(truncatingIfNeeded: token)
    let slot = unsafe slots + Int(index)
    let step = unsafe slot.pointee.step
    if result == -EINTR || result == -EAGAIN, unsafe slot.pointee.attempts < Self.maximumAttempts {
      unsafe slot.pointee.attempts += 1
      return issue(index)
    }
    unsafe slot.pointee.attempts = 0
    if unsafe slot.pointee.isBulk {
      // Those that wait go first, before this slot takes its next turn and before its client can submit more.
      bulkInFlight -= 1
      launchNextBulk()
    }
    if result < 0 {
      return unsupported(step, result, slot: index) ? launch(index) : finish(index, Self.status(of: result, step))
    }
    switch step {
    case .sync: return finish(index, .success)
    case .read, .write, .writeZeros:
      let piece = unsafe slot.pointee.pieceBytes
      // Direct I/O goes on at whole sectors only; what a short transfer did of the last one is done again.
      let done = UInt64(result) >= piece ? piece : UInt64(result) & ~sectorMask
      if done == 0 { return finish(index, step == .read ? .readFault : .writeFault) }
      unsafe slot.pointee.offset &+= done
      if unsafe step != .writeZeros && slot.pointee.offset < slot.pointee.end { unsafe slot.pointee.buffer! += Int(done) }
    case .zeroRange, .punchHole:
      unsafe slot.pointee.offset &+= slot.pointee.pieceBytes
    }
    if unsafe slot.pointee.offset < slot.pointee.end { return launch(index) }
    if unsafe step == .zeroRange && slot.pointee.isDurable {
      unsafe slot.pointee.step = .sync
      unsafe slot.pointee.isBulk = false
      return issue(index)
    }
    finish(index, .success)
  }

  /// Turns to the next best way if the storage does not know this one; false if there is none or the failure is another.
  private func unsupported(_ step: Step, _ result: Int32, slot index: Int32) -> Bool {
    guard result == -EOPNOTSUPP || result == -ENOSYS else { return false }
    switch step {
    case .punchHole:
      canPunchHoles = false
      unsafe slots[Int(index)].step = canZeroRanges ? .zeroRange : .writeZeros
    case .zeroRange:
      canZeroRanges = false
      unsafe slots[Int(index)].step = .writeZeros
    default: return false
    }
    return true
  }

  static func status(of result: Int32, _ step: Step) -> BlockStatus {
    if result == -ENOSPC || result == -EDQUOT { return .capacityExceeded }
    return step == .read ? .readFault : .writeFault
  }

  private func release(_ index: Int32) {
    unsafe slots[Int(index)].next = freeHead
    freeHead = index
  }

  /// Frees the slot, lets the first that waits have it, and tells the client, in this order: the client may submit again.
  private func finish(_ index: Int32, _ status: BlockStatus) {
    let answer = unsafe AnswerQueue.Answer(
      client: slots[Int(index)].client, token: slots[Int(index)].clientToken, status: status)
    release(index)
    while freeHead >= 0, let entry = unsafe waiting.popFirst() { unsafe start(entry.request, entry.client) }
    inFlight -= 1
    answer.give()
  }

  // MARK: Immediate answers

  private func answer(_ client: Unmanaged<BlockClient>, _ token: UInt64, _ status: BlockStatus) {
    unsafe answers.append(.init(client: client, token: token, status: status))
    postAnswers()
  }

  private func postAnswers() {
    if isAnswerPosted { return }
    isAnswerPosted = true
    reactor.postpone(id, token: Self.answerToken, result: 0)
  }

  private func giveAnswers() {
    isAnswerPosted = false
    // Only those of before: a client that submits again at once must not keep this loop going; its answers posted their own event.
    var count = unsafe answers.count
    while count > 0, let answer = unsafe answers.popFirst() {
      count -= 1
      inFlight -= 1
      answer.give()
    }
  }
}
