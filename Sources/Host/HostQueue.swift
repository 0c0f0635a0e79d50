import NVMe
import Reactor
import Transport

/// One queue pair of a host: an NVMe/TCP connection with a fixed table of commands.
///
/// Invariants: a slot is free only when its response came *and* its payload left for the kernel (R11), or the socket is closed.
/// Every received header is checked against the slot it names before a byte of its data is stored. Whatever breaks the protocol
/// ends the connection, and with it the association, with a termination request.
@safe final class HostQueue: PDUStream {
  enum State {
    /// Waiting for ICResp.
    case initializing
    case ready
    /// A termination request is on its way out, or the stream is closed.
    case ending
  }

  /// Reads of more than this are received straight into their buffers.
  static let bulkReadBytes = 8 << 10
  private static let finishToken = PDUStream.firstFreeToken
  private static let tickToken = PDUStream.firstFreeToken + (1 << 16)
  private static let tickNanoseconds: UInt64 = 200_000_000

  /// QID: 0 for the admin queue.
  let identifier: UInt16
  unowned let association: Association
  /// Hears of the commands of block requests; it outlives its queues.
  private let namespace: Unmanaged<RemoteNamespace>?
  private let wantsHeaderDigest: Bool
  private let wantsDataDigest: Bool
  private(set) var state = State.initializing

  let slots: CommandSlots
  /// MAXH2CDATA in bytes.
  private(set) var maximumDataPDUBytes: UInt32 = 4096
  /// The controller's data alignment (CPDA) in bytes.
  private(set) var sendAlignment: UInt32 = 4
  /// Writes of at most this travel in their capsule.
  var inCapsuleBytes: UInt32
  /// The slot that the data being received belong to.
  private var receivingSlot = 0
  private var bulkReads = 0
  private var isTickArmed = false

  /// Takes over a connecting socket. `depth` commands can be outstanding.
  init(
    association: Association, descriptor: Int32, identifier: UInt16, depth: Int, inCapsuleBytes: UInt32, namespace: RemoteNamespace?
  ) {
    self.association = association
    self.identifier = identifier
    self.inCapsuleBytes = inCapsuleBytes
    unsafe self.namespace = namespace.map { unsafe Unmanaged.passUnretained($0) }
    wantsHeaderDigest = association.options.headerDigest
    wantsDataDigest = association.options.dataDigest
    slots = CommandSlots(capacity: depth)
    super.init(context: association.context, descriptor: descriptor)
    boundsWhatIsSent = true
    openWhenConnected()
  }

  // MARK: Initialization

  override func connected() {
    let request = InitializeConnectionRequest(headerDigest: wantsHeaderDigest, dataDigest: wantsDataDigest)
    let place = unsafe appendHeader(byteCount: InitializeConnectionRequest.byteCount)
    unsafe withSpan(place, InitializeConnectionRequest.byteCount) { request.encode(into: &$0) }
  }

  private func receivedInitialization(_ bytes: RawSpan) -> PayloadPlan {
    guard case .initializing = state else { return violated(.init(.sequenceError, information: 0), bytes, "a second ICResp") }
    guard let response = try? InitializeConnectionResponse(decoding: bytes) else {
      return violated(.invalidField(at: 0), bytes, "an unreadable ICResp")
    }
    if let fault = response.fault { return violated(fault, bytes, "an ICResp with values the specification forbids") }
    guard response.digests == (wantsHeaderDigest ? 1 : 0) | (wantsDataDigest ? 2 : 0) else {
      return violated(.init(.unsupportedParameter, information: 11), bytes, "an ICResp with other digests than asked for")
    }
    usesHeaderDigest = wantsHeaderDigest
    usesDataDigest = wantsDataDigest
    maximumDataPDUBytes = response.maximumHostToControllerDataLength
    sendAlignment = response.controllerDataAlignmentBytes
    state = .ready
    association.queueInitialized(self)
    return .discard
  }

  // MARK: Receiving

  override func receivedHeader(_ header: PDUCommonHeader, _ bytes: RawSpan) -> PayloadPlan {
    if let fault = header.validate(
      direction: .controllerToHost, headerDigest: usesHeaderDigest, dataDigest: usesDataDigest,
      maximumDataLength: UInt32(BlockDevice.maximumTransferBytes))
    {
      return violated(fault, bytes, "a PDU header with a wrong field")
    }
    guard case .ready = state else {
      switch header.type {
      case .initializeConnectionResponse: return receivedInitialization(bytes)
      case .controllerToHostTermination: return receivedTermination(bytes)
      default: return violated(.init(.sequenceError, information: 0), bytes, "a PDU before ICResp")
      }
    }
    switch header.type {
    case .capsuleResponse: return receivedResponse(bytes)
    case .controllerToHostData: return receivedData(bytes)
    case .readyToTransfer: return receivedReadyToTransfer(bytes)
    case .initializeConnectionResponse: return receivedInitialization(bytes)
    case .controllerToHostTermination: return receivedTermination(bytes)
    default: return violated(.invalidField(at: 0), bytes, "a PDU that only hosts send")
    }
  }

  @inline(__always)
  private func receivedResponse(_ bytes: RawSpan) -> PayloadPlan {
    guard let entry = try? CompletionEntry(decoding: bytes, at: PDUCommonHeader.byteCount),
      let index = slots.find(entry.commandIdentifier)
    else { return violated(.invalidField(at: 20), bytes, "a response to no outstanding command") }
    if entry.status.isSuccess, slots[index].kind == .read || slots[index].kind == .write,
      slots[index].transferred != slots[index].byteCount
    {
      return violated(.init(.sequenceError, information: 0), bytes, "a successful response before all data were transferred")
    }
    slots[index].isAnswered = true
    slots[index].status = entry.status
    slots[index].result = entry.result
    if slots[index].pendingSends == 0 { finish(index) }
    return .discard
  }

  @inline(__always)
  private func receivedData(_ bytes: RawSpan) -> PayloadPlan {
    guard let header = try? DataHeader(decoding: bytes), let index = slots.find(header.commandIdentifier),
      slots[index].kind == .read
    else { return violated(.invalidField(at: 8), bytes, "data for no outstanding read") }
    if let fault = header.fault { return violated(fault, bytes, "a data PDU with contradicting lengths") }
    if slots[index].isDataComplete {
      return violated(.init(.sequenceError, information: 0), bytes, "data after the last data")
    }
    let offset = slots[index].transferred
    // Compared by subtraction, so that nothing wraps.
    if header.dataOffset > slots[index].byteCount || header.dataLength > slots[index].byteCount &- header.dataOffset {
      return violated(.init(.dataTransferOutOfRange, information: 0), bytes, "data beyond the end of the read")
    }
    if header.dataOffset != offset { return violated(.invalidField(at: 12), bytes, "data out of order") }
    slots[index].transferred = offset &+ header.dataLength
    slots[index].isDataComplete = header.isLast
    if header.isSuccess {
      guard slots[index].transferred == slots[index].byteCount else {
        return violated(.init(.sequenceError, information: 0), bytes, "success before all data were transferred")
      }
      slots[index].endsWithData = true
    }
    receivingSlot = index
    return unsafe .store(slots[index].buffer! + Int(offset))
  }

  override func payloadReceived(isIntact: Bool) {
    let index = receivingSlot
    if !isIntact { slots[index].isCorrupt = true }
    guard slots[index].endsWithData else { return }
    slots[index].isAnswered = true
    slots[index].status = .success
    finish(index)
  }

  private func receivedReadyToTransfer(_ bytes: RawSpan) -> PayloadPlan {
    guard let request = try? ReadyToTransfer(decoding: bytes), let index = slots.find(request.commandIdentifier),
      slots[index].kind == .write
    else { return violated(.invalidField(at: 8), bytes, "a request for data of no outstanding write") }
    if request.requestedLength == 0 { return violated(.invalidField(at: 16), bytes, "a request for no data") }
    if request.requestedOffset > slots[index].byteCount || request.requestedLength > slots[index].byteCount &- request.requestedOffset {
      return violated(.init(.dataTransferOutOfRange, information: 0), bytes, "a request for data beyond the end of the write")
    }
    if request.requestedOffset != slots[index].transferred {
      return violated(.invalidField(at: 12), bytes, "requests for data out of order")
    }
    // One request per command at a time was agreed (MAXR2T), and this one's predecessor cannot be answered yet.
    if slots[index].pendingSends > 0 {
      return violated(.init(.limitExceeded, information: 0), bytes, "more requests for data at a time than agreed")
    }
    slots[index].transferred = request.requestedOffset &+ request.requestedLength
    sendData(slot: index, request)
    return .discard
  }

  private func receivedTermination(_ bytes: RawSpan) -> PayloadPlan {
    let statusCode: UInt16 = bytes.littleEndian(at: 8)
    let information: UInt32 = bytes.littleEndian(at: 10)
    association.end(.terminatedByController(statusCode: statusCode, information: information))
    return .stop
  }

  // MARK: Faults

  override func headerDigestFailed(received: UInt32, _ header: RawSpan) {
    _ = violated(.init(.headerDigestError, information: received), header, "a PDU with a wrong header digest")
  }

  override func framingFailed(_ fault: PDUFault, _ header: RawSpan) {
    _ = violated(fault, header, "bytes that are no PDU")
  }

  /// Tells the controller what was wrong, and ends the association.
  private func violated(_ fault: PDUFault, _ header: RawSpan, _ what: String) -> PayloadPlan {
    if case .ending = state { return .stop }
    state = .ending
    let offending =
      header.byteCount > TerminationRequest.maximumDataByteCount
      ? header.extracting(first: TerminationRequest.maximumDataByteCount) : header
    let byteCount = TerminationRequest.byteCount + offending.byteCount
    let place = unsafe appendHeader(byteCount: byteCount)
    unsafe withSpan(place, byteCount) {
      _ = TerminationRequest(direction: .hostToController, fault: fault).encode(into: &$0, offendingHeader: offending)
    }
    drain()
    association.violated(self, "queue \(identifier): \(what)")
    return .stop
  }

  // MARK: Ends

  override func closed(_ reason: CloseReason) {
    state = .ending
    association.queueClosed(self, reason)
  }

  override func payloadSent(token: UInt64) {
    let index = Int(token)
    slots[index].pendingSends &-= 1
    // The queue is being walked: whoever hears of the end may want to append to it.
    if slots[index].isAnswered && slots[index].pendingSends == 0 {
      reactor.postpone(handlerID, token: Self.finishToken + token, result: 0)
    }
  }

  override func completed(token: UInt64, result: Int32) {
    if token < Self.firstFreeToken {
      super.completed(token: token, result: result)
    } else if token == Self.tickToken {
      tick()
    } else {
      let index = Int(token - Self.finishToken)
      if slots[index].kind != .free && slots[index].isAnswered && slots[index].pendingSends == 0 { finish(index) }
    }
  }

  /// Frees the slot and tells its owner.
  private func finish(_ index: Int) {
    let slot = slots[index]
    release(index)
    let status = slot.isCorrupt && slot.status.isSuccess ? Status.dataTransferError : slot.status
    if slot.isControl {
      let entry = CompletionEntry(commandIdentifier: 0, status: status, result: slot.result)
      association.controlFinished(Int(slot.owner), entry)
    } else {
      unsafe namespace!._withUnsafeGuaranteedRef { $0.partFinished(Int(slot.owner), status) }
    }
  }

  private func release(_ index: Int) {
    if slots[index].kind == .read && slots[index].byteCount > Self.bulkReadBytes {
      bulkReads &-= 1
      if bulkReads == 0 { expectsBulkData = false }
    }
    slots.release(index)
  }

  /// Ends all commands of a closed queue: those with a response by it, the others as lost.
  func abandonCommands() {
    precondition(isClosed)
    for index in 0..<slots.capacity where slots[index].kind != .free {
      if slots[index].isAnswered {
        finish(index)
        continue
      }
      let slot = slots[index]
      release(index)
      if slot.isControl {
        association.controlFinished(Int(slot.owner), nil)
      } else {
        unsafe namespace!._withUnsafeGuaranteedRef { $0.partLost(Int(slot.owner)) }
      }
    }
  }

  // MARK: Time

  /// Makes sure that somebody looks at deadlines while commands are outstanding.
  @inline(__always)
  func armTick(afterNanoseconds delay: UInt64) {
    if isTickArmed { return }
    isTickArmed = true
    reactor.schedule(afterNanoseconds: min(max(delay, 5_000_000), Self.tickNanoseconds), handlerID, token: Self.tickToken)
  }

  private func tick() {
    isTickArmed = false
    guard case .ready = state else { return }
    var nearest = UInt64.max
    for index in 0..<slots.capacity where slots[index].kind != .free { nearest = min(nearest, slots[index].deadline) }
    if nearest == .max { return }
    if nearest <= reactor.now {
      association.end(.timeout("a command on queue \(identifier)"))
    } else {
      armTick(afterNanoseconds: nearest &- reactor.now)
    }
  }

  // MARK: For the facets

  func noteBulkRead() {
    bulkReads &+= 1
    expectsBulkData = true
  }
}

/// Lets `body` fill in `byteCount` bytes of header memory.
@inline(__always)
func withSpan(_ place: UnsafeMutableRawPointer, _ byteCount: Int, _ body: (inout MutableRawSpan) -> Void) {
  var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: byteCount)
  body(&span)
}
