import Protobuf

// What tells of volumes (CSI 1.12, csi.proto, `service Controller`).

/// `csi.v1.ValidateVolumeCapabilitiesRequest`.
public struct ValidateVolumeCapabilitiesRequest: TabledMessage {
  public var volumeID = ""
  public var volumeContext: [String: String] = [:]
  public var volumeCapabilities: [VolumeCapability] = []
  public var parameters: [String: String] = [:]
  public var secrets: [String: String] = [:]
  public var mutableParameters: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .map(2, \.volumeContext), .messages(3, \.volumeCapabilities), .map(4, \.parameters), .map(5, \.secrets),
    .map(6, \.mutableParameters),
  ]
}

/// `csi.v1.ValidateVolumeCapabilitiesResponse`.
public struct ValidateVolumeCapabilitiesResponse: TabledMessage {
  /// `csi.v1.ValidateVolumeCapabilitiesResponse.Confirmed`.
  public struct Confirmed: TabledMessage {
    public var volumeContext: [String: String] = [:]
    public var volumeCapabilities: [VolumeCapability] = []
    public var parameters: [String: String] = [:]
    public var mutableParameters: [String: String] = [:]
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .map(1, \.volumeContext), .messages(2, \.volumeCapabilities), .map(3, \.parameters), .map(4, \.mutableParameters),
    ]
  }

  public var confirmed: Confirmed?
  public var message = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.confirmed), .string(2, \.message),
  ]
}

/// `csi.v1.ListVolumesRequest`.
public struct ListVolumesRequest: TabledMessage {
  public var maxEntries: Int32 = 0
  public var startingToken = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int32(1, \.maxEntries), .string(2, \.startingToken),
  ]
}

/// `csi.v1.ListVolumesResponse`.
public struct ListVolumesResponse: TabledMessage {
  /// `csi.v1.ListVolumesResponse.VolumeStatus`.
  public struct VolumeStatus: TabledMessage {
    public var publishedNodeIDs: [String] = []
    public var volumeCondition: VolumeCondition?
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .strings(1, \.publishedNodeIDs), .message(2, \.volumeCondition),
    ]
  }

  /// `csi.v1.ListVolumesResponse.Entry`.
  public struct Entry: TabledMessage {
    public var volume: Volume?
    public var status: VolumeStatus?
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .message(1, \.volume), .message(2, \.status),
    ]
  }

  public var entries: [Entry] = []
  public var nextToken = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.entries), .string(2, \.nextToken),
  ]
}

/// `csi.v1.ControllerGetVolumeRequest`.
public struct ControllerGetVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID)
  ]
}

/// `csi.v1.ControllerGetVolumeResponse`.
public struct ControllerGetVolumeResponse: TabledMessage {
  /// `csi.v1.ControllerGetVolumeResponse.VolumeStatus`.
  public struct VolumeStatus: TabledMessage {
    public var publishedNodeIDs: [String] = []
    public var volumeCondition: VolumeCondition?
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .strings(1, \.publishedNodeIDs), .message(2, \.volumeCondition),
    ]
  }

  public var volume: Volume?
  public var status: VolumeStatus?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.volume), .message(2, \.status),
  ]
}

/// `csi.v1.GetCapacityRequest`.
public struct GetCapacityRequest: TabledMessage {
  public var volumeCapabilities: [VolumeCapability] = []
  public var parameters: [String: String] = [:]
  public var accessibleTopology: Topology?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.volumeCapabilities), .map(2, \.parameters), .message(3, \.accessibleTopology),
  ]
}

/// `csi.v1.GetCapacityResponse`.
public struct GetCapacityResponse: TabledMessage {
  public var availableCapacity: Int64 = 0
  public var maximumVolumeSize: ProtobufInt64Value?
  public var minimumVolumeSize: ProtobufInt64Value?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.availableCapacity), .message(2, \.maximumVolumeSize), .message(3, \.minimumVolumeSize),
  ]
}

/// `csi.v1.ControllerGetCapabilitiesRequest`.
public struct ControllerGetCapabilitiesRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.ControllerGetCapabilitiesResponse`.
public struct ControllerGetCapabilitiesResponse: TabledMessage {
  public var capabilities: [ControllerServiceCapability] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.capabilities)
  ]
}

/// `csi.v1.ControllerServiceCapability`.
public struct ControllerServiceCapability: TabledMessage {
  /// `csi.v1.ControllerServiceCapability.RPC`.
  public struct RPC: TabledMessage {
    public enum Kind: Int32, Sendable {
      case unknown = 0
      case createDeleteVolume = 1
      case publishUnpublishVolume = 2
      case listVolumes = 3
      case getCapacity = 4
      case createDeleteSnapshot = 5
      case listSnapshots = 6
      case cloneVolume = 7
      case publishReadonly = 8
      case expandVolume = 9
      case listVolumesPublishedNodes = 10
      case volumeCondition = 11
      case getVolume = 12
      case singleNodeMultiWriter = 13
      case modifyVolume = 14
      case getSnapshot = 15
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
