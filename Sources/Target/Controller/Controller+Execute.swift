import NVMe

/// Commands of the admin queue.
extension Controller {
  /// The most bytes that `execute` puts into its reply for this command; 0 when it sends none. At most the subsystem's
  /// `maximumTransferBytes` (and 4096 at least).
  func replyByteCount(_ entry: SubmissionEntry) -> Int {
    switch entry.adminOpcode {
    case .identify: return IdentifyStructure.byteCount
    case .getLogPage: return entry.logByteCount <= UInt64(description.maximumTransferBytes) ? Int(entry.logByteCount) : 0
    case .getFeatures: return entry.featureIdentifier == FeatureIdentifier.hostIdentifier.rawValue ? Identifier128.byteCount : 0
    default: return 0
    }
  }

  /// Executes a command of the admin queue. No command of this queue but Connect reads data from the host, so none is taken: the
  /// answer to one that brings data (Set Features of the host identifier, which Connect has set) is an error.
  ///
  /// - Parameter reply: at least `replyByteCount(entry)` bytes. Of a completion's `dataByteCount` all are written.
  func execute(_ entry: SubmissionEntry, reply: inout MutableRawSpan, now: UInt64) -> AdminOutcome {
    touch(now)
    precondition(reply.byteCount >= replyByteCount(entry))
    do {
      return try dispatch(entry, reply: &reply, now: now)
    } catch {
      recordError(queueIdentifier: 0, entry: entry, status: error.status)
      return .complete(AdminCompletion(status: error.status, result: error.result))
    }
  }

  private func dispatch(_ entry: SubmissionEntry, reply: inout MutableRawSpan, now: UInt64) throws(CommandRefusal) -> AdminOutcome {
    if events.requests.contains(entry.commandIdentifier) { throw .permanent(.commandIdentifierConflict) }
    // Message-based transports know SGLs only, and fused commands are not supported.
    if entry.fusedOperation != 0 || !(1...2).contains(entry.dataPointerFormat) { throw .invalidField }
    guard let opcode = entry.adminOpcode else { throw .permanent(.invalidOpcode) }
    if opcode == .fabrics { return .complete(try executeFabrics(entry)) }
    if !status.isReady || effectInProgress != nil || status.shutdown != .none { throw .permanent(.commandSequenceError) }
    switch opcode {
    case .identify:
      try checkReplyPointer(entry)
      try identify(entry, reply: &reply)
      return .complete(AdminCompletion(dataByteCount: IdentifyStructure.byteCount))
    case .getLogPage:
      return .complete(AdminCompletion(dataByteCount: try getLogPage(entry, reply: &reply, now: now)))
    case .getFeatures: return .complete(try getFeatures(entry, reply: &reply))
    case .setFeatures: return .complete(AdminCompletion(result: try setFeatures(entry)))
    case .keepAlive: return .complete(AdminCompletion())
    case .asynchronousEventRequest:
      if !events.park(commandIdentifier: entry.commandIdentifier) { throw .permanent(.asynchronousEventLimitExceeded) }
      return .parked
    case .abort: return abort(entry)
    default: throw .permanent(.invalidOpcode)
    }
  }

  private func executeFabrics(_ entry: SubmissionEntry) throws(CommandRefusal) -> AdminCompletion {
    switch entry.fabricsCommandType {
    case .propertyGet: return AdminCompletion(result: try property(entry))
    case .propertySet: return AdminCompletion(effect: try setProperty(entry))
    case .connect: throw .permanent(.commandSequenceError)
    default: throw .permanent(.invalidOpcode)
    }
  }

  /// The status of a fabrics command on an I/O queue that is connected: there is none to execute.
  static func statusOfFabricsOnIOQueue(_ entry: SubmissionEntry) -> Status {
    entry.fabricsCommandType == .connect ? Status.commandSequenceError.withDoNotRetry : Status.invalidOpcode.withDoNotRetry
  }

  /// Commands of this queue are executed as they come, so of those only a parked request can be aborted.
  private func abort(_ entry: SubmissionEntry) -> AdminOutcome {
    let queueIdentifier = entry.abortedQueueIdentifier
    let commandIdentifier = entry.abortedCommandIdentifier
    if queueIdentifier == 0 && events.abort(commandIdentifier: commandIdentifier) {
      return .complete(AdminCompletion(abortedRequest: commandIdentifier))
    }
    if ioQueues.contains(queueIdentifier) { return .abort(queueIdentifier: queueIdentifier, commandIdentifier: commandIdentifier) }
    return .complete(AdminCompletion(result: AdminCompletion.notAborted))
  }

  /// Data to the host travels in data PDUs, and is exactly as long as the command says (SGLS has no bit 18).
  func checkReplyPointer(_ entry: SubmissionEntry) throws(CommandRefusal) {
    if !entry.dataPointer.isTransportDataBlock { throw .permanent(.sglDescriptorTypeInvalid) }
    if Int(entry.dataPointer.length) != replyByteCount(entry) { throw .permanent(.dataSGLLengthInvalid) }
  }
}
