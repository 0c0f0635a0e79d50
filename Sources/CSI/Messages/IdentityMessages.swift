import Protobuf

// What the Identity service says (CSI 1.12, csi.proto, `service Identity`).

/// `csi.v1.GetPluginInfoRequest`.
public struct GetPluginInfoRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.GetPluginInfoResponse`.
public struct GetPluginInfoResponse: TabledMessage {
  public var name = ""
  public var vendorVersion = ""
  public var manifest: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.name), .string(2, \.vendorVersion), .map(3, \.manifest),
  ]
}

/// `csi.v1.GetPluginCapabilitiesRequest`.
public struct GetPluginCapabilitiesRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.GetPluginCapabilitiesResponse`.
public struct GetPluginCapabilitiesResponse: TabledMessage {
  public var capabilities: [PluginCapability] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .messages(1, \.capabilities)
  ]
}

/// `csi.v1.PluginCapability`.
public struct PluginCapability: TabledMessage {
  /// `csi.v1.PluginCapability.Service`.
  public struct Service: TabledMessage {
    public enum Kind: Int32, Sendable {
      case unknown = 0
      case controllerService = 1
      case volumeAccessibilityConstraints = 2
      case groupControllerService = 3
      case snapshotMetadataService = 4
    }

    public var type = Kind.unknown
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .choice(1, \.type, unknown: .unknown)
    ]
  }

  /// `csi.v1.PluginCapability.VolumeExpansion`.
  public struct VolumeExpansion: TabledMessage {
    public enum Kind: Int32, Sendable {
      case unknown = 0
      case online = 1
      case offline = 2
    }

    public var type = Kind.unknown
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .choice(1, \.type, unknown: .unknown)
    ]
  }

  public var service: Service?
  public var volumeExpansion: VolumeExpansion?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.service, insteadOf: \.volumeExpansion), .message(2, \.volumeExpansion, insteadOf: \.service),
  ]
}

/// `csi.v1.ProbeRequest`.
public struct ProbeRequest: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.ProbeResponse`.
public struct ProbeResponse: TabledMessage {
  public var ready: ProtobufBoolValue?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.ready)
  ]
}
