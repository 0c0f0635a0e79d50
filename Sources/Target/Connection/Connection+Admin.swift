import NVMe
import Reactor
import Transport

/// Connect, and the commands of the admin queue; what they mean is the controller's business.
extension Connection {
  // MARK: Connect

  /// Before Connect there is nothing but Connect.
  func receivedBeforeConnect(_ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    guard entry.opcode == AdminOpcode.fabrics.rawValue, entry.fabricsCommandType == .connect else {
      return answerConnect(entry, Status.commandSequenceError.withDoNotRetry)
    }
    guard connectEntry == nil, entry.dataPointer.isInCapsule, entry.dataPointer.address == 0,
      Int(entry.dataPointer.length) == ConnectData.byteCount, Int(inCapsuleBytes) == ConnectData.byteCount
    else { return answerConnect(entry, Status.dataSGLLengthInvalid.withDoNotRetry) }
    guard let buffer = unsafe allocate(UInt32(ConnectData.byteCount)) else {
      core.waitForBuffer(self, slot: nil)
      return .wait
    }
    connectEntry = entry
    guard let index = slots.take() else { preconditionFailure("a new connection has a free slot") }
    slots[index].commandIdentifier = entry.commandIdentifier
    slots[index].isInCapsule = true
    unsafe slots[index].buffer = unsafe buffer
    receivingSlot = index
    return unsafe .store(buffer)
  }

  private func answerConnect(_ entry: SubmissionEntry, _ status: Status, result: UInt64 = 0) -> PayloadPlan {
    sendCompletion(
      CompletionEntry(commandIdentifier: entry.commandIdentifier, status: status, result: result, submissionQueueHead: 0))
    return .discard
  }

  func connectDataReceived(isIntact: Bool) {
    guard let entry = connectEntry, let buffer = unsafe slots[receivingSlot].buffer else { return }
    connectEntry = nil
    let data: Result<ConnectData, ConnectDataError>
    do throws(ConnectDataError) {
      data = unsafe .success(try ConnectData(decoding: RawSpan(_unsafeStart: UnsafeRawPointer(buffer), byteCount: ConnectData.byteCount)))
    } catch {
      data = .failure(error)
    }
    releaseSlot(receivingSlot)
    guard isIntact else {
      _ = answerConnect(entry, .transientTransportError)
      return
    }
    switch data {
    case .success(let data): connect(entry, data)
    case .failure(let error):
      _ = answerConnect(
        entry, Status.connectInvalidParameters.withDoNotRetry,
        result: ConnectResult.invalidParameter(offset: error.parameterOffset, isInData: true))
    }
  }

  /// Joins a subsystem, on this reactor or on the one that owns it.
  func connect(_ entry: SubmissionEntry, _ data: ConnectData) {
    let nqn = data.subsystemName.description
    guard let subsystem = core.subsystem(nqn: nqn) else {
      if let owner = core.registry.reactorIndex(of: nqn), owner != core.index {
        core.handOver(self, entry: entry, data: data, to: owner)
      } else {
        _ = answerConnect(
          entry, Status.connectInvalidParameters.withDoNotRetry,
          result: ConnectResult.invalidParameter(offset: ConnectDataError.subsystemName.parameterOffset, isInData: true))
      }
      return
    }
    if entry.connectQueueIdentifier == 0 {
      connectAdminQueue(entry, data, subsystem)
    } else {
      connectIOQueue(entry, data, subsystem)
    }
  }

  private func connectAdminQueue(_ entry: SubmissionEntry, _ data: ConnectData, _ subsystem: Subsystem) {
    if let refusal = subsystem.validateAdminConnect(entry, data) {
      _ = answerConnect(entry, refusal.status, result: refusal.result)
      return
    }
    let host = Subsystem.HostIdentity(nqn: data.hostName.description, identifier: data.hostIdentifier)
    // The Connect may wait for the older commands of its host; the handshake's deadline waits with it.
    deadline = reactor.now + TargetLimits.settleNanoseconds + TargetLimits.handshakeNanoseconds
    subsystem.replaceControllers(of: host, on: localPort, now: reactor.now) { [self] isSettled in
      if isClosed { return }
      guard isSettled, let id = subsystem.allocateControllerID() else {
        _ = answerConnect(entry, .connectControllerBusy)
        return
      }
      let controller = Controller(
        id: id, subsystem: subsystem.description, host: host, port: localPort,
        keepAliveMilliseconds: entry.connectKeepAliveMilliseconds, discovery: core.discoverySource(host: host.nqn), now: reactor.now)
      subsystem.add(controller)
      join(subsystem, controller, entry)
    }
  }

  private func connectIOQueue(_ entry: SubmissionEntry, _ data: ConnectData, _ subsystem: Subsystem) {
    switch subsystem.validateIOConnect(entry, data) {
    case .failure(let refusal): _ = answerConnect(entry, refusal.status, result: refusal.result)
    case .success(let controller): join(subsystem, controller, entry)
    }
  }

  private func join(_ subsystem: Subsystem, _ controller: Controller, _ entry: SubmissionEntry) {
    self.subsystem = subsystem
    self.controller = controller
    device = subsystem.device
    usesReplicaArena = subsystem.usesReplicaArena
    blockShift = UInt64((device?.blockSizeBytes ?? 512).trailingZeroBitCount)
    queueID = entry.connectQueueIdentifier
    disablesFlowControl = entry.connectDisablesFlowControl
    let entries = Int(entry.connectQueueSizeZeroBased) + 1
    slots = CommandSlots(entries: entries)
    if queueID == 0 { adminEntries = [SubmissionEntry?](repeating: nil, count: entries) }
    stage = .serving
    core.connectionServes(self)
    subsystem.add(self)
    _ = answerConnect(entry, .success, result: ConnectResult.success(controllerIdentifier: controller.id))
  }

  // MARK: Admin commands

  func receivedAdmin(_ index: Int, _ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    guard let controller else { return refuse(index, .internalError) }
    if queueID != 0 || entry.fabricsCommandType == .connect && entry.opcode == AdminOpcode.fabrics.rawValue {
      return refuse(index, Status.commandSequenceError.withDoNotRetry)
    }
    adminEntries[index] = entry
    switch controller.dataInByteCount(entry) {
    case .failure(let refusal): return refuse(index, refusal.status)
    case .success(let byteCount) where byteCount > 0:
      return receiveData(index, entry.dataPointer, byteCount: UInt32(byteCount), inCapsuleBytes: inCapsuleBytes)
    case .success: break
    }
    let replyBytes = UInt32(controller.replyByteCount(entry))
    if replyBytes > 0 {
      guard entry.dataPointer.isTransportDataBlock else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
      guard entry.dataPointer.length >= replyBytes else { return refuse(index, Status.dataSGLLengthInvalid.withDoNotRetry) }
      slots[index].transferBytes = replyBytes
      startWithBuffer(index)
    } else {
      executeAdmin(index)
    }
    return .discard
  }

  /// Whether an admin command's data come from the host.
  func isReceivingData(_ index: Int) -> Bool { adminEntries[index]?.transfersToController ?? false }

  func executeAdmin(_ index: Int) {
    guard let controller, let subsystem, let entry = adminEntries[index] else { return }
    adminEntries[index] = nil
    let byteCount = Int(slots[index].transferBytes)
    let isDataIn = entry.transfersToController
    var nothing: UInt64 = 0
    let outcome = withUnsafeMutableBytes(of: &nothing) { empty -> Controller.Outcome in
      let base = slots[index].buffer ?? empty.baseAddress!
      let dataIn = RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: isDataIn ? byteCount : 0)
      var reply = MutableRawSpan(_unsafeStart: base, byteCount: isDataIn ? 0 : byteCount)
      return controller.execute(entry, dataIn: dataIn, reply: &reply, now: reactor.now)
    }
    switch outcome {
    case .complete(let status, let result, let dataByteCount):
      if status.isSuccess, dataByteCount > 0 {
        sendData(index, byteCount: UInt32(dataByteCount), result: result)
      } else {
        respond(index, status, result: result)
      }
    case .parked: releaseSlot(index)
    case .abort:
      // Commands of ours are with a device at once, and those cannot be taken back: bit 0 says "not aborted".
      respond(index, .success, result: 1)
    }
    deliverEvents()
    switch controller.takeEffect() {
    case .none: break
    case .reset: subsystem.endIOQueues(of: controller)
    case .shutdown: subsystem.endIOQueues(of: controller)
    }
  }

  /// Answers parked asynchronous event requests that have something to tell.
  func deliverEvents() {
    guard queueID == 0, !isClosed, let controller else { return }
    while let event = controller.takeEvent() {
      sendCompletion(
        CompletionEntry(commandIdentifier: event.commandIdentifier, status: .success, result: UInt64(event.result), submissionQueueHead: submissionQueueHead))
    }
  }
}
