/// An object together with the node whose prefix it lies under.
public struct Placed<Object: StoredObject>: Sendable {
  public var node: String
  public var stored: Stored<Object>

  public var object: Object { stored.object }
}

/// All objects of the store at one revision, decoded. Lists are in the order of their keys.
public struct ClusterState: Sendable {
  public private(set) var volumes: [Stored<VolumeSpec>] = []
  public private(set) var snapshots: [Stored<SnapshotSpec>] = []
  public private(set) var replicaAssignments: [Placed<ReplicaAssignment>] = []
  public private(set) var nexusAssignments: [Placed<NexusAssignment>] = []
  public private(set) var pathAssignments: [Placed<PathAssignment>] = []
  public private(set) var nodes: [Stored<NodeStatus>] = []
  public private(set) var nodeSpecs: [Stored<NodeSpec>] = []
  public private(set) var pools: [Placed<PoolStatus>] = []
  public private(set) var replicaStatuses: [Placed<ReplicaStatus>] = []
  public private(set) var nexusStatuses: [Placed<NexusStatus>] = []
  /// Objects that could not be read. Nothing is decided about what they may mean.
  public private(set) var problems: [ObjectError] = []
  /// Incarnations of nodes that the controller has just reached, whatever their peers say.
  public var reached: Set<String> = []

  private var inSyncByKey: [String: Stored<InSyncRecord>] = [:]
  private var notesByKey: [String: Stored<VolumeNote>] = [:]
  private var nodesByName: [String: NodeStatus] = [:]
  private var replicaStatusesByKey: [String: ReplicaStatus] = [:]
  private var nexusStatusesByKey: [String: NexusStatus] = [:]
  private var pathStatusesByKey: [String: PathStatus] = [:]
  private var peersByNode: [String: PeerStatus] = [:]
  private var allKeys: Set<String> = []

  /// `entries` ascending by key; unknown keys are left alone.
  public init(_ entries: [StoreEntry]) {
    for entry in entries {
      allKeys.insert(entry.key)
      do throws(ObjectError) {
        try add(entry)
      } catch {
        problems.append(error)
      }
    }
  }

  public func contains(key: String) -> Bool { allKeys.contains(key) }
  public func snapshot(name: String) -> Stored<SnapshotSpec>? { snapshots.first { $0.object.name == name } }
  public func volume(name: String) -> Stored<VolumeSpec>? { volumes.first { $0.object.name == name } }
  /// The status of a running node, nil if none runs under that name.
  public func node(_ name: String) -> NodeStatus? { nodesByName[name] }
  /// What people want of a node, nil for nothing particular.
  public func nodeSpec(_ node: String) -> NodeSpec? { nodeSpecs.first { $0.object.name == node }?.object }
  /// What the node says of itself and what people say of it, which is stronger.
  public func labels(ofNode node: String) -> [String: String] {
    (self.node(node)?.topology ?? [:]).merging(nodeSpec(node)?.labels ?? [:]) { $1 }
  }
  public func inSync(_ volume: VolumeID) -> Stored<InSyncRecord>? { inSyncByKey[Keys.inSync(volume)] }
  public func note(volumeName: String) -> Stored<VolumeNote>? { notesByKey[Keys.volumeNote(name: volumeName)] }
  public func replicaStatus(node: String, _ id: ReplicaID) -> ReplicaStatus? { replicaStatusesByKey[Keys.replicaStatus(node: node, id)] }
  public func nexusStatus(node: String, _ volume: VolumeID) -> NexusStatus? { nexusStatusesByKey[Keys.nexusStatus(node: node, volume)] }
  public func replicaAssignments(of volume: VolumeID) -> [Placed<ReplicaAssignment>] {
    replicaAssignments.filter { $0.object.volumeID == volume }
  }
  public func nexusAssignments(of volume: VolumeID) -> [Placed<NexusAssignment>] {
    nexusAssignments.filter { $0.object.volumeID == volume }
  }

  public func pathAssignments(of volume: VolumeID) -> [Placed<PathAssignment>] {
    pathAssignments.filter { $0.object.volumeID == volume }
  }
  public func pathStatus(node: String, _ volume: VolumeID) -> PathStatus? { pathStatusesByKey[Keys.pathStatus(node: node, volume)] }
  /// The keys of what a node says of its paths, ascending.
  func pathStatusKeys(of node: String) -> [String] {
    pathStatusesByKey.keys.filter { $0.hasPrefix(Keys.pathStatuses(node: node)) }.sorted()
  }
  /// What a node says of its peers.
  public func peers(of node: String) -> PeerStatus? { peersByNode[node] }

  private mutating func add(_ entry: StoreEntry) throws(ObjectError) {
    let parts = entry.key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    switch (parts.first, parts.count) {
    case ("spec", 3) where parts[1] == "volume":
      volumes.append(try Stored(entry))
    case ("spec", 3) where parts[1] == "snapshot":
      snapshots.append(try Stored(entry))
    case ("spec", 3) where parts[1] == "node":
      nodeSpecs.append(try Stored(entry))
    case ("assign", 4) where parts[2] == "replica":
      replicaAssignments.append(Placed(node: parts[1], stored: try Stored(entry)))
    case ("assign", 4) where parts[2] == "nexus":
      nexusAssignments.append(Placed(node: parts[1], stored: try Stored(entry)))
    case ("assign", 4) where parts[2] == "path":
      pathAssignments.append(Placed(node: parts[1], stored: try Stored(entry)))
    case ("insync", 2):
      inSyncByKey[entry.key] = try Stored(entry)
    case ("status", 4) where parts[1] == Keys.controllerName && parts[2] == "volume":
      notesByKey[entry.key] = try Stored(entry)
    case ("status", 3) where parts[2] == "node":
      let node: Stored<NodeStatus> = try Stored(entry)
      nodes.append(node)
      nodesByName[parts[1]] = node.object
    case ("status", 4) where parts[2] == "pool":
      pools.append(Placed(node: parts[1], stored: try Stored(entry)))
    case ("status", 4) where parts[2] == "replica":
      let status = Placed<ReplicaStatus>(node: parts[1], stored: try Stored(entry))
      replicaStatuses.append(status)
      replicaStatusesByKey[entry.key] = status.object
    case ("status", 4) where parts[2] == "nexus":
      let status = Placed<NexusStatus>(node: parts[1], stored: try Stored(entry))
      nexusStatuses.append(status)
      nexusStatusesByKey[entry.key] = status.object
    case ("status", 4) where parts[2] == "path":
      let status: Stored<PathStatus> = try Stored(entry)
      pathStatusesByKey[entry.key] = status.object
    case ("status", 3) where parts[2] == "peers":
      let status: Stored<PeerStatus> = try Stored(entry)
      peersByNode[parts[1]] = status.object
    default: break
    }
  }
}
