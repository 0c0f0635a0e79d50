import Protobuf

// What changes volumes (CSI 1.12, csi.proto, `service Controller`).

/// `csi.v1.CreateVolumeRequest`.
public struct CreateVolumeRequest: ProtobufMessage {
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

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: name = try field.string()
    case 2: capacityRange = try field.message(merging: capacityRange)
    case 3: volumeCapabilities.append(try field.message())
    case 4: try field.insert(into: &parameters)
    case 5: try field.insert(into: &secrets)
    case 6: volumeContentSource = try field.message(merging: volumeContentSource)
    case 7: accessibilityRequirements = try field.message(merging: accessibilityRequirements)
    case 8: try field.insert(into: &mutableParameters)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, name)
    writer.message(2, capacityRange)
    writer.messages(3, volumeCapabilities)
    writer.map(4, parameters)
    writer.map(5, secrets)
    writer.message(6, volumeContentSource)
    writer.message(7, accessibilityRequirements)
    writer.map(8, mutableParameters)
  }
}

/// `csi.v1.CreateVolumeResponse`.
public struct CreateVolumeResponse: ProtobufMessage {
  public var volume: Volume?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volume = try field.message(merging: volume)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, volume)
  }
}

/// `csi.v1.DeleteVolumeRequest`.
public struct DeleteVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: try field.insert(into: &secrets)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.map(2, secrets)
  }
}

/// `csi.v1.DeleteVolumeResponse`.
public struct DeleteVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.ControllerPublishVolumeRequest`.
public struct ControllerPublishVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var nodeID = ""
  public var volumeCapability: VolumeCapability?
  public var isReadOnly = false
  public var secrets: [String: String] = [:]
  public var volumeContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: nodeID = try field.string()
    case 3: volumeCapability = try field.message(merging: volumeCapability)
    case 4: isReadOnly = try field.bool()
    case 5: try field.insert(into: &secrets)
    case 6: try field.insert(into: &volumeContext)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, nodeID)
    writer.message(3, volumeCapability)
    writer.bool(4, isReadOnly)
    writer.map(5, secrets)
    writer.map(6, volumeContext)
  }
}

/// `csi.v1.ControllerPublishVolumeResponse`.
public struct ControllerPublishVolumeResponse: ProtobufMessage {
  public var publishContext: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: try field.insert(into: &publishContext)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.map(1, publishContext)
  }
}

/// `csi.v1.ControllerUnpublishVolumeRequest`.
public struct ControllerUnpublishVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var nodeID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: nodeID = try field.string()
    case 3: try field.insert(into: &secrets)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.string(2, nodeID)
    writer.map(3, secrets)
  }
}

/// `csi.v1.ControllerUnpublishVolumeResponse`.
public struct ControllerUnpublishVolumeResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.ControllerExpandVolumeRequest`.
public struct ControllerExpandVolumeRequest: ProtobufMessage {
  public var volumeID = ""
  public var capacityRange: CapacityRange?
  public var secrets: [String: String] = [:]
  public var volumeCapability: VolumeCapability?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: volumeID = try field.string()
    case 2: capacityRange = try field.message(merging: capacityRange)
    case 3: try field.insert(into: &secrets)
    case 4: volumeCapability = try field.message(merging: volumeCapability)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, volumeID)
    writer.message(2, capacityRange)
    writer.map(3, secrets)
    writer.message(4, volumeCapability)
  }
}

/// `csi.v1.ControllerExpandVolumeResponse`.
public struct ControllerExpandVolumeResponse: ProtobufMessage {
  public var capacityBytes: Int64 = 0
  public var isNodeExpansionRequired = false
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: capacityBytes = try field.int64()
    case 2: isNodeExpansionRequired = try field.bool()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, capacityBytes)
    writer.bool(2, isNodeExpansionRequired)
  }
}
