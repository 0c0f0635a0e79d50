/// Generic command status, type 0 (NVMe Base 2.0, "Status Code – Generic Command Status Values").
extension Status {
  @inlinable public static var success: Status { Status(type: 0, code: 0x00) }
  @inlinable public static var invalidOpcode: Status { Status(type: 0, code: 0x01) }
  @inlinable public static var invalidField: Status { Status(type: 0, code: 0x02) }
  @inlinable public static var commandIdentifierConflict: Status { Status(type: 0, code: 0x03) }
  @inlinable public static var dataTransferError: Status { Status(type: 0, code: 0x04) }
  @inlinable public static var abortedPowerLoss: Status { Status(type: 0, code: 0x05) }
  @inlinable public static var internalError: Status { Status(type: 0, code: 0x06) }
  @inlinable public static var abortRequested: Status { Status(type: 0, code: 0x07) }
  @inlinable public static var abortedQueueDeletion: Status { Status(type: 0, code: 0x08) }
  @inlinable public static var abortedFailedFused: Status { Status(type: 0, code: 0x09) }
  @inlinable public static var abortedMissingFused: Status { Status(type: 0, code: 0x0A) }
  @inlinable public static var invalidNamespaceOrFormat: Status { Status(type: 0, code: 0x0B) }
  @inlinable public static var commandSequenceError: Status { Status(type: 0, code: 0x0C) }
  @inlinable public static var invalidSGLSegmentDescriptor: Status { Status(type: 0, code: 0x0D) }
  @inlinable public static var invalidNumberOfSGLDescriptors: Status { Status(type: 0, code: 0x0E) }
  @inlinable public static var dataSGLLengthInvalid: Status { Status(type: 0, code: 0x0F) }
  @inlinable public static var metadataSGLLengthInvalid: Status { Status(type: 0, code: 0x10) }
  @inlinable public static var sglDescriptorTypeInvalid: Status { Status(type: 0, code: 0x11) }
  @inlinable public static var invalidUseOfControllerMemoryBuffer: Status { Status(type: 0, code: 0x12) }
  @inlinable public static var prpOffsetInvalid: Status { Status(type: 0, code: 0x13) }
  @inlinable public static var atomicWriteUnitExceeded: Status { Status(type: 0, code: 0x14) }
  @inlinable public static var operationDenied: Status { Status(type: 0, code: 0x15) }
  @inlinable public static var sglOffsetInvalid: Status { Status(type: 0, code: 0x16) }
  @inlinable public static var hostIdentifierInconsistentFormat: Status { Status(type: 0, code: 0x18) }
  @inlinable public static var keepAliveTimerExpired: Status { Status(type: 0, code: 0x19) }
  @inlinable public static var keepAliveTimeoutInvalid: Status { Status(type: 0, code: 0x1A) }
  @inlinable public static var abortedPreemptAndAbort: Status { Status(type: 0, code: 0x1B) }
  @inlinable public static var sanitizeFailed: Status { Status(type: 0, code: 0x1C) }
  @inlinable public static var sanitizeInProgress: Status { Status(type: 0, code: 0x1D) }
  @inlinable public static var sglDataBlockGranularityInvalid: Status { Status(type: 0, code: 0x1E) }
  @inlinable public static var commandNotSupportedForQueue: Status { Status(type: 0, code: 0x1F) }
  @inlinable public static var namespaceIsWriteProtected: Status { Status(type: 0, code: 0x20) }
  @inlinable public static var commandInterrupted: Status { Status(type: 0, code: 0x21) }
  @inlinable public static var transientTransportError: Status { Status(type: 0, code: 0x22) }
  @inlinable public static var prohibitedByLockdown: Status { Status(type: 0, code: 0x23) }
  @inlinable public static var adminCommandMediaNotReady: Status { Status(type: 0, code: 0x24) }
  @inlinable public static var lbaOutOfRange: Status { Status(type: 0, code: 0x80) }
  @inlinable public static var capacityExceeded: Status { Status(type: 0, code: 0x81) }
  @inlinable public static var namespaceNotReady: Status { Status(type: 0, code: 0x82) }
  @inlinable public static var reservationConflict: Status { Status(type: 0, code: 0x83) }
  @inlinable public static var formatInProgress: Status { Status(type: 0, code: 0x84) }
  @inlinable public static var invalidValueSize: Status { Status(type: 0, code: 0x85) }
  @inlinable public static var invalidKeySize: Status { Status(type: 0, code: 0x86) }
  @inlinable public static var keyDoesNotExist: Status { Status(type: 0, code: 0x87) }
  @inlinable public static var unrecoveredError: Status { Status(type: 0, code: 0x88) }
  @inlinable public static var keyExists: Status { Status(type: 0, code: 0x89) }
}

/// Command specific status, type 1 (NVMe Base 2.0, "Status Code – Command Specific Status Values"; NVM Command Set 1.0 from 80h on).
extension Status {
  @inlinable public static var completionQueueInvalid: Status { Status(type: 1, code: 0x00) }
  @inlinable public static var invalidQueueIdentifier: Status { Status(type: 1, code: 0x01) }
  @inlinable public static var invalidQueueSize: Status { Status(type: 1, code: 0x02) }
  @inlinable public static var abortCommandLimitExceeded: Status { Status(type: 1, code: 0x03) }
  @inlinable public static var asynchronousEventLimitExceeded: Status { Status(type: 1, code: 0x05) }
  @inlinable public static var invalidFirmwareSlot: Status { Status(type: 1, code: 0x06) }
  @inlinable public static var invalidFirmwareImage: Status { Status(type: 1, code: 0x07) }
  @inlinable public static var invalidInterruptVector: Status { Status(type: 1, code: 0x08) }
  @inlinable public static var invalidLogPage: Status { Status(type: 1, code: 0x09) }
  @inlinable public static var invalidFormat: Status { Status(type: 1, code: 0x0A) }
  @inlinable public static var firmwareNeedsConventionalReset: Status { Status(type: 1, code: 0x0B) }
  @inlinable public static var invalidQueueDeletion: Status { Status(type: 1, code: 0x0C) }
  @inlinable public static var featureNotSaveable: Status { Status(type: 1, code: 0x0D) }
  @inlinable public static var featureNotChangeable: Status { Status(type: 1, code: 0x0E) }
  @inlinable public static var featureNotNamespaceSpecific: Status { Status(type: 1, code: 0x0F) }
  @inlinable public static var firmwareNeedsSubsystemReset: Status { Status(type: 1, code: 0x10) }
  @inlinable public static var firmwareNeedsControllerReset: Status { Status(type: 1, code: 0x11) }
  @inlinable public static var firmwareNeedsMaximumTimeViolation: Status { Status(type: 1, code: 0x12) }
  @inlinable public static var firmwareActivationProhibited: Status { Status(type: 1, code: 0x13) }
  @inlinable public static var overlappingRange: Status { Status(type: 1, code: 0x14) }
  @inlinable public static var namespaceInsufficientCapacity: Status { Status(type: 1, code: 0x15) }
  @inlinable public static var namespaceIdentifierUnavailable: Status { Status(type: 1, code: 0x16) }
  @inlinable public static var namespaceAlreadyAttached: Status { Status(type: 1, code: 0x18) }
  @inlinable public static var namespaceIsPrivate: Status { Status(type: 1, code: 0x19) }
  @inlinable public static var namespaceNotAttached: Status { Status(type: 1, code: 0x1A) }
  @inlinable public static var thinProvisioningNotSupported: Status { Status(type: 1, code: 0x1B) }
  @inlinable public static var controllerListInvalid: Status { Status(type: 1, code: 0x1C) }
  @inlinable public static var selfTestInProgress: Status { Status(type: 1, code: 0x1D) }
  @inlinable public static var bootPartitionWriteProhibited: Status { Status(type: 1, code: 0x1E) }
  @inlinable public static var invalidControllerIdentifier: Status { Status(type: 1, code: 0x1F) }
  @inlinable public static var invalidSecondaryControllerState: Status { Status(type: 1, code: 0x20) }
  @inlinable public static var invalidNumberOfControllerResources: Status { Status(type: 1, code: 0x21) }
  @inlinable public static var invalidResourceIdentifier: Status { Status(type: 1, code: 0x22) }
  @inlinable public static var sanitizeProhibitedWhileRegionEnabled: Status { Status(type: 1, code: 0x23) }
  @inlinable public static var anaGroupIdentifierInvalid: Status { Status(type: 1, code: 0x24) }
  @inlinable public static var anaAttachFailed: Status { Status(type: 1, code: 0x25) }
  @inlinable public static var insufficientCapacity: Status { Status(type: 1, code: 0x26) }
  @inlinable public static var namespaceAttachmentLimitExceeded: Status { Status(type: 1, code: 0x27) }
  @inlinable public static var lockdownNotSupported: Status { Status(type: 1, code: 0x28) }
  @inlinable public static var commandSetNotSupported: Status { Status(type: 1, code: 0x29) }
  @inlinable public static var commandSetNotEnabled: Status { Status(type: 1, code: 0x2A) }
  @inlinable public static var commandSetCombinationRejected: Status { Status(type: 1, code: 0x2B) }
  @inlinable public static var invalidCommandSet: Status { Status(type: 1, code: 0x2C) }
  @inlinable public static var identifierUnavailable: Status { Status(type: 1, code: 0x2D) }
  @inlinable public static var conflictingAttributes: Status { Status(type: 1, code: 0x80) }
  @inlinable public static var invalidProtectionInformation: Status { Status(type: 1, code: 0x81) }
  @inlinable public static var writeToReadOnlyRange: Status { Status(type: 1, code: 0x82) }
  @inlinable public static var commandSizeLimitExceeded: Status { Status(type: 1, code: 0x83) }
}

/// Status of fabrics commands, type 1: these share their numbers with the NVM command set's, and the command tells which is meant.
extension Status {
  @inlinable public static var connectIncompatibleFormat: Status { Status(type: 1, code: 0x80) }
  @inlinable public static var connectControllerBusy: Status { Status(type: 1, code: 0x81) }
  @inlinable public static var connectInvalidParameters: Status { Status(type: 1, code: 0x82) }
  @inlinable public static var connectRestartDiscovery: Status { Status(type: 1, code: 0x83) }
  @inlinable public static var connectInvalidHost: Status { Status(type: 1, code: 0x84) }
  @inlinable public static var invalidQueueType: Status { Status(type: 1, code: 0x85) }
  @inlinable public static var discoverRestart: Status { Status(type: 1, code: 0x90) }
  @inlinable public static var authenticationRequired: Status { Status(type: 1, code: 0x91) }
}

/// Media and data integrity errors, type 2.
extension Status {
  @inlinable public static var writeFault: Status { Status(type: 2, code: 0x80) }
  @inlinable public static var unrecoveredReadError: Status { Status(type: 2, code: 0x81) }
  @inlinable public static var endToEndGuardCheckError: Status { Status(type: 2, code: 0x82) }
  @inlinable public static var endToEndApplicationTagCheckError: Status { Status(type: 2, code: 0x83) }
  @inlinable public static var endToEndReferenceTagCheckError: Status { Status(type: 2, code: 0x84) }
  @inlinable public static var compareFailure: Status { Status(type: 2, code: 0x85) }
  @inlinable public static var accessDenied: Status { Status(type: 2, code: 0x86) }
  @inlinable public static var deallocatedOrUnwritten: Status { Status(type: 2, code: 0x87) }
  @inlinable public static var endToEndStorageTagCheckError: Status { Status(type: 2, code: 0x88) }
}

/// Path related status, type 3. A host with another path to the namespace uses it.
extension Status {
  @inlinable public static var internalPathError: Status { Status(type: 3, code: 0x00) }
  @inlinable public static var anaPersistentLoss: Status { Status(type: 3, code: 0x01) }
  @inlinable public static var anaInaccessible: Status { Status(type: 3, code: 0x02) }
  @inlinable public static var anaTransition: Status { Status(type: 3, code: 0x03) }
  @inlinable public static var controllerPathingError: Status { Status(type: 3, code: 0x60) }
  @inlinable public static var hostPathingError: Status { Status(type: 3, code: 0x70) }
  @inlinable public static var abortedByHost: Status { Status(type: 3, code: 0x71) }
}
