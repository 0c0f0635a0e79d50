/// What is wrong with a Connect command's data.
public enum ConnectDataError: Error, Equatable, Sendable {
  /// Fewer than 1024 bytes.
  case truncated
  case subsystemName
  case hostName

  /// The offset of the field in bytes in the data, for the answer's IPO.
  public var parameterOffset: UInt16 {
    switch self {
    case .truncated: 0
    case .subsystemName: 256
    case .hostName: 512
    }
  }
}

/// The data of a Connect command, 1024 bytes (NVMe Base 2.0, 6.3, "Connect Command – Data").
public struct ConnectData: Hashable, Sendable {
  public static let byteCount = 1024
  /// CNTLID with which a host asks for a controller of the subsystem's choice (dynamic controller model).
  public static let dynamicController: UInt16 = 0xFFFF
  /// CNTLID with which a host asks for any statically known controller.
  public static let anyStaticController: UInt16 = 0xFFFE

  /// HOSTID, bytes 0–15.
  public var hostIdentifier: Identifier128
  /// CNTLID, bytes 16–17: on the admin queue `dynamicController`, on an I/O queue the controller's.
  public var controllerIdentifier: UInt16
  /// SUBNQN, bytes 256–511.
  public var subsystemName: QualifiedName
  /// HOSTNQN, bytes 512–767.
  public var hostName: QualifiedName

  public init(hostIdentifier: Identifier128, controllerIdentifier: UInt16, subsystemName: QualifiedName, hostName: QualifiedName) {
    self.hostIdentifier = hostIdentifier
    self.controllerIdentifier = controllerIdentifier
    self.subsystemName = subsystemName
    self.hostName = hostName
  }

  public init(decoding bytes: RawSpan, at offset: Int = 0) throws(ConnectDataError) {
    do {
      try bytes.require(Self.byteCount, at: offset)
      hostIdentifier = try Identifier128(decoding: bytes, at: offset)
    } catch { throw .truncated }
    controllerIdentifier = bytes.littleEndian(at: offset + 16)
    do { subsystemName = try QualifiedName(decoding: bytes, at: offset + 256) } catch { throw .subsystemName }
    do { hostName = try QualifiedName(decoding: bytes, at: offset + 512) } catch { throw .hostName }
  }

  public func encode(into bytes: inout MutableRawSpan, at offset: Int = 0) {
    bytes.zero(Self.byteCount, at: offset)
    hostIdentifier.encode(into: &bytes, at: offset)
    bytes.storeLittleEndian(controllerIdentifier, at: offset + 16)
    subsystemName.encode(into: &bytes, at: offset + 256)
    hostName.encode(into: &bytes, at: offset + 512)
  }
}

/// Dword 0 of the answer to Connect (NVMe Base 2.0, 6.3, "Connect Response").
public enum ConnectResult {
  /// Success: CNTLID in bits 15:0 and no authentication asked for.
  public static func success(controllerIdentifier: UInt16) -> UInt64 { UInt64(controllerIdentifier) }

  /// Connect Invalid Parameters: IPO in bits 15:0, IATTR bit 16 tells the data from the command.
  public static func invalidParameter(offset: UInt16, isInData: Bool) -> UInt64 { UInt64(offset) | (isInData ? 1 << 16 : 0) }

  /// CNTLID of a success.
  public static func controllerIdentifier(_ result: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: result) }

  /// Whether a success asks the host to authenticate (AUTHREQ: ATR bit 17 or ASCR bit 18).
  public static func requiresAuthentication(_ result: UInt64) -> Bool { result & 0x6_0000 != 0 }
}
