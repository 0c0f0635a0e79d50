import NVMe
import Reactor

/// The commands of a fake controller's queues.
extension FakeConnection {
  func adminCommand(_ entry: SubmissionEntry) throws {
    let identifier = entry.commandIdentifier
    // The test may have changed its mind since the connection began.
    script = owner.state.withLock { $0.script }
    if let status = script.status[entry.opcode] {
      try respond(identifier, status)
      return
    }
    switch entry.adminOpcode {
    case .identify: try identify(entry)
    case .setFeatures:
      let counts = QueueCounts(submission: script.grantedQueues, completion: script.grantedQueues)
      let isQueues = entry.featureIdentifier == FeatureIdentifier.numberOfQueues.rawValue
      try respond(identifier, result: isQueues ? UInt64(counts.rawValue) : 0)
    case .keepAlive:
      owner.change { $0.sightings.keepAlives += 1 }
      if script.answersKeepAlive { try respond(identifier) }
    case .asynchronousEventRequest: parkedEvents.append(identifier)
    case .getLogPage: try log(entry)
    default: try respond(identifier, .invalidOpcode)
    }
  }

  private func identify(_ entry: SubmissionEntry) throws {
    let script = script
    switch IdentifyStructure(rawValue: entry.identifyStructure) {
    case .controller:
      var controller = IdentifyController()
      controller.controllerIdentifier = 7
      controller.serialNumber = "FAKE"
      controller.modelNumber = "Fake Controller"
      controller.maximumDataTransferShift = script.maximumTransferShift
      controller.ioCommandCapsuleSize16Bytes = (script.ioCapsuleData + 64) / 16
      controller.ioResponseCapsuleSize16Bytes = 1
      controller.sglSupport = [.supported, .addressAsOffset, .transportDataBlock]
      controller.optionalCommands = script.optionalCommands
      controller.keepAliveGranularity = 1
      controller.maximumOutstandingCommands = 128
      controller.namespaceCount = 1
      controller.asynchronousEvents = [.namespaceAttribute, .anaChange]
      controller.multipathCapabilities = [.asymmetricAccess]
      controller.anaGroupCount = 1
      controller.anaGroupMaximum = 1
      controller.controllerType = script.discovery.isEmpty ? ControllerType.io.rawValue : ControllerType.discovery.rawValue
      try sendData(entry.commandIdentifier, encoded(4096) { controller.encode(into: &$0) })
    case .controllerForCommandSet:
      var commandSet = IdentifyControllerNVM()
      commandSet.writeZeroesSizeShift = script.writeZeroesShift
      commandSet.datasetRangeSizeLimitBlocks = script.datasetRangeLimit
      try sendData(entry.commandIdentifier, encoded(4096) { commandSet.encode(into: &$0) })
    case .activeNamespaces:
      try sendData(entry.commandIdentifier, encoded(4096) { NamespaceList.encode([1], into: &$0) })
    case .namespace:
      var namespace = IdentifyNamespace()
      if entry.namespaceIdentifier == 1 {
        namespace.sizeBlocks = script.sizeBlocks
        namespace.capacityBlocks = script.sizeBlocks
        namespace.formats = [LBAFormat(dataSizeShift: script.blockShift)]
        namespace.deallocateFeatures = script.deallocateFeatures
        namespace.guid = Identifier128(high: 1, low: 2)
      }
      try sendData(entry.commandIdentifier, encoded(4096) { namespace.encode(into: &$0) })
    case .namespaceDescriptors:
      let descriptors = NamespaceDescriptors(guid: Identifier128(high: 1, low: 2), uuid: Identifier128(high: 3, low: 4), commandSet: 0)
      try sendData(entry.commandIdentifier, encoded(4096) { descriptors.encode(into: &$0) })
    default: try respond(entry.commandIdentifier, .invalidField)
    }
  }

  private func log(_ entry: SubmissionEntry) throws {
    var whole: [UInt8] = []
    switch LogPage(rawValue: entry.logPageIdentifier) {
    case .asymmetricAccess:
      let log = ANALog(changeCount: 1, groups: [ANAGroup(identifier: 1, state: script.accessState, namespaces: [1])])
      whole = encoded(log.byteCount()) { log.encode(into: &$0) }
    case .changedNamespaces: whole = encoded(4096) { NamespaceList.encode([1], into: &$0) }
    case .discovery:
      let (entries, generation) = owner.state.withLock { state in
        if entry.logOffset > 0 && state.script.discoveryChanges > 0 {
          state.script.discoveryChanges -= 1
          state.discoveryGeneration += 1
          state.script.discovery.append(state.script.discovery[0])
        }
        return (state.script.discovery, state.discoveryGeneration)
      }
      var header = DiscoveryLogHeader()
      header.generation = generation
      header.recordCount = UInt64(entries.count)
      whole = encoded(1024) { header.encode(into: &$0) }
      for entry in entries { whole += encoded(1024) { entry.encode(into: &$0) } }
    default: break
    }
    let count = Int(entry.logByteCount)
    whole += [UInt8](repeating: 0, count: Int(entry.logOffset) + count)
    try sendData(entry.commandIdentifier, Array(whole[Int(entry.logOffset)..<Int(entry.logOffset) + count]))
  }

  // MARK: I/O

  func ioCommand(_ entry: SubmissionEntry, _ data: [UInt8]) throws {
    let identifier = entry.commandIdentifier
    let shift = Int(script.blockShift)
    let offset = Int(entry.startingLBA) << shift
    let byteCount = Int(entry.blockCount) << shift
    var sighting = Sightings.Command(
      opcode: entry.opcode, startingLBA: entry.startingLBA, blockCount: UInt64(entry.blockCount), forceUnitAccess: entry.forceUnitAccess,
      deallocate: entry.deallocate)
    if entry.ioOpcode == .datasetManagement {
      let range = unsafe try DatasetRange(decoding: data.span.bytes)
      sighting = .init(
        opcode: entry.opcode, startingLBA: range.startingLBA, blockCount: UInt64(range.blockCount), deallocate: entry.datasetDeallocates)
    }
    if entry.ioOpcode == .flush { sighting = .init(opcode: entry.opcode, startingLBA: 0, blockCount: 0) }
    owner.change { $0.sightings.commands.append(sighting) }
    script.answersIO = owner.state.withLock { $0.script.answersIO }
    if !script.answersIO { return }
    if let status = script.status[entry.opcode] {
      try respond(identifier, status)
      return
    }
    if let misbehaviour = script.misbehaviour, misbehaviour.concernsWrites == (entry.ioOpcode == .write) {
      let isFirst = owner.state.withLock { state in
        defer { state.hasMisbehaved = true }
        return !state.hasMisbehaved
      }
      if isFirst {
        try misbehave(misbehaviour, entry, offset, byteCount)
        return
      }
    }
    switch entry.ioOpcode {
    case .read:
      guard offset + byteCount <= owner.state.withLock({ $0.memory.count }) else {
        try respond(identifier, .lbaOutOfRange)
        return
      }
      try sendData(
        identifier, owner.memory(offset..<offset + byteCount), pieces: script.dataPieces, withSuccess: script.usesSuccessFlag)
    case .write:
      if entry.dataPointer.isInCapsule {
        owner.change { state in
          state.sightings.inCapsuleWrites += 1
          state.memory.replaceSubrange(offset..<offset + data.count, with: data)
        }
        try respond(identifier)
      } else {
        writes[identifier] = (entry, [UInt8](repeating: 0, count: byteCount), 0, 0)
        try requestMore(identifier)
        if script.answersWritesEarly {
          writes[identifier] = nil
          try respond(identifier, .writeFault)
        }
      }
    case .writeZeroes:
      owner.change { $0.memory.replaceSubrange(offset..<offset + byteCount, with: [UInt8](repeating: 0, count: byteCount)) }
      try respond(identifier)
    case .datasetManagement:
      let start = Int(sighting.startingLBA) << shift
      let count = Int(sighting.blockCount) << shift
      owner.change { state in
        if start + count <= state.memory.count {
          state.memory.replaceSubrange(start..<start + count, with: [UInt8](repeating: 0, count: count))
        }
      }
      try respond(identifier)
    case .flush: try respond(identifier)
    default: try respond(identifier, .invalidOpcode)
    }
  }

  private func requestMore(_ identifier: UInt16) throws {
    guard let pending = writes[identifier] else { return }
    let size = max((pending.data.count / script.requestPieces + 3) & ~3, 4)
    let count = min(size, pending.data.count - pending.requested)
    writes[identifier]?.requested += count
    try write(request(identifier, offset: pending.requested, length: count))
  }

  func receivedData(_ header: DataHeader, _ data: [UInt8]) throws {
    owner.change { state in
      state.sightings.hostDataPDUs += 1
      state.sightings.largestHostData = max(state.sightings.largestHostData, header.dataLength)
    }
    guard let pending = writes[header.commandIdentifier] else {
      if script.answersWritesEarly || script.misbehaviour != nil { return }
      throw Ended()
    }
    guard header.transferTag == header.commandIdentifier ^ 0x5555, Int(header.dataOffset) == pending.received,
      pending.received + data.count <= pending.requested,
      header.isLast == (pending.received + data.count == pending.requested)
    else {
      owner.change { $0.sightings.digestFaults += 1 }
      throw Ended()
    }
    writes[header.commandIdentifier]?.data.replaceSubrange(pending.received..<pending.received + data.count, with: data)
    writes[header.commandIdentifier]?.received += data.count
    guard header.isLast else { return }
    if pending.received + data.count < pending.data.count {
      try requestMore(header.commandIdentifier)
      return
    }
    let done = writes.removeValue(forKey: header.commandIdentifier)!
    let offset = Int(done.entry.startingLBA) << Int(script.blockShift)
    owner.change { $0.memory.replaceSubrange(offset..<offset + done.data.count, with: done.data) }
    try respond(header.commandIdentifier)
  }

  // MARK: Wrong on purpose

  private func misbehave(_ kind: Misbehaviour, _ entry: SubmissionEntry, _ offset: Int, _ byteCount: Int) throws {
    let identifier = entry.commandIdentifier
    let half = byteCount / 2
    let data = [UInt8](repeating: 0xEE, count: byteCount)
    func part(_ count: Int, at offset: Int, isLast: Bool = false, isSuccess: Bool = false, claimed: Int? = nil) -> [UInt8] {
      dataPDU(identifier, Array(data[..<count]), offset: offset, isLast: isLast, isSuccess: isSuccess, claimedLength: claimed)
    }
    func common(type: UInt8, flags: UInt8 = 0, length: UInt8 = 24, total: UInt32 = 24) -> [UInt8] {
      sealed(
        encoded(24) {
          PDUCommonHeader(typeByte: type, flags: flags | (headerDigest ? 1 : 0), headerLength: length, dataOffset: 0, totalLength: total)
            .encode(into: &$0)
        })
    }
    switch kind {
    case .unknownIdentifier: try respond(identifier ^ 0x0011)
    case .responseTwice: try write(part(byteCount, at: 0, isLast: true) + response(identifier) + response(identifier))
    case .dataBeyondEnd: try write(part(byteCount, at: half, isLast: true))
    case .hugeData: try write(dataPDU(identifier, [UInt8](repeating: 1, count: (1 << 20) + 4), offset: 0, isLast: true, isSuccess: true))
    case .dataOutOfOrder: try write(part(half, at: half, isLast: true))
    case .dataForWrite: try write(part(half, at: 0))
    case .dataLengthLies: try write(part(half, at: 0, claimed: half - 4))
    case .successWithoutData: try respond(identifier)
    case .successBeforeAllData: try write(part(half, at: 0, isLast: true, isSuccess: true))
    case .dataAfterLast: try write(part(half, at: 0, isLast: true) + part(half, at: half, isLast: true))
    case .requestBeyondEnd: try write(request(identifier, offset: half, length: byteCount))
    case .requestForRead: try write(request(identifier, offset: 0, length: byteCount))
    case .requestForNothing: try write(request(identifier, offset: 0, length: 0))
    case .requestOutOfOrder: try write(request(identifier, offset: half, length: half))
    case .twoRequestsAtOnce:
      try write(request(identifier, offset: 0, length: half) + request(identifier, offset: half, length: half))
    case .successWithoutRequest: try respond(identifier)
    case .wrongHeaderDigest:
      var bytes = response(identifier)
      bytes[bytes.count - 1] ^= 0x40
      try write(bytes)
    case .unknownType: try write(common(type: 0x2A))
    case .secondInitialization: try write(initializationResponse())
    case .hostPDU: try write(common(type: PDUType.hostToControllerData.rawValue, total: 64))
    case .hugeLength: try write(common(type: PDUType.capsuleResponse.rawValue, total: .max))
    case .wrongHeaderLength: try write(common(type: PDUType.capsuleResponse.rawValue, length: 200, total: 200))
    case .silence: break
    case .hangUp: throw Ended()
    case .termination:
      try write(
        encoded(24) {
          _ = unsafe TerminationRequest(direction: .controllerToHost, fault: PDUFault(.sequenceError, information: 9))
            .encode(into: &$0, offendingHeader: [UInt8]().span.bytes)
        })
    }
  }
}
