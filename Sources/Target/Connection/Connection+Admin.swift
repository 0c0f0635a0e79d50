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
    if entry.dataPointerFormat != 1 || entry.fusedOperation != 0 { return answerConnect(entry, Status.invalidField.withDoNotRetry) }
    let pointer = entry.dataPointer
    guard pointer.isInCapsule else { return answerConnect(entry, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
    guard pointer.address == 0 else { return answerConnect(entry, Status.sglOffsetInvalid.withDoNotRetry) }
    guard Int(pointer.length) == ConnectData.byteCount, Int(inCapsuleBytes) == ConnectData.byteCount else {
      return answerConnect(entry, Status.dataSGLLengthInvalid.withDoNotRetry)
    }
    guard let buffer = unsafe memory.takeForCapsule(ConnectData.byteCount, self) else { return .wait }
    connectEntry = entry
    guard let index = slots.take() else { preconditionFailure("a new connection has a free slot") }
    slots[index].commandIdentifier = entry.commandIdentifier
    slots[index].isInCapsule = true
    slots[index].isBufferForCapsule = true
    unsafe slots[index].buffer = unsafe buffer
    receivingSlot = index
    return unsafe .store(buffer)
  }

  private func answerConnect(_ entry: SubmissionEntry, _ status: Status, result: UInt64 = 0) -> PayloadPlan {
    // FFFFh agrees to do without flow control (NVMe Base 2.0, 6.3).
    let head: UInt16 = status.isSuccess && disablesFlowControl ? 0xFFFF : 0
    sendCompletion(
      CompletionEntry(commandIdentifier: entry.commandIdentifier, status: status, result: result, submissionQueueHead: head))
    return .discard
  }

  func connectDataReceived(isIntact: Bool) {
    guard let entry = connectEntry, let buffer = unsafe slots[receivingSlot].buffer else { return }
    connectEntry = nil
    guard isIntact else {
      releaseSlot(receivingSlot)
      _ = answerConnect(entry, .transientTransportError)
      return
    }
    let request: Result<ConnectRequest, CommandRefusal>
    do throws(CommandRefusal) {
      request = unsafe .success(
        try ConnectRequest(entry, data: RawSpan(_unsafeStart: UnsafeRawPointer(buffer), byteCount: ConnectData.byteCount)))
    } catch {
      request = .failure(error)
    }
    releaseSlot(receivingSlot)
    switch request {
    case .success(let request): connect(entry, request)
    case .failure(let refusal): _ = answerConnect(entry, refusal.status, result: refusal.result)
    }
  }

  /// Joins a subsystem, on this reactor or on the one that owns it.
  func connect(_ entry: SubmissionEntry, _ request: ConnectRequest) {
    guard let subsystem = core.subsystem(name: request.data.subsystemName) else {
      if let owner = core.registry.reactorIndex(of: request.data.subsystemName), owner != core.index {
        core.handOver(self, entry: entry, request: request, to: owner)
      } else {
        let refusal = CommandRefusal.unknownSubsystem
        _ = answerConnect(entry, refusal.status, result: refusal.result)
      }
      return
    }
    do throws(CommandRefusal) {
      if request.queueIdentifier == 0 {
        let accepted = try subsystem.core.connectAdmin(request, portal: portal, now: reactor.now)
        for older in accepted.replaced { subsystem.end(older) }
        subsystem.attach(to: accepted.controller)
        join(subsystem, accepted.controller, request)
        _ = answerConnect(entry, .success, result: accepted.result)
      } else {
        let accepted = try subsystem.core.connectIO(request)
        join(subsystem, accepted.controller, request)
        _ = answerConnect(entry, .success, result: accepted.result)
      }
    } catch {
      _ = answerConnect(entry, error.status, result: error.result)
    }
  }

  private func join(_ subsystem: ServedSubsystem, _ controller: Controller, _ request: ConnectRequest) {
    self.subsystem = subsystem
    self.controller = controller
    let device = subsystem.device(of: controller)
    unsafe self.device = device
    memory = subsystem.usesReplicaArena ? core.replicaMemory : core.hostMemory
    share = subsystem.share(of: controller) ?? MemoryShare()
    blockShift = UInt64((device?.blockSizeBytes ?? 512).trailingZeroBitCount)
    queueID = request.queueIdentifier
    disablesFlowControl = request.disablesFlowControl
    isReadOnly = controller.isReadOnly || subsystem.core.namespace?.isWriteProtected == true
    slots.reset(entries: request.queueEntryCount)
    if queueID == 0 { adminEntries = [SubmissionEntry?](repeating: nil, count: request.queueEntryCount) }
    stage = .serving
    core.connectionServes(self)
    subsystem.add(self)
  }

  // MARK: Admin commands

  /// A command of the admin queue, or a fabrics command on any. Of those we know only vendor specific ones bring data.
  func receivedAdmin(_ index: Int, _ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    guard let controller else { return refuse(index, .internalError) }
    if queueID != 0 { return refuse(index, Controller.statusOfFabricsOnIOQueue(entry)) }
    if attachment(for: entry) != nil { return receivedVendor(index, entry, inCapsuleBytes: inCapsuleBytes) }
    adminEntries[index] = entry
    let replyBytes = controller.replyByteCount(entry)
    if replyBytes > 0 {
      slots[index].transferBytes = UInt32(replyBytes)
      startWithBuffer(index)
    } else {
      executeAdmin(index)
    }
    return .discard
  }

  func executeAdmin(_ index: Int) {
    guard let controller, let subsystem, let entry = adminEntries[index] else { return }
    adminEntries[index] = nil
    var nothing: UInt64 = 0
    let outcome = unsafe withUnsafeMutableBytes(of: &nothing) { empty -> AdminOutcome in
      let base = unsafe slots[index].buffer ?? empty.baseAddress!
      var reply = unsafe MutableRawSpan(_unsafeStart: base, byteCount: Int(slots[index].transferBytes))
      return controller.execute(entry, reply: &reply, now: reactor.now)
    }
    switch outcome {
    case .complete(let completion):
      if let aborted = completion.abortedRequest {
        sendCompletion(
          CompletionEntry(commandIdentifier: aborted, status: .abortRequested, submissionQueueHead: submissionQueueHead))
      }
      if completion.status.isSuccess, completion.dataByteCount > 0 {
        sendData(index, byteCount: UInt32(completion.dataByteCount), result: completion.result)
      } else {
        respond(index, completion.status, result: completion.result)
      }
      if let effect = completion.effect { subsystem.perform(effect, of: controller) }
    case .parked: releaseSlot(index)
    case .abort:
      // A command is with its device as soon as it is whole, and from there it cannot be taken back.
      respond(index, .success, result: AdminCompletion.notAborted)
    }
    deliverEvents()
  }

  /// Answers parked asynchronous event requests that have something to tell.
  func deliverEvents() {
    guard queueID == 0, !isEnding, let controller else { return }
    while let event = controller.takeEvent() {
      sendCompletion(
        CompletionEntry(commandIdentifier: event.commandIdentifier, result: event.result, submissionQueueHead: submissionQueueHead))
    }
  }
}
