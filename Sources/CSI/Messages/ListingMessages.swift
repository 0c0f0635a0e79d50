import Protobuf

// What tells of volumes (CSI 1.12, csi.proto, `service Controller`).

/// `csi.v1.ValidateVolumeCapabilitiesRequest`.
public struct ValidateVolumeCapabilitiesRequest: ProtobufMessage {
  public var volumeID = ""
  public var volumeContext: [String: String] = [:]
  public var volumeCapabilities: [VolumeCapability] = []
  public var parameters: [String: String] = [:]
  public var secrets: [String: String] = [:]
  public var mutableParameters: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: try field.insert(into: &volumeContext)
    case 3: volumeCapabilities.append(try field.message())
    case 4: try field.insert(into: &parameters)
    case 5: try field.insert(into: &secrets)
    case 6: try field.insert(into: &mutableParameters)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.map(2, volumeContext)
    writer.messages(3, volumeCapabilities)
    writer.map(4, parameters)
    writer.map(5, secrets)
    writer.map(6, mutableParameters)
  }
}

/// `csi.v1.ValidateVolumeCapabilitiesResponse`.
public struct ValidateVolumeCapabilitiesResponse: ProtobufMessage {
  /// `csi.v1.ValidateVolumeCapabilitiesResponse.Confirmed`.
  public struct Confirmed: ProtobufMessage {
    public var volumeContext: [String: String] = [:]
    public var volumeCapabilities: [VolumeCapability] = []
    public var parameters: [String: String] = [:]
    public var mutableParameters: [String: String] = [:]
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: try field.insert(into: &volumeContext)
      case 2: volumeCapabilities.append(try field.message())
      case 3: try field.insert(into: &parameters)
      case 4: try field.insert(into: &mutableParameters)
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.map(1, volumeContext)
      writer.messages(2, volumeCapabilities)
      writer.map(3, parameters)
      writer.map(4, mutableParameters)
    }
  }

  public var confirmed: Confirmed?
  public var message = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: confirmed = try field.message(merging: confirmed)
    case 2: message = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, confirmed)
    writer.string(2, message)
  }
}

/// `csi.v1.ListVolumesRequest`.
public struct ListVolumesRequest: ProtobufMessage {
  public var maxEntries: Int32 = 0
  public var startingToken = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: maxEntries = try field.int32()
    case 2: startingToken = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int32(1, maxEntries)
    writer.string(2, startingToken)
  }
}

/// `csi.v1.ListVolumesResponse`.
public struct ListVolumesResponse: ProtobufMessage {
  /// `csi.v1.ListVolumesResponse.VolumeStatus`.
  public struct VolumeStatus: ProtobufMessage {
    public var publishedNodeIDs: [String] = []
    public var volumeCondition: VolumeCondition?
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: publishedNodeIDs.append(try field.string())
      case 2: volumeCondition = try field.message(merging: volumeCondition)
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.strings(1, publishedNodeIDs)
      writer.message(2, volumeCondition)
    }
  }

  /// `csi.v1.ListVolumesResponse.Entry`.
  public struct Entry: ProtobufMessage {
    public var volume: Volume?
    public var status: VolumeStatus?
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: volume = try field.message(merging: volume)
      case 2: status = try field.message(merging: status)
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.message(1, volume)
      writer.message(2, status)
    }
  }

  public var entries: [Entry] = []
  public var nextToken = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: entries.append(try field.message())
    case 2: nextToken = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.messages(1, entries)
    writer.string(2, nextToken)
  }
}

/// `csi.v1.ControllerGetVolumeRequest`.
public struct ControllerGetVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
  }
}

/// `csi.v1.ControllerGetVolumeResponse`.
public struct ControllerGetVolumeResponse: ProtobufMessage {
  /// `csi.v1.ControllerGetVolumeResponse.VolumeStatus`.
  public struct VolumeStatus: ProtobufMessage {
    public var publishedNodeIDs: [String] = []
    public var volumeCondition: VolumeCondition?
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: publishedNodeIDs.append(try field.string())
      case 2: volumeCondition = try field.message(merging: volumeCondition)
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.strings(1, publishedNodeIDs)
      writer.message(2, volumeCondition)
    }
  }

  public var volume: Volume?
  public var status: VolumeStatus?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volume = try field.message(merging: volume)
    case 2: status = try field.message(merging: status)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, volume)
    writer.message(2, status)
  }
}

/// `csi.v1.GetCapacityRequest`.
public struct GetCapacityRequest: ProtobufMessage {
  public var volumeCapabilities: [VolumeCapability] = []
  public var parameters: [String: String] = [:]
  public var accessibleTopology: Topology?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeCapabilities.append(try field.message())
    case 2: try field.insert(into: &parameters)
    case 3: accessibleTopology = try field.message(merging: accessibleTopology)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.messages(1, volumeCapabilities)
    writer.map(2, parameters)
    writer.message(3, accessibleTopology)
  }
}

/// `csi.v1.GetCapacityResponse`.
public struct GetCapacityResponse: ProtobufMessage {
  public var availableCapacity: Int64 = 0
  public var maximumVolumeSize: ProtobufInt64Value?
  public var minimumVolumeSize: ProtobufInt64Value?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: availableCapacity = try field.int64()
    case 2: maximumVolumeSize = try field.message(merging: maximumVolumeSize)
    case 3: minimumVolumeSize = try field.message(merging: minimumVolumeSize)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, availableCapacity)
    writer.message(2, maximumVolumeSize)
    writer.message(3, minimumVolumeSize)
  }
}

/// `csi.v1.ControllerGetCapabilitiesRequest`.
public struct ControllerGetCapabilitiesRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.ControllerGetCapabilitiesResponse`.
public struct ControllerGetCapabilitiesResponse: ProtobufMessage {
  public var capabilities: [ControllerServiceCapability] = []
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

/// `csi.v1.ControllerServiceCapability`.
public struct ControllerServiceCapability: ProtobufMessage {
  /// `csi.v1.ControllerServiceCapability.RPC`.
  public struct RPC: ProtobufMessage {
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

  public var rpc: RPC?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: rpc = try field.message(merging: rpc)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, rpc)
  }
}
