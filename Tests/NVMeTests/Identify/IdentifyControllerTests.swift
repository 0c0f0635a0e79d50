import NVMe
import Testing

@Suite struct IdentifyControllerTests {
  @Test func everyFieldIsAtItsOffset() throws {
    var value = IdentifyController()
    value.vendorIdentifier = 0x0A03
    value.subsystemVendorIdentifier = 0x1811
    value.serialNumber = "KEELSON0000000000042"
    value.modelNumber = "Keelson volume"
    value.firmwareRevision = "1.0"
    value.recommendedArbitrationBurst = 0xFB
    value.ieeeIdentifier = 0x100902
    value.multipathCapabilities = MultipathCapabilities(rawValue: 0x17)
    value.maximumDataTransferShift = 0x1E
    value.controllerIdentifier = 0x2C25
    value.version = SpecificationVersion(rawValue: 0x48413A33)
    value.resumeLatencyMicroseconds = 0x645D564F
    value.entryLatencyMicroseconds = 0x8079726B
    value.asynchronousEvents = AsynchronousEventConfiguration(rawValue: 0x9C958E87)
    value.attributes = ControllerAttributes(rawValue: 0xB8B1AAA3)
    value.controllerType = 0x0C
    value.fruIdentifier = Identifier128(high: 0x131A21282F363D44, low: 0x4B525960676E757C)
    value.optionalAdminCommands = 0x0A03
    value.abortLimitZeroBased = 0x11
    value.asynchronousEventLimitZeroBased = 0x18
    value.firmwareUpdates = 0x1F
    value.logPageAttributes = 0x26
    value.errorLogEntriesZeroBased = 0x2D
    value.powerStatesZeroBased = 0x34
    value.warningTemperatureKelvin = 0x5049
    value.criticalTemperatureKelvin = 0x5E57
    value.firmwareActivationTenthsOfSecond = 0x6C65
    value.totalCapacityBytes = 0x140D06FFF8F1EAE3DCD5CEC7C0B9B2AB
    value.unallocatedCapacityBytes = 0x847D766F68615A534C453E373029221B
    value.keepAliveGranularity = 0xCAC3
    value.sanitizeCapabilities = 0x100902FB
    value.anaTransitionSeconds = 0x5D
    value.anaCapabilities = ANACapabilities(rawValue: 0x64)
    value.anaGroupMaximum = 0x8079726B
    value.anaGroupCount = 0x9C958E87
    value.submissionEntrySizes = 0x03
    value.completionEntrySizes = 0x0A
    value.maximumOutstandingCommands = 0x1811
    value.namespaceCount = 0x342D261F
    value.optionalCommands = OptionalCommands(rawValue: 0x423B)
    value.fusedOperations = 0x5049
    value.formatAttributes = 0x57
    value.volatileWriteCache = 0x5E
    value.atomicWriteUnitZeroBased = 0x6C65
    value.atomicWriteUnitPowerFailZeroBased = 0x7A73
    value.vendorSpecificCommandFormat = 0x81
    value.namespaceWriteProtection = 0x88
    value.atomicCompareAndWriteUnitZeroBased = 0x968F
    value.sglSupport = SGLSupport(rawValue: 0xC0B9B2AB)
    value.maximumAllowedNamespaces = 0xDCD5CEC7
    value.subsystemName = QualifiedName("nqn.2014-08.org.example:subsystemName")
    value.ioCommandCapsuleSize16Bytes = 0x18110A03
    value.ioResponseCapsuleSize16Bytes = 0x342D261F
    value.inCapsuleDataOffset16Bytes = 0x423B
    value.fabricsControllerAttributes = 0x49
    value.maximumSGLDataBlocks = 0x50
    value.optionalFabricsCommands = 0x5E57
    value.powerState0.maximumPowerCentiwatts = 0x0A09
    value.powerState0.activePowerWorkloadAndScale = 0x5C
    checkLayout(
      value,
      [
        (0, "03 0A"),
        (2, "11 18"),
        (4, "4B 45 45 4C 53 4F 4E 30 30 30 30 30 30 30 30 30 30 30 34 32"),
        (
          24,
          "4B 65 65 6C 73 6F 6E 20 76 6F 6C 75 6D 65 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20"
        ),
        (64, "31 2E 30 20 20 20 20 20"),
        (72, "FB"),
        (73, "02 09 10"),
        (76, "17"),
        (77, "1E"),
        (78, "25 2C"),
        (80, "33 3A 41 48"),
        (84, "4F 56 5D 64"),
        (88, "6B 72 79 80"),
        (92, "87 8E 95 9C"),
        (96, "A3 AA B1 B8"),
        (111, "0C"),
        (112, "13 1A 21 28 2F 36 3D 44 4B 52 59 60 67 6E 75 7C"),
        (256, "03 0A"),
        (258, "11"),
        (259, "18"),
        (260, "1F"),
        (261, "26"),
        (262, "2D"),
        (263, "34"),
        (266, "49 50"),
        (268, "57 5E"),
        (270, "65 6C"),
        (280, "AB B2 B9 C0 C7 CE D5 DC E3 EA F1 F8 FF 06 0D 14"),
        (296, "1B 22 29 30 37 3E 45 4C 53 5A 61 68 6F 76 7D 84"),
        (320, "C3 CA"),
        (328, "FB 02 09 10"),
        (342, "5D"),
        (343, "64"),
        (344, "6B 72 79 80"),
        (348, "87 8E 95 9C"),
        (512, "03"),
        (513, "0A"),
        (514, "11 18"),
        (516, "1F 26 2D 34"),
        (520, "3B 42"),
        (522, "49 50"),
        (524, "57"),
        (525, "5E"),
        (526, "65 6C"),
        (528, "73 7A"),
        (530, "81"),
        (531, "88"),
        (532, "8F 96"),
        (536, "AB B2 B9 C0"),
        (540, "C7 CE D5 DC"),
        (
          768,
          "6E 71 6E 2E 32 30 31 34 2D 30 38 2E 6F 72 67 2E 65 78 61 6D 70 6C 65 3A 73 75 62 73 79 73 74 65 "
            + "6D 4E 61 6D 65"
        ),
        (1792, "03 0A 11 18"),
        (1796, "1F 26 2D 34"),
        (1800, "3B 42"),
        (1802, "49"),
        (1803, "50"),
        (1804, "57 5E"),
        (2048, "09 0A"),
        (2070, "5C"),
      ])
  }
  @Test func powerState() throws {
    var value = PowerState()
    value.maximumPowerCentiwatts = 0x0A03
    value.flags = 0x18
    value.entryLatencyMicroseconds = 0x342D261F
    value.exitLatencyMicroseconds = 0x5049423B
    value.relativeReadThroughput = 0x57
    value.relativeReadLatency = 0x5E
    value.relativeWriteThroughput = 0x65
    value.relativeWriteLatency = 0x6C
    value.idlePower = 0x7A73
    value.idlePowerScale = 0x81
    value.activePower = 0x968F
    value.activePowerWorkloadAndScale = 0x9D
    checkLayout(
      value,
      [
        (0, "03 0A"),
        (3, "18"),
        (4, "1F 26 2D 34"),
        (8, "3B 42 49 50"),
        (12, "57"),
        (13, "5E"),
        (14, "65"),
        (15, "6C"),
        (16, "73 7A"),
        (18, "81"),
        (20, "8F 96"),
        (22, "9D"),
      ])
  }
  @Test func textIsPaddedCutAndMadePrintable() throws {
    var value = IdentifyController()
    value.serialNumber = "A"
    let empty = image(
      IdentifyController.byteCount, [(4, "41" + String(repeating: "20", count: 19)), (24, String(repeating: "20", count: 40))])
    var raw = written(IdentifyController.byteCount) { value.encode(into: &$0) }
    #expect(raw.prefix(64).elementsEqual(empty.prefix(64)))
    for (index, byte) in bytes("20 41 00 42 43").enumerated() { raw[4 + index] = byte }
    for (index, byte) in bytes("1B 5B 41 FF 7F 20 20 42").enumerated() { raw[64 + index] = byte }
    let decoded = try decode(IdentifyController.self, raw)
    #expect(decoded.serialNumber == " A")
    #expect(decoded.firmwareRevision == "?[A??  B")
    #expect(decoded.modelNumber == "" && decoded.subsystemName == nil)
  }

  @Test func capabilityBits() {
    #expect(MultipathCapabilities([.multiplePorts, .multipleControllers, .asymmetricAccess]).rawValue == 0x0B)
    #expect(MultipathCapabilities.virtualFunction.rawValue == 0x04)
    #expect(ControllerAttributes([.hostIdentifier128, .trafficBasedKeepAlive]).rawValue == 0x41)
    #expect(ControllerAttributes.namespaceGranularity.rawValue == 0x80)
    #expect(OptionalCommands([.datasetManagement, .writeZeroes]).rawValue == 0x000C)
    #expect(OptionalCommands([.compare, .writeUncorrectable, .featureSaveAndSelect, .reservations]).rawValue == 0x0033)
    #expect(OptionalCommands([.timestamp, .verify, .copy]).rawValue == 0x01C0)
    #expect(
      ANACapabilities([.reportsOptimized, .reportsNonOptimized, .reportsInaccessible, .reportsPersistentLoss, .reportsChange]).rawValue
        == 0x1F)
    #expect(ANACapabilities([.groupsAreFixed, .groupsAreManaged]).rawValue == 0xC0)
    #expect(SGLSupport([.supported, .addressAsOffset, .transportDataBlock]).rawValue == 0x0030_0001)
    #expect(SGLSupport([.supportedDwordAligned, .keyedDataBlock, .bitBucket]).rawValue == 0x0001_0006)
    #expect(NamespaceFeatures([.thinProvisioning, .atomicSizes, .deallocatedError, .identifiersNotReused, .optimalSizes]).rawValue == 0x1F)
    #expect([ControllerType.notReported, .io, .discovery, .administrative].map(\.rawValue) == [0, 1, 2, 3])
  }
}
