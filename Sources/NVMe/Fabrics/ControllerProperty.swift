/// Offsets of the controller properties, which Property Get and Set name (NVMe Base 2.0, 3.1.3).
@frozen public enum ControllerProperty: UInt32, Sendable, CaseIterable {
  /// CAP, 8 bytes.
  case capabilities = 0x00
  /// VS.
  case version = 0x08
  /// CC.
  case configuration = 0x14
  /// CSTS.
  case status = 0x1C
  /// NSSR.
  case subsystemReset = 0x20
  /// NSSD.
  case subsystemShutdown = 0x64
  /// CRTO.
  case readyTimeouts = 0x68

  /// 8 or 4.
  public var byteCount: Int { self == .capabilities ? 8 : 4 }

  /// Written to NSSR this resets the subsystem: "NVMe".
  public static let subsystemResetValue: UInt32 = 0x4E56_4D65
}

/// CAP (NVMe Base 2.0, 3.1.3.1).
@frozen public struct ControllerCapabilities: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// MQES, bits 15:0: the most entries of an I/O queue, less one.
  public var maximumQueueEntriesZeroBased: UInt16 {
    get { UInt16(rawValue.bits(0, 16)) }
    set { rawValue.setBits(0, 16, UInt64(newValue)) }
  }
  /// CQR, bit 16: queues are contiguous; 1 over fabrics.
  public var requiresContiguousQueues: Bool {
    get { rawValue.bits(16, 1) != 0 }
    set { rawValue.setBits(16, 1, newValue ? 1 : 0) }
  }
  /// AMS, bits 18:17: arbitration beyond round robin.
  public var arbitrationMechanisms: UInt8 {
    get { UInt8(rawValue.bits(17, 2)) }
    set { rawValue.setBits(17, 2, UInt64(newValue)) }
  }
  /// TO, bits 31:24: the longest wait for CSTS.RDY in units of 500 ms.
  public var timeoutHalfSeconds: UInt8 {
    get { UInt8(rawValue.bits(24, 8)) }
    set { rawValue.setBits(24, 8, UInt64(newValue)) }
  }
  /// DSTRD, bits 35:32: 0 over fabrics.
  public var doorbellStride: UInt8 {
    get { UInt8(rawValue.bits(32, 4)) }
    set { rawValue.setBits(32, 4, UInt64(newValue)) }
  }
  /// NSSRS, bit 36.
  public var supportsSubsystemReset: Bool {
    get { rawValue.bits(36, 1) != 0 }
    set { rawValue.setBits(36, 1, newValue ? 1 : 0) }
  }
  /// CSS, bits 44:37: bit 0 the NVM command set, bit 6 Identify reports command sets, bit 7 no I/O command set.
  public var commandSets: UInt8 {
    get { UInt8(rawValue.bits(37, 8)) }
    set { rawValue.setBits(37, 8, UInt64(newValue)) }
  }
  /// MPSMIN, bits 51:48: the least page size is 2^(12 + value) bytes; the unit of MDTS.
  public var minimumPageSizeShift: UInt8 {
    get { UInt8(rawValue.bits(48, 4)) }
    set { rawValue.setBits(48, 4, UInt64(newValue)) }
  }
  /// MPSMAX, bits 55:52.
  public var maximumPageSizeShift: UInt8 {
    get { UInt8(rawValue.bits(52, 4)) }
    set { rawValue.setBits(52, 4, UInt64(newValue)) }
  }
  /// CRMS bit 0 (bit 59): ready with media; then CRTO holds the timeouts.
  public var supportsReadyWithMedia: Bool {
    get { rawValue.bits(59, 1) != 0 }
    set { rawValue.setBits(59, 1, newValue ? 1 : 0) }
  }
  /// CRMS bit 1 (bit 60): ready independent of media.
  public var supportsReadyIndependentOfMedia: Bool {
    get { rawValue.bits(60, 1) != 0 }
    set { rawValue.setBits(60, 1, newValue ? 1 : 0) }
  }
}

/// VS, and VER of Identify Controller (NVMe Base 2.0, 3.1.3.2).
@frozen public struct SpecificationVersion: RawRepresentable, Equatable, Hashable, Sendable, CustomStringConvertible {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(major: UInt16, minor: UInt8, tertiary: UInt8 = 0) {
    rawValue = UInt32(major) << 16 | UInt32(minor) << 8 | UInt32(tertiary)
  }

  public static var version2: SpecificationVersion { SpecificationVersion(major: 2, minor: 0) }
  public var major: UInt16 { UInt16(rawValue >> 16) }
  public var minor: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 8) }
  public var tertiary: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  public var description: String { tertiary == 0 ? "\(major).\(minor)" : "\(major).\(minor).\(tertiary)" }
}

/// CC (NVMe Base 2.0, 3.1.3.5).
@frozen public struct ControllerConfiguration: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// SHN, what a host asks for.
  public enum Shutdown: UInt8, Sendable { case none, normal, abrupt, reserved }

  /// EN, bit 0.
  public var isEnabled: Bool {
    get { rawValue.bits(0, 1) != 0 }
    set { rawValue.setBits(0, 1, newValue ? 1 : 0) }
  }
  /// CSS, bits 6:4: 0 the NVM command set, 6 all that are supported, 7 admin only.
  public var commandSet: UInt8 {
    get { UInt8(rawValue.bits(4, 3)) }
    set { rawValue.setBits(4, 3, UInt32(newValue)) }
  }
  /// MPS, bits 10:7: the page size is 2^(12 + value) bytes.
  public var pageSizeShift: UInt8 {
    get { UInt8(rawValue.bits(7, 4)) }
    set { rawValue.setBits(7, 4, UInt32(newValue)) }
  }
  /// AMS, bits 13:11: 0 round robin.
  public var arbitration: UInt8 {
    get { UInt8(rawValue.bits(11, 3)) }
    set { rawValue.setBits(11, 3, UInt32(newValue)) }
  }
  /// SHN, bits 15:14.
  public var shutdown: Shutdown {
    get { Shutdown(rawValue: UInt8(rawValue.bits(14, 2))) ?? .reserved }
    set { rawValue.setBits(14, 2, UInt32(newValue.rawValue)) }
  }
  /// IOSQES, bits 19:16: submission entries are 2^value bytes; 6.
  public var submissionEntrySizeShift: UInt8 {
    get { UInt8(rawValue.bits(16, 4)) }
    set { rawValue.setBits(16, 4, UInt32(newValue)) }
  }
  /// IOCQES, bits 23:20: completion entries are 2^value bytes; 4.
  public var completionEntrySizeShift: UInt8 {
    get { UInt8(rawValue.bits(20, 4)) }
    set { rawValue.setBits(20, 4, UInt32(newValue)) }
  }
  /// CRIME, bit 24: become ready independent of media.
  public var readyIndependentOfMedia: Bool {
    get { rawValue.bits(24, 1) != 0 }
    set { rawValue.setBits(24, 1, newValue ? 1 : 0) }
  }
}

/// CSTS (NVMe Base 2.0, 3.1.3.6).
@frozen public struct ControllerStatus: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// SHST, how far a shutdown has come.
  public enum Shutdown: UInt8, Sendable { case none, occurring, complete, reserved }

  /// RDY, bit 0.
  public var isReady: Bool {
    get { rawValue.bits(0, 1) != 0 }
    set { rawValue.setBits(0, 1, newValue ? 1 : 0) }
  }
  /// CFS, bit 1.
  public var isFatal: Bool {
    get { rawValue.bits(1, 1) != 0 }
    set { rawValue.setBits(1, 1, newValue ? 1 : 0) }
  }
  /// SHST, bits 3:2.
  public var shutdown: Shutdown {
    get { Shutdown(rawValue: UInt8(rawValue.bits(2, 2))) ?? .reserved }
    set { rawValue.setBits(2, 2, UInt32(newValue.rawValue)) }
  }
  /// NSSRO, bit 4.
  public var subsystemResetOccurred: Bool {
    get { rawValue.bits(4, 1) != 0 }
    set { rawValue.setBits(4, 1, newValue ? 1 : 0) }
  }
  /// PP, bit 5.
  public var isProcessingPaused: Bool {
    get { rawValue.bits(5, 1) != 0 }
    set { rawValue.setBits(5, 1, newValue ? 1 : 0) }
  }
  /// ST, bit 6: the shutdown is the whole subsystem's.
  public var isSubsystemShutdown: Bool {
    get { rawValue.bits(6, 1) != 0 }
    set { rawValue.setBits(6, 1, newValue ? 1 : 0) }
  }
}

/// CRTO (NVMe Base 2.0, 3.1.3.21), in units of 500 ms.
@frozen public struct ControllerReadyTimeouts: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(withMediaHalfSeconds: UInt16, independentOfMediaHalfSeconds: UInt16) {
    rawValue = UInt32(withMediaHalfSeconds) | UInt32(independentOfMediaHalfSeconds) << 16
  }

  /// CRWMT, bits 15:0.
  public var withMediaHalfSeconds: UInt16 { UInt16(truncatingIfNeeded: rawValue) }
  /// CRIMT, bits 31:16.
  public var independentOfMediaHalfSeconds: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 16) }
}
