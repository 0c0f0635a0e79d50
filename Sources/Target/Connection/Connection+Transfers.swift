import NVMe
import Reactor
import Transport

/// Data and responses: buffers, R2T, C2HData.
extension Connection {
  /// Transfers from this size on are worth receiving without a copy.
  private static let bulkBytes: UInt32 = 16 << 10

  /// Frees a slot and its buffer. Nothing may refer to the buffer any more.
  func releaseSlot(_ index: Int) {
    if let buffer = unsafe slots[index].buffer {
      if hasVendorMemory(index) {
        unsafe buffer.deallocate()
      } else {
        unsafe memory.release(buffer, of: share, isForCapsule: slots[index].isBufferForCapsule)
      }
    }
    identifiers.remove(index, in: slots)
    slots.free(index)
  }

  /// Goes on with a command that needs a buffer, now or when one is free.
  func startWithBuffer(_ index: Int) {
    guard let buffer = unsafe memory.takeForTransfer(Int(slots[index].transferBytes), self, slot: index) else {
      slots[index].state = .waitingForBuffer
      return
    }
    unsafe slots[index].buffer = unsafe buffer
    if slots[index].opcode == IOOpcode.read.rawValue && queueID != 0 {
      execute(index, .read)
    } else if queueID == 0 {
      executeAdmin(index)
    } else {
      requestData(index)
    }
  }

  /// One R2T for all of the command's data; sent only now that there is a buffer for them.
  private func requestData(_ index: Int) {
    slots[index].state = .receiving
    awaitedTransferCount += 1
    if slots[index].transferBytes >= Self.bulkBytes {
      bulkCount += 1
      expectsBulkData = true
    }
    let request = ReadyToTransfer(
      commandIdentifier: slots[index].commandIdentifier, transferTag: UInt16(truncatingIfNeeded: index), requestedOffset: 0,
      requestedLength: slots[index].transferBytes, headerDigest: usesHeaderDigest)
    let place = unsafe appendHeader(byteCount: Int(request.common.totalLength))
    var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: ReadyToTransfer.byteCount)
    request.encode(into: &span)
    unsafe sealHeader(place, byteCount: ReadyToTransfer.byteCount)
  }

  /// H2CData: the answer to an R2T, in order, wholly inside what was asked for.
  func receivedData(_ bytes: RawSpan) -> PayloadPlan {
    guard stage == .serving, let header = try? DataHeader(decoding: bytes) else {
      return terminate(PDUFault(.sequenceError, information: 0), bytes)
    }
    if let fault = header.fault { return terminate(fault, bytes) }
    let index = Int(header.transferTag)
    guard slots.isInUse(index), slots[index].state == .receiving, !slots[index].isInCapsule, let buffer = unsafe slots[index].buffer else {
      return terminate(.invalidField(at: 10), bytes)
    }
    guard header.commandIdentifier == slots[index].commandIdentifier else { return terminate(.invalidField(at: 8), bytes) }
    guard header.dataOffset == slots[index].receivedBytes else {
      return terminate(PDUFault(.dataTransferOutOfRange, information: 12), bytes)
    }
    let remaining = slots[index].transferBytes - slots[index].receivedBytes
    guard header.dataLength <= remaining else { return terminate(PDUFault(.dataTransferOutOfRange, information: 16), bytes) }
    // LAST_PDU belongs on the PDU that completes the transfer and on no other.
    guard header.isLast == (header.dataLength == remaining) else { return terminate(.invalidField(at: 1), bytes) }
    slots[index].receivedBytes += header.dataLength
    receivingSlot = index
    return unsafe .store(buffer + Int(header.dataOffset))
  }

  /// The data of a command, or a part of them, have come.
  func dataReceived(isIntact: Bool) {
    if connectEntry != nil {
      connectDataReceived(isIntact: isIntact)
      return
    }
    let index = receivingSlot
    precondition(index >= 0, "data without a command")
    if !isIntact {
      // The transport itself is sound: the command fails, once all of its data have come, and may be tried again
      // (NVMe/TCP 3.7.2.2).
      slots[index].isCorrupt = true
    }
    if !slots[index].isInCapsule && slots[index].receivedBytes < slots[index].transferBytes { return }
    endTransfer(index)
    if slots[index].isCorrupt {
      respond(index, .transientTransportError)
    } else if queueID == 0 {
      executeVendor(index)
    } else if slots[index].opcode == IOOpcode.datasetManagement.rawValue {
      executeDatasetManagement(index)
    } else {
      execute(index, .write)
    }
  }

  private func endTransfer(_ index: Int) {
    if slots[index].isInCapsule { return }
    awaitedTransferCount -= 1
    guard slots[index].transferBytes >= Self.bulkBytes else { return }
    bulkCount -= 1
    expectsBulkData = bulkCount > 0
  }

  /// C2HData with all of the command's data, and the response in its SUCCESS flag where the host allows that.
  func sendData(_ index: Int, byteCount limit: UInt32? = nil, result: UInt64 = 0) {
    slots[index].state = .sending
    let byteCount = limit ?? slots[index].transferBytes
    guard let buffer = unsafe slots[index].buffer, byteCount > 0 else {
      respond(index, .success, result: result)
      return
    }
    let standsForResponse = disablesFlowControl && result == 0
    let header = DataHeader.controllerToHost(
      commandIdentifier: slots[index].commandIdentifier, dataOffset: 0, dataLength: byteCount, isLast: true,
      isSuccess: standsForResponse, headerDigest: usesHeaderDigest, dataDigest: usesDataDigest, alignment: hostDataAlignment)
    let place = unsafe appendHeader(byteCount: Int(header.common.dataOffset))
    var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: Int(header.common.dataOffset))
    if hostDataAlignment > 4 { span.zero(Int(header.common.dataOffset), at: 0) }
    header.encode(into: &span)
    unsafe sealHeader(place, byteCount: DataHeader.byteCount)
    unsafe appendPayload(buffer, byteCount: Int(byteCount), token: UInt64(index))
    unsafe appendDataDigest(buffer, byteCount: Int(byteCount))
    if !standsForResponse { appendResponse(index, .success, result: result) }
  }

  /// Answers a command and frees its slot.
  func respond(_ index: Int, _ status: Status, result: UInt64 = 0) {
    appendResponse(index, status, result: result)
    if !status.isSuccess, queueID != 0 {
      subsystem?.traffic.countRefusal(status)
      let failed = SubmissionEntry(
        opcode: slots[index].opcode, commandIdentifier: slots[index].commandIdentifier, namespaceIdentifier: core.namespaceID)
      controller?.recordError(
        queueIdentifier: queueID, entry: failed, status: status, lba: slots[index].offsetBytes >> blockShift)
    }
    releaseSlot(index)
  }

  private func appendResponse(_ index: Int, _ status: Status, result: UInt64) {
    sendCompletion(
      CompletionEntry(
        commandIdentifier: slots[index].commandIdentifier, status: status, result: result, submissionQueueHead: submissionQueueHead))
  }

  func sendCompletion(_ entry: CompletionEntry) {
    let response = CapsuleResponse(entry, headerDigest: usesHeaderDigest)
    let place = unsafe appendHeader(byteCount: Int(response.common.totalLength))
    var span = unsafe MutableRawSpan(_unsafeStart: place, byteCount: CapsuleResponse.byteCount)
    response.encode(into: &span)
    unsafe sealHeader(place, byteCount: CapsuleResponse.byteCount)
  }
}
