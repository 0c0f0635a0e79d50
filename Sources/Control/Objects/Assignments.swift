/// A replica that a node shall hold. At `assign/<node>/replica/<id>`.
public struct ReplicaAssignment: StoredObject {
  public static let kind = "replica assignment"

  public var id: ReplicaID
  public var volumeID: VolumeID
  public var volumeName: String
  public var sizeBytes: UInt64
  public var blockSizeBytes: UInt32
  /// Absent for no.
  private var thick: Bool?
  /// The name of a pool of that node.
  public var pool: String
  /// The node whose nexus may connect.
  public var nexusNode: String
  /// The replica is to be deleted, and with it what is left of its volume's snapshots in the pool: this is the tombstone that names
  /// it (R18).
  public var deleting: Bool
  /// The snapshot in the same pool that it begins as, by its name in the pools; absent for zeros.
  public var sourceSnapshot: String?

  public init(
    id: ReplicaID, volumeID: VolumeID, volumeName: String, sizeBytes: UInt64, blockSizeBytes: UInt32, isThick: Bool = false,
    pool: String, nexusNode: String, deleting: Bool = false, sourceSnapshot: String? = nil
  ) {
    self.id = id
    self.volumeID = volumeID
    self.volumeName = volumeName
    self.sizeBytes = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    thick = isThick ? true : nil
    self.pool = pool
    self.nexusNode = nexusNode
    self.deleting = deleting
    self.sourceSnapshot = sourceSnapshot
  }

  /// Whether it takes all its space when it is made.
  public var isThick: Bool { thick ?? false }
}

/// A nexus that a node shall run. At `assign/<node>/nexus/<volumeID>`.
public struct NexusAssignment: StoredObject {
  public static let kind = "nexus assignment"
  /// Those on their way in and out included, as for the nexus itself.
  public static let maximumReplicas = 8

  /// Where one replica of the volume is.
  public struct Replica: Codable, Equatable, Sendable {
    public var id: ReplicaID
    public var node: String
    public var pool: String

    public init(id: ReplicaID, node: String, pool: String) {
      self.id = id
      self.node = node
      self.pool = pool
    }
  }

  public var volumeID: VolumeID
  public var volumeName: String
  public var sizeBytes: UInt64
  public var blockSizeBytes: UInt32
  /// Below this many replicas in sync nothing is served (R1). Absent for the default of the number of replicas.
  public var minInSync: Int?
  public var replicas: [Replica]
  public var deleting: Bool
  /// What the volume is to grow to; absent while that is `sizeBytes`, with which it was made.
  public var wantedSizeBytes: UInt64?
  /// Snapshots that shall be, or shall go. What is not named here is left alone. Absent for none.
  private var snapshotList: [WantedSnapshot]?

  /// A snapshot that the nexus shall take or delete.
  public struct WantedSnapshot: Codable, Equatable, Sendable {
    public var id: SnapshotID
    public var deleting: Bool

    public init(id: SnapshotID, deleting: Bool) {
      self.id = id
      self.deleting = deleting
    }
  }

  enum CodingKeys: String, CodingKey {
    case volumeID, volumeName, sizeBytes, blockSizeBytes, minInSync, replicas, deleting, wantedSizeBytes, publications, otherPaths
    case handsOver, lostNodes, orders
    case snapshotList = "snapshots"
  }

  public var snapshots: [WantedSnapshot] {
    get { snapshotList ?? [] }
    set { snapshotList = newValue.isEmpty ? nil : newValue }
  }
  /// From the specification; absent where it says nothing.
  public var orders: VolumeOrders?
  /// The hosts that may connect; absent for any.
  public var publications: [Publication]?
  /// The other ways to the volume, which discovery tells of too. Absent for none.
  public var otherPaths: [PathAddress]?
  /// The nexus is to stop serving in good order and say so: another node is about to take over. Absent for no.
  public var handsOver: Bool?
  /// Nodes that were found dead when the nexus was assigned: it does not wait for their replicas. Absent for none.
  public var lostNodes: [String]?

  public init(
    volumeID: VolumeID, volumeName: String, sizeBytes: UInt64, blockSizeBytes: UInt32, minInSync: Int? = nil, replicas: [Replica],
    deleting: Bool = false, publications: [Publication]? = nil
  ) {
    self.publications = publications
    self.volumeID = volumeID
    self.volumeName = volumeName
    self.sizeBytes = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    self.minInSync = minInSync
    self.replicas = replicas
    self.deleting = deleting
  }

  /// `minInSync`, or its default.
  public var effectiveMinInSync: Int { minInSync ?? VolumeSpec.defaultMinInSync(replicaCount: replicas.count) }

  /// The node of one of its replicas.
  public func node(of replica: ReplicaID) -> String? { replicas.first { $0.id == replica }?.node }
}

/// Where a node's target is reached by hosts.
public struct PathAddress: Codable, Equatable, Sendable {
  public var node: String
  public var address: TransportAddress

  public init(node: String, address: TransportAddress) {
    self.node = node
    self.address = address
  }
}

/// A node that serves a volume's subsystem without its nexus, so that hosts have a way to turn to (R19). At `assign/<node>/path/<volumeID>`.
public struct PathAssignment: StoredObject {
  public static let kind = "path assignment"

  public var volumeID: VolumeID
  public var volumeName: String
  public var sizeBytes: UInt64
  public var blockSizeBytes: UInt32
  /// The pool with the volume's replica on that node; absent if there is none.
  public var pool: String?
  /// The hosts that may connect; absent for any.
  public var publications: [Publication]?
  /// The other ways to the volume, the one through the nexus included. Absent for none.
  public var otherPaths: [PathAddress]?

  public init(
    volumeID: VolumeID, volumeName: String, sizeBytes: UInt64, blockSizeBytes: UInt32, pool: String?, publications: [Publication]? = nil,
    otherPaths: [PathAddress]? = nil
  ) {
    self.volumeID = volumeID
    self.volumeName = volumeName
    self.sizeBytes = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    self.pool = pool
    self.publications = publications
    self.otherPaths = otherPaths
  }
}
