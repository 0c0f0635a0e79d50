import NVMe
import Testing

@testable import Target

@Suite struct ControllerIdentifyTests {
  private func structure(
    _ controller: Controller, _ structure: IdentifyStructure, namespace: UInt32 = 0, controllerIdentifier: UInt16 = 0
  ) throws -> [UInt8] {
    let (completion, data) = try controller.completed(
      .identify(
        commandIdentifier: 1, structure: structure.rawValue, namespaceIdentifier: namespace, controllerIdentifier: controllerIdentifier))
    #expect(completion.status == .success)
    #expect(data.count == 4096)
    return data
  }

  private func status(
    _ controller: Controller, _ structure: UInt8, namespace: UInt32 = 0, controllerIdentifier: UInt16 = 0, commandSet: UInt8 = 0
  ) throws -> Status {
    try controller.status(
      of: .identify(
        commandIdentifier: 1, structure: structure, namespaceIdentifier: namespace, controllerIdentifier: controllerIdentifier,
        commandSet: commandSet))
  }

  @Test func `an io controller has what a Linux host checks`() throws {
    let controller = try Fixture.enabledController()
    let data = try structure(controller, .controller)
    let identify = try decode(data, IdentifyController.init(decoding:at:))
    #expect(identify.controllerIdentifier == controller.identifier)
    #expect(identify.keepAliveGranularity == 10)
    #expect(identify.sglSupport.rawValue == 0x30_0001)
    #expect(identify.inCapsuleDataOffset16Bytes == 0)
    #expect(identify.ioCommandCapsuleSize16Bytes == 516)
    #expect(identify.ioResponseCapsuleSize16Bytes == 1)
    #expect(identify.maximumOutstandingCommands == 128)
    #expect(identify.maximumDataTransferShift == 8)
    #expect(identify.namespaceCount == 1024 && identify.maximumAllowedNamespaces == 1024)
    #expect(identify.multipathCapabilities.rawValue == 0x0B)
    #expect(identify.anaCapabilities.rawValue == 0x5F)
    #expect(identify.anaGroupCount == 1 && identify.anaGroupMaximum == 1024)
    #expect(identify.anaTransitionSeconds == 20)
    #expect(identify.asynchronousEvents.rawValue == 0x900)
    #expect(identify.optionalCommands.rawValue == 0x1C)
    #expect(identify.volatileWriteCache == 7)
    #expect(identify.controllerType == 1)
    #expect(identify.version == .version2)
    #expect(identify.attributes.rawValue == 0x41)
    #expect(identify.submissionEntrySizes == 0x66 && identify.completionEntrySizes == 0x44)
    #expect(identify.abortLimitZeroBased == 3 && identify.asynchronousEventLimitZeroBased == 3)
    #expect(identify.errorLogEntriesZeroBased == 63)
    #expect(identify.logPageAttributes == 0x06)
    #expect(identify.maximumSGLDataBlocks == 1)
    #expect(identify.optionalFabricsCommands == 0 && identify.fabricsControllerAttributes == 0)
    #expect(identify.optionalAdminCommands == 0)
    #expect(identify.atomicWriteUnitZeroBased == 7 && identify.atomicWriteUnitPowerFailZeroBased == 7)
    #expect(identify.serialNumber == "SERIAL-0001" && identify.modelNumber == "Keelson" && identify.firmwareRevision == "0.1")
    #expect(identify.subsystemName == Fixture.volumeName)
    #expect(identify.firmwareUpdates == 3)
  }

  @Test func `a discovery controller identifies itself as such and nothing else`() throws {
    let controller = try Fixture.enabledController(Fixture.discovery())
    let data = try structure(controller, .controller)
    let identify = try decode(data, IdentifyController.init(decoding:at:))
    #expect(identify.controllerType == 2)
    #expect(identify.asynchronousEvents == .discoveryLogChange)
    #expect(identify.subsystemName == .discovery)
    #expect(identify.maximumOutstandingCommands == 32)
    #expect(identify.maximumDataTransferShift == 1)
    #expect(identify.sglSupport.rawValue == 0x30_0001)
    #expect(identify.keepAliveGranularity == 10)
    #expect(identify.namespaceCount == 0)
    #expect(identify.logPageAttributes == 0x04)
    for other in IdentifyStructure.allCases where other != .controller {
      #expect(try status(controller, other.rawValue, namespace: 1) == Status.invalidField.withDoNotRetry)
    }
  }

  @Test(arguments: [(UInt32(512), UInt8(9), UInt64(2_097_152), UInt16(7)), (4096, 12, 262_144, 0)])
  func `a namespace shows its 4 KiB unit in blocks`(blockBytes: UInt32, shift: UInt8, blocks: UInt64, unit: UInt16) throws {
    let controller = try Fixture.enabledController(Fixture.subsystem(namespace: Fixture.namespace(blockBytes: blockBytes)))
    let data = try structure(controller, .namespace, namespace: 1)
    let identify = try decode(data, IdentifyNamespace.init(decoding:at:))
    #expect(identify.sizeBlocks == blocks && identify.capacityBlocks == blocks && identify.utilizationBlocks == blocks)
    #expect(identify.formats == [LBAFormat(dataSizeShift: shift)])
    #expect(identify.formattedLBASize == 0)
    #expect(identify.features.rawValue == 0x1A)
    #expect(identify.atomicWriteUnitZeroBased == unit && identify.atomicWriteUnitPowerFailZeroBased == unit)
    #expect(identify.atomicBoundarySizeZeroBased == unit && identify.atomicBoundarySizePowerFailZeroBased == unit)
    #expect(identify.preferredWriteGranularityZeroBased == unit && identify.preferredWriteAlignmentZeroBased == unit)
    #expect(identify.preferredDeallocateGranularityZeroBased == unit && identify.preferredDeallocateAlignmentZeroBased == unit)
    #expect(identify.optimalWriteSizeZeroBased == unit)
    #expect(identify.multipathCapabilities == 1)
    #expect(identify.deallocateFeatures == 9)
    #expect(identify.anaGroupIdentifier == 1)
    #expect(identify.attributes == 0)
    #expect(identify.guid == Fixture.guid)
    #expect(identify.eui64 == 0)
  }

  @Test func `a write-protected namespace says so`() throws {
    let controller = try Fixture.enabledController(Fixture.subsystem(namespace: Fixture.namespace(isWriteProtected: true)))
    #expect(try structure(controller, .namespace, namespace: 1)[99] == 1)
    #expect(try structure(controller, .namespaceIndependent, namespace: 1)[8] == 1)
  }

  @Test func `without a volatile write cache Flush of all namespaces is still supported`() throws {
    let controller = try Fixture.enabledController(Fixture.subsystem(namespace: Fixture.namespace(hasVolatileWriteCache: false)))
    #expect(try structure(controller, .controller)[525] == 6)
  }

  @Test(arguments: [IdentifyStructure.namespace, .namespaceForCommandSet, .namespaceIndependent])
  func `an id without a namespace reads zeros and an impossible one is an error`(kind: IdentifyStructure) throws {
    let controller = try Fixture.enabledController()
    let zeros = [UInt8](repeating: 0, count: 4096)
    #expect(try structure(controller, kind, namespace: 2) == zeros)
    #expect(try structure(controller, kind, namespace: 1024) == zeros)
    for namespace: UInt32 in [0, 1025, 0xFFFF_FFFE, 0xFFFF_FFFF] {
      #expect(try status(controller, kind.rawValue, namespace: namespace) == Status.invalidNamespaceOrFormat.withDoNotRetry)
    }
    let empty = try Fixture.enabledController(Fixture.subsystem(namespace: nil))
    #expect(try structure(empty, kind, namespace: 1) == zeros)
  }

  @Test func `the namespace's descriptors are NGUID UUID and command set`() throws {
    let controller = try Fixture.enabledController()
    let data = try structure(controller, .namespaceDescriptors, namespace: 1)
    let descriptors = try decode(data, NamespaceDescriptors.init(decoding:at:))
    #expect(descriptors == NamespaceDescriptors(guid: Fixture.guid, uuid: Fixture.uuid, commandSet: 0))
    for namespace: UInt32 in [0, 2, 0xFFFF_FFFF] {
      #expect(
        try status(controller, IdentifyStructure.namespaceDescriptors.rawValue, namespace: namespace)
          == Status.invalidNamespaceOrFormat.withDoNotRetry)
    }
  }

  @Test(arguments: [IdentifyStructure.activeNamespaces, .activeNamespacesForCommandSet])
  func `active namespaces are those above the id given`(kind: IdentifyStructure) throws {
    let controller = try Fixture.enabledController()
    #expect(try decode(try structure(controller, kind), NamespaceList.decode(_:at:)) == [1])
    #expect(try decode(try structure(controller, kind, namespace: 1), NamespaceList.decode(_:at:)) == [])
    #expect(try decode(try structure(controller, kind, namespace: 0xFFFF_FFFD), NamespaceList.decode(_:at:)) == [])
    for namespace: UInt32 in [0xFFFF_FFFE, 0xFFFF_FFFF] {
      #expect(try status(controller, kind.rawValue, namespace: namespace) == Status.invalidNamespaceOrFormat.withDoNotRetry)
    }
    let empty = try Fixture.enabledController(Fixture.subsystem(namespace: nil))
    #expect(try decode(try structure(empty, kind), NamespaceList.decode(_:at:)) == [])
  }

  @Test(arguments: [IdentifyStructure.namespaceForCommandSet, .controllerForCommandSet, .activeNamespacesForCommandSet])
  func `other command sets than NVM are an invalid field`(kind: IdentifyStructure) throws {
    let controller = try Fixture.enabledController()
    for commandSet: UInt8 in [1, 2, 0xFF] {
      #expect(try status(controller, kind.rawValue, namespace: 1, commandSet: commandSet) == Status.invalidField.withDoNotRetry)
    }
  }

  @Test func `the NVM command set's controller limits Write Zeroes alone`() throws {
    let controller = try Fixture.enabledController()
    let identify = try decode(try structure(controller, .controllerForCommandSet), IdentifyControllerNVM.init(decoding:at:))
    var expected = IdentifyControllerNVM()
    expected.writeZeroesSizeShift = 13
    #expect(identify == expected)
  }

  @Test func `the namespace independent of command sets is shared ready and in its group`() throws {
    let controller = try Fixture.enabledController()
    let data = try structure(controller, .namespaceIndependent, namespace: 1)
    let identify = try decode(data, IdentifyNamespaceIndependent.init(decoding:at:))
    #expect(identify.multipathCapabilities == 1 && identify.anaGroupIdentifier == 1 && identify.status == 1 && identify.features == 8)
  }

  @Test func `the command set combinations are NVM alone`() throws {
    let controller = try Fixture.enabledController()
    for identifier in [0xFFFF, controller.identifier] {
      let data = try structure(controller, .commandSetCombinations, controllerIdentifier: identifier)
      #expect(try decode(data, CommandSetCombinations.init(decoding:at:)) == .nvmOnly)
    }
    #expect(try status(controller, 0x1C, controllerIdentifier: 77) == Status.invalidField.withDoNotRetry)
  }

  @Test(arguments: [0x04, 0x09, 0x10, 0x11, 0x12, 0x13, 0x14, 0x1D, 0x20, 0xC0, 0xFF] as [UInt8])
  func `other structures are an invalid field`(structure: UInt8) throws {
    #expect(try status(try Fixture.enabledController(), structure, namespace: 1) == Status.invalidField.withDoNotRetry)
  }

  @Test func `the data must be exactly 4096 bytes in data PDUs`() throws {
    let controller = try Fixture.enabledController()
    for length: UInt32 in [0, 4, 4092, 4100, 8192] {
      let entry = SubmissionEntry.identify(commandIdentifier: 1, structure: 1, data: .transportDataBlock(length: length))
      #expect(try controller.status(of: entry) == Status.dataSGLLengthInvalid.withDoNotRetry)
    }
    let entry = SubmissionEntry.identify(commandIdentifier: 1, structure: 1, data: .inCapsule(length: 4096))
    #expect(try controller.status(of: entry) == Status.sglDescriptorTypeInvalid.withDoNotRetry)
  }
}
