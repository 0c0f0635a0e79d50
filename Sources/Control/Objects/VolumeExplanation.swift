/// A volume in plain words, as `keelson volume explain` prints it: why it is as it is, what is under way, what will happen next, and what
/// helps. A function of what is in the store.
public struct VolumeExplanation: Equatable, Sendable {
  public var volume: VolumeView
  /// Why it is in its state, a sentence each.
  public var why: [String] = []
  /// What is under way.
  public var running: [String] = []
  /// What will happen by itself.
  public var next: [String] = []
  /// What somebody can do; nil if nothing needs to be done.
  public var help: String?

  private let minInSync: Int
  private let cluster: ClusterState

  public init(_ spec: VolumeSpec, in cluster: ClusterState) {
    volume = VolumeView(spec, in: cluster)
    minInSync = spec.effectiveMinInSync
    self.cluster = cluster
    explain(spec)
  }

  private mutating func explain(_ spec: VolumeSpec) {
    let assignment = cluster.nexusAssignments(of: spec.id).first
    let note = cluster.note(volumeName: spec.name)?.object.message
    if spec.deleting { return explainDeletion(note) }
    guard let assignment else { return explainPlacement(note) }
    guard cluster.node(assignment.node) != nil else { return explainLostNexus(on: assignment.node) }
    let status = cluster.nexusStatus(node: assignment.node, spec.id)
    switch status?.state {
    case nil, .starting?: explainStart(status?.message, on: assignment.node)
    case .blocked?: explainBlock(status?.message)
    case .faulted?:
      why.append(status?.message ?? "its nexus on \(assignment.node) cannot serve it")
      help = "See the log of node \(assignment.node)."
    case .healthy?, .degraded?, .rebuilding?: explainService(status)
    }
  }

  public static func == (first: Self, second: Self) -> Bool {
    first.volume == second.volume && first.why == second.why && first.running == second.running && first.next == second.next
      && first.help == second.help
  }

  // MARK: Not served

  private mutating func explainDeletion(_ note: String?) {
    why.append("it is being deleted" + (note.map { ": \($0)" } ?? ""))
    next.append("each node deletes its replica, and then the volume is gone; a node that is down does so when it is back")
    let down = downNodes
    if !down.isEmpty { help = "Bring back \(Self.list(down)), or wait for it." }
  }

  private mutating func explainPlacement(_ note: String?) {
    why.append(note.map { "it has no place yet: it \($0)" } ?? "it was asked for a moment ago and has no place yet")
    next.append("it is placed as soon as enough nodes have room")
    if note != nil { help = "See where there is room with: keelson pool list" }
  }

  private mutating func explainLostNexus(on node: String) {
    why.append("\(node), which serves it, does not run")
    next.append("when \(node) is back it claims the replicas, makes equal what was being written, and serves within seconds; hosts wait")
    help = "Bring back \(node)."
    if let only = volume.replicas.first(where: { $0.node != node && $0.state == .absent && isThere($0) }) {
      help! += " Only if that cannot be: 'keelson volume force \(volume.name) --replica \(only.node)' says what would be lost."
    }
  }

  private mutating func explainStart(_ message: String?, on node: String) {
    why.append("its nexus on \(node) is starting" + (message.map { ": \($0)" } ?? ""))
    describeReplicas()
    next.append(
      "replicas that the last nexus held answer when its lease is over, in two seconds; members that do not come are waited for, 20 s at most, "
        + "and then left out if enough of the others are there")
    let down = downNodes
    if !down.isEmpty { help = "Bring back \(Self.list(down))." }
  }

  private mutating func explainBlock(_ message: String?) {
    if let message { why.append(message) }
    why.append("at least \(minInSync) of its \(volume.replicas.count) replicas must be in sync to serve it")
    describeReplicas()
    let missing = volume.replicas.filter { $0.state == .unreachable || $0.state == .faulted }
    if !missing.isEmpty {
      next.append(
        "it is served again by itself as soon as \(missing.count == 1 ? "" : "enough of ")"
          + "the replica\(missing.count == 1 ? "" : "s") on \(Self.list(missing.map(\.node))) can be reached; commands of hosts wait until then"
      )
    }
    let down = downNodes
    help = down.isEmpty ? "See the log of node \(volume.nexus?.node ?? "?")." : "Bring back \(Self.list(down))."
    let behind = volume.replicas.filter { $0.state == .leftBehind }
    if !behind.isEmpty, let help = discardHelp(behind) {
      self.help = help
    } else if volume.replicas.contains(where: { isThere($0) && $0.state != .leftBehind }) {
      help! += " Only if that cannot be: 'keelson volume force \(volume.name)' says what would be lost by going on without."
    }
  }

  private func isThere(_ replica: VolumeView.Replica) -> Bool {
    cluster.node(replica.node) != nil && cluster.replicaStatus(node: replica.node, replica.id)?.state == .ready
  }

  /// What a force left behind comes back when it is given up.
  private func discardHelp(_ behind: [VolumeView.Replica]) -> String? {
    let first = behind.first(where: isThere) ?? behind[0]
    return "When nothing of it is needed any more, give up what the replica on \(first.node) holds with: "
      + "keelson replica discard \(volume.name) \(first.node)"
  }

  // MARK: Served

  private mutating func explainService(_ status: NexusStatus?) {
    let inSync = volume.replicas.filter { $0.state == .inSync }.count
    why.append(
      inSync == volume.replicas.count
        ? "all \(inSync) replicas hold every acknowledged write"
        : "\(inSync) of \(volume.replicas.count) replicas hold every acknowledged write")
    let spare = inSync - minInSync
    why.append(
      spare > 0
        ? "it goes on if \(spare) of them \(spare == 1 ? "is" : "are") lost"
        : "it stops serving if one of them is lost, until that one is back")
    describeReplicas()
    for replica in volume.replicas { if let slow = replica.slow { why.append("writes wait for the replica on \(replica.node): \(slow)") } }
    for rebuild in volume.rebuilds where !rebuild.isOver { describe(rebuild) }
    let absent = volume.replicas.filter { $0.state == .absent || $0.state == .unreachable }
    for replica in absent {
      let isDown = cluster.node(replica.node) == nil
      next.append(
        "what the replica on \(replica.node) misses is recorded, without a limit of time; \(isDown ? "when the node is back" : "it is tried again and")"
          + " only that is copied")
    }
    describeScrub()
    let behind = volume.replicas.filter { $0.state == .leftBehind }
    let down = downNodes
    if !down.isEmpty {
      help = "Bring back \(Self.list(down))."
    } else if !behind.isEmpty, let help = discardHelp(behind) {
      self.help = help
    } else if volume.rebuildPolicy?.isPaused == true, !absent.isEmpty || volume.state == .rebuilding {
      help = "Rebuilds are paused. Go on with: keelson rebuild resume \(volume.name)"
    } else if let faulted = volume.replicas.first(where: { cluster.replicaStatus(node: $0.node, $0.id)?.state == .faulted }) {
      help = "See what is wrong with pool \(faulted.pool) of \(faulted.node): keelson pool list"
    } else if let away = absent.first {
      help = "Nothing needs to be done if node \(away.node) is on its way back; else see its log."
    } else if let slow = volume.replicas.first(where: { $0.slow != nil }) {
      help = "See what slows down pool \(slow.pool) of \(slow.node), or the network there: keelson pool list"
    } else if volume.state == .rebuilding {
      help = "Nothing needs to be done. To look on: keelson rebuild list --watch"
    }
  }

  private mutating func describeScrub() {
    guard let scrub = volume.scrub else { return }
    if !scrub.isOver {
      running.append(
        "its copies are compared: \(Int(scrub.fraction * 100)) % of \(ByteText.of(scrub.bytesToDo)), \(scrub.differingBlocks) blocks differed"
      )
    } else if scrub.unresolvedBlocks > 0 {
      why.append(
        "the last scrub found \(scrub.unresolvedBlocks) blocks of which nobody can tell which copy is right; "
          + "'keelson volume scrub \(volume.name) --trust NODE' takes those of one node")
    }
  }

  private mutating func describe(_ rebuild: RebuildStatus) {
    let amount = "\(ByteText.of(rebuild.bytesDone)) of \(ByteText.of(rebuild.bytesToDo))"
    let what =
      switch rebuild.kind {
      case .recorded: "what it missed is compared and copied"
      case .compared: "everything is compared, and copied where it differs, since no unbroken record of what it missed is left"
      case .full: "everything is copied, since it is new"
      }
    var text = "the replica on \(rebuild.node) is being made equal: \(what); \(amount), \(ByteText.of(rebuild.bytesSent)) sent"
    if rebuild.state == .paused { text += "; paused" }
    running.append(text)
    let left = rebuild.secondsLeft.map { " in about \($0 + 1) s" } ?? ""
    next.append("the replica on \(rebuild.node) joins the in-sync set\(left)")
  }

  private mutating func describeReplicas() {
    for replica in volume.replicas where replica.state != .syncing { if let text = replica.explanation { why.append(text) } }
  }

  private var downNodes: [String] {
    volume.replicas.map(\.node).filter { cluster.node($0) == nil }
  }

  private static func list(_ nodes: [String]) -> String {
    nodes.count < 2 ? nodes.joined() : nodes.dropLast().joined(separator: ", ") + " and " + nodes[nodes.count - 1]
  }
}
