import NVMe

/// Identify (NVMe Base 2.0, 5.17). Each structure fills 4096 bytes.
extension Controller {
  func identify(_ entry: SubmissionEntry, reply: inout MutableRawSpan) throws(CommandRefusal) {
    guard let structure = IdentifyStructure(rawValue: entry.identifyStructure) else { throw .invalidField }
    if structure == .controller { return identifyController.encode(into: &reply) }
    if isDiscovery { throw .invalidField }
    switch structure {
    case .namespace:
      try encodeNamespace(entry, into: &reply) { (namespace, bytes) in identifyNamespace(namespace).encode(into: &bytes) }
    case .namespaceForCommandSet:
      try checkCommandSet(entry)
      try encodeNamespace(entry, into: &reply) { (_, bytes) in IdentifyNamespaceNVM().encode(into: &bytes) }
    case .namespaceIndependent:
      try encodeNamespace(entry, into: &reply) { (namespace, bytes) in
        identifyNamespaceIndependent(namespace).encode(into: &bytes)
      }
    case .namespaceDescriptors:
      guard let namespace = subsystem.namespace, namespace.identifier == entry.namespaceIdentifier else {
        throw .permanent(.invalidNamespaceOrFormat)
      }
      NamespaceDescriptors(guid: namespace.guid, uuid: namespace.uuid, commandSet: CommandSet.nvm.rawValue).encode(into: &reply)
    case .activeNamespaces: try encodeActiveNamespaces(entry, into: &reply)
    case .activeNamespacesForCommandSet:
      try checkCommandSet(entry)
      try encodeActiveNamespaces(entry, into: &reply)
    case .controllerForCommandSet:
      try checkCommandSet(entry)
      identifyControllerNVM.encode(into: &reply)
    case .commandSetCombinations:
      if entry.identifyController != 0xFFFF && entry.identifyController != identifier { throw .invalidField }
      CommandSetCombinations.nvmOnly.encode(into: &reply)
    case .controller, .allocatedNamespaces, .allocatedNamespace, .namespaceControllers, .subsystemControllers: throw .invalidField
    }
  }

  private func checkCommandSet(_ entry: SubmissionEntry) throws(CommandRefusal) {
    if entry.identifyCommandSet != CommandSet.nvm.rawValue { throw .invalidField }
  }

  /// Zeros for an identifier that no namespace has; an error for one that none can have, the one for all namespaces included.
  private func encodeNamespace(
    _ entry: SubmissionEntry, into bytes: inout MutableRawSpan, _ encode: (NamespaceDescription, inout MutableRawSpan) -> Void
  ) throws(CommandRefusal) {
    let identifier = entry.namespaceIdentifier
    if identifier == 0 || identifier > SubsystemDescription.maximumNamespaceCount { throw .permanent(.invalidNamespaceOrFormat) }
    guard let namespace = subsystem.namespace, namespace.identifier == identifier else {
      return bytes.zero(IdentifyStructure.byteCount, at: 0)
    }
    encode(namespace, &bytes)
  }

  private func encodeActiveNamespaces(_ entry: SubmissionEntry, into bytes: inout MutableRawSpan) throws(CommandRefusal) {
    if entry.namespaceIdentifier >= NamespaceIdentifier.maximum { throw .permanent(.invalidNamespaceOrFormat) }
    let identifiers = subsystem.namespace.map { [$0.identifier] } ?? []
    NamespaceList.encode(identifiers, after: entry.namespaceIdentifier, into: &bytes)
  }
}

extension Controller {
  /// 2^value pages of 4096 bytes.
  private static func pageShift(_ byteCount: Int) -> UInt8 { UInt8((byteCount / 4096).trailingZeroBitCount) }

  /// CNS 01h.
  var identifyController: IdentifyController {
    var identify = IdentifyController()
    identify.serialNumber = description.serialNumber
    identify.modelNumber = description.modelNumber
    identify.firmwareRevision = description.firmwareRevision
    identify.maximumDataTransferShift = Self.pageShift(description.maximumTransferBytes)
    identify.controllerIdentifier = identifier
    identify.version = .version2
    identify.asynchronousEvents = supportedEvents
    identify.attributes = [.hostIdentifier128, .trafficBasedKeepAlive]
    identify.controllerType = (isDiscovery ? ControllerType.discovery : .io).rawValue
    identify.abortLimitZeroBased = 3
    identify.asynchronousEventLimitZeroBased = UInt8(EventQueue.requestLimit - 1)
    identify.keepAliveGranularity = KeepAliveTimer.granularity
    identify.errorLogEntriesZeroBased = UInt8(ErrorLog.capacity - 1)
    identify.maximumOutstandingCommands = UInt16(clamping: description.maximumQueueEntries)
    identify.sglSupport = [.supported, .addressAsOffset, .transportDataBlock]
    identify.subsystemName = description.name
    identify.maximumSGLDataBlocks = 1
    // LPA bit 2: NUMDU and the offset.
    identify.logPageAttributes = 1 << 2
    if !isDiscovery { describeIO(&identify) }
    return identify
  }

  private func describeIO(_ identify: inout IdentifyController) {
    let namespace = subsystem.namespace
    identify.recommendedArbitrationBurst = 6
    identify.multipathCapabilities = [.multiplePorts, .multipleControllers, .asymmetricAccess]
    identify.resumeLatencyMicroseconds = UInt32(description.readyTimeoutSeconds) * 1_000_000
    identify.entryLatencyMicroseconds = UInt32(description.readyTimeoutSeconds) * 1_000_000
    // One firmware slot, read-only.
    identify.firmwareUpdates = 1 << 0 | 1 << 1
    // LPA bit 1: the command effects log.
    identify.logPageAttributes |= 1 << 1
    identify.anaTransitionSeconds = description.anaTransitionSeconds
    identify.anaCapabilities = [
      .reportsOptimized, .reportsNonOptimized, .reportsInaccessible, .reportsPersistentLoss, .reportsChange, .groupsAreFixed,
    ]
    identify.anaGroupMaximum = NamespaceDescription.maximumANAGroup
    identify.anaGroupCount = 1
    identify.submissionEntrySizes = 0x66
    identify.completionEntrySizes = 0x44
    identify.namespaceCount = SubsystemDescription.maximumNamespaceCount
    identify.maximumAllowedNamespaces = SubsystemDescription.maximumNamespaceCount
    identify.optionalCommands = [.datasetManagement, .writeZeroes, .featureSaveAndSelect]
    // Bits 2:1: Flush of all namespaces is supported.
    identify.volatileWriteCache = 0x3 << 1 | (namespace?.hasVolatileWriteCache == true ? 1 : 0)
    identify.atomicWriteUnitZeroBased = namespace?.atomicUnitBlocksZeroBased ?? 0
    identify.atomicWriteUnitPowerFailZeroBased = namespace?.atomicUnitBlocksZeroBased ?? 0
    identify.ioCommandCapsuleSize16Bytes = UInt32((SubmissionEntry.byteCount + description.inCapsuleBytes) / 16)
    identify.ioResponseCapsuleSize16Bytes = UInt32(CompletionEntry.byteCount / 16)
  }

  /// CNS 06h with the NVM command set.
  private var identifyControllerNVM: IdentifyControllerNVM {
    var identify = IdentifyControllerNVM()
    identify.writeZeroesSizeShift = Self.pageShift(description.maximumWriteZeroesBytes)
    return identify
  }

  /// CNS 00h. Writes of aligned 4 KiB are atomic and preferred whatever the block is, so hosts see them as the physical block.
  private func identifyNamespace(_ namespace: NamespaceDescription) -> IdentifyNamespace {
    let unit = namespace.atomicUnitBlocksZeroBased
    var identify = IdentifyNamespace()
    identify.sizeBlocks = namespace.blockCount
    identify.capacityBlocks = namespace.blockCount
    identify.utilizationBlocks = namespace.blockCount
    identify.features = [.atomicSizes, .identifiersNotReused, .optimalSizes]
    identify.multipathCapabilities = 1
    // Deallocated blocks read zeros; Write Zeroes can deallocate.
    identify.deallocateFeatures = 1 | 1 << 3
    identify.atomicWriteUnitZeroBased = unit
    identify.atomicWriteUnitPowerFailZeroBased = unit
    identify.atomicBoundarySizeZeroBased = unit
    identify.atomicBoundarySizePowerFailZeroBased = unit
    identify.preferredWriteGranularityZeroBased = unit
    identify.preferredWriteAlignmentZeroBased = unit
    identify.preferredDeallocateGranularityZeroBased = unit
    identify.preferredDeallocateAlignmentZeroBased = unit
    identify.optimalWriteSizeZeroBased = unit
    identify.anaGroupIdentifier = namespace.anaGroup
    identify.attributes = namespace.isWriteProtected || isReadOnly ? 1 : 0
    identify.guid = namespace.guid
    identify.formats = [LBAFormat(dataSizeShift: UInt8(namespace.blockBytes.trailingZeroBitCount))]
    return identify
  }

  /// CNS 08h.
  private func identifyNamespaceIndependent(_ namespace: NamespaceDescription) -> IdentifyNamespaceIndependent {
    var identify = IdentifyNamespaceIndependent()
    identify.features = NamespaceFeatures.identifiersNotReused.rawValue
    identify.multipathCapabilities = 1
    identify.anaGroupIdentifier = namespace.anaGroup
    identify.attributes = namespace.isWriteProtected || isReadOnly ? 1 : 0
    identify.status = 1
    return identify
  }
}
