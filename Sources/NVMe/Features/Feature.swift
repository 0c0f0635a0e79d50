/// FID: features of Get Features and Set Features (NVMe Base 2.0, 5.27.1).
public enum FeatureIdentifier: UInt8, Sendable, CaseIterable {
  case arbitration = 0x01
  case powerManagement = 0x02
  case lbaRangeType = 0x03
  case temperatureThreshold = 0x04
  case errorRecovery = 0x05
  case volatileWriteCache = 0x06
  case numberOfQueues = 0x07
  case interruptCoalescing = 0x08
  case interruptVectorConfiguration = 0x09
  case writeAtomicity = 0x0A
  case asynchronousEventConfiguration = 0x0B
  case autonomousPowerStateTransition = 0x0C
  case hostMemoryBuffer = 0x0D
  case timestamp = 0x0E
  case keepAliveTimer = 0x0F
  case hostControlledThermalManagement = 0x10
  case nonOperationalPowerState = 0x11
  case readRecoveryLevel = 0x12
  case predictableLatencyMode = 0x13
  case predictableLatencyWindow = 0x14
  case lbaStatusInformation = 0x15
  case hostBehaviorSupport = 0x16
  case sanitizeConfiguration = 0x17
  case enduranceGroupEvents = 0x18
  case commandSetProfile = 0x19
  case spinup = 0x1A
  case softwareProgressMarker = 0x80
  case hostIdentifier = 0x81
  case reservationNotificationMask = 0x82
  case reservationPersistence = 0x83
  case namespaceWriteProtection = 0x84
}

/// SEL of Get Features.
public enum FeatureSelect: UInt8, Sendable {
  case current = 0
  case `default` = 1
  case saved = 2
  case supportedCapabilities = 3
}

/// Dword 0 of Get Features with SEL 3.
public struct FeatureCapabilities: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let saveable = FeatureCapabilities(rawValue: 1 << 0)
  public static let namespaceSpecific = FeatureCapabilities(rawValue: 1 << 1)
  public static let changeable = FeatureCapabilities(rawValue: 1 << 2)
}

/// Number of Queues, FID 07h: dword 11 of Set Features (what is asked for) and dword 0 of the answer (what is granted); I/O queues only.
public struct QueueCounts: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Both counts from 1 to 65,536.
  public init(submission: Int, completion: Int) {
    precondition(submission >= 1 && submission <= 65_536 && completion >= 1 && completion <= 65_536)
    rawValue = UInt32(submission - 1) | UInt32(completion - 1) << 16
  }

  /// NSQR or NSQA + 1, bits 15:0.
  public var submission: Int { Int(rawValue & 0xFFFF) + 1 }
  /// NCQR or NCQA + 1, bits 31:16.
  public var completion: Int { Int(rawValue >> 16) + 1 }
  /// Whether a host may ask for these: FFFFh in either field is invalid.
  public var isValidRequest: Bool { rawValue & 0xFFFF != 0xFFFF && rawValue >> 16 != 0xFFFF }
}

/// Arbitration, FID 01h.
public struct ArbitrationFeature: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// AB, bits 2:0: 2^value commands; 7 for no limit.
  public var burst: UInt8 { UInt8(rawValue.bits(0, 3)) }
  /// LPW, MPW and HPW, bits 15:8, 23:16, 31:24, zero-based.
  public var lowWeight: UInt8 { UInt8(rawValue.bits(8, 8)) }
  public var mediumWeight: UInt8 { UInt8(rawValue.bits(16, 8)) }
  public var highWeight: UInt8 { UInt8(rawValue.bits(24, 8)) }
}

/// Dwords of the features that are a single field.
public enum FeatureDword {
  /// Volatile Write Cache, FID 06h: WCE, bit 0.
  public static func volatileWriteCache(isEnabled: Bool) -> UInt32 { isEnabled ? 1 : 0 }
  public static func isVolatileWriteCacheEnabled(_ dword: UInt32) -> Bool { dword & 1 != 0 }

  /// Host Identifier, FID 81h: EXHID, bit 0 of dword 11: the identifier has 16 bytes, as it must over fabrics.
  public static let extendedHostIdentifier: UInt32 = 1
  public static func isExtendedHostIdentifier(_ dword: UInt32) -> Bool { dword & 1 != 0 }
}
