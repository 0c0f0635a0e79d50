/// What nexus and paths of a volume are to be told.
struct NexusPlan {
  var nexus: NexusAssignment
  var paths: [(node: String, assignment: PathAssignment)] = []
  private let volume: VolumeID

  init(_ spec: VolumeSpec, _ nexus: NexusAssignment, on node: String, _ state: ClusterState) {
    self.nexus = nexus
    volume = spec.id
    var nodes = Array(Set(nexus.replicas.map(\.node)).subtracting([node])).sorted()
    if nodes.isEmpty, let extra = Self.extraNode(spec.id, nexusNode: node, state) { nodes = [extra] }
    let all = [node] + nodes
    let addresses = all.compactMap { name in Self.address(of: name, volume: spec.id, state).map { PathAddress(node: name, address: $0) } }
    func others(than name: String) -> [PathAddress]? {
      let others = addresses.filter { $0.node != name }
      return others.isEmpty ? nil : others
    }
    self.nexus.publications = spec.publications
    self.nexus.otherPaths = others(than: node)
    Reconciler.want(of: spec, state, in: &self.nexus)
    let sizeBytes = Reconciler.servedSizeBytes(nexus, state)
    paths = nodes.map { name in
      (
        name,
        PathAssignment(
          volumeID: spec.id, volumeName: spec.name, sizeBytes: sizeBytes, blockSizeBytes: nexus.blockSizeBytes,
          pool: nexus.replicas.first { $0.node == name }?.pool, publications: spec.publications, otherPaths: others(than: name))
      )
    }
  }

  /// Another node for a volume that has one replica: the one that has the path already, if it is still there.
  private static func extraNode(_ volume: VolumeID, nexusNode: String, _ state: ClusterState) -> String? {
    let running = state.nodes.map(\.object.name).filter { $0 != nexusNode && state.nodeSpec($0)?.isDraining != true }.sorted()
    let present = state.pathAssignments(of: volume).map(\.node)
    return running.first { present.contains($0) } ?? running.first ?? present.first { $0 != nexusNode }
  }

  /// A node that is down is where it was.
  private static func address(of node: String, volume: VolumeID, _ state: ClusterState) -> TransportAddress? {
    if let address = state.node(node)?.addresses.first { return address }
    let told =
      state.nexusAssignments(of: volume).flatMap { $0.object.otherPaths ?? [] }
      + state.pathAssignments(of: volume).flatMap { $0.object.otherPaths ?? [] }
    return told.first { $0.node == node }?.address
  }

  /// Writes what is not as it should be.
  func writePaths(_ compares: inout [StoreCompare], _ operations: inout [StoreOperation], _ state: ClusterState) {
    let present = state.pathAssignments(of: volume)
    for path in paths {
      if let old = present.first(where: { $0.node == path.node }) {
        if old.object == path.assignment { continue }
        var stored = old.stored
        stored.object = path.assignment
        compares.append(stored.isUnchanged)
        operations.append(stored.replacement)
      } else {
        operations.append(.put(key: Keys.pathAssignment(node: path.node, volume), value: path.assignment.encoded()))
      }
    }
    for old in present where !paths.contains(where: { $0.node == old.node }) {
      compares.append(old.stored.isUnchanged)
      operations.append(.delete(key: old.stored.key))
    }
  }
}
