/// The values of a discovery entry's fields that NVMe/TCP knows.
extension DiscoveryLogEntry {
  public enum SubsystemType: UInt8, Sendable {
    /// Another discovery service.
    case referral = 1
    /// A subsystem with namespaces.
    case nvm = 2
    /// The discovery service that the log was read from.
    case currentDiscovery = 3
  }

  public enum AddressFamily: UInt8, Sendable {
    case ipv4 = 1
    case ipv6 = 2
  }

  /// TRTYPE of NVMe/TCP.
  public static let transportTypeTCP: UInt8 = 3

  /// EFLAGS bit 1: the discovery service keeps connections (EPCSD).
  public static let persistentConnectionsFlag: UInt16 = 1 << 1
  /// EFLAGS bit 0: the same information is to be had from the same port under other entries (DUPRETINFO).
  public static let duplicateInformationFlag: UInt16 = 1 << 0

  /// An entry of NVMe/TCP for dynamic controllers.
  public static func tcp(
    _ type: SubsystemType, addressFamily: AddressFamily, address: String, port: UInt16, subsystemName: QualifiedName,
    portIdentifier: UInt16, adminQueueSize: UInt16 = 32, flags: UInt16 = 0
  ) -> DiscoveryLogEntry {
    var entry = DiscoveryLogEntry()
    entry.transportType = transportTypeTCP
    entry.addressFamily = addressFamily.rawValue
    entry.subsystemType = type.rawValue
    entry.transportRequirements = 0x2
    entry.portIdentifier = portIdentifier
    entry.controllerIdentifier = ConnectData.dynamicController
    entry.adminQueueSize = adminQueueSize
    entry.flags = flags
    entry.serviceIdentifier = String(port)
    entry.subsystemName = subsystemName
    entry.transportAddress = address
    return entry
  }

  public var kind: SubsystemType? { SubsystemType(rawValue: subsystemType) }
  public var family: AddressFamily? { AddressFamily(rawValue: addressFamily) }
  /// The TCP port; nil where the service identifier is not one.
  public var port: UInt16? { UInt16(serviceIdentifier) }
}
