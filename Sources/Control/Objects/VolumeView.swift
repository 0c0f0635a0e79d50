/// A volume as `keelson volume show` prints it: the specification, what was assigned, and what the nodes say.
public struct VolumeView: Encodable, Equatable, Sendable {
  public enum State: String, Encodable, Sendable {
    case healthy, degraded, rebuilding, blocked, faulted
  }

  public struct Nexus: Encodable, Equatable, Sendable {
    public var node: String
  }

  public struct Replica: Encodable, Equatable, Sendable {
    public enum State: String, Encodable, Sendable {
      /// Holds every acknowledged write.
      case inSync = "in-sync"
      /// Outside of the in-sync set; gets every change, and is made equal.
      case syncing
      /// Outside of the in-sync set; what it misses is recorded.
      case absent
      /// Its node does not run or does not answer.
      case unreachable
      /// An operator's force left it behind; it is kept as it was until it is discarded.
      case leftBehind = "left-behind"
      case creating, deleting, faulted
    }

    public var id: ReplicaID
    public var node: String
    public var pool: String
    public var state: State
    /// How far it is, while it is syncing.
    public var rebuild: RebuildStatus?
    /// Why it is not in sync, if somebody knows.
    public var reason: String?
    /// How late it answers, where that is far later than its peers.
    public var slow: String?
  }

  /// A way for hosts to the volume.
  public struct Path: Encodable, Equatable, Sendable {
    public var trtype: String
    public var adrfam: String
    public var traddr: String
    public var trsvcid: String
    public var subnqn: String
    public var node: String
    /// "optimized" or "inaccessible", as Linux calls them.
    public var anaState: String

    enum CodingKeys: String, CodingKey {
      case trtype, adrfam, traddr, trsvcid, subnqn, node
      case anaState = "ana_state"
    }
  }

  public var name: String
  public var id: VolumeID
  public var size: UInt64
  public var blockSize: UInt32
  /// True if its replicas took all their space when they were made, else absent.
  public var isThick: Bool?
  public var state: State
  /// Nil until the volume is placed.
  public var nexus: Nexus?
  public var replicas: [Replica]
  /// The one through the nexus first.
  public var paths: [Path]
  /// The hosts that may use it; nil while any host may.
  public var publications: [Publication]?
  /// Under way and over, the oldest first.
  public var rebuilds: [RebuildStatus]
  /// What holds for them; nil where nothing was said.
  public var rebuildPolicy: RebuildPolicy?
  public var slowReplicas: SlowReplicaPolicy?
  /// The scrub under way, else the last one.
  public var scrub: ScrubStatus?
  /// What there is to say when the volume is not healthy.
  public var message: String?

  enum CodingKeys: String, CodingKey {
    case name, id, size
    case blockSize = "block_size"
    case isThick = "thick"
    case rebuildPolicy = "rebuild_policy"
    case slowReplicas = "slow_replicas"
    case state, nexus, replicas, paths, publications, rebuilds, scrub, message
  }

  public init(_ spec: VolumeSpec, in cluster: ClusterState) {
    name = spec.name
    id = spec.id
    size = cluster.inSync(spec.id)?.object.sizeBytes ?? spec.sizeBytes
    blockSize = spec.blockSizeBytes
    isThick = spec.isThick ? true : nil
    replicas = []
    paths = []
    rebuilds = []
    rebuildPolicy = spec.rebuild
    slowReplicas = spec.slowReplicas
    publications = spec.publications
    let note = cluster.note(volumeName: spec.name)?.object.message
    guard let assignment = cluster.nexusAssignments(of: spec.id).first else {
      state = .blocked
      message = note ?? (spec.deleting ? "it is being deleted" : "it is being created")
      return
    }
    let node = assignment.node
    nexus = Nexus(node: node)
    let running = cluster.node(node)
    let status = running == nil ? nil : cluster.nexusStatus(node: node, spec.id)
    let record = cluster.inSync(spec.id)?.object
    replicas = assignment.object.replicas.map { Self.replica($0, of: spec, status, record, cluster) }

    var messages: [String] = []
    if spec.deleting { messages.append("it is being deleted") }
    if let note { messages.append(note) }
    switch status?.state {
    case .healthy?: state = .healthy
    case .degraded?: state = .degraded
    case .rebuilding?: state = .rebuilding
    case .blocked?: state = .blocked
    case .faulted?: state = .faulted
    case .starting?:
      state = .blocked
      messages.append("its nexus on \(node) is starting")
    case nil:
      state = .blocked
      messages.append(running == nil ? "\(node), which serves it, is not running" : "its nexus on \(node) is not there yet")
    }
    if state == .healthy, replicas.contains(where: { $0.state != .inSync }) { state = .degraded }
    if let text = status?.message { messages.append(text) }
    if let text = status?.growthTrouble { messages.append(text) }
    if state != .healthy { messages += replicas.compactMap(\.explanation) }
    rebuilds = (running == nil ? cluster.nexusStatus(node: node, spec.id) : status)?.rebuilds ?? []
    scrub = status?.scrub ?? record?.lastScrub
    message = messages.isEmpty ? nil : messages.joined(separator: "; ")

    let isServed = state == .healthy || state == .degraded || state == .rebuilding
    for address in running?.addresses ?? [] {
      paths.append(
        Path(
          trtype: "tcp", adrfam: address.adrfam, traddr: address.traddr, trsvcid: address.trsvcid, subnqn: NQN.volume(spec.id),
          node: node, anaState: isServed ? "optimized" : "inaccessible"))
    }
    for standby in cluster.pathAssignments(of: spec.id) {
      // Those for other nodes are not for hosts.
      guard let address = cluster.node(standby.node)?.addresses.first else { continue }
      paths.append(
        Path(
          trtype: "tcp", adrfam: address.adrfam, traddr: address.traddr, trsvcid: address.trsvcid, subnqn: NQN.volume(spec.id),
          node: standby.node, anaState: "inaccessible"))
    }
  }

  /// The in-sync record is the truth about who is in the set; the nexus and the nodes tell the rest.
  private static func replica(
    _ replica: NexusAssignment.Replica, of spec: VolumeSpec, _ status: NexusStatus?, _ record: InSyncRecord?, _ cluster: ClusterState
  ) -> Replica {
    let own = cluster.replicaStatus(node: replica.node, replica.id)
    let seen = status?.replicas.first { $0.id == replica.id }
    let rebuild = status?.rebuilds.last { $0.replica == replica.id && !$0.isOver }
    let isMember = record?.members.contains(replica.id) ?? true
    let state: Replica.State
    if spec.deleting {
      state = .deleting
    } else if record?.out.contains(where: { $0.id == replica.id && $0.keptBy != nil }) == true {
      state = .leftBehind
    } else if !isMember {
      state = seen?.state == .syncing ? .syncing : .absent
    } else if cluster.node(replica.node) == nil {
      state = .unreachable
    } else if own == nil || own?.state == .creating {
      state = .creating
    } else if own?.state != .ready {
      state = .faulted
    } else if seen?.state == .unreachable {
      state = .unreachable
    } else {
      state = seen?.state == .absent ? .absent : .inSync
    }
    var reason = seen?.reason ?? record?.out.first { $0.id == replica.id }?.reason
    if state == .faulted { reason = own?.message ?? reason }
    if cluster.node(replica.node) == nil { reason = [reason, "the node is down"].compactMap(\.self).joined(separator: "; ") }
    return Replica(
      id: replica.id, node: replica.node, pool: replica.pool, state: state, rebuild: state == .syncing ? rebuild : nil,
      reason: state == .inSync || state == .deleting || state == .creating ? nil : reason,
      slow: state == .inSync || state == .syncing ? seen?.slow : nil)
  }

  /// All volumes, by name.
  public static func all(in cluster: ClusterState) -> [VolumeView] { cluster.volumes.map { VolumeView($0.object, in: cluster) } }
}

extension VolumeView.Replica {
  /// What there is to say of it in a sentence; nil while it is well.
  var explanation: String? {
    let suffix = reason.map { ": \($0)" } ?? ""
    switch state {
    case .syncing: return "the replica on \(node) is being made equal" + (rebuild.map { ", \(Int($0.fraction * 100)) % done" } ?? "")
    case .absent: return "the replica on \(node) is absent\(suffix)"
    case .unreachable: return "the replica on \(node) is not reachable\(suffix)"
    case .faulted: return "the replica on \(node) is faulted\(suffix)"
    case .leftBehind: return "the replica on \(node) was left behind by an operator's force, and is kept as it was"
    case .inSync, .creating, .deleting: return nil
    }
  }
}
