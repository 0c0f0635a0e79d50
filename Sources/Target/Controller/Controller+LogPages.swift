import NVMe

/// Get Log Page (NVMe Base 2.0, 5.16).
extension Controller {
  /// Writes the part of the log that is asked for, zeros after its end; returns how many bytes that is.
  func getLogPage(_ entry: SubmissionEntry, reply: inout MutableRawSpan, now: UInt64) throws(CommandRefusal) -> Int {
    guard let page = LogPage(rawValue: entry.logPageIdentifier), supportedLogPages.contains(page) else {
      throw .permanent(.invalidLogPage)
    }
    if entry.logByteCount > UInt64(description.maximumTransferBytes) { throw .invalidField }
    try checkReplyPointer(entry)
    let offset = entry.logOffset
    if offset % 4 != 0 || entry.logOffsetIsIndex { throw .invalidField }
    let byteCount = Int(entry.logByteCount)
    if page == .discovery {
      try copyDiscoveryLog(offset: offset, byteCount: byteCount, into: &reply)
    } else {
      let log = try encodedLog(page, entry, now: now)
      if offset > UInt64(log.count) { throw .invalidField }
      Self.copy(log, from: Int(offset), byteCount: byteCount, into: &reply)
    }
    if !entry.retainsAsynchronousEvent { logWasRead(page, offset: offset) }
    return byteCount
  }

  private var supportedLogPages: [LogPage] {
    isDiscovery
      ? [.discovery]
      : [.supportedLogPages, .errorInformation, .health, .firmwareSlot, .changedNamespaces, .commandEffects, .asymmetricAccess]
  }

  private func logWasRead(_ page: LogPage, offset: UInt64) {
    switch page {
    case .changedNamespaces:
      changedNamespaces = []
      events.logWasRead(.namespaceAttribute, offset: 0)
    case .asymmetricAccess: events.logWasRead(.anaChange, offset: offset)
    case .discovery: events.logWasRead(.discoveryLog, offset: offset)
    default: break
    }
  }

  private func encodedLog(_ page: LogPage, _ entry: SubmissionEntry, now: UInt64) throws(CommandRefusal) -> [UInt8] {
    switch page {
    case .supportedLogPages:
      return Self.encoded(SupportedLogPages.byteCount) { SupportedLogPages.encode(supportedLogPages, into: &$0) }
    case .errorInformation:
      return Self.encoded(ErrorLog.capacity * ErrorLogEntry.byteCount) {
        for (index, error) in errors.entries.enumerated() { error.encode(into: &$0, at: index * ErrorLogEntry.byteCount) }
      }
    case .health:
      // There is one health log, the controller's (LPA bit 0 is clear).
      if entry.namespaceIdentifier != 0 && entry.namespaceIdentifier != NamespaceIdentifier.broadcast { throw .invalidField }
      let log = health.log(age: now > began ? now - began : 0, errorCount: errors.totalCount)
      return Self.encoded(HealthLog.byteCount) { log.encode(into: &$0) }
    case .firmwareSlot:
      let log = FirmwareSlotLog(revision: description.firmwareRevision)
      return Self.encoded(FirmwareSlotLog.byteCount) { log.encode(into: &$0) }
    case .changedNamespaces: return Self.encoded(NamespaceList.byteCount) { NamespaceList.encodeChanged(changedNamespaces, into: &$0) }
    case .commandEffects:
      if entry.logCommandSet != CommandSet.nvm.rawValue { throw .invalidField }
      return Self.encoded(CommandEffectsLog.byteCount) { Self.commandEffects.encode(into: &$0) }
    case .asymmetricAccess:
      // RGO, bit 0 of the log specific parameter: groups without their namespaces.
      let groupsOnly = entry.logSpecificParameter & 1 != 0
      let log = anaLog
      return Self.encoded(log.byteCount(groupsOnly: groupsOnly)) { log.encode(into: &$0, groupsOnly: groupsOnly) }
    case .discovery, .deviceSelfTest, .reservationNotification: throw .permanent(.invalidLogPage)
    }
  }

  /// What this controller executes, and what changes blocks.
  private static var commandEffects: CommandEffectsLog {
    var log = CommandEffectsLog()
    for opcode: AdminOpcode in [.getLogPage, .identify, .abort, .setFeatures, .getFeatures, .asynchronousEventRequest, .keepAlive] {
      log[opcode] = .supported
    }
    for opcode: IOOpcode in [.flush, .read] { log[opcode] = .supported }
    for opcode: IOOpcode in [.write, .writeZeroes, .datasetManagement] { log[opcode] = [.supported, .changesBlocks] }
    return log
  }

  private var anaLog: ANALog {
    var groups: [ANAGroup] = []
    if let namespace = subsystem.namespace {
      groups.append(
        ANAGroup(
          identifier: namespace.anaGroup, changeCount: subsystem.anaChangeCount, state: namespace.anaState,
          namespaces: [namespace.identifier]))
    }
    return ANALog(changeCount: subsystem.anaChangeCount, groups: groups)
  }

  /// The log is as long as there are records, so only the parts asked for are encoded.
  private func copyDiscoveryLog(offset: UInt64, byteCount: Int, into reply: inout MutableRawSpan) throws(CommandRefusal) {
    let view = subsystem.discoveryLog.view(for: hostName)
    if offset > UInt64(view.byteCount) { throw .invalidField }
    reply.zero(byteCount, at: 0)
    let partBytes = DiscoveryLogEntry.byteCount
    var position = Int(offset)
    let end = min(position + byteCount, view.byteCount)
    while position < end {
      let index = position / partBytes
      let part = Self.encoded(partBytes) { view.encodePart(index, into: &$0) }
      let count = min((index + 1) * partBytes, end) - position
      for byte in 0..<count {
        reply.storeLittleEndian(part[position - index * partBytes + byte], at: position + byte - Int(offset))
      }
      position += count
    }
  }

  private static func encoded(_ byteCount: Int, _ encode: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    encode(&raw)
    return bytes
  }

  private static func copy(_ log: [UInt8], from offset: Int, byteCount: Int, into reply: inout MutableRawSpan) {
    for index in 0..<byteCount { reply.storeLittleEndian(offset + index < log.count ? log[offset + index] : 0, at: index) }
  }
}
