/// How far a volume's publications are in force, by what its nodes say of themselves.
///
/// The nexus's word counts while it is the one that the in-sync record names: an older one, on a node that is cut off, can execute nothing any more
/// (R3). A standby path executes nothing at all; one on a node that does not run is not waited for, since it asks before it serves again.
struct PublicationProgress {
  private let spec: VolumeSpec
  private let cluster: ClusterState

  init(_ spec: VolumeSpec, in cluster: ClusterState) {
    self.spec = spec
    self.cluster = cluster
  }

  private var nexus: Placed<NexusAssignment>? { cluster.nexusAssignments(of: spec.id).first }

  /// Where hosts reach the volume, the nexus's node first.
  var paths: [PublishedVolume.Path] {
    let standbys = cluster.pathAssignments(of: spec.id).map(\.node).sorted()
    return ((nexus.map { [$0.node] } ?? []) + standbys).compactMap { node in
      cluster.node(node)?.addresses.first.map { PublishedVolume.Path(node: node, address: $0.traddr, port: $0.trsvcid) }
    }
  }

  /// What a publication waits for; nil when it is in force.
  func publishing(_ publication: Publication) -> String? {
    if let trouble = agreement() { return trouble }
    guard let nexus, let status = cluster.nexusStatus(node: nexus.node, spec.id) else { return "its nexus" }
    switch status.state {
    case .healthy, .degraded, .rebuilding: break
    case .starting, .blocked, .faulted: return "its nexus on \(nexus.node) to serve" + (status.message.map { ": \($0)" } ?? "")
    }
    if !(spec.publications ?? []).contains(publication) { return "the publication, which somebody took back" }
    return nil
  }

  /// What keeps a host, or all hosts, from being out; nil when they are. Other publications made meanwhile do not matter.
  func withholding(from hostNQN: String?) -> String? {
    func isOut(_ hosts: [Publication]?) -> Bool {
      guard let hosts else { return false }
      return hostNQN == nil ? hosts.allSatisfy { (spec.publications ?? []).contains($0) } : !hosts.contains { $0.hostNQN == hostNQN }
    }
    guard let record = cluster.inSync(spec.id)?.object, let nexus else {
      // Nothing was ever served.
      return cluster.contains(key: Keys.inSync(spec.id)) ? "its assignments to be readable" : nil
    }
    // Given to it again: that is the later wish.
    if let hostNQN, spec.publications?.contains(where: { $0.hostNQN == hostNQN }) == true { return nil }
    guard let status = cluster.nexusStatus(node: nexus.node, spec.id), cluster.node(nexus.node) != nil, isOut(status.hosts),
      record.generation == 0 || status.generation == record.generation
    else { return "its nexus on \(nexus.node) to end the host's connections" }
    for path in cluster.pathAssignments(of: spec.id) where cluster.node(path.node) != nil {
      guard let status = cluster.pathStatus(node: path.node, spec.id), isOut(status.hosts) else {
        return "the path through \(path.node) to end the host's connections"
      }
    }
    return nil
  }

  /// What keeps the paths from all doing as the specification says.
  private func agreement() -> String? {
    guard let nexus, let record = cluster.inSync(spec.id)?.object else { return "a place for its replicas" }
    guard cluster.node(nexus.node) != nil, let status = cluster.nexusStatus(node: nexus.node, spec.id), status.hosts == spec.publications,
      status.generation == record.generation
    else { return "its nexus on \(nexus.node)" }
    for path in cluster.pathAssignments(of: spec.id) where cluster.node(path.node) != nil {
      guard let status = cluster.pathStatus(node: path.node, spec.id), status.hosts == spec.publications else {
        return "the path through \(path.node)"
      }
    }
    return nil
  }
}
