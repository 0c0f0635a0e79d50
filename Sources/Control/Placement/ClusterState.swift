/// An object together with the node whose prefix it lies under.
public struct Placed<Object: StoredObject>: Sendable {
  public var node: String
  public var stored: Stored<Object>

  public var object: Object { stored.object }
}

/// All objects of the store at one revision, decoded, with indices by volume and by node: what concerns one volume or one node is found without
/// looking at the others. Lists are in the order of their keys; those of all volumes are made when asked for, and are for people's views.
///
/// It is made from a listing and kept current by `apply(_:)`.
public struct ClusterState: Sendable {
  /// What it shows; a watch goes on at the next.
  public internal(set) var revision: StoreRevision = 0

  /// The revision at which each key that is there was last changed.
  var revisions: [String: StoreRevision] = [:]
  /// Keys that were removed by our own transactions, ahead of the watch.
  var removedAhead: [String: StoreRevision] = [:]
  var problemsByKey: [String: ObjectError] = [:]
  var volumesByKey: [String: Stored<VolumeSpec>] = [:]
  var snapshotsByKey: [String: Stored<SnapshotSpec>] = [:]
  /// Volumes that began, or are to begin, as snapshots of a volume.
  var clonesByVolume: [VolumeID: Set<VolumeID>] = [:]
  var nodeSpecsByName: [String: Stored<NodeSpec>] = [:]
  var poolSpecsByKey: [String: Stored<PoolSpec>] = [:]
  var replicaAssignmentsByKey: [String: Placed<ReplicaAssignment>] = [:]
  var nexusAssignmentsByKey: [String: Placed<NexusAssignment>] = [:]
  var inSyncByKey: [String: Stored<InSyncRecord>] = [:]
  var notesByKey: [String: Stored<VolumeNote>] = [:]
  var nodesByName: [String: Stored<NodeStatus>] = [:]
  var nodeNotesByName: [String: Stored<NodeNote>] = [:]
  var poolsByKey: [String: Placed<PoolStatus>] = [:]
  var replicaStatusesByKey: [String: Placed<ReplicaStatus>] = [:]
  var nexusStatusesByKey: [String: Placed<NexusStatus>] = [:]
  var pathAssignmentsByKey: [String: Placed<PathAssignment>] = [:]
  var pathStatusesByKey: [String: PathStatus] = [:]
  var peersByNode: [String: PeerStatus] = [:]
  var foundReplicasByKey: [String: Placed<FoundReplica>] = [:]
  var doubtsByWho: [String: StoreDoubt] = [:]
  /// The operator's word about the store.
  internal(set) public var trust: StoreTrust?
  var index = ClusterIndex()
  /// Incarnations of running nodes that peers which run say they have lost.
  internal(set) public var lossReports: Set<String> = []
  /// Incarnations of nodes that the controller has just reached, whatever their peers say.
  public var reached: Set<String> = []

  /// `entries` in any order; unknown keys are left alone.
  public init(_ entries: [StoreEntry], revision: StoreRevision = 0) {
    self.revision = revision
    var changes = ClusterChanges()
    for entry in entries { put(entry, &changes) }
  }

  // MARK: All of a kind, by key

  public var volumes: [Stored<VolumeSpec>] { Self.sorted(volumesByKey) }
  public var snapshots: [Stored<SnapshotSpec>] { Self.sorted(snapshotsByKey) }
  public var replicaAssignments: [Placed<ReplicaAssignment>] { Self.sorted(replicaAssignmentsByKey) }
  public var nexusAssignments: [Placed<NexusAssignment>] { Self.sorted(nexusAssignmentsByKey) }
  public var pathAssignments: [Placed<PathAssignment>] { Self.sorted(pathAssignmentsByKey) }
  public var nodes: [Stored<NodeStatus>] { Self.sorted(nodesByName) }
  public var nodeSpecs: [Stored<NodeSpec>] { Self.sorted(nodeSpecsByName) }
  public var pools: [Placed<PoolStatus>] { Self.sorted(poolsByKey) }
  public var replicaStatuses: [Placed<ReplicaStatus>] { Self.sorted(replicaStatusesByKey) }
  public var nexusStatuses: [Placed<NexusStatus>] { Self.sorted(nexusStatusesByKey) }
  /// Replicas in pools that nobody assigned.
  public var foundReplicas: [Placed<FoundReplica>] {
    Self.sorted(foundReplicasByKey).filter { replicaAssignmentsByKey[Keys.replicaAssignment(node: $0.node, $0.object.id)] == nil }
  }
  /// Who does not live by the store, and why.
  public var doubts: [(node: String, doubt: StoreDoubt)] {
    doubtsByWho.filter { $0.key != Keys.controllerName }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
  /// That the store went back in time, as a node says whose word stands: the first by name.
  var doubtForAll: (node: String, doubt: StoreDoubt)? { doubts.first { $0.doubt.concernsAll && !$0.doubt.isOverruled(by: trust) } }
  /// What the controller has said of that.
  var statedDoubt: StoreDoubt? { doubtsByWho[Keys.controllerName] }
  /// Objects that could not be read. Nothing is decided about what they may mean.
  public var problems: [ObjectError] { Self.sorted(problemsByKey) }

  /// Every node that runs, has pools, has assignments or of which people want something, by name.
  public var nodeNames: [String] {
    Set(nodesByName.keys).union(nodeSpecsByName.keys).union(index.poolKeysByNode.keys).union(index.assignmentKeysByNode.keys).sorted()
  }

  static func sorted<Value>(_ values: [String: Value]) -> [Value] { values.sorted { $0.key < $1.key }.map(\.value) }

  // MARK: One

  public func contains(key: String) -> Bool { revisions[key] != nil }
  public func volume(name: String) -> Stored<VolumeSpec>? { volumesByKey[Keys.volumeSpec(name: name)] }
  public func snapshot(name: String) -> Stored<SnapshotSpec>? { snapshotsByKey[Keys.snapshotSpec(name: name)] }
  /// The status of a running node, nil if none runs under that name.
  public func node(_ name: String) -> NodeStatus? { nodesByName[name]?.object }
  /// What people want of a node, nil for nothing particular.
  public func nodeSpec(_ node: String) -> NodeSpec? { nodeSpecsByName[node]?.object }
  /// What the controller remembers of a node.
  public func nodeNote(_ node: String) -> NodeNote? { nodeNotesByName[node]?.object }
  /// What the node says of itself, or said when it last ran, and what people say of it, which is stronger.
  public func labels(ofNode node: String) -> [String: String] {
    let own = self.node(node).map { $0.topology ?? [:] } ?? nodeNote(node)?.topology ?? [:]
    return own.merging(nodeSpec(node)?.labels ?? [:]) { $1 }
  }
  public func inSync(_ volume: VolumeID) -> Stored<InSyncRecord>? { inSyncByKey[Keys.inSync(volume)] }
  public func note(volumeName: String) -> Stored<VolumeNote>? { notesByKey[Keys.volumeNote(name: volumeName)] }
  public func pool(node: String, _ name: String) -> PoolStatus? { poolsByKey[Keys.poolStatus(node: node, name)]?.object }
  /// What people want of a pool, nil for nothing particular.
  public func poolSpec(node: String, _ name: String) -> PoolSpec? { poolSpecsByKey[Keys.poolSpec(node: node, name)]?.object }
  public func replicaStatus(node: String, _ id: ReplicaID) -> ReplicaStatus? {
    replicaStatusesByKey[Keys.replicaStatus(node: node, id)]?.object
  }
  public func nexusStatus(node: String, _ volume: VolumeID) -> NexusStatus? {
    nexusStatusesByKey[Keys.nexusStatus(node: node, volume)]?.object
  }

  // MARK: Of a volume

  public func replicaAssignments(of volume: VolumeID) -> [Placed<ReplicaAssignment>] {
    index.keys(of: volume).compactMap { replicaAssignmentsByKey[$0] }
  }
  public func nexusAssignments(of volume: VolumeID) -> [Placed<NexusAssignment>] {
    index.keys(of: volume).compactMap { nexusAssignmentsByKey[$0] }
  }
  public func pathAssignments(of volume: VolumeID) -> [Placed<PathAssignment>] {
    index.keys(of: volume).compactMap { pathAssignmentsByKey[$0] }
  }
  /// By name.
  public func snapshots(of volume: VolumeID) -> [Stored<SnapshotSpec>] { index.keys(of: volume).compactMap { snapshotsByKey[$0] } }
  /// The specification of a volume, nil if there is none.
  func volume(_ id: VolumeID) -> Stored<VolumeSpec>? { index.keys(of: id).lazy.compactMap { volumesByKey[$0] }.first }
  /// Those that began, or are to begin, as snapshots of the volume.
  func clones(of volume: VolumeID) -> [Stored<VolumeSpec>] { (clonesByVolume[volume] ?? []).sorted().compactMap { self.volume($0) } }
  public func pathStatus(node: String, _ volume: VolumeID) -> PathStatus? { pathStatusesByKey[Keys.pathStatus(node: node, volume)] }
  /// The specifications that name a volume: one, unless somebody made a mistake.
  func volumeKeys(of volume: VolumeID) -> [String] { index.keys(of: volume).filter { volumesByKey[$0] != nil } }

  // MARK: Of a node

  /// The keys of what a node says of its paths, ascending.
  func pathStatusKeys(of node: String) -> [String] {
    pathStatusesByKey.keys.filter { $0.hasPrefix(Keys.pathStatuses(node: node)) }.sorted()
  }

  /// What a node says of its peers.
  public func peers(of node: String) -> PeerStatus? { peersByNode[node] }

  /// Its pools, by name.
  public func pools(ofNode node: String) -> [PoolStatus] {
    (index.poolKeysByNode[node] ?? []).sorted().compactMap { poolsByKey[$0]?.object }
  }

  /// How many nexuses are assigned to it.
  public func nexusCount(ofNode node: String) -> Int { index.nexusCountByNode[node] ?? 0 }

  /// How many replicas are assigned to a pool.
  public func replicaCount(node: String, pool: String) -> Int { index.replicaCountByPool[Keys.poolStatus(node: node, pool)] ?? 0 }

  /// What is assigned to a pool and not yet taken from it.
  func pending(node: String, pool: String) -> ClusterIndex.Pending { index.pendingByPool[Keys.poolStatus(node: node, pool)] ?? .init() }

  /// Volumes that have something assigned to the node.
  func volumes(onNode node: String) -> Set<VolumeID> {
    Set((index.assignmentKeysByNode[node] ?? []).compactMap { index.volumeByKey[$0] })
  }
}
