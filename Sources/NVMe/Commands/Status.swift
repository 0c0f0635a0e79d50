/// The status of a completion, as in bytes 14–15 of the entry (NVMe Base 2.0, 3.3.3.2.1):
/// bit 0 the phase tag (0 over fabrics), 8:1 the code, 11:9 the code type, 13:12 the retry delay, 14 more, 15 do not retry.
@frozen public struct Status: RawRepresentable, Equatable, Hashable, Sendable {
  public var rawValue: UInt16

  @inlinable @inline(__always)
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// `type` is 0 to 7.
  @inlinable @inline(__always)
  public init(type: UInt8, code: UInt8, doNotRetry: Bool = false) {
    precondition(type < 8)
    rawValue = UInt16(type) << 9 | UInt16(code) << 1 | (doNotRetry ? 0x8000 : 0)
  }

  /// SC, the code within its type.
  @inlinable @inline(__always)
  public var code: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 1) }

  /// SCT: 0 generic, 1 command specific, 2 media and data integrity, 3 path related, 7 vendor specific.
  @inlinable @inline(__always)
  public var type: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 9 & 0x7) }

  /// CRD: which of the controller's command retry delays to wait; 0 none.
  @inlinable @inline(__always)
  public var retryDelay: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 12 & 0x3) }

  /// M: there is more in the error log.
  @inlinable @inline(__always)
  public var more: Bool {
    get { rawValue & 0x4000 != 0 }
    set { rawValue = newValue ? rawValue | 0x4000 : rawValue & ~0x4000 }
  }

  /// DNR: the same command would fail again, on any controller of the subsystem.
  @inlinable @inline(__always)
  public var doNotRetry: Bool {
    get { rawValue & 0x8000 != 0 }
    set { rawValue = newValue ? rawValue | 0x8000 : rawValue & ~0x8000 }
  }

  /// The same status with do-not-retry set.
  @inlinable @inline(__always)
  public var withDoNotRetry: Status { Status(rawValue: rawValue | 0x8000) }

  @inlinable @inline(__always)
  public var isSuccess: Bool { rawValue & 0x0FFE == 0 }

  /// Whether this is a path-related status: another path to the namespace may serve the command.
  @inlinable @inline(__always)
  public var isPathRelated: Bool { type == 3 }

  /// Whether type and code are those of `other`, whatever the flags.
  @inlinable @inline(__always)
  public func matches(_ other: Status) -> Bool { (rawValue ^ other.rawValue) & 0x0FFE == 0 }
}
