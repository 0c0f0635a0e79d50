import Protobuf

// What the Node service says (CSI 1.12, csi.proto, `service Node`).

/// `csi.v1.NodeStageVolumeRequest`.
public struct NodeStageVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var publishContext: [String: String] = [:]
  public var stagingTargetPath = ""
  public var volumeCapability: VolumeCapability?
  public var secrets: [String: String] = [:]
  public var volumeContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: try field.insert(into: &publishContext)
    case 3: stagingTargetPath = try field.string()
    case 4: volumeCapability = try field.message(merging: volumeCapability)
    case 5: try field.insert(into: &secrets)
    case 6: try field.insert(into: &volumeContext)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.map(2, publishContext)
    writer.string(3, stagingTargetPath)
    writer.message(4, volumeCapability)
    writer.map(5, secrets)
    writer.map(6, volumeContext)
  }
}

/// `csi.v1.NodeStageVolumeResponse`.
public struct NodeStageVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodeUnstageVolumeRequest`.
public struct NodeUnstageVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var stagingTargetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: stagingTargetPath = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, stagingTargetPath)
  }
}

/// `csi.v1.NodeUnstageVolumeResponse`.
public struct NodeUnstageVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodePublishVolumeRequest`.
public struct NodePublishVolumeRequest: ProtobufMessage {
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

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: try field.insert(into: &publishContext)
    case 3: stagingTargetPath = try field.string()
    case 4: targetPath = try field.string()
    case 5: volumeCapability = try field.message(merging: volumeCapability)
    case 6: isReadOnly = try field.bool()
    case 7: try field.insert(into: &secrets)
    case 8: try field.insert(into: &volumeContext)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.map(2, publishContext)
    writer.string(3, stagingTargetPath)
    writer.string(4, targetPath)
    writer.message(5, volumeCapability)
    writer.bool(6, isReadOnly)
    writer.map(7, secrets)
    writer.map(8, volumeContext)
  }
}

/// `csi.v1.NodePublishVolumeResponse`.
public struct NodePublishVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodeUnpublishVolumeRequest`.
public struct NodeUnpublishVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var targetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: targetPath = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, targetPath)
  }
}

/// `csi.v1.NodeUnpublishVolumeResponse`.
public struct NodeUnpublishVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodeGetVolumeStatsRequest`.
public struct NodeGetVolumeStatsRequest: ProtobufMessage {
  public var volumeID = ""
  public var volumePath = ""
  public var stagingTargetPath = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: volumePath = try field.string()
    case 3: stagingTargetPath = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, volumePath)
    writer.string(3, stagingTargetPath)
  }
}

/// `csi.v1.NodeGetVolumeStatsResponse`.
public struct NodeGetVolumeStatsResponse: ProtobufMessage {
  public var usage: [VolumeUsage] = []
  public var volumeCondition: VolumeCondition?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: usage.append(try field.message())
    case 2: volumeCondition = try field.message(merging: volumeCondition)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.messages(1, usage)
    writer.message(2, volumeCondition)
  }
}

/// `csi.v1.VolumeUsage`.
public struct VolumeUsage: ProtobufMessage {
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

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: available = try field.int64()
    case 2: total = try field.int64()
    case 3: used = try field.int64()
    case 4: unit = Unit(rawValue: try field.int32()) ?? .unknown
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, available)
    writer.int64(2, total)
    writer.int64(3, used)
    writer.int32(4, unit.rawValue)
  }
}

/// `csi.v1.NodeGetCapabilitiesRequest`.
public struct NodeGetCapabilitiesRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodeGetCapabilitiesResponse`.
public struct NodeGetCapabilitiesResponse: ProtobufMessage {
  public var capabilities: [NodeServiceCapability] = []
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

/// `csi.v1.NodeServiceCapability`.
public struct NodeServiceCapability: ProtobufMessage {
  /// `csi.v1.NodeServiceCapability.RPC`.
  public struct RPC: ProtobufMessage {
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

/// `csi.v1.NodeGetInfoRequest`.
public struct NodeGetInfoRequest: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.NodeGetInfoResponse`.
public struct NodeGetInfoResponse: ProtobufMessage {
  public var nodeID = ""
  public var maxVolumesPerNode: Int64 = 0
  public var accessibleTopology: Topology?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: nodeID = try field.string()
    case 2: maxVolumesPerNode = try field.int64()
    case 3: accessibleTopology = try field.message(merging: accessibleTopology)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, nodeID)
    writer.int64(2, maxVolumesPerNode)
    writer.message(3, accessibleTopology)
  }
}

/// `csi.v1.NodeExpandVolumeRequest`.
public struct NodeExpandVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var volumePath = ""
  public var capacityRange: CapacityRange?
  public var stagingTargetPath = ""
  public var volumeCapability: VolumeCapability?
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: volumePath = try field.string()
    case 3: capacityRange = try field.message(merging: capacityRange)
    case 4: stagingTargetPath = try field.string()
    case 5: volumeCapability = try field.message(merging: volumeCapability)
    case 6: try field.insert(into: &secrets)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, volumePath)
    writer.message(3, capacityRange)
    writer.string(4, stagingTargetPath)
    writer.message(5, volumeCapability)
    writer.map(6, secrets)
  }
}

/// `csi.v1.NodeExpandVolumeResponse`.
public struct NodeExpandVolumeResponse: ProtobufMessage {
  public var capacityBytes: Int64 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: capacityBytes = try field.int64()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, capacityBytes)
  }
}
