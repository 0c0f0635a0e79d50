import NVMe

/// What a subsystem is, before any host has connected.
public struct SubsystemDescription: Sendable {
  public enum Kind: Equatable, Sendable {
    /// Tells hosts where subsystems are; has no I/O queues.
    case discovery
    /// Has at most one namespace.
    case nvm
  }

  /// NN and MNAN: the highest namespace identifier, and the most namespaces.
  public static let maximumNamespaceCount: UInt32 = 1024
  /// The lowest and the highest id a controller may have.
  public static let controllerIdentifierLimits: ClosedRange<UInt16> = 1...0xFFEF

  public let name: QualifiedName
  public let kind: Kind
  /// At most 20 printable ASCII characters; on every path to a volume the same.
  public let serialNumber: String
  /// At most 40 printable ASCII characters.
  public let modelNumber: String
  /// At most 8 printable ASCII characters.
  public let firmwareRevision: String
  /// The ids this node gives to controllers; nodes with paths to the same volume have ranges that do not overlap.
  public let controllerIdentifiers: ClosedRange<UInt16>
  public var allowedHosts: HostFilter = .any
  public var namespace: NamespaceDescription?

  /// The most controllers at a time.
  public var maximumControllers = 256
  /// The most I/O queues of a controller.
  public var maximumIOQueues = 64
  /// The most entries of a queue, 32 to 65,536.
  public var maximumQueueEntries = 128
  /// MDTS: a power of two, at least 4096.
  public var maximumTransferBytes = 1 << 20
  /// In-capsule data of I/O commands: a multiple of 16.
  public var inCapsuleBytes = 8192
  /// The most that Write Zeroes takes: a power of two, at least 4096. 65,536 blocks of 512 bytes are 32 MiB.
  public var maximumWriteZeroesBytes = 32 << 20
  /// How long a host waits for CSTS.RDY, and for a shutdown, at most.
  public var readyTimeoutSeconds: UInt8 = 20
  /// ANATT: the longest time in ANA Change.
  public var anaTransitionSeconds: UInt8 = 20
  /// Whether a host's new controller through the same portal ends its older ones there. A host that lost its connection comes back
  /// before the loss is noticed here, and its old commands must not overtake the new ones.
  public var replacesOlderControllers: Bool

  public init(
    name: QualifiedName, kind: Kind, serialNumber: String, modelNumber: String = "Keelson", firmwareRevision: String = "1",
    controllerIdentifiers: ClosedRange<UInt16> = SubsystemDescription.controllerIdentifierLimits,
    namespace: NamespaceDescription? = nil, allowedHosts: HostFilter = .any
  ) {
    precondition(serialNumber.utf8.count <= 20 && modelNumber.utf8.count <= 40 && firmwareRevision.utf8.count <= 8)
    precondition(
      Self.controllerIdentifierLimits.contains(controllerIdentifiers.lowerBound)
        && Self.controllerIdentifierLimits.contains(controllerIdentifiers.upperBound))
    precondition(kind == .nvm || namespace == nil)
    self.name = name
    self.kind = kind
    self.serialNumber = serialNumber
    self.modelNumber = modelNumber
    self.firmwareRevision = firmwareRevision
    self.controllerIdentifiers = controllerIdentifiers
    self.namespace = namespace
    self.allowedHosts = allowedHosts
    replacesOlderControllers = kind == .nvm
  }

  /// The discovery subsystem, under its well-known name.
  public static func discovery(
    serialNumber: String, firmwareRevision: String = "1",
    controllerIdentifiers: ClosedRange<UInt16> = SubsystemDescription.controllerIdentifierLimits
  ) -> SubsystemDescription {
    var description = SubsystemDescription(
      name: .discovery, kind: .discovery, serialNumber: serialNumber, firmwareRevision: firmwareRevision,
      controllerIdentifiers: controllerIdentifiers)
    // Any host may connect, and what it does not fetch lies in the memory of all hosts' data: 8 MiB at most, whatever they do.
    description.maximumTransferBytes = 8192
    description.maximumQueueEntries = 32
    description.maximumControllers = 32
    return description
  }

  /// Stops the process when a limit is not one the wire can say.
  func checkLimits() {
    precondition(maximumControllers >= 1 && maximumControllers <= 65_000)
    precondition(maximumIOQueues >= 1 && maximumIOQueues <= 65_534)
    precondition(maximumQueueEntries >= 32 && maximumQueueEntries <= 65_536)
    precondition(maximumTransferBytes >= 4096 && maximumTransferBytes.nonzeroBitCount == 1)
    precondition(maximumWriteZeroesBytes >= 4096 && maximumWriteZeroesBytes.nonzeroBitCount == 1)
    precondition(inCapsuleBytes >= 0 && inCapsuleBytes % 16 == 0)
    precondition(readyTimeoutSeconds >= 1 && readyTimeoutSeconds <= 127)
  }
}
