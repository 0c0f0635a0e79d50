import NVMe
import Testing

@Suite struct FeatureTests {
  @Test func identifiers() {
    let expected: [(FeatureIdentifier, UInt8)] = [
      (.arbitration, 0x01), (.powerManagement, 0x02), (.lbaRangeType, 0x03), (.temperatureThreshold, 0x04), (.errorRecovery, 0x05),
      (.volatileWriteCache, 0x06), (.numberOfQueues, 0x07), (.interruptCoalescing, 0x08), (.interruptVectorConfiguration, 0x09),
      (.writeAtomicity, 0x0A), (.asynchronousEventConfiguration, 0x0B), (.autonomousPowerStateTransition, 0x0C),
      (.hostMemoryBuffer, 0x0D), (.timestamp, 0x0E), (.keepAliveTimer, 0x0F), (.hostControlledThermalManagement, 0x10),
      (.nonOperationalPowerState, 0x11), (.readRecoveryLevel, 0x12), (.predictableLatencyMode, 0x13), (.predictableLatencyWindow, 0x14),
      (.lbaStatusInformation, 0x15), (.hostBehaviorSupport, 0x16), (.sanitizeConfiguration, 0x17), (.enduranceGroupEvents, 0x18),
      (.commandSetProfile, 0x19), (.spinup, 0x1A), (.softwareProgressMarker, 0x80), (.hostIdentifier, 0x81),
      (.reservationNotificationMask, 0x82), (.reservationPersistence, 0x83), (.namespaceWriteProtection, 0x84),
    ]
    #expect(FeatureIdentifier.allCases == expected.map(\.0))
    for (feature, value) in expected { #expect(feature.rawValue == value) }
    #expect([FeatureSelect.current, .default, .saved, .supportedCapabilities].map(\.rawValue) == [0, 1, 2, 3])
    #expect([FeatureCapabilities.saveable, .namespaceSpecific, .changeable].map(\.rawValue) == [1, 2, 4])
  }

  @Test func queueCounts() {
    let counts = QueueCounts(submission: 4, completion: 65_536)
    #expect(counts.rawValue == 0xFFFF_0003 && counts.submission == 4 && counts.completion == 65_536 && !counts.isValidRequest)
    #expect(QueueCounts(rawValue: 0x0001_0000).submission == 1 && QueueCounts(rawValue: 0x0001_0000).isValidRequest)
    #expect(!QueueCounts(rawValue: 0x0000_FFFF).isValidRequest)
  }

  @Test func otherDwords() {
    let arbitration = ArbitrationFeature(rawValue: 0x0403_0207)
    #expect(arbitration.burst == 7 && arbitration.lowWeight == 2 && arbitration.mediumWeight == 3 && arbitration.highWeight == 4)
    #expect(FeatureDword.volatileWriteCache(isEnabled: true) == 1 && FeatureDword.volatileWriteCache(isEnabled: false) == 0)
    #expect(FeatureDword.isVolatileWriteCacheEnabled(0x3) && !FeatureDword.isVolatileWriteCacheEnabled(0x2))
    #expect(FeatureDword.isExtendedHostIdentifier(FeatureDword.extendedHostIdentifier) && !FeatureDword.isExtendedHostIdentifier(0xFE))
  }

  @Test func asynchronousEvents() {
    #expect(AsynchronousEvent.namespaceAttributeChanged.rawValue == 0x0004_0002)
    #expect(AsynchronousEvent.firmwareActivationStarting.rawValue == 0x0003_0102)
    #expect(AsynchronousEvent.anaChange.rawValue == 0x000C_0302)
    #expect(AsynchronousEvent.discoveryLogChanged.rawValue == 0x0070_F002)
    #expect(AsynchronousEvent.persistentInternalError.rawValue == 0x0001_0300)
    #expect(AsynchronousEvent.reliability.rawValue == 0x0002_0001)
    let event = AsynchronousEvent(rawValue: 0xFF70_F00A)
    #expect(event.type == 2 && event.information == 0xF0 && event.logPage == 0x70)
    #expect(AsynchronousEventConfiguration([.namespaceAttribute, .firmwareActivation, .telemetryLog, .anaChange]).rawValue == 0x0F00)
    #expect(AsynchronousEventConfiguration([.predictableLatencyLog, .lbaStatus, .enduranceGroupLog]).rawValue == 0x7000)
    #expect(AsynchronousEventConfiguration.discoveryLogChange.rawValue == 0x8000_0000)
    #expect(AsynchronousEventConfiguration.healthWarnings.rawValue == 0xFF)
  }
}
