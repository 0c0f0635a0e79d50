/// Where a new volume's replicas and nexus go. A pure function of what is known: the same input gives the same answer.
///
/// Never two replicas of a volume on one node. A thin replica needs a pool that has any space left and may promise so much more; a thick
/// one needs the space itself. Nodes with the most space neither used nor promised in one pool come first, ties by name. The nexus goes to the
/// chosen node that has the fewest, so that its reads are local; that node's replica is the first.
public struct Placement {
  /// A pool as placement sees it.
  public struct Pool: Equatable, Sendable {
    public var name: String
    public var sizeBytes: UInt64
    /// What is free if everything assigned and not yet created takes all of its size.
    public var freeBytes: UInt64
    /// The sizes of all replicas that it has or was assigned.
    public var promisedBytes: UInt64
    public var clusterBytes: UInt64
    /// What it may promise in all, `.max` for any; nil if that is not known: then every replica is taken for thick.
    public var promiseLimitBytes: UInt64?
    /// Why nothing can be placed in it now, nil if it is ready.
    public var refusal: String?

    public init(
      name: String, sizeBytes: UInt64, freeBytes: UInt64, promisedBytes: UInt64 = 0, clusterBytes: UInt64,
      promiseLimitBytes: UInt64? = nil, refusal: String? = nil
    ) {
      self.name = name
      self.sizeBytes = sizeBytes
      self.freeBytes = freeBytes
      self.promisedBytes = promisedBytes
      self.clusterBytes = clusterBytes
      self.promiseLimitBytes = promiseLimitBytes
      self.refusal = refusal
    }

    /// What is left when all promises are called in; below zero where more is promised than there is.
    var roomBytes: Int64 {
      min(Int64(clamping: freeBytes), Int64(clamping: sizeBytes) - Int64(clamping: promisedBytes))
    }
  }

  /// A node as placement sees it.
  public struct Node: Equatable, Sendable {
    public var name: String
    public var pools: [Pool]
    /// How many nexuses it has.
    public var nexusCount: Int
    /// Why nothing can be placed on it now, nil if it is ready.
    public var refusal: String?

    public init(name: String, pools: [Pool], nexusCount: Int = 0, refusal: String? = nil) {
      self.name = name
      self.pools = pools
      self.nexusCount = nexusCount
      self.refusal = refusal
    }
  }

  /// Where one replica goes.
  public struct Choice: Equatable, Sendable {
    public var node: String
    public var pool: String

    public init(node: String, pool: String) {
      self.node = node
      self.pool = pool
    }
  }

  public enum Decision: Equatable, Sendable {
    /// The nexus goes to the node of the first replica.
    case placed([Choice])
    /// One sentence that names every node and why it was not chosen.
    case refused(String)
  }

  /// Chooses `replicaCount` nodes for replicas of `sizeBytes` each.
  public static func place(sizeBytes: UInt64, replicaCount: Int, isThick: Bool = false, nodes: [Node]) -> Decision {
    var candidates: [(node: Node, pool: Pool)] = []
    var reasons: [String] = []
    for node in nodes.sorted(by: { $0.name < $1.name }) {
      switch bestPool(of: node, sizeBytes: sizeBytes, isThick: isThick) {
      case .found(let pool): candidates.append((node, pool))
      case .refused(let reason): reasons.append("\(node.name): \(reason)")
      }
    }
    guard candidates.count >= replicaCount else {
      let needed =
        "\(replicaCount) \(replicaCount == 1 ? "node" : "nodes") with \(isThick ? "\(ByteText.of(sizeBytes)) free" : "room for \(ByteText.of(sizeBytes))")"
      var message = "needs \(needed), found \(candidates.count) of \(nodes.count) \(nodes.count == 1 ? "node" : "nodes")"
      if !reasons.isEmpty { message += " (" + reasons.joined(separator: "; ") + ")" }
      return .refused(message)
    }
    candidates.sort { first, second in
      first.pool.roomBytes != second.pool.roomBytes
        ? first.pool.roomBytes > second.pool.roomBytes : first.node.name < second.node.name
    }
    var chosen = Array(candidates.prefix(replicaCount))
    let fewest = chosen.map(\.node.nexusCount).min()
    if let first = chosen.firstIndex(where: { $0.node.nexusCount == fewest }) { chosen.insert(chosen.remove(at: first), at: 0) }
    return .placed(chosen.map { Choice(node: $0.node.name, pool: $0.pool.name) })
  }

  private enum Best {
    case found(Pool)
    case refused(String)
  }

  private static func bestPool(of node: Node, sizeBytes: UInt64, isThick: Bool) -> Best {
    if let refusal = node.refusal { return .refused(refusal) }
    if node.pools.isEmpty { return .refused("no pool") }
    var best: Pool?
    var reasons: [String] = []
    for pool in node.pools.sorted(by: { $0.name < $1.name }) {
      if let refusal = pool.refusal {
        reasons.append("pool \(pool.name) \(refusal)")
      } else if let shortage = shortage(of: pool, sizeBytes: sizeBytes, isThick: isThick) {
        reasons.append("pool \(pool.name) \(shortage)")
      } else if best == nil || pool.roomBytes > best!.roomBytes {
        best = pool
      }
    }
    return best.map { .found($0) } ?? .refused(reasons.joined(separator: ", "))
  }

  private static func shortage(of pool: Pool, sizeBytes: UInt64, isThick: Bool) -> String? {
    let isThin = !isThick && pool.promiseLimitBytes != nil
    let needed = isThin ? pool.clusterBytes : roundedUp(sizeBytes, toMultipleOf: pool.clusterBytes)
    if pool.freeBytes < max(needed, 1) { return "full (\(ByteText.of(pool.freeBytes)) of \(ByteText.of(pool.sizeBytes)) free)" }
    guard let limit = pool.promiseLimitBytes, sizeBytes > limit - min(limit, pool.promisedBytes) else { return nil }
    return "has promised \(ByteText.of(pool.promisedBytes)) of at most \(ByteText.of(limit)) to its replicas"
  }

  /// Why a volume cannot be placed, if nothing but the space of pools is in the way: waiting for nodes would not help.
  public static func capacityRefusal(sizeBytes: UInt64, replicaCount: Int, isThick: Bool, nodes: [Node]) -> String? {
    var running = nodes
    for index in running.indices { running[index].refusal = nil }
    guard case .refused(let reason) = place(sizeBytes: sizeBytes, replicaCount: replicaCount, isThick: isThick, nodes: running) else {
      return nil
    }
    for index in running.indices {
      for pool in running[index].pools.indices {
        running[index].pools[pool].freeBytes = .max
        running[index].pools[pool].promiseLimitBytes = nil
      }
    }
    let boundless = place(sizeBytes: sizeBytes, replicaCount: replicaCount, isThick: isThick, nodes: running)
    if case .refused = boundless { return nil }
    return reason
  }

  /// What a replica takes from a pool. Saturates: a size near the end of the range fits nowhere.
  static func roundedUp(_ bytes: UInt64, toMultipleOf cluster: UInt64) -> UInt64 {
    if cluster == 0 { return bytes }
    let (sum, overflow) = bytes.addingReportingOverflow(cluster - 1)
    return overflow ? .max : sum / cluster * cluster
  }
}

extension ClusterState {
  /// The nodes as placement sees them: every node that runs or has pools, its pools less what is assigned but not yet taken from them.
  public var placementNodes: [Placement.Node] {
    let names = Set(nodes.map(\.object.name)).union(pools.map(\.node)).sorted()
    return names.map { name in
      let refusal: String? =
        switch node(name)?.state {
        case nil: "not running"
        case .starting?: "still starting"
        case .stopping?: "stopping"
        case .ready?: nil
        }
      let own = pools.filter { $0.node == name }.map { placementPool($0.object, of: name) }
      let nexusCount = nexusAssignments.filter { $0.node == name }.count
      return Placement.Node(name: name, pools: own, nexusCount: nexusCount, refusal: refusal)
    }
  }

  private func placementPool(_ pool: PoolStatus, of node: String) -> Placement.Pool {
    var freeBytes = pool.freeBytes
    var promisedBytes = pool.promisedBytes
    for assignment in replicaAssignments where assignment.node == node && assignment.object.pool == pool.name {
      switch replicaStatus(node: node, assignment.object.id)?.state {
      case nil, .creating?:
        // Those that the pool has made already but not finished are counted twice for a moment: better than not at all.
        let bytes = Placement.roundedUp(assignment.object.sizeBytes, toMultipleOf: pool.clusterBytes)
        if pool.promiseLimitBytes == nil || assignment.object.isThick { freeBytes -= min(freeBytes, bytes) }
        promisedBytes += min(.max - promisedBytes, bytes)
      case .ready?, .faulted?, .deleted?: break
      }
    }
    let refusal = pool.state == .ready ? nil : "faulted" + (pool.message.map { ": \($0)" } ?? "")
    return Placement.Pool(
      name: pool.name, sizeBytes: pool.sizeBytes, freeBytes: freeBytes, promisedBytes: promisedBytes, clusterBytes: pool.clusterBytes,
      promiseLimitBytes: pool.promiseLimitBytes, refusal: refusal)
  }
}
