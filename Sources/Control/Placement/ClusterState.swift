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
  public private(set) var nodes: [Stored<NodeStatus>] = []
  public private(set) var pools: [Placed<PoolStatus>] = []
  public private(set) var replicaStatuses: [Placed<ReplicaStatus>] = []
  public private(set) var nexusStatuses: [Placed<NexusStatus>] = []
  /// Objects that could not be read. Nothing is decided about what they may mean.
  public private(set) var problems: [ObjectError] = []

  private var inSyncByKey: [String: Stored<InSyncRecord>] = [:]
  private var notesByKey: [String: Stored<VolumeNote>] = [:]
  private var nodesByName: [String: NodeStatus] = [:]
  private var replicaStatusesByKey: [String: ReplicaStatus] = [:]
  private var nexusStatusesByKey: [String: NexusStatus] = [:]
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

  private mutating func add(_ entry: StoreEntry) throws(ObjectError) {
    let parts = entry.key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    switch (parts.first, parts.count) {
    case ("spec", 3) where parts[1] == "volume":
      volumes.append(try Stored(entry))
    case ("spec", 3) where parts[1] == "snapshot":
      snapshots.append(try Stored(entry))
    case ("assign", 4) where parts[2] == "replica":
      replicaAssignments.append(Placed(node: parts[1], stored: try Stored(entry)))
    case ("assign", 4) where parts[2] == "nexus":
      nexusAssignments.append(Placed(node: parts[1], stored: try Stored(entry)))
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
    default: break
    }
  }
}
