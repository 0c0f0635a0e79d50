import NVMe
import Testing

@Suite struct ControllerPropertyTests {
  @Test func offsetsAndLengths() {
    let expected: [(ControllerProperty, UInt32, Int)] = [
      (.capabilities, 0x00, 8), (.version, 0x08, 4), (.configuration, 0x14, 4), (.status, 0x1C, 4), (.subsystemReset, 0x20, 4),
      (.subsystemShutdown, 0x64, 4), (.readyTimeouts, 0x68, 4),
    ]
    #expect(ControllerProperty.allCases == expected.map(\.0))
    for (property, offset, count) in expected { #expect(property.rawValue == offset && property.byteCount == count) }
    #expect(ControllerProperty.subsystemResetValue == 0x4E56_4D65)
  }

  @Test func capabilities() {
    var value = ControllerCapabilities(rawValue: 0)
    var expected: UInt64 = 0
    func check(_ bits: UInt64, sourceLocation: SourceLocation = #_sourceLocation) {
      expected |= bits
      #expect(value.rawValue == expected, sourceLocation: sourceLocation)
    }
    value.maximumQueueEntriesZeroBased = 0x7F
    check(0x7F)
    value.requiresContiguousQueues = true
    check(1 << 16)
    value.arbitrationMechanisms = 3
    check(3 << 17)
    value.timeoutHalfSeconds = 0xA5
    check(0xA5 << 24)
    value.doorbellStride = 0xF
    check(0xF << 32)
    value.supportsSubsystemReset = true
    check(1 << 36)
    value.commandSets = 0x41
    check(0x41 << 37)
    value.minimumPageSizeShift = 0x9
    check(0x9 << 48)
    value.maximumPageSizeShift = 0x6
    check(0x6 << 52)
    value.supportsReadyWithMedia = true
    check(1 << 59)
    value.supportsReadyIndependentOfMedia = true
    check(1 << 60)
    #expect(value.maximumQueueEntriesZeroBased == 0x7F && value.requiresContiguousQueues && value.arbitrationMechanisms == 3)
    #expect(value.timeoutHalfSeconds == 0xA5 && value.doorbellStride == 0xF && value.supportsSubsystemReset && value.commandSets == 0x41)
    #expect(value.minimumPageSizeShift == 9 && value.maximumPageSizeShift == 6)
    #expect(value.supportsReadyWithMedia && value.supportsReadyIndependentOfMedia)
    value.supportsSubsystemReset = false
    value.commandSets = 0
    #expect(value.rawValue == expected & ~(0x1FF << 36))
  }

  @Test func version() {
    #expect(SpecificationVersion.version2.rawValue == 0x0002_0000 && SpecificationVersion.version2.description == "2.0")
    let version = SpecificationVersion(rawValue: 0x0001_0302)
    #expect(version.major == 1 && version.minor == 3 && version.tertiary == 2 && version.description == "1.3.2")
  }

  @Test func configuration() {
    // What Linux writes when it enables a fabrics controller: EN, IOSQES 6, IOCQES 4.
    var value = ControllerConfiguration(rawValue: 0x0046_0001)
    #expect(value.isEnabled && value.submissionEntrySizeShift == 6 && value.completionEntrySizeShift == 4)
    #expect(value.commandSet == 0 && value.pageSizeShift == 0 && value.arbitration == 0 && value.shutdown == .none)
    value.shutdown = .normal
    #expect(value.rawValue == 0x0046_4001)
    value.shutdown = .abrupt
    #expect(value.rawValue == 0x0046_8001)
    #expect(ControllerConfiguration(rawValue: 0xC000).shutdown == .reserved)
    value = ControllerConfiguration(rawValue: 0)
    value.commandSet = 6
    #expect(value.rawValue == 0x60 && value.commandSet == 6)
    value.pageSizeShift = 0xF
    #expect(value.rawValue == 0x7E0 && value.pageSizeShift == 0xF)
    value.arbitration = 7
    #expect(value.rawValue == 0x3FE0 && value.arbitration == 7)
    value.readyIndependentOfMedia = true
    #expect(value.rawValue == 0x0100_3FE0 && value.readyIndependentOfMedia)
    value = ControllerConfiguration(rawValue: 0)
    value.isEnabled = true
    value.submissionEntrySizeShift = 6
    value.completionEntrySizeShift = 4
    #expect(value.rawValue == 0x0046_0001)
  }

  @Test func status() {
    var value = ControllerStatus(rawValue: 0)
    value.isReady = true
    #expect(value.rawValue == 0x01 && value.isReady)
    value.isFatal = true
    #expect(value.rawValue == 0x03 && value.isFatal)
    value.shutdown = .occurring
    #expect(value.rawValue == 0x07 && value.shutdown == .occurring)
    value.shutdown = .complete
    #expect(value.rawValue == 0x0B && value.shutdown == .complete)
    value.subsystemResetOccurred = true
    #expect(value.rawValue == 0x1B && value.subsystemResetOccurred)
    value.isProcessingPaused = true
    #expect(value.rawValue == 0x3B && value.isProcessingPaused)
    value.isSubsystemShutdown = true
    #expect(value.rawValue == 0x7B && value.isSubsystemShutdown)
    value.shutdown = .none
    #expect(value.rawValue == 0x73 && value.shutdown == .none)
    #expect(ControllerStatus(rawValue: 0x0C).shutdown == .reserved)
  }

  @Test func readyTimeouts() {
    let value = ControllerReadyTimeouts(withMediaHalfSeconds: 0x0201, independentOfMediaHalfSeconds: 0x0403)
    #expect(value.rawValue == 0x0403_0201 && value.withMediaHalfSeconds == 0x0201 && value.independentOfMediaHalfSeconds == 0x0403)
  }
}
