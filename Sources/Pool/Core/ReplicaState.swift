/// What a pool stores of a replica itself; everything but its data and its logs.
struct ReplicaHeader: Equatable, Sendable {
  var id: Identifier
  var volumeID: Identifier
  /// The layer that takes its writes.
  var layer: UInt32
  var sizeBytes: UInt64
  var blockSizeBytes: UInt32
  /// Its clusters were taken and zeroed when it was made, and stay.
  var isThick: Bool
  /// Place in the order of creation, of replicas and snapshots together.
  var order: UInt64
}

/// A frozen state of a replica.
struct SnapshotHeader: Equatable, Sendable {
  var id: Identifier
  var volumeID: Identifier
  var layer: UInt32
  var sizeBytes: UInt64
  var blockSizeBytes: UInt32
  var order: UInt64
}

/// What a nexus told a replica when it claimed it, or when the membership changed since (R2, R3).
public struct ReplicaClaim: Equatable, Sendable {
  /// The highest generation this replica accepted.
  public var generation: UInt64
  /// The version of the in-sync set.
  public var setVersion: UInt64
  /// The nexus that holds the generation.
  public var nexusID: Identifier
  /// The in-sync set as last told, at most `maximumMembers`.
  public var inSync: [Identifier]
  /// The state store's revision as last told (R18).
  public var storeRevision: UInt64

  public static let maximumMembers = 16
  public static let none = ReplicaClaim(generation: 0, setVersion: 0, nexusID: .none, inSync: [], storeRevision: 0)

  public init(generation: UInt64, setVersion: UInt64, nexusID: Identifier, inSync: [Identifier], storeRevision: UInt64) {
    self.generation = generation
    self.setVersion = setVersion
    self.nexusID = nexusID
    self.inSync = inSync
    self.storeRevision = storeRevision
  }
}

/// All that a pool knows of a replica but its data.
struct ReplicaState: Equatable, Sendable {
  var header: ReplicaHeader
  var claim = ReplicaClaim.none
  /// Empty for one that nobody told.
  var volumeName = ""
  /// The machine's boot under which it was last opened (R7).
  var bootID = Identifier.none
  /// Whether writes that were acknowledged and not flushed may be gone: the machine booted anew while the activity log was not empty.
  var mayHaveLostCache = false
  /// Regions that may differ from the peers' (R5).
  var activity = RegionSet()
  /// What absent peers missed (R6), ascending by peer.
  var missed: [MissedRegions] = []

  init(header: ReplicaHeader) { self.header = header }

  /// What its sets of regions take, in words of 8 bytes.
  var regionWords: Int { missed.reduce(activity.words.count) { $0 + $1.regions.words.count } }

  struct MissedRegions: Equatable, Sendable {
    var peer: Identifier
    var regions: RegionSet
  }

  /// Changes a set of regions; a set of missed regions exists from its first mention until its peer is forgotten.
  mutating func change(_ set: RegionSetName, _ body: (inout RegionSet) -> Void) {
    switch set {
    case .activity: body(&activity)
    case .missed(let peer):
      let index = missed.firstIndex { $0.peer >= peer } ?? missed.count
      if index == missed.count || missed[index].peer != peer { missed.insert(MissedRegions(peer: peer, regions: RegionSet()), at: index) }
      body(&missed[index].regions)
    }
  }
}

/// Which of a replica's sets of regions.
public enum RegionSetName: Equatable, Sendable {
  /// The activity log (R5).
  case activity
  /// What an absent peer missed (R6).
  case missed(peer: Identifier)
}

/// A generation of data: the clusters that were written between two snapshots. What it does not hold is its parent's.
///
/// A layer is named by at most one replica or snapshot; one that nobody names is on its way out.
struct Layer: Equatable, Sendable {
  let id: UInt32
  /// Index of the parent in the table of layers, or -1.
  var parent: Int
  var clusterCount: UInt32
  var childCount = 0
  /// Replicas and snapshots that name it: 0 or 1.
  var nameCount = 0
  /// Clusters of the pool it has.
  var allocated = 0
  /// Its clusters with blocks that were trimmed over data of the parent.
  var holeCount = 0
  /// Bytes of the replica or snapshot behind it are never read beyond this.
  static let none = -1
}

/// What a pool is set to.
public struct PoolOptions: Equatable, Sendable {
  /// Replicas may be promised this much of the pool's capacity, in percent; 0 for no limit.
  public var overcommitPercent: UInt32
  /// The unit of activity logs and missed bitmaps: a power of two of bytes.
  public var regionBytes: UInt64
  /// At most this many regions of a replica in its activity log.
  public var maximumHotRegions: UInt32

  /// Ten times the capacity; 256 regions of 4 MiB: at most 1 GiB to compare after a crash.
  public static let standard = PoolOptions(overcommitPercent: 1000, regionBytes: 4 << 20, maximumHotRegions: 256)

  public init(overcommitPercent: UInt32, regionBytes: UInt64, maximumHotRegions: UInt32) {
    self.overcommitPercent = overcommitPercent
    self.regionBytes = regionBytes
    self.maximumHotRegions = maximumHotRegions
  }

  var isValid: Bool {
    regionBytes.nonzeroBitCount == 1 && regionBytes >= 64 << 10 && regionBytes <= 1 << 30 && maximumHotRegions > 0
      && maximumHotRegions <= 65_536
  }
}
