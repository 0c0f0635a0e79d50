/// Which events a host wants, FID 0Bh, and with the same bits which a controller can send, OAES of Identify Controller
/// (NVMe Base 2.0, 5.27.1.8 and 5.17.2.1).
public struct AsynchronousEventConfiguration: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Bits 7:0, only in the feature: critical warnings of the health log.
  public static let healthWarnings = AsynchronousEventConfiguration(rawValue: 0xFF)
  public static let namespaceAttribute = AsynchronousEventConfiguration(rawValue: 1 << 8)
  public static let firmwareActivation = AsynchronousEventConfiguration(rawValue: 1 << 9)
  public static let telemetryLog = AsynchronousEventConfiguration(rawValue: 1 << 10)
  public static let anaChange = AsynchronousEventConfiguration(rawValue: 1 << 11)
  public static let predictableLatencyLog = AsynchronousEventConfiguration(rawValue: 1 << 12)
  public static let lbaStatus = AsynchronousEventConfiguration(rawValue: 1 << 13)
  public static let enduranceGroupLog = AsynchronousEventConfiguration(rawValue: 1 << 14)
  public static let discoveryLogChange = AsynchronousEventConfiguration(rawValue: 1 << 31)
}

/// Dword 0 of the answer to an Asynchronous Event Request (NVMe Base 2.0, 5.2.1).
@frozen public struct AsynchronousEvent: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// `type` is 0 to 7.
  public init(type: UInt8, information: UInt8, logPage: UInt8) {
    precondition(type < 8)
    rawValue = UInt32(type) | UInt32(information) << 8 | UInt32(logPage) << 16
  }

  /// Bits 2:0: 0 error, 1 health, 2 notice, 6 I/O command specific, 7 vendor specific.
  public var type: UInt8 { UInt8(rawValue.bits(0, 3)) }
  /// Bits 15:8: what, by type.
  public var information: UInt8 { UInt8(rawValue.bits(8, 8)) }
  /// Bits 23:16: the log page to read, which also clears the event.
  public var logPage: UInt8 { UInt8(rawValue.bits(16, 8)) }

  /// Error: the controller has an internal error that stays.
  public static let persistentInternalError = AsynchronousEvent(type: 0, information: 3, logPage: 0x01)
  /// Health: the subsystem's reliability is degraded.
  public static let reliability = AsynchronousEvent(type: 1, information: 0, logPage: 0x02)
  /// Notice: a namespace changed, came or went.
  public static let namespaceAttributeChanged = AsynchronousEvent(type: 2, information: 0x00, logPage: 0x04)
  /// Notice: firmware activation starts.
  public static let firmwareActivationStarting = AsynchronousEvent(type: 2, information: 0x01, logPage: 0x03)
  /// Notice: an ANA group changed its state.
  public static let anaChange = AsynchronousEvent(type: 2, information: 0x03, logPage: 0x0C)
  /// Notice: the discovery log changed.
  public static let discoveryLogChanged = AsynchronousEvent(type: 2, information: 0xF0, logPage: 0x70)
}
