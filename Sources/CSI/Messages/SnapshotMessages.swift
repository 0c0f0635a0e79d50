import Protobuf

// What the Controller service says of snapshots (CSI 1.12, csi.proto).

/// `csi.v1.CreateSnapshotRequest`.
public struct CreateSnapshotRequest: TabledMessage {
  public var sourceVolumeID = ""
  public var name = ""
  public var secrets: [String: String] = [:]
  public var parameters: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.sourceVolumeID), .string(2, \.name), .map(3, \.secrets), .map(4, \.parameters),
  ]
}

/// `csi.v1.CreateSnapshotResponse`.
public struct CreateSnapshotResponse: TabledMessage {
  public var snapshot: Snapshot?
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .message(1, \.snapshot)
  ]
}

/// `csi.v1.Snapshot`.
public struct Snapshot: TabledMessage {
  public var sizeBytes: Int64 = 0
  public var snapshotID = ""
  public var sourceVolumeID = ""
  public var creationTime: ProtobufTimestamp?
  public var isReadyToUse = false
  public var groupSnapshotID = ""
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int64(1, \.sizeBytes), .string(2, \.snapshotID), .string(3, \.sourceVolumeID), .message(4, \.creationTime),
    .bool(5, \.isReadyToUse), .string(6, \.groupSnapshotID),
  ]
}

/// `csi.v1.DeleteSnapshotRequest`.
public struct DeleteSnapshotRequest: TabledMessage {
  public var snapshotID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .string(1, \.snapshotID), .map(2, \.secrets),
  ]
}

/// `csi.v1.DeleteSnapshotResponse`.
public struct DeleteSnapshotResponse: TabledMessage {
  public var unknownFields = UnknownFields()

  public init() {}
}

/// `csi.v1.ListSnapshotsRequest`.
public struct ListSnapshotsRequest: TabledMessage {
  public var maxEntries: Int32 = 0
  public var startingToken = ""
  public var sourceVolumeID = ""
  public var snapshotID = ""
  public var secrets: [String: String] = [:]
  public var unknownFields = UnknownFields()

  public init() {}

  public static let fields: [MessageField<Self>] = [
    .int32(1, \.maxEntries), .string(2, \.startingToken), .string(3, \.sourceVolumeID), .string(4, \.snapshotID), .map(5, \.secrets),
  ]
}

/// `csi.v1.ListSnapshotsResponse`.
public struct ListSnapshotsResponse: TabledMessage {
  /// `csi.v1.ListSnapshotsResponse.Entry`.
  public struct Entry: TabledMessage {
    public var snapshot: Snapshot?
    public var unknownFields = UnknownFields()

    public init() {}

    public static let fields: [MessageField<Self>] = [
      .message(1, \.snapshot)
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
