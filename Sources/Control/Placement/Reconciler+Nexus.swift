/// Where a volume's nexus runs, and which nodes have paths to it (R3, R19). One transaction at a time:
///
/// - Its node is lost: another one that holds an in-sync replica takes over. The old assignment becomes one of a path, so that the old node can
///   claim the volume no more; what it still does is fenced by the claim of the new one.
/// - Its node is stopping, or the user prefers another: first it is told to hand over; when it has, as above.
/// - Else: every node with a replica, and at least one beside the nexus's, has a path, and all know the volume's hosts and each other.
extension Reconciler {
  static func steer(_ volume: Stored<VolumeSpec>, _ state: ClusterState) -> Step? {
    let nexuses = state.nexusAssignments(of: volume.object.id)
    // Anything else is not understood, and left alone.
    guard nexuses.count == 1, let nexus = nexuses.first, !nexus.object.deleting, let record = state.inSync(volume.object.id) else {
      return nil
    }
    let candidates = candidates(nexus, record.object, state)
    if state.isLost(nexus.node) {
      guard let target = choose(candidates, volume.object, state) ?? forcedTarget(volume.object, nexus.object, record.object, state) else {
        return nil
      }
      return move(volume, nexus, to: target, isLost: true, record, state)
    }
    if let target = plannedTarget(volume.object, nexus, candidates, state) {
      let status = state.nexusStatus(node: nexus.node, volume.object.id)
      if nexus.object.handsOver != true {
        return assign(volume, nexus, handsOver: true, "told to hand over to \(target)", record, state)
      }
      // A new volume's nexus has never run.
      let isOver = status?.handedOver == true || (record.object.generation == 0 && status == nil)
      return isOver ? move(volume, nexus, to: target, isLost: false, record, state) : nil
    }
    let reason = nexus.object.handsOver == true ? "serves again, as nobody can take over" : "hosts and paths changed"
    return assign(volume, nexus, handsOver: nil, reason, record, state)
  }

  /// Nodes that could serve the volume at once: they run, and hold an in-sync replica that is open.
  private static func candidates(_ nexus: Placed<NexusAssignment>, _ record: InSyncRecord, _ state: ClusterState) -> [String] {
    nexus.object.replicas.filter { replica in
      replica.node != nexus.node && record.members.contains(replica.id) && state.node(replica.node)?.state == .ready
        && (!state.mustLeave(replica.node) || state.isLost(nexus.node))
        && !state.isLost(replica.node) && state.replicaStatus(node: replica.node, replica.id)?.state == .ready
    }.map(\.node).sorted()
  }

  /// Where an operator says that the volume goes on, if that is undecided and the node runs.
  private static func forcedTarget(
    _ spec: VolumeSpec, _ nexus: NexusAssignment, _ record: InSyncRecord, _ state: ClusterState
  ) -> String? {
    guard let force = spec.force, record.lastForce?.id != force.id, force.setVersion == record.setVersion,
      let node = nexus.node(of: force.replica), state.node(node)?.state == .ready, !state.isLost(node),
      state.replicaStatus(node: node, force.replica)?.state == .ready
    else { return nil }
    return node
  }

  /// The preferred one, else the one with the fewest nexuses, else the first by name.
  private static func choose(_ candidates: [String], _ spec: VolumeSpec, _ state: ClusterState) -> String? {
    if let preferred = spec.preferredNexus, candidates.contains(preferred) { return preferred }
    var best: (node: String, count: Int)?
    for node in candidates {
      let count = state.nexusCount(ofNode: node)
      if best == nil || count < best!.count { best = (node, count) }
    }
    return best?.node
  }

  /// Where the nexus is to go although its node runs; nil if it stays.
  private static func plannedTarget(
    _ spec: VolumeSpec, _ nexus: Placed<NexusAssignment>, _ candidates: [String], _ state: ClusterState
  ) -> String? {
    if state.mustLeave(nexus.node) { return choose(candidates, spec, state) }
    guard let preferred = spec.preferredNexus, preferred != nexus.node, candidates.contains(preferred) else { return nil }
    // A wish is no reason to disturb a start; once told to go, it goes.
    switch state.nexusStatus(node: nexus.node, spec.id)?.state {
    case .healthy, .degraded, .rebuilding: return preferred
    case .starting, .blocked, .faulted, nil: return nexus.object.handsOver == true ? preferred : nil
    }
  }

  // MARK: Transactions

  /// Takes the nexus to another node, in one transaction.
  private static func move(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, to target: String, isLost: Bool, _ record: Stored<InSyncRecord>,
    _ state: ClusterState
  ) -> Step? {
    var next = nexus.object
    next.handsOver = nil
    let lost = next.replicas.map(\.node).filter { state.isLost($0) }
    next.lostNodes = lost.isEmpty ? nil : lost
    let plan = NexusPlan(volume.object, next, on: target, state)
    var operations: [StoreOperation] = [
      .delete(key: nexus.stored.key), .put(key: Keys.nexusAssignment(node: target, volume.object.id), value: plan.nexus.encoded()),
    ]
    var compares = [volume.isUnchanged, nexus.stored.isUnchanged, record.isUnchanged]
    plan.writePaths(&compares, &operations, state)
    if let fulfilled = fulfilled(volume, on: target, next) { operations.append(fulfilled) }
    for replica in state.replicaAssignments(of: volume.object.id) where replica.object.nexusNode != target {
      var stored = replica.stored
      stored.object.nexusNode = target
      compares.append(stored.isUnchanged)
      operations.append(stored.replacement)
    }
    let why = isLost ? "\(nexus.node) is lost" : "\(nexus.node) has handed over"
    return Step(
      transaction: StoreTransaction(compares: compares, operations: operations),
      reason: "volume \(volume.object.name): its nexus moves to \(target), \(why)",
      notices: [
        Notice(
          kind: .volume, object: volume.object.name, reason: "NexusMoved",
          message: "its nexus moves from \(nexus.node) to \(target): \(why)",
          isWarning: isLost)
      ])
  }

  /// Takes back the wish for a node: it is fulfilled, or can never be, as the node has no replica any more. It moves the nexus once: where that goes
  /// when its node is lost later, nobody has said.
  private static func fulfilled(_ volume: Stored<VolumeSpec>, on node: String, _ nexus: NexusAssignment) -> StoreOperation? {
    guard let wanted = volume.object.preferredNexus, wanted == node || !nexus.replicas.contains(where: { $0.node == wanted }) else {
      return nil
    }
    var stored = volume
    stored.object.preferredNexus = nil
    return stored.replacement
  }

  /// Brings assignments up to date; nil when they are.
  private static func assign(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, handsOver: Bool?, _ reason: String, _ record: Stored<InSyncRecord>,
    _ state: ClusterState
  ) -> Step? {
    var next = nexus.object
    next.handsOver = handsOver
    let plan = NexusPlan(volume.object, next, on: nexus.node, state)
    var operations: [StoreOperation] = []
    var compares = [volume.isUnchanged, nexus.stored.isUnchanged]
    if plan.nexus != nexus.object {
      var stored = nexus.stored
      stored.object = plan.nexus
      operations.append(stored.replacement)
    }
    plan.writePaths(&compares, &operations, state)
    if let fulfilled = fulfilled(volume, on: nexus.node, next) { operations.append(fulfilled) }
    if operations.isEmpty { return nil }
    return Step(
      transaction: StoreTransaction(compares: compares, operations: operations), reason: "volume \(volume.object.name): \(reason)")
  }
}

extension ClusterState {
  /// Whether a node can serve nothing: its lease is gone, or a peer that runs has lost its process and the controller did not reach it either.
  func isLost(_ name: String) -> Bool {
    guard let status = node(name) else { return true }
    if reached.contains(status.incarnation) { return false }
    return lossReports.contains(status.incarnation)
  }

  /// Whether what a node serves is to be served elsewhere.
  func mustLeave(_ name: String) -> Bool { node(name)?.state == .stopping || nodeSpec(name)?.isDraining == true }
}
