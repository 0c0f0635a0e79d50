/// Through which node a volume is served.
extension VolumeRequests {
  public enum MoveFailure: Error, Equatable, Sendable, CustomStringConvertible {
    case noReplica(name: String, node: String, others: [String])
    case timeout(name: String, node: String, reason: String)

    public var description: String {
      switch self {
      case .noReplica(let name, let node, let others):
        "volume \(name) has no replica on \(node)" + (others.isEmpty ? "" : ", but on \(others.joined(separator: ", "))")
      case .timeout(let name, let node, let reason): "volume \(name) is not served by \(node) yet: \(reason)"
      }
    }
  }

  /// Asks that a node take over serving the volume as soon as it can, once; nil for no wish. Throws `MoveFailure`, `Failure` or a store error.
  @discardableResult
  public static func move(name: String, toNode node: String?, in store: any StateStore) throws -> VolumeSpec {
    if let node {
      try Names.validate(name, kind: "volume name")
      guard let spec = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name))?.object else {
        throw Failure.notFound(name: name)
      }
      let cluster = ClusterState(try store.listAll(prefix: Keys.assignments).entries)
      let nodes = cluster.replicaAssignments(of: spec.id).map(\.node)
      if !nodes.contains(node) { throw MoveFailure.noReplica(name: name, node: node, others: nodes.sorted()) }
    }
    return try change(name, in: store) { $0.preferredNexus = node }
  }

  /// Waits until the node serves the volume.
  public static func awaitMove(name: String, toNode node: String, nanoseconds: UInt64, in store: any StateStore) throws {
    var reason = "the controller was not heard of"
    let isDone = try store.wait(nanoseconds: nanoseconds) { mirror -> Bool? in
      let cluster = ClusterState(mirror.entries)
      guard let spec = cluster.volume(name: name)?.object else { throw Failure.notFound(name: name) }
      let view = VolumeView(spec, in: cluster)
      reason = view.message ?? "its nexus is on \(view.nexus?.node ?? "no node")"
      guard view.nexus?.node == node, let status = cluster.nexusStatus(node: node, spec.id) else { return nil }
      switch status.state {
      case .healthy, .degraded, .rebuilding: return true
      case .starting, .blocked, .faulted: return nil
      }
    }
    if isDone == nil { throw MoveFailure.timeout(name: name, node: node, reason: reason) }
  }
}
