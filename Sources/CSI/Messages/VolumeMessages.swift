import Protobuf

// What several services speak of: volumes, what they can do, where they are (CSI 1.12, csi.proto).

/// `csi.v1.VolumeContentSource`.
public struct VolumeContentSource: ProtobufMessage {
  /// `csi.v1.VolumeContentSource.SnapshotSource`.
  public struct SnapshotSource: ProtobufMessage {
    public var snapshotID = ""
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: snapshotID = try field.string()
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.string(1, snapshotID)
    }
  }

  /// `csi.v1.VolumeContentSource.VolumeSource`.
  public struct VolumeSource: ProtobufMessage {
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

  public var snapshot: SnapshotSource?
  public var volume: VolumeSource?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1:
      snapshot = try field.message(merging: snapshot)
      volume = nil
    case 2:
      volume = try field.message(merging: volume)
      snapshot = nil
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, snapshot)
    writer.message(2, volume)
  }
}

/// `csi.v1.VolumeCapability`.
public struct VolumeCapability: ProtobufMessage {
  /// `csi.v1.VolumeCapability.BlockVolume`.
  public struct BlockVolume: ProtobufMessage {
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

    public func encode(into writer: inout WireWriter) {}
  }

  /// `csi.v1.VolumeCapability.MountVolume`.
  public struct MountVolume: ProtobufMessage {
    public var fsType = ""
    public var mountFlags: [String] = []
    public var volumeMountGroup = ""
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: fsType = try field.string()
      case 2: mountFlags.append(try field.string())
      case 3: volumeMountGroup = try field.string()
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.string(1, fsType)
      writer.strings(2, mountFlags)
      writer.string(3, volumeMountGroup)
    }
  }

  /// `csi.v1.VolumeCapability.AccessMode`.
  public struct AccessMode: ProtobufMessage {
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

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: mode = Mode(rawValue: try field.int32()) ?? .unknown
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.int32(1, mode.rawValue)
    }
  }

  public var block: BlockVolume?
  public var mount: MountVolume?
  public var accessMode: AccessMode?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1:
      block = try field.message(merging: block)
      mount = nil
    case 2:
      mount = try field.message(merging: mount)
      block = nil
    case 3: accessMode = try field.message(merging: accessMode)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, block)
    writer.message(2, mount)
    writer.message(3, accessMode)
  }
}

/// `csi.v1.CapacityRange`.
public struct CapacityRange: ProtobufMessage {
  public var requiredBytes: Int64 = 0
  public var limitBytes: Int64 = 0
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: requiredBytes = try field.int64()
    case 2: limitBytes = try field.int64()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, requiredBytes)
    writer.int64(2, limitBytes)
  }
}

/// `csi.v1.Volume`.
public struct Volume: ProtobufMessage {
  public var capacityBytes: Int64 = 0
  public var volumeID = ""
  public var volumeContext: [String: String] = [:]
  public var contentSource: VolumeContentSource?
  public var accessibleTopology: [Topology] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: capacityBytes = try field.int64()
    case 2: volumeID = try field.string()
    case 3: try field.insert(into: &volumeContext)
    case 4: contentSource = try field.message(merging: contentSource)
    case 5: accessibleTopology.append(try field.message())
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, capacityBytes)
    writer.string(2, volumeID)
    writer.map(3, volumeContext)
    writer.message(4, contentSource)
    writer.messages(5, accessibleTopology)
  }
}

/// `csi.v1.TopologyRequirement`.
public struct TopologyRequirement: ProtobufMessage {
  public var requisite: [Topology] = []
  public var preferred: [Topology] = []
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: requisite.append(try field.message())
    case 2: preferred.append(try field.message())
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.messages(1, requisite)
    writer.messages(2, preferred)
  }
}

/// `csi.v1.Topology`.
public struct Topology: ProtobufMessage {
  public var segments: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: try field.insert(into: &segments)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.map(1, segments)
  }
}

/// `csi.v1.VolumeCondition`.
public struct VolumeCondition: ProtobufMessage {
  public var isAbnormal = false
  public var message = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: isAbnormal = try field.bool()
    case 2: message = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.bool(1, isAbnormal)
    writer.string(2, message)
  }
}
