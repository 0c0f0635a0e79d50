import Protobuf

// What the Controller service says of snapshots (CSI 1.12, csi.proto).

/// `csi.v1.CreateSnapshotRequest`.
public struct CreateSnapshotRequest: ProtobufMessage {
  public var sourceVolumeID = ""
  public var name = ""
  public var secrets: [String: String] = [:]
  public var parameters: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: sourceVolumeID = try field.string()
    case 2: name = try field.string()
    case 3: try field.insert(into: &secrets)
    case 4: try field.insert(into: &parameters)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, sourceVolumeID)
    writer.string(2, name)
    writer.map(3, secrets)
    writer.map(4, parameters)
  }
}

/// `csi.v1.CreateSnapshotResponse`.
public struct CreateSnapshotResponse: ProtobufMessage {
  public var snapshot: Snapshot?
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: snapshot = try field.message(merging: snapshot)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.message(1, snapshot)
  }
}

/// `csi.v1.Snapshot`.
public struct Snapshot: ProtobufMessage {
  public var sizeBytes: Int64 = 0
  public var snapshotID = ""
  public var sourceVolumeID = ""
  public var creationTime: ProtobufTimestamp?
  public var isReadyToUse = false
  public var groupSnapshotID = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: sizeBytes = try field.int64()
    case 2: snapshotID = try field.string()
    case 3: sourceVolumeID = try field.string()
    case 4: creationTime = try field.message(merging: creationTime)
    case 5: isReadyToUse = try field.bool()
    case 6: groupSnapshotID = try field.string()
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int64(1, sizeBytes)
    writer.string(2, snapshotID)
    writer.string(3, sourceVolumeID)
    writer.message(4, creationTime)
    writer.bool(5, isReadyToUse)
    writer.string(6, groupSnapshotID)
  }
}

/// `csi.v1.DeleteSnapshotRequest`.
public struct DeleteSnapshotRequest: ProtobufMessage {
  public var snapshotID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: snapshotID = try field.string()
    case 2: try field.insert(into: &secrets)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(1, snapshotID)
    writer.map(2, secrets)
  }
}

/// `csi.v1.DeleteSnapshotResponse`.
public struct DeleteSnapshotResponse: ProtobufMessage {
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool { false }

  public func encode(into writer: inout WireWriter) {}
}

/// `csi.v1.ListSnapshotsRequest`.
public struct ListSnapshotsRequest: ProtobufMessage {
  public var maxEntries: Int32 = 0
  public var startingToken = ""
  public var sourceVolumeID = ""
  public var snapshotID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
    switch field.number {
    case 1: maxEntries = try field.int32()
    case 2: startingToken = try field.string()
    case 3: sourceVolumeID = try field.string()
    case 4: snapshotID = try field.string()
    case 5: try field.insert(into: &secrets)
    default: return false
    }
    return true
  }

  public func encode(into writer: inout WireWriter) {
    writer.int32(1, maxEntries)
    writer.string(2, startingToken)
    writer.string(3, sourceVolumeID)
    writer.string(4, snapshotID)
    writer.map(5, secrets)
  }
}

/// `csi.v1.ListSnapshotsResponse`.
public struct ListSnapshotsResponse: ProtobufMessage {
  /// `csi.v1.ListSnapshotsResponse.Entry`.
  public struct Entry: ProtobufMessage {
    public var snapshot: Snapshot?
    public var unknownFields = UnknownFields()

    public init() {}

    public mutating func decode(_ field: WireField) throws(ProtobufError) -> Bool {
      switch field.number {
      case 1: snapshot = try field.message(merging: snapshot)
      default: return false
      }
      return true
    }

    public func encode(into writer: inout WireWriter) {
      writer.message(1, snapshot)
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
