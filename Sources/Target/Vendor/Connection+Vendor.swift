import NVMe
import Reactor
import Transport

/// Vendor specific commands of the admin queue: they belong to the controller's attachment, and may take their time.
extension Connection {
  /// The attachment that a command is for; nil where the controller has none or the command is not vendor specific.
  func attachment(for entry: SubmissionEntry) -> ControllerAttachment? {
    guard entry.opcode >= ControllerAttachment.firstVendorOpcode, queueID == 0, let controller else { return nil }
    return subsystem?.attachment(of: controller)
  }

  func receivedVendor(_ index: Int, _ entry: SubmissionEntry, inCapsuleBytes: UInt32) -> PayloadPlan {
    guard let controller, controller.acceptsIO else { return refuse(index, Status.commandSequenceError.withDoNotRetry) }
    if entry.fusedOperation != 0 || entry.dataPointerFormat != 1 { return refuse(index, Status.invalidField.withDoNotRetry) }
    let pointer = entry.dataPointer
    if entry.transfersToController {
      // There is no R2T on this queue: what does not fit into a capsule is not taken.
      guard inCapsuleBytes > 0, pointer.length == inCapsuleBytes else {
        return refuse(index, Status.dataSGLLengthInvalid.withDoNotRetry)
      }
      guard pointer.isInCapsule else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
      guard pointer.address == 0 else { return refuse(index, Status.sglOffsetInvalid.withDoNotRetry) }
      adminEntries[index] = entry
      receivingSlot = index
      return unsafe .store(takeVendorMemory(index, byteCount: inCapsuleBytes))
    }
    if entry.transfersToHost {
      guard pointer.isTransportDataBlock else { return refuse(index, Status.sglDescriptorTypeInvalid.withDoNotRetry) }
      guard pointer.length > 0, pointer.length <= UInt32(ControllerAttachment.maximumReplyBytes) else {
        return refuse(index, Status.dataSGLLengthInvalid.withDoNotRetry)
      }
      _ = unsafe takeVendorMemory(index, byteCount: pointer.length)
    }
    adminEntries[index] = entry
    executeVendor(index)
    return .discard
  }

  /// Memory of its own for one command: it never waits for what data commands hold (R14). A queue has few entries, and each takes
  /// at most 64 KiB.
  private func takeVendorMemory(_ index: Int, byteCount: UInt32) -> UnsafeMutableRawPointer {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: Int(byteCount), alignment: 8)
    unsafe slots[index].buffer = unsafe memory
    slots[index].transferBytes = byteCount
    return unsafe memory
  }

  /// Whether a command's buffer is memory of its own, and not of an arena.
  @inline(__always)
  func hasVendorMemory(_ index: Int) -> Bool { queueID == 0 && slots[index].opcode >= ControllerAttachment.firstVendorOpcode }

  /// The command is whole: its data are here, or the memory for those it asks for.
  func executeVendor(_ index: Int) {
    guard let entry = adminEntries[index] else { return respond(index, .internalError) }
    adminEntries[index] = nil
    guard let attachment = attachment(for: entry) else { return respond(index, Status.invalidOpcode.withDoNotRetry) }
    var data: [UInt8] = []
    if entry.transfersToController, let buffer = unsafe slots[index].buffer {
      data = unsafe [UInt8](UnsafeRawBufferPointer(start: buffer, count: Int(slots[index].transferBytes)))
    }
    slots[index].state = .executing
    executingCount += 1
    // Holds on to this connection: it outlives its commands.
    attachment.execute(entry, data: data) { [self] outcome in vendorFinished(index, outcome) }
  }

  private func vendorFinished(_ index: Int, _ outcome: ControllerAttachment.Outcome) {
    executingCount -= 1
    if isClosed {
      releaseSlot(index)
      if executingCount == 0 && isReleased { core.connectionSettled(self) }
      return
    }
    if stage == .terminating { return releaseSlot(index) }
    switch outcome {
    case .result(let result): respond(index, .success, result: result)
    case .refused(let status): respond(index, status)
    case .data(let bytes):
      guard let buffer = unsafe slots[index].buffer, bytes.count == Int(slots[index].transferBytes) else {
        return respond(index, .internalError)
      }
      unsafe bytes.withUnsafeBytes { unsafe buffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      sendData(index)
    }
  }
}
