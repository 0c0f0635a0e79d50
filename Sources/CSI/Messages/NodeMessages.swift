import Protobuf

// What the Node service says (CSI 1.12, csi.proto, `service Node`).

/// `csi.v1.NodeStageVolumeRequest`.
public struct NodeStageVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var publishContext: [String: String] = [:]
  public var stagingTargetPath = ""
  public var volumeCapability: VolumeCapability?
  public var secrets: [String: String] = [:]
  public var volumeContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .map(2, \.publishContext), .string(3, \.stagingTargetPath), .message(4, \.volumeCapability),
    .map(5, \.secrets), .map(6, \.volumeContext),
  ]
}

/// `csi.v1.NodeStageVolumeResponse`.
public struct NodeStageVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodeUnstageVolumeRequest`.
public struct NodeUnstageVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var stagingTargetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.stagingTargetPath),
  ]
}

/// `csi.v1.NodeUnstageVolumeResponse`.
public struct NodeUnstageVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodePublishVolumeRequest`.
public struct NodePublishVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var publishContext: [String: String] = [:]
  public var stagingTargetPath = ""
  public var targetPath = ""
  public var volumeCapability: VolumeCapability?
  public var isReadOnly = false
  public var secrets: [String: String] = [:]
  public var volumeContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .map(2, \.publishContext), .string(3, \.stagingTargetPath), .string(4, \.targetPath),
    .message(5, \.volumeCapability), .bool(6, \.isReadOnly), .map(7, \.secrets), .map(8, \.volumeContext),
  ]
}

/// `csi.v1.NodePublishVolumeResponse`.
public struct NodePublishVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodeUnpublishVolumeRequest`.
public struct NodeUnpublishVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var targetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.targetPath),
  ]
}

/// `csi.v1.NodeUnpublishVolumeResponse`.
public struct NodeUnpublishVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodeGetVolumeStatsRequest`.
public struct NodeGetVolumeStatsRequest: TabledMessage {
  public var volumeID = ""
  public var volumePath = ""
  public var stagingTargetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.volumePath), .string(3, \.stagingTargetPath),
  ]
}

/// `csi.v1.NodeGetVolumeStatsResponse`.
public struct NodeGetVolumeStatsResponse: TabledMessage {
  public var usage: [VolumeUsage] = []
  public var volumeCondition: VolumeCondition?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.usage), .message(2, \.volumeCondition),
  ]
}

/// `csi.v1.VolumeUsage`.
public struct VolumeUsage: TabledMessage {
  public enum Unit: Int32, Sendable {
    case unknown = 0
    case bytes = 1
    case inodes = 2
  }

  public var available: Int64 = 0
  public var total: Int64 = 0
  public var used: Int64 = 0
  public var unit = Unit.unknown
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.available), .int64(2, \.total), .int64(3, \.used), .choice(4, \.unit, unknown: .unknown),
  ]
}

/// `csi.v1.NodeGetCapabilitiesRequest`.
public struct NodeGetCapabilitiesRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodeGetCapabilitiesResponse`.
public struct NodeGetCapabilitiesResponse: TabledMessage {
  public var capabilities: [NodeServiceCapability] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.capabilities)
  ]
}

/// `csi.v1.NodeServiceCapability`.
public struct NodeServiceCapability: TabledMessage {
  /// `csi.v1.NodeServiceCapability.RPC`.
  public struct RPC: TabledMessage {
    public enum Kind: Int32, Sendable {
      case unknown = 0
      case stageUnstageVolume = 1
      case getVolumeStats = 2
      case expandVolume = 3
      case volumeCondition = 4
      case singleNodeMultiWriter = 5
      case volumeMountGroup = 6
    }

    public var type = Kind.unknown
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .choice(1, \.type, unknown: .unknown)
    ]
  }

  public var rpc: RPC?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.rpc)
  ]
}

/// `csi.v1.NodeGetInfoRequest`.
public struct NodeGetInfoRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.NodeGetInfoResponse`.
public struct NodeGetInfoResponse: TabledMessage {
  public var nodeID = ""
  public var maxVolumesPerNode: Int64 = 0
  public var accessibleTopology: Topology?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.nodeID), .int64(2, \.maxVolumesPerNode), .message(3, \.accessibleTopology),
  ]
}

/// `csi.v1.NodeExpandVolumeRequest`.
public struct NodeExpandVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var volumePath = ""
  public var capacityRange: CapacityRange?
  public var stagingTargetPath = ""
  public var volumeCapability: VolumeCapability?
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.volumePath), .message(3, \.capacityRange), .string(4, \.stagingTargetPath),
    .message(5, \.volumeCapability), .map(6, \.secrets),
  ]
}

/// `csi.v1.NodeExpandVolumeResponse`.
public struct NodeExpandVolumeResponse: TabledMessage {
  public var capacityBytes: Int64 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.capacityBytes)
  ]
}
