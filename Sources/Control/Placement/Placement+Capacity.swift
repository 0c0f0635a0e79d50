extension Placement {
  /// Why a volume cannot be placed, if nothing but the space of pools is in the way: waiting for nodes would not help.
  public static func capacityRefusal(_ request: Request, nodes: [Node]) -> String? {
    var running = nodes
    for index in running.indices { running[index].refusal = nil }
    guard case .refused(let reason) = place(request, nodes: running) else { return nil }
    for index in running.indices {
      for pool in running[index].pools.indices {
        running[index].pools[pool].freeBytes = .max
        running[index].pools[pool].promiseLimitBytes = nil
        running[index].pools[pool].maximumReplicas = nil
      }
    }
    let boundless = place(request, nodes: running)
    if case .refused = boundless { return nil }
    return reason
  }

  /// The size of the largest volume that could be placed now as `request` says, whatever size that one has: a multiple of
  /// `VolumeSpec.sizeStepBytes` up to `VolumeSpec.maximumSizeBytes`, 0 if there is no place at all.
  public static func largestVolume(_ request: Request, nodes: [Node]) -> UInt64 {
    func fits(_ steps: UInt64) -> Bool {
      var sized = request
      sized.sizeBytes = steps * VolumeSpec.sizeStepBytes
      if case .placed = place(sized, nodes: nodes) { return true }
      return false
    }
    var (fitting, beyond): (UInt64, UInt64) = (0, VolumeSpec.maximumSizeBytes / VolumeSpec.sizeStepBytes + 1)
    while beyond - fitting > 1 {
      let middle = fitting + (beyond - fitting) / 2
      if fits(middle) { fitting = middle } else { beyond = middle }
    }
    return fitting * VolumeSpec.sizeStepBytes
  }
}

/// What decisions that are not in the state yet have taken.
struct PlacementLedger {
  /// By the key of the pool's status.
  private var bytesByPool: [String: (promised: UInt64, thick: UInt64, replicas: Int)] = [:]
  private var nexusesByNode: [String: Int] = [:]
  private var replicasByGroupAndNode: [String: Int] = [:]
  private var nexusesByGroupAndNode: [String: Int] = [:]

  mutating func add(_ choices: [Placement.Choice], nexusNode: String?, _ spec: VolumeSpec) {
    for choice in choices {
      let key = Keys.poolStatus(node: choice.node, choice.pool)
      var entry = bytesByPool[key] ?? (0, 0, 0)
      entry.promised += spec.sizeBytes
      if spec.isThick { entry.thick += spec.sizeBytes }
      entry.replicas += 1
      bytesByPool[key] = entry
      if let group = spec.group { replicasByGroupAndNode["\(group)/\(choice.node)", default: 0] += 1 }
    }
    guard let nexusNode else { return }
    nexusesByNode[nexusNode, default: 0] += 1
    if let group = spec.group { nexusesByGroupAndNode["\(group)/\(nexusNode)", default: 0] += 1 }
  }

  func apply(to node: inout Placement.Node, group: String?) {
    node.nexusCount += nexusesByNode[node.name] ?? 0
    if let group {
      node.groupReplicaCount += replicasByGroupAndNode["\(group)/\(node.name)"] ?? 0
      node.groupNexusCount += nexusesByGroupAndNode["\(group)/\(node.name)"] ?? 0
    }
    for index in node.pools.indices {
      guard let entry = bytesByPool[Keys.poolStatus(node: node.name, node.pools[index].name)] else { continue }
      node.pools[index].replicaCount += entry.replicas
      node.pools[index].promisedBytes += min(.max - node.pools[index].promisedBytes, entry.promised)
      let taken = node.pools[index].promiseLimitBytes == nil ? entry.promised : entry.thick
      node.pools[index].freeBytes -= min(node.pools[index].freeBytes, taken)
    }
  }
}

extension ClusterState {
  /// The nodes as placement sees them: every node that runs, has pools or has assignments; its pools less what is assigned but not yet
  /// taken from them. `group` is the volume's, `volume` the one that is being placed.
  public func placementNodes(group: String? = nil, except volume: VolumeID? = nil) -> [Placement.Node] {
    var groupReplicas: [String: Int] = [:]
    var groupNexuses: [String: Int] = [:]
    for member in group.flatMap({ index.volumesByGroup[$0] }) ?? [] where member != volume {
      for replica in replicaAssignments(of: member) where !replica.object.deleting { groupReplicas[replica.node, default: 0] += 1 }
      for nexus in nexusAssignments(of: member) { groupNexuses[nexus.node, default: 0] += 1 }
    }
    return nodeNames.map { name in
      Placement.Node(
        name: name, pools: pools(ofNode: name).map { placementPool($0, of: name) }, nexusCount: nexusCount(ofNode: name),
        labels: labels(ofNode: name), groupReplicaCount: groupReplicas[name] ?? 0, groupNexusCount: groupNexuses[name] ?? 0,
        refusal: placementRefusal(ofNode: name))
    }
  }

  /// Why nothing new goes to a node now, nil if it may.
  func placementRefusal(ofNode name: String) -> String? {
    if let spec = nodeSpec(name), spec.isDraining || spec.isCordoned { return spec.isDraining ? "being drained" : "cordoned" }
    return switch node(name)?.state {
    case nil: "not running"
    case .starting?: "still starting"
    case .stopping?: "stopping"
    case .ready?: nil
    }
  }

  private func placementPool(_ pool: PoolStatus, of node: String) -> Placement.Pool {
    var freeBytes = pool.freeBytes
    var promisedBytes = pool.promisedBytes
    let pending = pending(node: node, pool: pool.name)
    freeBytes -= min(freeBytes, pool.promiseLimitBytes == nil ? pending.bytes : pending.thickBytes)
    promisedBytes += min(.max - promisedBytes, pending.bytes)
    let refusal = pool.state == .ready ? nil : "faulted" + (pool.message.map { ": \($0)" } ?? "")
    return Placement.Pool(
      name: pool.name, sizeBytes: pool.sizeBytes, freeBytes: freeBytes, promisedBytes: promisedBytes, clusterBytes: pool.clusterBytes,
      promiseLimitBytes: pool.promiseLimitBytes, replicaCount: replicaCount(node: node, pool: pool.name),
      maximumReplicas: poolSpec(node: node, pool.name)?.maximumReplicas, refusal: refusal)
  }
}
