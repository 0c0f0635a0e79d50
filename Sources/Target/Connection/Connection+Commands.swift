import NVMe
import Reactor
import Transport

/// Commands: what comes in a capsule, checked and sent on its way.
extension Connection {
  /// A command capsule's header. In-capsule data, if any, follow.
  func receivedCommand(_ header: PDUCommonHeader, _ bytes: RawSpan) -> PayloadPlan {
    guard stage == .serving || stage == .connecting, let capsule = try? CapsuleCommandHeader(decoding: bytes) else {
      return terminate(PDUFault(.sequenceError, information: 0), bytes)
    }
    let entry = capsule.entry
    lastActivity = reactor.now
    if stage == .connecting { return receivedBeforeConnect(entry, inCapsuleBytes: header.dataLength) }
    if identifiers.contains(entry.commandIdentifier, in: slots) { return refuseDuplicate(entry) }
    guard let index = slots.take() else {
      // More commands outstanding than the queue has entries.
      return terminate(PDUFault(.sequenceError, information: 0), bytes)
    }
    advanceHead()
    slots[index].opcode = entry.opcode
    slots[index].commandIdentifier = entry.commandIdentifier
    slots[index].receivedAt = lastActivity
    identifiers.insert(index, in: slots)
    slots[index].isInCapsule = header.dataLength > 0
    if queueID == 0 || entry.opcode == IOOpcode.fabrics.rawValue {
      return receivedAdmin(index, entry, inCapsuleBytes: header.dataLength)
    }

    if entry.fusedOperation != 0 || entry.dataPointerFormat != 1 { return refuse(index, Status.invalidField.withDoNotRetry) }
    guard entry.namespaceIdentifier == core.namespaceID || (entry.opcode == IOOpcode.flush.rawValue && entry.namespaceIdentifier == .max)
    else { return refuse(index, Status.invalidNamespaceOrFormat.withDoNotRetry) }
    if let status = subsystem?.pathStatus { return refuse(index, status) }

    let opcode = entry.ioOpcode
    if isReadOnly, opcode == .write || opcode == .writeZeroes || opcode == .datasetManagement {
      return refuse(index, Status.namespaceIsWriteProtected.withDoNotRetry)
    }
    switch opcode {
    case .read: return receivedRead(index, entry)
    case .write: return receivedWrite(index, entry, inCapsuleBytes: header.dataLength)
    case .flush:
      execute(index, .flush)
      return .discard
    case .writeZeroes:
      if let status = takeRange(index, entry) { return refuse(index, status) }
      slots[index].forceUnitAccess = entry.forceUnitAccess
      execute(index, .writeZeroes)
      return .discard
    case .datasetManagement: return receivedDatasetManagement(index, entry, inCapsuleBytes: header.dataLength)
    default: return refuse(index, Status.invalidOpcode.withDoNotRetry)
    }
  }

  private func advanceHead() {
    submissionQueueHead = submissionQueueHead &+ 1 == UInt16(truncatingIfNeeded: slots.limit) ? 0 : submissionQueueHead &+ 1
  }

  /// An identifier that another command of the queue has (NVMe Base 2.0, generic status 03h): this one is answered, the other goes on.
  private func refuseDuplicate(_ entry: SubmissionEntry) -> PayloadPlan {
    advanceHead()
    let status = Status.commandIdentifierConflict.withDoNotRetry
    controller?.recordError(queueIdentifier: queueID, entry: entry, status: status, lba: 0)
    sendCompletion(
      CompletionEntry(commandIdentifier: entry.commandIdentifier, status: status, submissionQueueHead: submissionQueueHead))
    return .discard
  }

  /// Ends a command with a status before it began; its in-capsule data are skipped.
  func refuse(_ index: Int, _ status: Status) -> PayloadPlan {
    respond(index, status)
    return .discard
  }

  /// Reads the range of an I/O command into its slot; returns the error if it is outside the namespace.
  private func takeRange(_ index: Int, _ entry: SubmissionEntry) -> Status? {
    guard let device = unsafe device else { return Status.namespaceNotReady }
    let size = device.sizeBytes >> blockShift
    let count = UInt64(entry.blockCount)
    guard entry.startingLBA < size, count <= size - entry.startingLBA else { return Status.lbaOutOfRange.withDoNotRetry }
    slots[index].offsetBytes = entry.startingLBA << blockShift
    slots[index].count = count << blockShift
    return nil
  }

  private func receivedRead(_ index: Int, _ entry: SubmissionEntry) -> PayloadPlan {
    if let status = takeRange(index, entry) { return refuse(index, status) }
    let byteCount = slots[index].count
    if byteCount > BlockDevice.maximumTransferBytes { return refuse(index, Status.invalidField.withDoNotRetry) }
    guard entry.dataPointer.isTransportDataBlock else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
    guard UInt64(entry.dataPointer.length) == byteCount else { return refuse(index, Status.dataSGLLengthInvalid.withDoNotRetry) }
    slots[index].transferBytes = UInt32(truncatingIfNeeded: byteCount)
    startWithBuffer(index)
    return .discard
  }

  private func receivedWrite(_ index: Int, _ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    if let status = takeRange(index, entry) { return refuse(index, status) }
    let byteCount = slots[index].count
    if byteCount > BlockDevice.maximumTransferBytes { return refuse(index, Status.invalidField.withDoNotRetry) }
    slots[index].forceUnitAccess = entry.forceUnitAccess
    return receiveData(index, entry.dataPointer, byteCount: UInt32(byteCount), inCapsuleBytes: inCapsuleBytes)
  }

  private func receivedDatasetManagement(_ index: Int, _ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    slots[index].count = UInt64(entry.datasetRangeCount)
    slots[index].position = entry.datasetDeallocates ? 0 : slots[index].count
    // Linux sends its whole table of 256 ranges, however few count.
    let needed = UInt32(entry.datasetRangeCount * DatasetRange.byteCount)
    let whole = UInt32(DatasetRange.maximumCount * DatasetRange.byteCount)
    let byteCount = entry.dataPointer.length >= needed && entry.dataPointer.length <= whole ? entry.dataPointer.length : needed
    return receiveData(index, entry.dataPointer, byteCount: byteCount, inCapsuleBytes: inCapsuleBytes)
  }

  /// Makes ready for `byteCount` bytes from the host, in the capsule or by R2T.
  func receiveData(_ index: Int, _ descriptor: SGLDescriptor, byteCount: UInt32, inCapsuleBytes: UInt32) -> PayloadPlan {
    if inCapsuleBytes > 0 {
      guard descriptor.isInCapsule else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
      guard descriptor.address == 0 else { return refuse(index, Status.sglOffsetInvalid.withDoNotRetry) }
    } else {
      guard descriptor.isTransportDataBlock else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
    }
    guard descriptor.length == byteCount, inCapsuleBytes == 0 || inCapsuleBytes == byteCount else {
      return refuse(index, Status.dataSGLLengthInvalid.withDoNotRetry)
    }
    slots[index].transferBytes = byteCount
    guard inCapsuleBytes > 0 else {
      startWithBuffer(index)
      return .discard
    }
    guard let buffer = unsafe memory.takeForCapsule(Int(byteCount), self) else {
      // The bytes are on the wire already: the whole connection waits, and with it its host (back-pressure, never a loss).
      identifiers.remove(index, in: slots)
      slots.free(index)
      submissionQueueHead = submissionQueueHead == 0 ? UInt16(truncatingIfNeeded: slots.limit - 1) : submissionQueueHead - 1
      return .wait
    }
    slots[index].isBufferForCapsule = true
    unsafe slots[index].buffer = unsafe buffer
    receivingSlot = index
    return unsafe .store(buffer)
  }

  // MARK: Execution

  /// Gives a command whose data are here (or that has none) to the device.
  func execute(_ index: Int, _ operation: BlockOperation) {
    guard let device = unsafe device else {
      respond(index, .namespaceNotReady)
      return
    }
    slots[index].state = .executing
    executingCount += 1
    unsafe device.submit(
      BlockRequest(
        operation, offsetBytes: slots[index].offsetBytes, byteCount: slots[index].count, buffer: slots[index].buffer,
        forceUnitAccess: slots[index].forceUnitAccess, token: UInt64(index)),
      for: self)
  }

  /// The ranges of a Dataset Management command have come: none is touched unless all are inside the namespace.
  func executeDatasetManagement(_ index: Int) {
    guard let device = unsafe device, let buffer = unsafe slots[index].buffer else { return respond(index, .namespaceNotReady) }
    let ranges = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(buffer), byteCount: Int(slots[index].transferBytes))
    let size = device.sizeBytes >> blockShift
    for position in 0..<Int(slots[index].count) {
      guard let range = try? DatasetRange(decoding: ranges, at: position * DatasetRange.byteCount), range.startingLBA <= size,
        UInt64(range.blockCount) <= size - range.startingLBA
      else { return respond(index, Status.lbaOutOfRange.withDoNotRetry) }
    }
    executeNextRange(index)
  }

  /// The next range of a Dataset Management command, one at a time: the device cuts large ones so that they block nobody.
  private func executeNextRange(_ index: Int) {
    guard let device = unsafe device, let buffer = unsafe slots[index].buffer else { return respond(index, .namespaceNotReady) }
    let ranges = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(buffer), byteCount: Int(slots[index].transferBytes))
    while slots[index].position < slots[index].count {
      guard let range = try? DatasetRange(decoding: ranges, at: Int(slots[index].position) * DatasetRange.byteCount) else { break }
      slots[index].position += 1
      if range.blockCount == 0 { continue }
      slots[index].state = .executing
      executingCount += 1
      unsafe device.submit(
        BlockRequest(
          .deallocate, offsetBytes: range.startingLBA << blockShift, byteCount: UInt64(range.blockCount) << blockShift,
          token: UInt64(index)),
        for: self)
      return
    }
    countSuccess(index, IOOpcode.datasetManagement.rawValue)
    respond(index, .success)
  }

  /// From its capsule to now, to the length of a pass of the reactor: no clock is read for it.
  private func countSuccess(_ index: Int, _ opcode: UInt8) {
    subsystem?.traffic.count(
      opcode: opcode, byteCount: UInt64(slots[index].transferBytes), nanoseconds: reactor.now &- slots[index].receivedAt)
  }

  /// Another device executes commands from now on.
  func moveToDevice(_ new: BlockDevice) {
    if executingCount > 0 { unsafe device?.discardUnstarted(of: self) }
    unsafe device = new
  }

  /// The device has finished with a command.
  func commandCompleted(token: UInt64, status: BlockStatus) {
    let index = Int(truncatingIfNeeded: token)
    executingCount -= 1
    if isClosed {
      releaseSlot(index)
      if executingCount == 0 && isReleased { core.connectionSettled(self) }
      return
    }
    if stage == .terminating {
      // The termination request was the last PDU.
      releaseSlot(index)
      return
    }
    guard status == .success else {
      // One that was discarded with its device may go another way; one that ran into the end of its nexus too.
      if status == .aborted, let moved = subsystem?.pathStatus { return respond(index, moved) }
      respond(index, Status(status, isWrite: slots[index].opcode != IOOpcode.read.rawValue))
      return
    }
    let opcode = slots[index].opcode
    if opcode != IOOpcode.datasetManagement.rawValue { countSuccess(index, opcode) }
    switch opcode {
    case IOOpcode.read.rawValue:
      controller?.health.countRead(bytes: Int(slots[index].transferBytes))
      sendData(index)
    case IOOpcode.write.rawValue:
      controller?.health.countWrite(bytes: Int(slots[index].transferBytes))
      respond(index, .success)
    case IOOpcode.datasetManagement.rawValue: executeNextRange(index)
    default: respond(index, .success)
    }
  }
}

extension Status {
  /// How a block device's answer is told to a host.
  init(_ status: BlockStatus, isWrite: Bool) {
    switch status {
    case .success: self = .success
    case .outOfRange: self = Status.lbaOutOfRange.withDoNotRetry
    case .readFault: self = .unrecoveredReadError
    case .writeFault: self = .writeFault
    case .capacityExceeded: self = Status.capacityExceeded.withDoNotRetry
    case .connectionLost: self = isWrite ? .writeFault : .unrecoveredReadError
    case .aborted: self = .abortRequested
    case .inaccessible: self = .anaInaccessible
    case .unsupported: self = Status.invalidOpcode.withDoNotRetry
    case .busy: self = .commandInterrupted
    case .refused: self = Status.accessDenied.withDoNotRetry
    }
  }
}
