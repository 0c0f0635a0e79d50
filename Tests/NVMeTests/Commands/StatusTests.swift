import NVMe
import Testing

@Suite struct StatusTests {
  /// Each constant with its type and code as type << 8 | code, from the tables of the specification.
  static let codes: [(Status, UInt16)] = [
    (.success, 0x000),
    (.invalidOpcode, 0x001),
    (.invalidField, 0x002),
    (.commandIdentifierConflict, 0x003),
    (.dataTransferError, 0x004),
    (.abortedPowerLoss, 0x005),
    (.internalError, 0x006),
    (.abortRequested, 0x007),
    (.abortedQueueDeletion, 0x008),
    (.abortedFailedFused, 0x009),
    (.abortedMissingFused, 0x00A),
    (.invalidNamespaceOrFormat, 0x00B),
    (.commandSequenceError, 0x00C),
    (.invalidSGLSegmentDescriptor, 0x00D),
    (.invalidNumberOfSGLDescriptors, 0x00E),
    (.dataSGLLengthInvalid, 0x00F),
    (.metadataSGLLengthInvalid, 0x010),
    (.sglDescriptorTypeInvalid, 0x011),
    (.invalidUseOfControllerMemoryBuffer, 0x012),
    (.prpOffsetInvalid, 0x013),
    (.atomicWriteUnitExceeded, 0x014),
    (.operationDenied, 0x015),
    (.sglOffsetInvalid, 0x016),
    (.hostIdentifierInconsistentFormat, 0x018),
    (.keepAliveTimerExpired, 0x019),
    (.keepAliveTimeoutInvalid, 0x01A),
    (.abortedPreemptAndAbort, 0x01B),
    (.sanitizeFailed, 0x01C),
    (.sanitizeInProgress, 0x01D),
    (.sglDataBlockGranularityInvalid, 0x01E),
    (.commandNotSupportedForQueue, 0x01F),
    (.namespaceIsWriteProtected, 0x020),
    (.commandInterrupted, 0x021),
    (.transientTransportError, 0x022),
    (.prohibitedByLockdown, 0x023),
    (.adminCommandMediaNotReady, 0x024),
    (.lbaOutOfRange, 0x080),
    (.capacityExceeded, 0x081),
    (.namespaceNotReady, 0x082),
    (.reservationConflict, 0x083),
    (.formatInProgress, 0x084),
    (.invalidValueSize, 0x085),
    (.invalidKeySize, 0x086),
    (.keyDoesNotExist, 0x087),
    (.unrecoveredError, 0x088),
    (.keyExists, 0x089),
    (.completionQueueInvalid, 0x100),
    (.invalidQueueIdentifier, 0x101),
    (.invalidQueueSize, 0x102),
    (.abortCommandLimitExceeded, 0x103),
    (.asynchronousEventLimitExceeded, 0x105),
    (.invalidFirmwareSlot, 0x106),
    (.invalidFirmwareImage, 0x107),
    (.invalidInterruptVector, 0x108),
    (.invalidLogPage, 0x109),
    (.invalidFormat, 0x10A),
    (.firmwareNeedsConventionalReset, 0x10B),
    (.invalidQueueDeletion, 0x10C),
    (.featureNotSaveable, 0x10D),
    (.featureNotChangeable, 0x10E),
    (.featureNotNamespaceSpecific, 0x10F),
    (.firmwareNeedsSubsystemReset, 0x110),
    (.firmwareNeedsControllerReset, 0x111),
    (.firmwareNeedsMaximumTimeViolation, 0x112),
    (.firmwareActivationProhibited, 0x113),
    (.overlappingRange, 0x114),
    (.namespaceInsufficientCapacity, 0x115),
    (.namespaceIdentifierUnavailable, 0x116),
    (.namespaceAlreadyAttached, 0x118),
    (.namespaceIsPrivate, 0x119),
    (.namespaceNotAttached, 0x11A),
    (.thinProvisioningNotSupported, 0x11B),
    (.controllerListInvalid, 0x11C),
    (.selfTestInProgress, 0x11D),
    (.bootPartitionWriteProhibited, 0x11E),
    (.invalidControllerIdentifier, 0x11F),
    (.invalidSecondaryControllerState, 0x120),
    (.invalidNumberOfControllerResources, 0x121),
    (.invalidResourceIdentifier, 0x122),
    (.sanitizeProhibitedWhileRegionEnabled, 0x123),
    (.anaGroupIdentifierInvalid, 0x124),
    (.anaAttachFailed, 0x125),
    (.insufficientCapacity, 0x126),
    (.namespaceAttachmentLimitExceeded, 0x127),
    (.lockdownNotSupported, 0x128),
    (.commandSetNotSupported, 0x129),
    (.commandSetNotEnabled, 0x12A),
    (.commandSetCombinationRejected, 0x12B),
    (.invalidCommandSet, 0x12C),
    (.identifierUnavailable, 0x12D),
    (.conflictingAttributes, 0x180),
    (.invalidProtectionInformation, 0x181),
    (.writeToReadOnlyRange, 0x182),
    (.commandSizeLimitExceeded, 0x183),
    (.connectIncompatibleFormat, 0x180),
    (.connectControllerBusy, 0x181),
    (.connectInvalidParameters, 0x182),
    (.connectRestartDiscovery, 0x183),
    (.connectInvalidHost, 0x184),
    (.invalidQueueType, 0x185),
    (.discoverRestart, 0x190),
    (.authenticationRequired, 0x191),
    (.writeFault, 0x280),
    (.unrecoveredReadError, 0x281),
    (.endToEndGuardCheckError, 0x282),
    (.endToEndApplicationTagCheckError, 0x283),
    (.endToEndReferenceTagCheckError, 0x284),
    (.compareFailure, 0x285),
    (.accessDenied, 0x286),
    (.deallocatedOrUnwritten, 0x287),
    (.endToEndStorageTagCheckError, 0x288),
    (.internalPathError, 0x300),
    (.anaPersistentLoss, 0x301),
    (.anaInaccessible, 0x302),
    (.anaTransition, 0x303),
    (.controllerPathingError, 0x360),
    (.hostPathingError, 0x370),
    (.abortedByHost, 0x371),
  ]

  @Test func everyConstantHasItsTypeAndCode() {
    for (status, code) in Self.codes {
      #expect(status.rawValue == (code & 0xFF) << 1 | (code >> 8) << 9)
      #expect(status.type == UInt8(code >> 8) && status.code == UInt8(code & 0xFF))
      #expect(!status.doNotRetry && !status.more && status.retryDelay == 0)
      #expect(status.name != nil)
    }
    #expect(Status.lbaOutOfRange.rawValue == 0x0100)
    #expect(Status.anaInaccessible.rawValue == 0x0604)
    #expect(Status.unrecoveredReadError.rawValue == 0x0502)
    #expect(Status.connectInvalidParameters.rawValue == 0x0304)
  }

  @Test func bitsAreAtTheirPlaces() {
    #expect(Status(rawValue: 0x01FE).code == 0xFF)
    #expect(Status(rawValue: 0x0E00).type == 7)
    #expect(Status(rawValue: 0x3000).retryDelay == 3)
    #expect(Status(rawValue: 0x4000).more)
    #expect(Status(rawValue: 0x8000).doNotRetry)
    var status = Status(type: 3, code: 2, doNotRetry: true)
    #expect(status.rawValue == 0x8604 && status.isPathRelated)
    status.doNotRetry = false
    status.more = true
    #expect(status.rawValue == 0x4604)
    #expect(status.withDoNotRetry.rawValue == 0xC604)
    status.more = false
    #expect(status == .anaInaccessible)
  }

  @Test func comparisonsPassOverFlagsAndPhase() {
    #expect(Status(rawValue: 0xC101).matches(.lbaOutOfRange))
    #expect(!Status.lbaOutOfRange.matches(.capacityExceeded))
    #expect(Status(rawValue: 0x0001).isSuccess && Status(rawValue: 0x8000).isSuccess && !Status.invalidField.isSuccess)
    #expect(!Status.invalidField.isPathRelated)
  }

  @Test func descriptionsNameTypeCodeAndFlags() {
    #expect(Status.invalidField.withDoNotRetry.description == "invalid field in command (type 0, code 2h, do not retry)")
    #expect(Status(rawValue: 0x4604).description == "asymmetric access inaccessible (type 3, code 2h, more)")
    #expect(Status(type: 5, code: 0xAB).description == "unknown status (type 5, code ABh)")
    #expect(Status(type: 0, code: 0x17).name == nil)
    #expect(Status(type: 7, code: 0x01).name == "vendor specific status")
  }
}
