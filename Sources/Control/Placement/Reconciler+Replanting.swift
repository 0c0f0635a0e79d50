/// A new volume whose nodes go before it was ever served.
///
/// It begins with all its replicas (one that is still being made has missed nothing yet), so it would wait for a node that may never come back, and
/// there is nothing in it to be lost. In one transaction, which compares that no nexus has claimed it, replicas on nodes that are gone, or
/// that cannot be made where they are, are given up for others elsewhere, and the nexus goes to a node that runs. The old ones get tombstones
/// (R18): whatever was made of them is deleted when its node comes back.
extension Reconciler {
  static func replant(
    _ volume: Stored<VolumeSpec>, _ state: ClusterState, _ surroundings: Surroundings, using random: inout some RandomNumberGenerator
  ) -> Decision? {
    let spec = volume.object
    let nexuses = state.nexusAssignments(of: spec.id)
    // A clone's replicas can be nowhere else than its source's.
    guard spec.source == nil, nexuses.count == 1, let nexus = nexuses.first, !nexus.object.deleting, let record = state.inSync(spec.id),
      record.object.generation == 0
    else { return nil }
    let assigned = state.replicaAssignments(of: spec.id)
    let lost = nexus.object.replicas.filter { isGone($0, state) }
    let old = lost.compactMap { replica in assigned.first { $0.object.id == replica.id } }
    guard !lost.isEmpty, old.count == lost.count else { return nil }
    var request = Placement.Request(spec)
    request.replicaCount = lost.count
    request.occupiedNodes = Set(nexus.object.replicas.map(\.node) + assigned.map(\.node)).sorted()
    guard case .placed(let choices, _) = Placement.place(request, nodes: nodes(for: spec, state, surroundings)) else { return nil }
    let added = choices.map { NexusAssignment.Replica(id: ReplicaID(uuid: .random(using: &random)), node: $0.node, pool: $0.pool) }
    var next = nexus.object
    next.replicas = next.replicas.filter { replica in !lost.contains { $0.id == replica.id } } + added
    let kept = next.replicas.map(\.node)
    let target = kept.contains(nexus.node) ? nexus.node : kept[0]
    var members = record
    members.object.members = next.replicas.map(\.id)
    members.object.setVersion += 1
    members.object.nexusNode = target
    let plan = NexusPlan(spec, next, on: target, state)
    var compares = [volume.isUnchanged, nexus.stored.isUnchanged, record.isUnchanged] + old.map(\.stored.isUnchanged)
    var operations = [members.replacement, .put(key: Keys.nexusAssignment(node: target, spec.id), value: plan.nexus.encoded())]
    if target != nexus.node { operations.append(.delete(key: nexus.stored.key)) }
    for replica in old {
      var stored = replica.stored
      stored.object.deleting = true
      stored.object.nexusNode = target
      operations.append(stored.replacement)
    }
    for replica in assigned where !lost.contains(where: { $0.id == replica.object.id }) && replica.object.nexusNode != target {
      var stored = replica.stored
      stored.object.nexusNode = target
      compares.append(stored.isUnchanged)
      operations.append(stored.replacement)
    }
    for replica in added { operations.append(assignment(of: replica, spec, nexusNode: target)) }
    plan.writePaths(&compares, &operations, state)
    let why = lost.map { loss(of: $0, state) ?? "\($0.node) does not run" }.joined(separator: "; ")
    let places = added.map { "\($0.node) (pool \($0.pool))" }.joined(separator: ", ")
    let message = "placed anew on \(places) before it was ever served, by \(target): \(why)"
    var decision = Decision(
      Step(
        transaction: StoreTransaction(compares: compares, operations: operations), reason: "volume \(spec.name): \(message)",
        notices: [Notice(kind: .volume, object: spec.name, reason: "Replaced", message: message)]))
    decision.placed = (choices, target == nexus.node ? nil : target, spec)
    return decision
  }

  /// Whether a volume that was never served has replicas that cannot be made, so that a place for others is worth looking for.
  static func isStranded(_ spec: VolumeSpec, _ state: ClusterState) -> Bool {
    guard spec.source == nil, state.inSync(spec.id)?.object.generation == 0, let nexus = state.nexusAssignments(of: spec.id).first else {
      return false
    }
    return nexus.object.replicas.contains { isGone($0, state) }
  }

  private static func isGone(_ replica: NexusAssignment.Replica, _ state: ClusterState) -> Bool {
    state.node(replica.node) == nil || loss(of: replica, state) != nil
  }
}
