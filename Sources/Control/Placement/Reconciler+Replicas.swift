import Foundation

/// Which replicas a volume has while it lives: as many as are asked for, on nodes and pools that are there.
///
/// One that is lost, on a node that stays away, or on one that is being drained is not taken away: first another one is added to the nexus's list,
/// which fills it; when enough others are in sync, the nexus is told to do without the old one; when the in-sync record has forgotten that
/// one, it gets its tombstone (R18), and its node deletes it, whenever that is back.
extension Reconciler {
  static func replicas(
    _ volume: Stored<VolumeSpec>, _ state: ClusterState, _ surroundings: Surroundings, using random: inout some RandomNumberGenerator
  ) -> Decision {
    let spec = volume.object
    let nexuses = state.nexusAssignments(of: spec.id)
    // Anything else is not understood, and left alone.
    guard nexuses.count == 1, let nexus = nexuses.first, !nexus.object.deleting, let record = state.inSync(spec.id) else {
      return Decision()
    }
    let look = ReplicaLook(spec, nexus.object, record.object, state, surroundings)
    if let step = clear(volume, nexus, record, state) { return Decision(step, dueAt: look.dueAt) }
    if let step = dismiss(volume, nexus, record, look, state) { return Decision(step, dueAt: look.dueAt) }
    if look.missingCount > 0 {
      var decision = add(volume, nexus, record, look, state, surroundings, using: &random)
      decision.dueAt = look.dueAt
      return decision
    }
    return Decision(settle(volume, nexus, look, state), dueAt: look.dueAt)
  }

  /// Deletes what is no longer in the nexus's list, once nobody counts on it.
  private static func clear(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, _ record: Stored<InSyncRecord>, _ state: ClusterState
  ) -> Step? {
    let listed = Set(nexus.object.replicas.map(\.id))
    let mentioned = Set(record.object.members + record.object.out.map(\.id))
    var operations: [StoreOperation] = []
    var compares = [volume.isUnchanged, nexus.stored.isUnchanged, record.isUnchanged]
    var words: [String] = []
    for replica in state.replicaAssignments(of: volume.object.id)
    where !listed.contains(replica.object.id) && !mentioned.contains(replica.object.id) {
      if !replica.object.deleting {
        var stored = replica.stored
        stored.object.deleting = true
        operations.append(stored.replacement)
        words.append("the replica on \(replica.node) is to be deleted")
      } else if state.replicaStatus(node: replica.node, replica.object.id)?.state == .deleted {
        operations.append(.delete(key: replica.stored.key))
        words.append("the replica on \(replica.node) is deleted")
      } else {
        continue
      }
      compares.append(replica.stored.isUnchanged)
    }
    if operations.isEmpty { return nil }
    return step(volume, compares, operations, "ReplicaRemoved", words.joined(separator: "; "))
  }

  /// Tells the nexus to do without those that are not wanted, when enough others are in sync; at once without one that holds nothing any more,
  /// as its place may be the only one for another.
  private static func dismiss(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, _ record: Stored<InSyncRecord>, _ look: ReplicaLook,
    _ state: ClusterState
  ) -> Step? {
    let spec = volume.object
    // One after the other: the next when the set has let go of the last.
    let listed = Set(nexus.object.replicas.map(\.id))
    guard record.object.members.allSatisfy(listed.contains) else { return nil }
    let dismissed = (look.keptInSyncCount >= spec.replicaCount ? look.dismissible : look.gone).prefix(1)
    if dismissed.isEmpty { return nil }
    var stored = nexus.stored
    stored.object.replicas.removeAll { replica in dismissed.contains { $0.replica.id == replica.id } }
    stored.object.minInSync = spec.effectiveMinInSync
    let words = dismissed.map { "the replica on \($0.replica.node) is no longer used: \($0.reason)" }.joined(separator: "; ")
    return step(
      volume, [volume.isUnchanged, nexus.stored.isUnchanged, record.isUnchanged], [stored.replacement], "ReplicaDismissed", words)
  }

  private static func add(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, _ record: Stored<InSyncRecord>, _ look: ReplicaLook,
    _ state: ClusterState, _ surroundings: Surroundings, using random: inout some RandomNumberGenerator
  ) -> Decision {
    let spec = volume.object
    let count = min(look.missingCount, NexusAssignment.maximumReplicas - nexus.object.replicas.count)
    if count <= 0 {
      return Decision(note(volume, .replacing, "it has \(nexus.object.replicas.count) replicas, and no more are possible", state))
    }
    if !surroundings.mayBuild { return Decision(waitsForRoom: true) }
    var request = Placement.Request(spec)
    request.replicaCount = count
    // Also where one is on its way out: its space and its name are there until it is gone.
    request.occupiedNodes = Set(nexus.object.replicas.map(\.node) + state.replicaAssignments(of: spec.id).map(\.node)).sorted()
    let choices: [Placement.Choice]
    switch Placement.place(request, nodes: nodes(for: spec, state, surroundings)) {
    case .refused(let message):
      return Decision(note(volume, .replacing, "\(look.reason), and \(message)", state), waitsForRoom: true)
    case .placed(let placed, _): choices = placed
    }
    let added = choices.map { NexusAssignment.Replica(id: ReplicaID(uuid: .random(using: &random)), node: $0.node, pool: $0.pool) }
    var stored = nexus.stored
    stored.object.replicas += added
    // The default would follow the longer list.
    stored.object.minInSync = nexus.object.effectiveMinInSync
    var operations = [stored.replacement]
    for replica in added { operations.append(assignment(of: replica, spec, nexusNode: nexus.node)) }
    if state.note(volumeName: spec.name) != nil { operations.append(.delete(key: Keys.volumeNote(name: spec.name))) }
    let places = added.map { "\($0.node) (pool \($0.pool))" }.joined(separator: ", ")
    var decision = Decision(
      step(
        volume, [volume.isUnchanged, nexus.stored.isUnchanged, record.isUnchanged], operations, "ReplicaAdded",
        "a replica is made on \(places): \(look.reason)"))
    decision.placed = (choices, nil, spec)
    return decision
  }

  /// All is as it should be: nothing is left to be said, and the least number in sync is that of the specification.
  private static func settle(
    _ volume: Stored<VolumeSpec>, _ nexus: Placed<NexusAssignment>, _ look: ReplicaLook, _ state: ClusterState
  ) -> Step? {
    var operations: [StoreOperation] = []
    if state.note(volumeName: volume.object.name)?.object.state == .replacing
      || state.note(volumeName: volume.object.name)?.object.state == .pending
    {
      operations.append(.delete(key: Keys.volumeNote(name: volume.object.name)))
    }
    // Raised only when that many are there: else the volume would stop.
    let least = volume.object.effectiveMinInSync
    if nexus.object.effectiveMinInSync != least, look.keptInSyncCount >= volume.object.replicaCount {
      var stored = nexus.stored
      stored.object.minInSync = least
      operations.append(stored.replacement)
    }
    if operations.isEmpty { return nil }
    let compares = [volume.isUnchanged, nexus.stored.isUnchanged]
    return Step(
      transaction: StoreTransaction(compares: compares, operations: operations),
      reason: "volume \(volume.object.name): all replicas are there")
  }

  private static func step(
    _ volume: Stored<VolumeSpec>, _ compares: [StoreCompare], _ operations: [StoreOperation], _ reason: String, _ message: String
  ) -> Step {
    Step(
      transaction: StoreTransaction(compares: compares, operations: operations), reason: "volume \(volume.object.name): \(message)",
      notices: [Notice(kind: .volume, object: volume.object.name, reason: reason, message: message)])
  }
}

extension Reconciler {
  /// Why a replica is gone for good; nil if it is there or may come again.
  static func loss(of replica: NexusAssignment.Replica, _ state: ClusterState) -> String? {
    guard state.node(replica.node)?.state == .ready else { return nil }
    if let status = state.replicaStatus(node: replica.node, replica.id), status.isLost {
      return "the one on \(replica.node) is lost" + (status.message.map { ": \($0)" } ?? "")
    }
    if let pool = state.pool(node: replica.node, replica.pool), pool.state == .faulted {
      return "pool \(replica.pool) of \(replica.node) is faulted" + (pool.message.map { ": \($0)" } ?? "")
    }
    return nil
  }
}

/// Which of a volume's replicas may stay, and what is missing.
private struct ReplicaLook {
  struct Unwanted {
    var replica: NexusAssignment.Replica
    var reason: String
  }

  /// In the nexus's list, and to stay.
  private let kept: [NexusAssignment.Replica]
  /// In the nexus's list, and to go when others are in sync.
  private let leaving: [Unwanted]
  private let untouchable: Set<ReplicaID>
  private let members: Set<ReplicaID>
  private let nexusNode: String?
  /// In the list, but neither in the set nor in its pool, which is there.
  let gone: [Unwanted]
  private let wantedCount: Int
  /// When the next node has been away for too long.
  let dueAt: Date?

  init(
    _ spec: VolumeSpec, _ nexus: NexusAssignment, _ record: InSyncRecord, _ state: ClusterState, _ surroundings: Reconciler.Surroundings
  ) {
    var kept: [NexusAssignment.Replica] = []
    var leaving: [Unwanted] = []
    var untouchable: Set<ReplicaID> = []
    var dueAt: Date?
    for replica in nexus.replicas {
      if record.out.contains(where: { $0.id == replica.id && $0.keptBy != nil }) {
        // Left behind by a force: nobody touches it before the operator gives it up (R6).
        untouchable.insert(replica.id)
        kept.append(replica)
      } else if let reason = Reconciler.loss(of: replica, state) {
        leaving.append(Unwanted(replica: replica, reason: reason))
      } else if state.node(replica.node) == nil, let away = state.nodeNote(replica.node)?.awaySince {
        let end = away.addingTimeInterval(surroundings.policy.awayGraceSeconds)
        if end <= surroundings.now {
          leaving.append(Unwanted(replica: replica, reason: "\(replica.node) has been away since \(away.formatted(.iso8601))"))
        } else {
          dueAt = min(dueAt ?? end, end)
          kept.append(replica)
        }
      } else if state.nodeSpec(replica.node)?.isDraining == true {
        leaving.append(Unwanted(replica: replica, reason: "\(replica.node) is being drained"))
      } else {
        kept.append(replica)
      }
    }
    self.kept = kept
    self.untouchable = untouchable
    self.leaving = leaving
    members = Set(record.members)
    gone = leaving.filter { unwanted in
      let replica = unwanted.replica
      return !record.members.contains(replica.id) && state.node(replica.node)?.state == .ready
        && state.pool(node: replica.node, replica.pool)?.state == .ready
        && state.replicaStatus(node: replica.node, replica.id)?.isLost == true
    }
    nexusNode = state.nexusAssignments(of: spec.id).first?.node
    wantedCount = spec.replicaCount
    self.dueAt = dueAt
  }

  var missingCount: Int { max(0, wantedCount - kept.count) }
  /// Of those that stay.
  var keptInSyncCount: Int { kept.reduce(0) { $0 + (members.contains($1.id) ? 1 : 0) } }

  /// Why replicas are missing.
  var reason: String {
    let reasons = leaving.map(\.reason)
    return reasons.isEmpty ? "\(wantedCount) are wanted" : reasons.joined(separator: "; ")
  }

  /// Those that may go now: first those that must, then what is too many, those out of sync first, and that of the nexus's node last. One
  /// from which the nexus has not moved away yet has time.
  var dismissible: [Unwanted] {
    var result = leaving.filter { $0.replica.node != nexusNode || !members.contains($0.replica.id) }
    let surplus = kept.filter { !untouchable.contains($0.id) }.enumerated().sorted { first, second in
      rank(first.element, first.offset) < rank(second.element, second.offset)
    }
    let count = max(0, kept.count - wantedCount)
    result += surplus.prefix(count).map { Unwanted(replica: $0.element, reason: "\(wantedCount) are enough") }
    return result
  }

  private func rank(_ replica: NexusAssignment.Replica, _ position: Int) -> (Int, Int, Int) {
    (members.contains(replica.id) ? 1 : 0, replica.node == nexusNode ? 1 : 0, -position)
  }
}
