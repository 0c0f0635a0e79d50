import Protobuf

// What the Identity service says (CSI 1.12, csi.proto, `service Identity`).

/// `csi.v1.GetPluginInfoRequest`.
public struct GetPluginInfoRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.GetPluginInfoResponse`.
public struct GetPluginInfoResponse: ProtobufMessage {
  public var name = ""
  public var vendorVersion = ""
  public var manifest: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: name = try field.string()
    case 2: vendorVersion = try field.string()
    case 3: try field.insert(into: &manifest)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, name)
    writer.string(2, vendorVersion)
    writer.map(3, manifest)
  }
}

/// `csi.v1.GetPluginCapabilitiesRequest`.
public struct GetPluginCapabilitiesRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.GetPluginCapabilitiesResponse`.
public struct GetPluginCapabilitiesResponse: ProtobufMessage {
  public var capabilities: [PluginCapability] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: capabilities.append(try field.message())
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.messages(1, capabilities)
  }
}

/// `csi.v1.PluginCapability`.
public struct PluginCapability: ProtobufMessage {
  /// `csi.v1.PluginCapability.Service`.
  public struct Service: ProtobufMessage {
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

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: type = Kind(rawValue: try field.int32()) ?? .unknown
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.int32(1, type.rawValue)
    }
  }

  /// `csi.v1.PluginCapability.VolumeExpansion`.
  public struct VolumeExpansion: ProtobufMessage {
    public enum Kind: Int32, Sendable {
      case unknown = 0
      case online = 1
      case offline = 2
    }

    public var type = Kind.unknown
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: type = Kind(rawValue: try field.int32()) ?? .unknown
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.int32(1, type.rawValue)
    }
  }

  public var service: Service?
  public var volumeExpansion: VolumeExpansion?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1:
      service = try field.message(merging: service)
      volumeExpansion = nil
    case 2:
      volumeExpansion = try field.message(merging: volumeExpansion)
      service = nil
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, service)
    writer.message(2, volumeExpansion)
  }
}

/// `csi.v1.ProbeRequest`.
public struct ProbeRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.ProbeResponse`.
public struct ProbeResponse: ProtobufMessage {
  public var ready: ProtobufBoolValue?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: ready = try field.message(merging: ready)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, ready)
  }
}
