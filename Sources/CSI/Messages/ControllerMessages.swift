import Protobuf

// What changes volumes (CSI 1.12, csi.proto, `service Controller`).

/// `csi.v1.CreateVolumeRequest`.
public struct CreateVolumeRequest: TabledMessage {
  public var name = ""
  public var capacityRange: CapacityRange?
  public var volumeCapabilities: [VolumeCapability] = []
  public var parameters: [String: String] = [:]
  public var secrets: [String: String] = [:]
  public var volumeContentSource: VolumeContentSource?
  public var accessibilityRequirements: TopologyRequirement?
  public var mutableParameters: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.name), .message(2, \.capacityRange), .messages(3, \.volumeCapabilities), .map(4, \.parameters), .map(5, \.secrets),
    .message(6, \.volumeContentSource), .message(7, \.accessibilityRequirements), .map(8, \.mutableParameters),
  ]
}

/// `csi.v1.CreateVolumeResponse`.
public struct CreateVolumeResponse: TabledMessage {
  public var volume: Volume?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.volume)
  ]
}

/// `csi.v1.DeleteVolumeRequest`.
public struct DeleteVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .map(2, \.secrets),
  ]
}

/// `csi.v1.DeleteVolumeResponse`.
public struct DeleteVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.ControllerPublishVolumeRequest`.
public struct ControllerPublishVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var nodeID = ""
  public var volumeCapability: VolumeCapability?
  public var isReadOnly = false
  public var secrets: [String: String] = [:]
  public var volumeContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.nodeID), .message(3, \.volumeCapability), .bool(4, \.isReadOnly), .map(5, \.secrets),
    .map(6, \.volumeContext),
  ]
}

/// `csi.v1.ControllerPublishVolumeResponse`.
public struct ControllerPublishVolumeResponse: TabledMessage {
  public var publishContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .map(1, \.publishContext)
  ]
}

/// `csi.v1.ControllerUnpublishVolumeRequest`.
public struct ControllerUnpublishVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var nodeID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .string(2, \.nodeID), .map(3, \.secrets),
  ]
}

/// `csi.v1.ControllerUnpublishVolumeResponse`.
public struct ControllerUnpublishVolumeResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.ControllerExpandVolumeRequest`.
public struct ControllerExpandVolumeRequest: TabledMessage {
  public var volumeID = ""
  public var capacityRange: CapacityRange?
  public var secrets: [String: String] = [:]
  public var volumeCapability: VolumeCapability?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.volumeID), .message(2, \.capacityRange), .map(3, \.secrets), .message(4, \.volumeCapability),
  ]
}

/// `csi.v1.ControllerExpandVolumeResponse`.
public struct ControllerExpandVolumeResponse: TabledMessage {
  public var capacityBytes: Int64 = 0
  public var isNodeExpansionRequired = false
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.capacityBytes), .bool(2, \.isNodeExpansionRequired),
  ]
}
