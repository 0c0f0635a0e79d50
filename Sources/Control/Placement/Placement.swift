/// Where a volume's replicas and nexus go. A pure function of what is known: the same input gives the same answer.
///
/// Never two replicas of a volume on one node, and none on nodes that are cordoned, away, or lack a label that was asked for. A thin replica needs a
/// pool that has any space left and may promise so much more; a thick one needs the space itself. Among the nodes that remain, one after the
/// other is chosen: first the preferred one; then those whose values of the labels to spread over are used least; then those with the fewest
/// replicas of the volume's group; then those with the most space neither used nor promised in one pool; ties by name. The nexus goes to the
/// preferred node, else to the chosen one with the fewest nexuses of the group, and then with the fewest at all, so that its reads are local;
/// that node's replica is the first.
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
    public var replicaCount: Int
    /// How many replicas it may hold; nil for any number.
    public var maximumReplicas: Int?
    /// Why nothing can be placed in it now, nil if it is ready.
    public var refusal: String?

    public init(
      name: String, sizeBytes: UInt64, freeBytes: UInt64, promisedBytes: UInt64 = 0, clusterBytes: UInt64,
      promiseLimitBytes: UInt64? = nil, replicaCount: Int = 0, maximumReplicas: Int? = nil, refusal: String? = nil
    ) {
      self.name = name
      self.sizeBytes = sizeBytes
      self.freeBytes = freeBytes
      self.promisedBytes = promisedBytes
      self.clusterBytes = clusterBytes
      self.promiseLimitBytes = promiseLimitBytes
      self.replicaCount = replicaCount
      self.maximumReplicas = maximumReplicas
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
    public var labels: [String: String]
    /// How many replicas and nexuses of the volume's group it has.
    public var groupReplicaCount: Int
    public var groupNexusCount: Int
    /// Why nothing can be placed on it now, nil if it is ready.
    public var refusal: String?

    public init(
      name: String, pools: [Pool], nexusCount: Int = 0, labels: [String: String] = [:], groupReplicaCount: Int = 0,
      groupNexusCount: Int = 0, refusal: String? = nil
    ) {
      self.name = name
      self.pools = pools
      self.nexusCount = nexusCount
      self.labels = labels
      self.groupReplicaCount = groupReplicaCount
      self.groupNexusCount = groupNexusCount
      self.refusal = refusal
    }
  }

  /// What is to be placed.
  public struct Request: Equatable, Sendable {
    /// Of each replica.
    public var sizeBytes: UInt64
    /// How many more replicas.
    public var replicaCount: Int
    public var isThick: Bool
    /// As `VolumeSpec` has them.
    public var spread: [String]
    public var affinity: [String: String]
    public var locality: VolumeSpec.Locality
    public var preferredNode: String?
    /// Nodes that hold a replica of the volume already, and so get none.
    public var occupiedNodes: [String]

    public init(
      sizeBytes: UInt64, replicaCount: Int, isThick: Bool = false, spread: [String] = [], affinity: [String: String] = [:],
      locality: VolumeSpec.Locality = .none, preferredNode: String? = nil, occupiedNodes: [String] = []
    ) {
      self.sizeBytes = sizeBytes
      self.replicaCount = replicaCount
      self.isThick = isThick
      self.spread = spread
      self.affinity = affinity
      self.locality = preferredNode == nil ? .none : locality
      self.preferredNode = preferredNode
      self.occupiedNodes = occupiedNodes
    }

    /// All replicas of a volume.
    public init(_ spec: VolumeSpec) {
      self.init(
        sizeBytes: spec.sizeBytes, replicaCount: spec.replicaCount, isThick: spec.isThick, spread: spec.spread ?? [],
        affinity: spec.affinity ?? [:], locality: spec.locality ?? .none, preferredNode: spec.preferredNode)
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
    /// The nexus goes to the node of the first replica. `remarks` say what was wished and not possible.
    case placed([Choice], remarks: [String] = [])
    /// One sentence that names every node and why it was not chosen.
    case refused(String)
  }

  /// Chooses nodes and pools for `request.replicaCount` replicas.
  public static func place(_ request: Request, nodes: [Node]) -> Decision {
    var candidates: [Candidate] = []
    var reasons: [String] = []
    let occupied = Set(request.occupiedNodes)
    for node in nodes.sorted(by: { $0.name < $1.name }) {
      if occupied.contains(node.name) {
        reasons.append("\(node.name): has a replica already")
        continue
      }
      switch bestPool(of: node, request) {
      case .found(let pool): candidates.append(Candidate(node: node, pool: pool))
      case .refused(let reason): reasons.append("\(node.name): \(reason)")
      }
    }
    let why = reasons.isEmpty ? "" : " (" + reasons.joined(separator: "; ") + ")"
    if request.locality == .strict, let preferred = request.preferredNode, !occupied.contains(preferred),
      !candidates.contains(where: { $0.node.name == preferred })
    {
      return .refused("needs a replica on \(preferred), where it is used\(why.isEmpty ? ", and there is no such node" : why)")
    }
    guard candidates.count >= request.replicaCount else {
      let count = request.replicaCount
      let room = request.isThick ? "\(ByteText.of(request.sizeBytes)) free" : "room for \(ByteText.of(request.sizeBytes))"
      let more = occupied.isEmpty ? "" : " more"
      return .refused(
        "needs \(count)\(more) \(count == 1 ? "node" : "nodes") with \(room), found \(candidates.count) of \(nodes.count) "
          + "\(nodes.count == 1 ? "node" : "nodes")\(why)")
    }
    var chosen: [Candidate] = []
    var used = nodes.filter { occupied.contains($0.name) }.map(\.labels)
    for _ in 0..<request.replicaCount {
      guard let best = candidates.indices.min(by: { isBetter(candidates[$0], than: candidates[$1], request, used) }) else { break }
      let candidate = candidates.remove(at: best)
      used.append(candidate.node.labels)
      chosen.append(candidate)
    }
    if let first = nexusPosition(chosen, request) { chosen.insert(chosen.remove(at: first), at: 0) }
    return .placed(chosen.map { Choice(node: $0.node.name, pool: $0.pool.name) }, remarks: remarks(chosen, request, used))
  }

  private struct Candidate {
    var node: Node
    var pool: Pool
  }

  private static func isBetter(_ first: Candidate, than second: Candidate, _ request: Request, _ used: [[String: String]]) -> Bool {
    if request.locality != .none {
      let preferred = (first.node.name == request.preferredNode, second.node.name == request.preferredNode)
      if preferred.0 != preferred.1 { return preferred.0 }
    }
    for key in request.spread {
      let counts = (count(of: first.node, key, used), count(of: second.node, key, used))
      if counts.0 != counts.1 { return counts.0 < counts.1 }
    }
    if first.node.groupReplicaCount != second.node.groupReplicaCount { return first.node.groupReplicaCount < second.node.groupReplicaCount }
    if first.pool.roomBytes != second.pool.roomBytes { return first.pool.roomBytes > second.pool.roomBytes }
    return first.node.name < second.node.name
  }

  /// How many replicas are where the node is; a node that does not say counts as standing beside every other.
  private static func count(of node: Node, _ key: String, _ used: [[String: String]]) -> Int {
    guard let value = node.labels[key] else { return used.count + 1 }
    return used.reduce(0) { $0 + ($1[key] == value ? 1 : 0) }
  }

  private static func nexusPosition(_ chosen: [Candidate], _ request: Request) -> Int? {
    if request.locality != .none, let preferred = chosen.firstIndex(where: { $0.node.name == request.preferredNode }) { return preferred }
    return chosen.indices.min {
      let (first, second) = (chosen[$0].node, chosen[$1].node)
      return (first.groupNexusCount, first.nexusCount, $0) < (second.groupNexusCount, second.nexusCount, $1)
    }
  }

  private static func remarks(_ chosen: [Candidate], _ request: Request, _ used: [[String: String]]) -> [String] {
    var remarks: [String] = []
    if request.locality == .prefer, let preferred = request.preferredNode, !request.occupiedNodes.contains(preferred),
      !chosen.contains(where: { $0.node.name == preferred })
    {
      remarks.append("not on \(preferred), which was preferred")
    }
    for key in request.spread {
      let values = used.compactMap { $0[key] }
      if Set(values).count < used.count { remarks.append("not all in different places by label \(key)") }
    }
    return remarks
  }

  // MARK: Pools

  private enum Best {
    case found(Pool)
    case refused(String)
  }

  private static func bestPool(of node: Node, _ request: Request) -> Best {
    if let refusal = node.refusal { return .refused(refusal) }
    for key in request.affinity.keys.sorted() where node.labels[key] != request.affinity[key] {
      let found = node.labels[key].map { "its label \(key) is \($0)" } ?? "it has no label \(key)"
      return .refused("\(found), not \(request.affinity[key] ?? "")")
    }
    if node.pools.isEmpty { return .refused("no pool") }
    var best: Pool?
    var reasons: [String] = []
    for pool in node.pools.sorted(by: { $0.name < $1.name }) {
      if let refusal = pool.refusal {
        reasons.append("pool \(pool.name) \(refusal)")
      } else if let shortage = shortage(of: pool, sizeBytes: request.sizeBytes, isThick: request.isThick) {
        reasons.append("pool \(pool.name) \(shortage)")
      } else if best == nil || pool.roomBytes > best!.roomBytes {
        best = pool
      }
    }
    return best.map { .found($0) } ?? .refused(reasons.joined(separator: ", "))
  }

  private static func shortage(of pool: Pool, sizeBytes: UInt64, isThick: Bool) -> String? {
    if let limit = pool.maximumReplicas, pool.replicaCount >= limit { return "has \(pool.replicaCount) of at most \(limit) replicas" }
    let isThin = !isThick && pool.promiseLimitBytes != nil
    let needed = isThin ? pool.clusterBytes : roundedUp(sizeBytes, toMultipleOf: pool.clusterBytes)
    if pool.freeBytes < max(needed, 1) { return "full (\(ByteText.of(pool.freeBytes)) of \(ByteText.of(pool.sizeBytes)) free)" }
    guard let limit = pool.promiseLimitBytes, sizeBytes > limit - min(limit, pool.promisedBytes) else { return nil }
    return "has promised \(ByteText.of(pool.promisedBytes)) of at most \(ByteText.of(limit)) to its replicas"
  }

  /// What a replica takes from a pool. Saturates: a size near the end of the range fits nowhere.
  static func roundedUp(_ bytes: UInt64, toMultipleOf cluster: UInt64) -> UInt64 {
    if cluster == 0 { return bytes }
    let (sum, overflow) = bytes.addingReportingOverflow(cluster - 1)
    return overflow ? .max : sum / cluster * cluster
  }
}
