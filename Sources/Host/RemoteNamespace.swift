import NVMe
import Reactor

/// A namespace of a remote controller as a block device.
///
/// Requests are cut to the controller's limits and go to the least loaded I/O queue. What finds no free command slot waits in a
/// bounded backlog, in order; beyond that the answer is `.busy`. While the association is down every request is answered
/// `.connectionLost`. Writes are durable after a flush or with `forceUnitAccess`.
@safe public final class RemoteNamespace: BlockDevice {
  /// So many commands of one request are outstanding at most, so that a long one leaves room for others.
  private static let commandsPerRequest: UInt32 = 16
  /// There is memory for one range per request, in use until its command ends.
  private static let deallocationsPerRequest: UInt32 = 1

  /// A request that is answered without a command.
  @safe private struct Refusal {
    let client: Unmanaged<BlockClient>
    let token: UInt64
    let status: BlockStatus
  }

  public let namespaceIdentifier: UInt32
  /// NGUID; zero for none.
  public let guid: Identifier128
  public let uuid: Identifier128?
  /// The state of the namespace's ANA group on this controller; nil where the controller does not tell.
  public internal(set) var anaState: ANAState?

  private let reactor: Reactor
  private let blockShift: UInt64
  private let timeoutNanoseconds: UInt64
  private var shape: NamespaceShape
  private let requests: RequestTable
  /// The connected I/O queues; the association keeps them alive until `stop`.
  private let queues: UnsafeMutablePointer<Unmanaged<HostQueue>>
  private var queueCount = 0
  private var isServing = false
  private var isPumping = false
  private var refusals: [Refusal] = []
  /// The ranges of Dataset Management commands, one per request.
  private let ranges: UnsafeMutableRawPointer

  init(_ reactor: Reactor, _ shape: NamespaceShape, _ options: HostOptions) {
    self.reactor = reactor
    self.shape = shape
    namespaceIdentifier = shape.namespaceIdentifier
    guid = shape.guid
    uuid = shape.uuid
    blockShift = UInt64(shape.blockSizeBytes.trailingZeroBitCount)
    timeoutNanoseconds = UInt64(options.ioTimeoutMilliseconds) * 1_000_000
    let capacity = options.ioQueues * options.queueDepth + options.backlog
    requests = RequestTable(capacity: capacity)
    unsafe queues = .allocate(capacity: options.ioQueues)
    unsafe ranges = .allocate(byteCount: capacity * DatasetRange.byteCount, alignment: 64)
    refusals.reserveCapacity(256)
    super.init(sizeBytes: shape.sizeBytes, blockSizeBytes: shape.blockSizeBytes)
  }

  deinit {
    unsafe queues.deallocate()
    unsafe ranges.deallocate()
  }

  /// Whether commands can be sent now.
  public var isConnected: Bool { isServing }

  // MARK: Submission

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    if !isServing {
      refuse(request, client, .connectionLost)
      return
    }
    if let status = refusal(of: request) {
      refuse(request, client, status)
      return
    }
    guard let index = requests.take() else {
      refuse(request, client, .busy)
      return
    }
    var entry = PendingRequest()
    unsafe entry.client = unsafe Unmanaged.passUnretained(client)
    entry.token = request.token
    unsafe entry.buffer = unsafe request.buffer
    entry.operation = request.operation
    entry.forceUnitAccess = request.forceUnitAccess
    entry.startBytes = request.offsetBytes
    entry.positionBytes = request.offsetBytes
    entry.endBytes = request.offsetBytes &+ request.byteCount
    switch request.operation {
    case .read, .write, .writeZeroes: break
    case .flush:
      entry.positionBytes = 0
      entry.endBytes = 1
    case .deallocate:
      // Partial units stay as they are (R9).
      let unit = NamespaceShape.deallocateUnitBytes
      entry.positionBytes = (entry.positionBytes &+ unit &- 1) / unit &* unit
      entry.endBytes = entry.endBytes / unit &* unit
      if entry.positionBytes >= entry.endBytes {
        requests.release(index)
        refuse(request, client, .success)
        return
      }
    }
    requests[index] = entry
    if requests.first != nil {
      requests.enqueue(index)
    } else {
      send(index)
      if maySend(index) { requests.enqueue(index) }
    }
  }

  @inline(__always)
  private func refusal(of request: BlockRequest) -> BlockStatus? {
    if !accepts(request) { return .outOfRange }
    switch request.operation {
    case .read, .write:
      precondition(unsafe request.buffer != nil, "a read or write has a buffer")
      return request.byteCount > Self.maximumTransferBytes ? .outOfRange : nil
    case .flush: return nil
    case .writeZeroes: return shape.zeroesBytes == 0 ? .unsupported : nil
    case .deallocate: return shape.deallocateBytes == 0 && shape.zeroesBytes == 0 ? .unsupported : nil
    }
  }

  /// Whether a request has something to send that need not wait for a command of its own.
  @inline(__always)
  private func maySend(_ index: Int) -> Bool {
    if requests[index].positionBytes >= requests[index].endBytes { return false }
    let limit = requests[index].operation == .deallocate ? Self.deallocationsPerRequest : Self.commandsPerRequest
    return requests[index].outstanding < limit
  }

  /// Sends what there are slots for.
  private func send(_ index: Int) {
    while maySend(index) {
      guard let queue = unsafe leastLoadedQueue() else { return }
      unsafe queue._withUnsafeGuaranteedRef { sendPart(index, $0) }
    }
  }

  @inline(__always)
  private func leastLoadedQueue() -> Unmanaged<HostQueue>? {
    var most = 0
    var found: Unmanaged<HostQueue>?
    for number in 0..<queueCount {
      let queue = unsafe queues[number]
      let free = unsafe queue._withUnsafeGuaranteedRef { $0.freeSlots }
      if free > most {
        most = free
        unsafe found = unsafe queue
      }
    }
    return unsafe found
  }

  /// Sends the next command of a request.
  @inline(__always)
  private func sendPart(_ index: Int, _ queue: HostQueue) {
    let request = requests[index]
    let position = request.positionBytes
    let remaining = request.endBytes &- position
    var count = remaining
    let lba = position >> blockShift
    let entry: SubmissionEntry
    var transfer = HostQueue.Transfer.none
    switch request.operation {
    case .read:
      count = min(remaining, shape.transferBytes)
      entry = .read(
        commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier, startingLBA: lba,
        blockCount: UInt32(truncatingIfNeeded: count >> blockShift), forceUnitAccess: request.forceUnitAccess, data: .none)
      transfer = unsafe .toHost(request.buffer! + Int(position &- request.startBytes), byteCount: UInt32(count))
    case .write:
      count = min(remaining, shape.transferBytes)
      entry = .write(
        commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier, startingLBA: lba,
        blockCount: UInt32(truncatingIfNeeded: count >> blockShift), forceUnitAccess: request.forceUnitAccess, data: .none)
      transfer = unsafe .toController(request.buffer! + Int(position &- request.startBytes), byteCount: UInt32(count))
    case .flush:
      entry = .flush(commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier)
    case .writeZeroes:
      count = min(remaining, shape.zeroesBytes)
      entry = .writeZeroes(
        commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier, startingLBA: lba,
        blockCount: UInt32(truncatingIfNeeded: count >> blockShift), forceUnitAccess: request.forceUnitAccess)
    case .deallocate:
      if shape.deallocateBytes == 0 {
        count = min(remaining, shape.zeroesBytes)
        entry = .writeZeroes(
          commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier, startingLBA: lba,
          blockCount: UInt32(truncatingIfNeeded: count >> blockShift), deallocate: shape.zeroesCanDeallocate)
      } else {
        count = min(remaining, shape.deallocateBytes)
        let range = DatasetRange(startingLBA: lba, blockCount: UInt32(truncatingIfNeeded: count >> blockShift))
        let place = unsafe ranges + index * DatasetRange.byteCount
        unsafe withSpan(place, DatasetRange.byteCount) { range.encode(into: &$0) }
        entry = .datasetManagement(commandIdentifier: 0, namespaceIdentifier: namespaceIdentifier, rangeCount: 1, data: .none)
        transfer = unsafe .toController(place, byteCount: UInt32(DatasetRange.byteCount))
      }
    }
    requests[index].positionBytes = position &+ count
    requests[index].outstanding &+= 1
    queue.start(entry, transfer, owner: .block(index), timeoutNanoseconds: timeoutNanoseconds)
  }

  // MARK: Completion

  /// A command of a request was answered.
  func partFinished(_ index: Int, _ status: Status) {
    requests[index].outstanding &-= 1
    if !status.isSuccess {
      if requests[index].status == .success { requests[index].status = BlockStatus(status, of: requests[index].operation) }
      // The rest is of no use any more.
      requests[index].positionBytes = requests[index].endBytes
    }
    advance(index)
    if requests.first != nil { pump() }
  }

  /// The connection of a command of a request is gone.
  func partLost(_ index: Int) {
    requests[index].outstanding &-= 1
    requests[index].status = .connectionLost
    requests[index].positionBytes = requests[index].endBytes
    advance(index)
  }

  /// Ends a request that has nothing outstanding and nothing to send, or queues what it has to send.
  @inline(__always)
  private func advance(_ index: Int) {
    if requests[index].isQueued { return }
    if requests[index].positionBytes < requests[index].endBytes {
      requests.enqueue(index)
    } else if requests[index].outstanding == 0 {
      finish(index)
    }
  }

  @inline(__always)
  private func finish(_ index: Int) {
    let request = requests[index]
    requests.release(index)
    unsafe request.client!._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: request.token, status: request.status) }
  }

  /// Sends from the backlog while there are slots.
  private func pump() {
    // A client that hears of an end may submit, and come here again.
    if isPumping { return }
    isPumping = true
    while isServing, let index = requests.first {
      send(index)
      if maySend(index) { break }
      requests.dequeue()
      if requests[index].outstanding == 0 { finish(index) }
    }
    isPumping = false
  }

  // MARK: Answers without a command

  private func refuse(_ request: BlockRequest, _ client: BlockClient, _ status: BlockStatus) {
    unsafe refusals.append(Refusal(client: Unmanaged.passUnretained(client), token: request.token, status: status))
    if refusals.count > 1 { return }
    if handlerID != .none {
      reactor.postpone(handlerID, token: 0, result: 0)
    } else {
      // Closed: there is no place in the reactor's table any more.
      let bound = ReactorBound(self)
      reactor.post { _ in bound.value.answerRefusals() }
    }
  }

  public override func completed(token: UInt64, result: Int32) { answerRefusals() }

  private func answerRefusals() {
    // Those that clients cause by hearing of these come in the next pass.
    let count = refusals.count
    for number in 0..<count {
      let refusal = refusals[number]
      unsafe refusal.client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: refusal.token, status: refusal.status) }
    }
    refusals.removeFirst(count)
    guard !refusals.isEmpty else { return }
    if handlerID != .none {
      reactor.postpone(handlerID, token: 0, result: 0)
    } else {
      let bound = ReactorBound(self)
      reactor.post { _ in bound.value.answerRefusals() }
    }
  }

  // MARK: Associations

  /// Serves over these queues.
  func start(_ queues: [HostQueue]) {
    for (number, queue) in queues.enumerated() { unsafe self.queues[number] = unsafe Unmanaged.passUnretained(queue) }
    queueCount = queues.count
    isServing = true
  }

  /// Takes no more requests; those outstanding end with their queues.
  func stop() {
    isServing = false
    queueCount = 0
  }

  /// Ends what was never sent, after the queues' commands were abandoned.
  func abandonBacklog() {
    // Nothing is added meanwhile, as nothing is served.
    while let index = requests.first {
      requests.dequeue()
      requests[index].status = .connectionLost
      precondition(requests[index].outstanding == 0)
      finish(index)
    }
  }

  /// Leaves the reactor's table once the running callbacks are over.
  func retire() {
    let bound = ReactorBound(self)
    reactor.post { reactor in
      let namespace = bound.value
      if namespace.handlerID != .none { reactor.unregister(namespace) }
      namespace.answerRefusals()
    }
  }

  /// Whether a namespace just identified is this one, no smaller.
  func isSame(_ other: NamespaceShape) -> Bool {
    other.namespaceIdentifier == namespaceIdentifier && other.guid == guid && other.uuid == uuid
      && other.blockSizeBytes == blockSizeBytes && other.sizeBytes >= sizeBytes
  }

  /// Takes over size and limits.
  func update(_ shape: NamespaceShape) {
    self.shape = shape
    if shape.sizeBytes > sizeBytes { grow(toSizeBytes: shape.sizeBytes) }
  }
}
