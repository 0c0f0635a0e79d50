import Protobuf

// What several services speak of: volumes, what they can do, where they are (CSI 1.12, csi.proto).

/// `csi.v1.VolumeContentSource`.
public struct VolumeContentSource: TabledMessage {
  /// `csi.v1.VolumeContentSource.SnapshotSource`.
  public struct SnapshotSource: TabledMessage {
    public var snapshotID = ""
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .string(1, \.snapshotID)
    ]
  }

  /// `csi.v1.VolumeContentSource.VolumeSource`.
  public struct VolumeSource: TabledMessage {
    public var volumeID = ""
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .string(1, \.volumeID)
    ]
  }

  public var snapshot: SnapshotSource?
  public var volume: VolumeSource?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.snapshot, insteadOf: \.volume), .message(2, \.volume, insteadOf: \.snapshot),
  ]
}

/// `csi.v1.VolumeCapability`.
public struct VolumeCapability: TabledMessage {
  /// `csi.v1.VolumeCapability.BlockVolume`.
  public struct BlockVolume: TabledMessage {
    public var unknownFields = UnknownFields()

    public init() {}
  }

  /// `csi.v1.VolumeCapability.MountVolume`.
  public struct MountVolume: TabledMessage {
    public var fsType = ""
    public var mountFlags: [String] = []
    public var volumeMountGroup = ""
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .string(1, \.fsType), .strings(2, \.mountFlags), .string(3, \.volumeMountGroup),
    ]
  }

  /// `csi.v1.VolumeCapability.AccessMode`.
  public struct AccessMode: TabledMessage {
    public enum Mode: Int32, Sendable {
      case unknown = 0
      case singleNodeWriter = 1
      case singleNodeReaderOnly = 2
      case multiNodeReaderOnly = 3
      case multiNodeSingleWriter = 4
      case multiNodeMultiWriter = 5
      case singleNodeSingleWriter = 6
      case singleNodeMultiWriter = 7
    }

    public var mode = Mode.unknown
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .choice(1, \.mode, unknown: .unknown)
    ]
  }

  public var block: BlockVolume?
  public var mount: MountVolume?
  public var accessMode: AccessMode?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.block, insteadOf: \.mount), .message(2, \.mount, insteadOf: \.block), .message(3, \.accessMode),
  ]
}

/// `csi.v1.CapacityRange`.
public struct CapacityRange: TabledMessage {
  public var requiredBytes: Int64 = 0
  public var limitBytes: Int64 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.requiredBytes), .int64(2, \.limitBytes),
  ]
}

/// `csi.v1.Volume`.
public struct Volume: TabledMessage {
  public var capacityBytes: Int64 = 0
  public var volumeID = ""
  public var volumeContext: [String: String] = [:]
  public var contentSource: VolumeContentSource?
  public var accessibleTopology: [Topology] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.capacityBytes), .string(2, \.volumeID), .map(3, \.volumeContext), .message(4, \.contentSource),
    .messages(5, \.accessibleTopology),
  ]
}

/// `csi.v1.TopologyRequirement`.
public struct TopologyRequirement: TabledMessage {
  public var requisite: [Topology] = []
  public var preferred: [Topology] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.requisite), .messages(2, \.preferred),
  ]
}

/// `csi.v1.Topology`.
public struct Topology: TabledMessage {
  public var segments: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .map(1, \.segments)
  ]
}

/// `csi.v1.VolumeCondition`.
public struct VolumeCondition: TabledMessage {
  public var isAbnormal = false
  public var message = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .bool(1, \.isAbnormal), .string(2, \.message),
  ]
}
