/// A node as `keelson node list` prints it.
public struct NodeView: Encodable, Equatable, Sendable {
  public var name: String
  /// Null when it does not run.
  public var pid: Int32?
  /// "starting", "ready", "stopping", or "down": it has left traces but does not run.
  public var state: String
  public var addresses: [TransportAddress]
  /// Nothing new is placed on it.
  public var isCordoned: Bool
  /// What is on it moves to other nodes.
  public var isDraining: Bool
  public var labels: [String: String]

  enum CodingKeys: String, CodingKey {
    case name, pid, state, addresses
    case isCordoned = "cordoned"
    case isDraining = "draining"
    case labels
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(pid, forKey: .pid)
    try container.encode(state, forKey: .state)
    try container.encode(addresses, forKey: .addresses)
    try container.encode(isCordoned, forKey: .isCordoned)
    try container.encode(isDraining, forKey: .isDraining)
    try container.encode(labels, forKey: .labels)
  }

  /// All nodes that run, have pools or have assignments, by name.
  public static func all(in cluster: ClusterState) -> [NodeView] {
    let names = Set(cluster.nodes.map(\.object.name)).union(cluster.pools.map(\.node)).union(cluster.replicaAssignments.map(\.node))
    return names.sorted().map { name in
      let status = cluster.node(name)
      let spec = cluster.nodeSpec(name)
      return NodeView(
        name: name, pid: status?.pid, state: status?.state.rawValue ?? "down", addresses: status?.addresses ?? [],
        isCordoned: spec?.isCordoned ?? false, isDraining: spec?.isDraining ?? false, labels: cluster.labels(ofNode: name))
    }
  }
}

/// A pool as `keelson pool list` prints it. Sizes are bytes.
public struct PoolView: Encodable, Equatable, Sendable {
  public var name: String
  public var node: String
  public var uuid: String
  public var kind: String
  public var path: String
  public var size: UInt64
  /// Unallocated: a thin replica takes space when it is first written.
  public var free: UInt64
  /// What replicas and snapshots have taken.
  public var allocated: UInt64
  /// The sizes of its replicas together.
  public var promised: UInt64
  /// What may be promised at most, in percent of the size; 0 for any; nil if its node does not say.
  public var overcommit: UInt32?
  /// "ready", "faulted", or "unreachable": its node does not run.
  public var state: String
  public var message: String?
  /// Reads and writes that failed, in a sentence; nil while there were none.
  public var errors: String?
  public var clusterSize: UInt64
  /// Replicas, snapshots and settings; nil if its node does not say.
  public var contents: PoolStatus.Contents?

  enum CodingKeys: String, CodingKey {
    case name, node, uuid, kind, path, size, free, allocated, promised, overcommit, state, message, errors
    case clusterSize = "cluster_size"
  }

  /// All pools, by node and name.
  public static func all(in cluster: ClusterState) -> [PoolView] {
    cluster.pools.map { placed in
      let pool = placed.object
      return PoolView(
        name: pool.name, node: placed.node, uuid: pool.uuid, kind: pool.poolKind.rawValue, path: pool.path, size: pool.sizeBytes,
        free: pool.freeBytes, allocated: pool.sizeBytes - min(pool.sizeBytes, pool.freeBytes), promised: pool.promisedBytes,
        overcommit: pool.contents?.overcommitPercent, state: cluster.node(placed.node) == nil ? "unreachable" : pool.state.rawValue,
        message: pool.message,
        errors: pool.errors.map(Self.sentence), clusterSize: pool.clusterBytes, contents: pool.contents)
    }
  }
}

extension PoolView {
  private static func sentence(_ errors: PoolStatus.DeviceErrors) -> String {
    let counts = [(errors.reads, "read"), (errors.writes, "write")].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)(s)" }
    return counts.joined(separator: " and ") + " failed" + (errors.last.map { "; the last: \($0)" } ?? "")
  }
}

/// A replica as `keelson replica list` prints it.
public struct ReplicaView: Encodable, Equatable, Sendable {
  public var id: ReplicaID
  public var volume: String
  public var node: String
  public var pool: String
  public var size: UInt64
  public var state: VolumeView.Replica.State
  public var subnqn: String

  /// All replicas of all volumes, by volume.
  public static func all(in cluster: ClusterState) -> [ReplicaView] {
    VolumeView.all(in: cluster).flatMap { volume in
      volume.replicas.map {
        ReplicaView(
          id: $0.id, volume: volume.name, node: $0.node, pool: $0.pool, size: volume.size, state: $0.state, subnqn: NQN.replica($0.id))
      }
    }
  }
}
