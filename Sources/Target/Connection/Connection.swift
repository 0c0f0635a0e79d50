import NVMe
import Reactor
import Transport

/// One host connection: an admin or I/O queue of a controller, or one that has yet to say what it is.
///
/// States: initialize (ICReq) → connect (Connect command) → serving. On the reactor that owns the subsystem; a connection for a
/// subsystem of another reactor is handed over at Connect.
final class Connection: PDUStream {
  enum Stage { case initializing, connecting, serving, terminating }

  /// H2CData PDUs carry at most this much.
  static let maximumDataBytes: UInt32 = 1 << 20
  /// In-capsule data of any queue: the admin queue must take 8 KiB, and I/O queues announce the same.
  static let inCapsuleBytes: UInt32 = 8192

  let core: TargetCore
  let peer: SocketAddress?
  /// Which listener it came through.
  let portal: UInt16
  var stage = Stage.initializing
  /// When the handshake must be over; when terminating, the wait for the peer ends.
  var deadline: UInt64
  /// When the last command came, for traffic based keep-alive.
  var lastActivity: UInt64

  var subsystem: ServedSubsystem?
  var controller: Controller?
  var queueID: UInt16 = 0
  let slots = CommandSlots(entries: 1)
  /// Of the commands in the slots, once the queue serves.
  let identifiers = CommandIdentifiers()
  var submissionQueueHead: UInt16 = 0
  /// The namespace's device, owned by the subsystem, which outlives its connections.
  unowned(unsafe) var device: BlockDevice?
  /// Where payload buffers come from, and what this controller holds of them.
  var memory: PayloadMemory
  var share: MemoryShare
  var blockShift: UInt64 = 9
  var disablesFlowControl = false
  /// Whether what changes blocks is refused.
  var isReadOnly = false
  /// PDA of what we send, in bytes.
  var hostDataAlignment: UInt32 = 4

  /// Commands with the device; the connection outlives them even when closed.
  var executingCount = 0
  /// Commands whose data were asked for by R2T and have not all come.
  var awaitedTransferCount = 0
  /// Writes whose data are on the way and reads of more than a few KiB make receiving careful about copies.
  var bulkCount = 0
  /// The slot whose payload is being received.
  var receivingSlot = -1
  /// Admin commands by slot, while their data or a buffer for their reply are awaited.
  var adminEntries: [SubmissionEntry?] = []
  /// Connect data under reception.
  var connectEntry: SubmissionEntry?
  /// Closed, with nothing left but commands that the device executes.
  private(set) var isReleased = false
  /// `lastActivity` when the keep-alive timer was last told.
  var reportedActivity: UInt64 = 0
  /// `transferredBytes` when it last changed or the host owed nothing, and when that was.
  private var progress: (bytes: UInt64, time: UInt64) = (0, 0)
  /// What the listener counted; released at the end.
  var admission: Admission?

  init(core: TargetCore, descriptor: Int32, peer: SocketAddress?, portal: UInt16, admission: Admission?, deadline: UInt64) {
    self.core = core
    memory = core.hostMemory
    share = core.newcomerShare
    self.peer = peer
    self.portal = portal
    self.admission = admission
    lastActivity = core.reactor.now
    self.deadline = deadline
    super.init(context: core.context, descriptor: descriptor)
  }

  /// Closed or about to be: no command is begun any more.
  var isEnding: Bool { stage == .terminating || isClosed }

  /// Whether the host keeps payload memory that others wait for: it has taken or sent nothing of what it owes for long.
  func isStalled(_ now: UInt64) -> Bool {
    let owes = pendingSendBytes > 0 || (awaitedTransferCount > 0 && !isWaiting)
    if !owes || transferredBytes != progress.bytes {
      progress = (transferredBytes, now)
      return false
    }
    return memory.isShort(forOthersThan: share) && now - progress.time >= core.registry.limits.stallNanoseconds
  }

  // MARK: PDUs

  override func receivedHeader(_ header: PDUCommonHeader, _ bytes: RawSpan) -> PayloadPlan {
    if let fault = header.validate(
      direction: .hostToController, headerDigest: usesHeaderDigest, dataDigest: usesDataDigest,
      maximumDataLength: Self.maximumDataBytes, maximumCapsuleDataLength: Self.inCapsuleBytes)
    {
      return terminate(fault, bytes)
    }
    switch header.type {
    case .capsuleCommand: return receivedCommand(header, bytes)
    case .hostToControllerData: return receivedData(bytes)
    case .initializeConnectionRequest: return receivedInitialization(bytes)
    case .hostToControllerTermination:
      close(.byPeer)
      return .stop
    default: return terminate(.invalidField(at: 0), bytes)
    }
  }

  override func headerDigestFailed(received: UInt32, _ header: RawSpan) {
    _ = terminate(PDUFault(.headerDigestError, information: received), header)
  }

  override func framingFailed(_ fault: PDUFault, _ header: RawSpan) { _ = terminate(fault, header) }

  private func receivedInitialization(_ bytes: RawSpan) -> PayloadPlan {
    guard stage == .initializing, let request = try? InitializeConnectionRequest(decoding: bytes) else {
      return terminate(PDUFault(.sequenceError, information: 0), bytes)
    }
    if let fault = request.fault { return terminate(fault, bytes) }
    let response = InitializeConnectionResponse(
      headerDigest: request.headerDigest, dataDigest: request.dataDigest, maximumHostToControllerDataLength: Self.maximumDataBytes)
    let place = unsafe appendHeader(byteCount: InitializeConnectionResponse.byteCount)
    var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: InitializeConnectionResponse.byteCount)
    response.encode(into: &span)
    usesHeaderDigest = request.headerDigest
    usesDataDigest = request.dataDigest
    hostDataAlignment = request.hostDataAlignmentBytes
    stage = .connecting
    return .discard
  }

  override func payloadReceived(isIntact: Bool) { dataReceived(isIntact: isIntact) }
  override func payloadSent(token: UInt64) { releaseSlot(Int(truncatingIfNeeded: token)) }
  override func blockRequestCompleted(token: UInt64, status: BlockStatus) { commandCompleted(token: token, status: status) }

  /// Sends C2HTermReq and ends the connection: the peer gets a moment to read it.
  func terminate(_ fault: PDUFault, _ header: RawSpan) -> PayloadPlan {
    if stage == .terminating || isClosed { return .stop }
    core.log.write("ended the connection from \(peerName): protocol error \(fault.status), information \(fault.information)")
    stage = .terminating
    deadline = reactor.now + core.registry.limits.terminationNanoseconds
    if executingCount > 0 { unsafe device?.discardUnstarted(of: self) }
    let request = TerminationRequest(direction: .controllerToHost, fault: fault)
    let length = TerminationRequest.byteCount + min(header.byteCount, TerminationRequest.maximumDataByteCount)
    let place = unsafe appendHeader(byteCount: length)
    var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: length)
    _ = request.encode(into: &span, offendingHeader: header)
    drain()
    return .stop
  }

  var peerName: String { peer?.description ?? "an unknown peer" }

  // MARK: End

  func closeStalled() {
    core.log.write("ended the connection from \(peerName), queue \(queueID): it kept payload memory that others waited for")
    close(.bySelf)
  }

  override func closed(_ reason: CloseReason) {
    if case .systemError(let code) = reason, stage == .serving {
      core.log.write("lost the connection from \(peerName), queue \(queueID): \(SystemError.message(code))")
    }
    // What the device has not started never executes (R12); the rest is tracked to its end.
    if executingCount > 0 { unsafe device?.discardUnstarted(of: self) }
    for index in 0..<slots.capacity where slots.isInUse(index) && slots[index].state != .executing { releaseSlot(index) }
    admission = nil
    isReleased = true
    core.connectionClosed(self)
  }
}
