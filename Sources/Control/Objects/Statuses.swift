import Foundation

/// Where a node's target listens, in the words of the NVMe discovery log (NVMe over Fabrics: ADRFAM, TRADDR, TRSVCID).
public struct TransportAddress: Codable, Equatable, Sendable {
  /// "ipv4" or "ipv6".
  public var adrfam: String
  public var traddr: String
  public var trsvcid: String

  public init(adrfam: String, traddr: String, trsvcid: String) {
    self.adrfam = adrfam
    self.traddr = traddr
    self.trsvcid = trsvcid
  }
}

/// A running node process. At `status/<node>/node`, attached to the process's lease: it vanishes with the process.
public struct NodeStatus: StoredObject {
  public static let kind = "node status"

  public enum State: String, Codable, Sendable {
    case starting, ready, stopping
  }

  public var name: String
  public var pid: Int32
  /// Different for each run of the process.
  public var incarnation: String
  /// Where its target is reached: the first by hosts, the last by other nodes (they differ where hosts live on another network).
  public var addresses: [TransportAddress]
  /// "io_uring" or "libaio".
  public var ioEngine: String
  public var state: State
  public var startedAt: Date
  /// Where it stands, as its process was told: `--topology`. Absent for nothing said.
  public var topology: [String: String]?
  /// Where its metrics are read, as HOST:PORT. Absent for nowhere.
  public var metrics: String?

  public init(
    name: String, pid: Int32, incarnation: String, addresses: [TransportAddress], ioEngine: String, state: State, startedAt: Date,
    topology: [String: String]? = nil
  ) {
    self.name = name
    self.pid = pid
    self.incarnation = incarnation
    self.addresses = addresses
    self.ioEngine = ioEngine
    self.state = state
    self.startedAt = Date(timeIntervalSince1970: startedAt.timeIntervalSince1970.rounded(.down))
    self.topology = topology
  }
}

/// A pool of a node. At `status/<node>/pool/<name>`.
public struct PoolStatus: StoredObject {
  public static let kind = "pool status"

  public enum Kind: String, Codable, Sendable {
    case file, block, memory
    /// Loses what is not flushed when its node is killed: for tests and drills.
    case drill
  }

  public enum State: String, Codable, Sendable {
    case ready, faulted
  }

  public var name: String
  public var uuid: String
  public var poolKind: Kind
  public var path: String
  public var sizeBytes: UInt64
  /// In clusters that are nobody's.
  public var freeBytes: UInt64
  /// The sizes of its replicas together, which are thin: they may be more than there is.
  public var promisedBytes: UInt64
  /// Replicas take whole clusters of this size.
  public var clusterBytes: UInt64
  public var state: State
  public var message: String?
  /// What it holds; absent if its node does not say.
  public var contents: Contents?
  /// Absent while there were none.
  public var errors: DeviceErrors?

  enum CodingKeys: String, CodingKey {
    case name, uuid
    case poolKind = "kind"
    case path, sizeBytes, freeBytes, promisedBytes, clusterBytes, state, message, contents, errors
  }

  /// What a pool is set to, what it promised, and to whom.
  public struct Contents: Codable, Equatable, Sendable {
    /// What may be promised, in percent of its size; 0 for any.
    public var overcommitPercent: UInt32
    public var regionBytes: UInt64
    public var maximumHotRegions: UInt32
    /// Which checksums of data it keeps; absent for none.
    public var integrity: String?
    public var replicaCount: Int
    public var snapshotCount: Int
    /// Replicas and then snapshots, each oldest first; at most `maximumItems`.
    public var items: [Item]

    public static let maximumItems = 256

    public init(
      overcommitPercent: UInt32, regionBytes: UInt64, maximumHotRegions: UInt32, integrity: String? = nil, replicaCount: Int,
      snapshotCount: Int, items: [Item]
    ) {
      self.overcommitPercent = overcommitPercent
      self.regionBytes = regionBytes
      self.maximumHotRegions = maximumHotRegions
      self.integrity = integrity
      self.replicaCount = replicaCount
      self.snapshotCount = snapshotCount
      self.items = items
    }
  }

  /// A replica or snapshot in a pool.
  public struct Item: Codable, Equatable, Sendable {
    public var id: String
    public var volumeID: String
    public var isSnapshot: Bool
    public var sizeBytes: UInt64
    /// Bytes of clusters that were written for it.
    public var ownBytes: UInt64
    /// Bytes of clusters of snapshots below it.
    public var sharedBytes: UInt64

    public init(id: String, volumeID: String, isSnapshot: Bool, sizeBytes: UInt64, ownBytes: UInt64, sharedBytes: UInt64) {
      self.id = id
      self.volumeID = volumeID
      self.isSnapshot = isSnapshot
      self.sizeBytes = sizeBytes
      self.ownBytes = ownBytes
      self.sharedBytes = sharedBytes
    }
  }

  /// Reads and writes that failed since the pool was opened.
  public struct DeviceErrors: Codable, Equatable, Sendable {
    public var reads: UInt64
    public var writes: UInt64
    /// What the last one was, with device, offset and operation.
    public var last: String?

    public init(reads: UInt64, writes: UInt64, last: String?) {
      self.reads = reads
      self.writes = writes
      self.last = last
    }
  }

  public init(
    name: String, uuid: String, kind: Kind, path: String, sizeBytes: UInt64, freeBytes: UInt64, promisedBytes: UInt64,
    clusterBytes: UInt64, state: State, message: String? = nil, contents: Contents? = nil, errors: DeviceErrors? = nil
  ) {
    self.name = name
    self.uuid = uuid
    poolKind = kind
    self.path = path
    self.sizeBytes = sizeBytes
    self.freeBytes = freeBytes
    self.promisedBytes = promisedBytes
    self.clusterBytes = clusterBytes
    self.state = state
    self.message = message
    self.contents = contents
    self.errors = errors
  }
}

extension PoolStatus {
  /// What may be promised in all, `.max` for any; nil if its node does not say.
  public var promiseLimitBytes: UInt64? {
    guard let percent = contents?.overcommitPercent else { return nil }
    if percent == 0 { return .max }
    let (product, isHuge) = sizeBytes.multipliedReportingOverflow(by: UInt64(percent))
    return isHuge ? .max : product / 100
  }
}

/// A replica as its node sees it. At `status/<node>/replica/<id>`.
///
/// A node that finds a replica assignment marked `deleting` deletes the replica, if it has it, and then writes `deleted`; only that lets the
/// controller remove the assignment. When the assignment is gone the node removes this status. A missing status says nothing.
public struct ReplicaStatus: StoredObject {
  public static let kind = "replica status"

  public enum State: String, Codable, Sendable {
    case creating, ready, faulted, deleted
  }

  public var id: ReplicaID
  public var volumeID: VolumeID
  public var pool: String
  public var state: State
  public var message: String?
  public var subnqn: String
  private var lost: Bool?

  /// Its data are gone for good, as far as its node can tell: it is replaced without waiting.
  public var isLost: Bool { state == .faulted && lost == true }

  public init(id: ReplicaID, volumeID: VolumeID, pool: String, state: State, message: String? = nil, isLost: Bool = false) {
    lost = isLost ? true : nil
    self.id = id
    self.volumeID = volumeID
    self.pool = pool
    self.state = state
    self.message = message
    subnqn = NQN.replica(id)
  }
}

/// A nexus as its node sees it. At `status/<node>/nexus/<volumeID>`.
///
/// A node that finds a nexus assignment marked `deleting`, or gone, stops the nexus and then removes this status.
public struct NexusStatus: StoredObject {
  public static let kind = "nexus status"

  public enum State: String, Codable, Sendable {
    case starting, healthy, degraded
    /// Served, and a replica is on its way back.
    case rebuilding
    case blocked, faulted
  }

  /// One replica as the nexus sees it.
  public struct Replica: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable {
      /// In the set, claimed, and holds every acknowledged write.
      case inSync
      /// Outside of the set; gets every change, and is made equal.
      case syncing
      /// Outside of the set.
      case absent
      /// In the set, but not claimed.
      case unreachable
    }

    public var id: ReplicaID
    public var node: String
    public var state: State
    public var reason: String?
    /// It is sent changes, and answers far later than its peers: how late.
    public var slow: String?

    public init(id: ReplicaID, node: String, state: State, reason: String? = nil, slow: String? = nil) {
      self.id = id
      self.node = node
      self.state = state
      self.reason = reason
      self.slow = slow
    }
  }

  public var volumeID: VolumeID
  public var state: State
  public var message: String?
  public var generation: UInt64
  public var subnqn: String
  public var replicas: [Replica]
  /// The hosts that it admits; others are out, and their commands settled. Absent while it admits any.
  public var hosts: [Publication]?
  /// It has stopped in good order, and another node may take over. Absent for no.
  public var handedOver: Bool?
  /// Under way and over, the oldest first; at most `maximumRebuilds`. Absent for none.
  private var rebuildList: [RebuildStatus]?
  private var troubleList: [SnapshotTrouble]?
  private var deletedList: [SnapshotID]?
  /// Why the volume does not grow as it shall.
  public var growthTrouble: String?
  /// The scrub under way.
  public var scrub: ScrubStatus?

  public static let maximumRebuilds = 24

  enum CodingKeys: String, CodingKey {
    case volumeID, state, message, generation, subnqn, replicas, hosts, handedOver, scrub, growthTrouble
    case rebuildList = "rebuilds"
    case troubleList = "snapshotTroubles"
    case deletedList = "deletedSnapshots"
  }

  /// Why a snapshot is not taken, or not deleted everywhere.
  public struct SnapshotTrouble: Codable, Equatable, Sendable {
    public var id: SnapshotID
    public var message: String

    public init(id: SnapshotID, message: String) {
      self.id = id
      self.message = message
    }
  }

  /// Snapshots that are to go, of which there is nothing and will be nothing. Absent for none.
  public var deletedSnapshots: [SnapshotID] {
    get { deletedList ?? [] }
    set { deletedList = newValue.isEmpty ? nil : newValue }
  }

  /// Of snapshots that do not get on. Absent for none.
  public var snapshotTroubles: [SnapshotTrouble] {
    get { troubleList ?? [] }
    set { troubleList = newValue.isEmpty ? nil : newValue }
  }

  public var rebuilds: [RebuildStatus] {
    get { rebuildList ?? [] }
    set { rebuildList = newValue.isEmpty ? nil : newValue.suffix(Self.maximumRebuilds) }
  }

  public init(
    volumeID: VolumeID, state: State, message: String? = nil, generation: UInt64, replicas: [Replica], rebuilds: [RebuildStatus] = []
  ) {
    defer { self.rebuilds = rebuilds }
    self.volumeID = volumeID
    self.state = state
    self.message = message
    self.generation = generation
    subnqn = NQN.volume(volumeID)
    self.replicas = replicas
  }
}

/// What the controller has to say about a volume that does not get on. At `status/controller/volume/<name>`.
public struct VolumeNote: StoredObject {
  public static let kind = "volume note"

  public enum State: String, Codable, Sendable {
    /// It has no place yet.
    case pending
    /// It is going, and waits for a node.
    case deleting
    /// It lacks a replica that finds no place.
    case replacing
  }

  public var state: State
  public var message: String

  public init(state: State, message: String) {
    self.state = state
    self.message = message
  }
}

/// Who leads. At `lease/controller`, attached to that process's lease.
public struct LeaderRecord: StoredObject {
  public static let kind = "leader record"

  public var holder: String

  public init(holder: String) { self.holder = holder }
}
