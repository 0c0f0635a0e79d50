import Foundation

/// The controller's decisions, as a function from what is to what has to be changed. Level-triggered: it looks at states, never at events,
/// so it may be stopped between any two transactions and started again anywhere. Each decision is about one volume or one node and reads what
/// belongs to it; only placement looks at all nodes.
///
/// A volume's life, each line one transaction:
/// 1. The specification is there and nothing else: assign replicas and nexus, lay down the first in-sync record.
/// 2. Replicas come and go as the specification, lost pools, nodes that stay away and draining want it (`Reconciler+Replicas`).
/// 3. The specification says `deleting`: tell the nexus to go (or, if nothing was assigned, remove the specification).
/// 4. The nexus's status is gone: tell the replicas to go; these are the tombstones without which no node deletes a replica (R18).
/// 5. Every replica's status says `deleted`: remove assignments, in-sync record and specification. The nodes then remove the statuses.
public enum Reconciler {
  /// What people are to know of a step.
  struct Notice: Equatable, Sendable {
    var kind: Event.ObjectKind
    var object: String
    var reason: String
    var message: String
    var isWarning = false
  }

  /// One transaction and why.
  public struct Step: Equatable, Sendable {
    public var transaction: StoreTransaction
    public var reason: String
    var notices: [Notice] = []
  }

  /// What is to be done about one volume or node now.
  struct Decision: Sendable {
    /// Nil if there is nothing to do but to wait.
    var step: Step?
    /// It has found no place: look again when there is more room.
    var waitsForRoom = false
    /// Look again then, even if nothing changes.
    var dueAt: Date?
    /// What the step places.
    var placed: (choices: [Placement.Choice], nexusNode: String?, spec: VolumeSpec)?

    init(_ step: Step? = nil, waitsForRoom: Bool = false, dueAt: Date? = nil) {
      self.step = step
      self.waitsForRoom = waitsForRoom
      self.dueAt = dueAt
    }
  }

  /// What a decision has beside the state.
  struct Surroundings: Sendable {
    var now: Date
    var policy = ControllerPolicy()
    /// What earlier decisions have taken that the state does not show yet.
    var ledger = PlacementLedger()
    /// Whether one more full copy of a replica may begin.
    var mayBuild = true
  }

  /// What to do now about all volumes, one step per volume at most; nothing if all that is left is to wait for nodes. New identifiers come
  /// from `random`.
  public static func reconcile(_ state: ClusterState, now: Date = .now, using random: inout some RandomNumberGenerator) -> [Step] {
    var surroundings = Surroundings(now: now)
    var steps: [Step] = []
    for volume in state.volumes {
      let decision = decide(volume, state, surroundings, using: &random)
      if let placed = decision.placed { surroundings.ledger.add(placed.choices, nexusNode: placed.nexusNode, placed.spec) }
      if let step = decision.step { steps.append(step) }
    }
    return steps
  }

  /// What to do now about one volume.
  static func decide(
    _ volume: Stored<VolumeSpec>, _ state: ClusterState, _ surroundings: Surroundings, using random: inout some RandomNumberGenerator
  ) -> Decision {
    if volume.object.deleting { return Decision(delete(volume, state)) }
    if !state.contains(key: Keys.inSync(volume.object.id)) { return create(volume, state, surroundings, using: &random) }
    if let decision = replant(volume, state, surroundings, using: &random) { return decision }
    // Service before copies.
    if let step = steer(volume, state) ?? carryOrders(volume, state) ?? stepAboutSnapshots(of: volume.object.id, state) {
      return Decision(step)
    }
    var decision = replicas(volume, state, surroundings, using: &random)
    if isStranded(volume.object, state) { decision.waitsForRoom = true }
    // A second path needs another node, which may come.
    if state.pathAssignments(of: volume.object.id).isEmpty { decision.waitsForRoom = true }
    return decision
  }

  // MARK: Create

  private static func create(
    _ volume: Stored<VolumeSpec>, _ state: ClusterState, _ surroundings: Surroundings, using random: inout some RandomNumberGenerator
  ) -> Decision {
    let spec = volume.object
    do throws(ObjectError) {
      try spec.validate()
    } catch {
      return Decision(note(volume, .pending, error.description, state))
    }
    if volume.key != Keys.volumeSpec(name: spec.name) {
      return Decision(note(volume, .pending, "its name \(spec.name) does not belong to the key \(volume.key)", state))
    }
    let choices: [Placement.Choice]
    var remarks: [String] = []
    var sourceSnapshot: String?
    let nodes = nodes(for: spec, state, surroundings)
    if let source = spec.source {
      switch place(cloneOf: source, spec, nodes, state) {
      case .refused(let message): return Decision(note(volume, .pending, message, state), waitsForRoom: true)
      case .placed(let placed, let snapshot): (choices, sourceSnapshot) = (placed, snapshot)
      }
    } else {
      switch Placement.place(Placement.Request(spec), nodes: nodes) {
      case .refused(let message): return Decision(note(volume, .pending, message, state), waitsForRoom: true)
      case .placed(let placed, let said): (choices, remarks) = (placed, said)
      }
    }
    let replicas = choices.map {
      NexusAssignment.Replica(id: ReplicaID(uuid: .random(using: &random)), node: $0.node, pool: $0.pool)
    }
    let nexusNode = choices[0].node
    let assigned = NexusAssignment(
      volumeID: spec.id, volumeName: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes,
      minInSync: spec.effectiveMinInSync, replicas: replicas, publications: spec.publications)
    let plan = NexusPlan(spec, assigned, on: nexusNode, state)
    let record = InSyncRecord(
      generation: 0, setVersion: 1, nexusNode: nexusNode, nexusIncarnation: "", members: replicas.map(\.id),
      sizeBytes: spec.sizeBytes)
    var operations: [StoreOperation] = [
      .put(key: Keys.nexusAssignment(node: nexusNode, spec.id), value: plan.nexus.encoded()),
      .put(key: Keys.inSync(spec.id), value: record.encoded()),
    ]
    for replica in replicas { operations.append(assignment(of: replica, spec, nexusNode: nexusNode, sourceSnapshot: sourceSnapshot)) }
    operations.append(.delete(key: Keys.volumeNote(name: spec.name)))
    var compares = [volume.isUnchanged, .absent(key: Keys.inSync(spec.id))]
    plan.writePaths(&compares, &operations, state)
    let transaction = StoreTransaction(compares: compares, operations: operations)
    let places = replicas.map { "\($0.node) (pool \($0.pool))" }.joined(separator: ", ")
    let message = "placed on \(places), served by \(nexusNode)" + (remarks.isEmpty ? "" : "; " + remarks.joined(separator: "; "))
    var decision = Decision(
      Step(
        transaction: transaction, reason: "volume \(spec.name): \(message)",
        notices: [Notice(kind: .volume, object: spec.name, reason: "Placed", message: message, isWarning: !remarks.isEmpty)]))
    decision.placed = (choices, nexusNode, spec)
    return decision
  }

  static func assignment(
    of replica: NexusAssignment.Replica, _ spec: VolumeSpec, nexusNode: String, sourceSnapshot: String? = nil
  ) -> StoreOperation {
    let assignment = ReplicaAssignment(
      id: replica.id, volumeID: spec.id, volumeName: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes,
      isThick: spec.isThick, pool: replica.pool, nexusNode: nexusNode, sourceSnapshot: sourceSnapshot)
    return .put(key: Keys.replicaAssignment(node: replica.node, replica.id), value: assignment.encoded())
  }

  static func nodes(for spec: VolumeSpec, _ state: ClusterState, _ surroundings: Surroundings) -> [Placement.Node] {
    var nodes = state.placementNodes(group: spec.group, except: spec.id)
    for index in nodes.indices { surroundings.ledger.apply(to: &nodes[index], group: spec.group) }
    return nodes
  }

  // MARK: Delete

  private static func delete(_ volume: Stored<VolumeSpec>, _ state: ClusterState) -> Step? {
    let spec = volume.object
    let nexuses = state.nexusAssignments(of: spec.id)
    let replicas = state.replicaAssignments(of: spec.id)
    if state.contains(key: Keys.inSync(spec.id)), !isComplete(spec.id, nexuses, replicas, state) {
      return note(volume, .deleting, "its assignments cannot all be read, so nothing is deleted: update Keelson or mend the store", state)
    }
    let serving = nexuses.filter { !$0.object.deleting }
    if !serving.isEmpty {
      return Step(
        transaction: tombstones(volume, serving) { $0.deleting = true }, reason: "volume \(spec.name): deleting, nexus told to go")
    }
    if let held = nexuses.first(where: { state.contains(key: Keys.nexusStatus(node: $0.node, spec.id)) }) {
      return note(volume, .deleting, "waiting for \(nodeText(held.node, state)) to stop serving it", state)
    }
    let kept = replicas.filter { !$0.object.deleting }
    if !kept.isEmpty {
      return Step(
        transaction: tombstones(volume, kept) { $0.deleting = true }, reason: "volume \(spec.name): deleting, replicas told to go")
    }
    let waiting = replicas.filter { state.replicaStatus(node: $0.node, $0.object.id)?.state != .deleted }
    if !waiting.isEmpty {
      let names = waiting.map { nodeText($0.node, state) }.joined(separator: ", ")
      return note(volume, .deleting, "waiting for \(names) to delete its replica", state)
    }
    let paths = state.pathAssignments(of: spec.id)
    let compares =
      [volume.isUnchanged] + nexuses.map(\.stored.isUnchanged) + replicas.map(\.stored.isUnchanged) + paths.map(\.stored.isUnchanged)
      + nexuses.map { .absent(key: Keys.nexusStatus(node: $0.node, spec.id)) }
    var keys =
      nexuses.map(\.stored.key) + replicas.map(\.stored.key) + paths.map(\.stored.key) + [
        Keys.inSync(spec.id), volume.key, Keys.volumeNote(name: spec.name),
      ]
    // They are on their way out, as a volume with others is not deleted, and their data is gone with the replicas.
    keys += state.snapshots(of: spec.id).map(\.key)
    let transaction = StoreTransaction(compares: compares, operations: keys.map { .delete(key: $0) })
    return Step(
      transaction: transaction, reason: "volume \(spec.name): deleted",
      notices: [Notice(kind: .volume, object: spec.name, reason: "Deleted", message: "all its replicas are deleted")])
  }

  /// Whether everything that was assigned for the volume is known. What cannot be read is not taken for gone.
  private static func isComplete(
    _ volume: VolumeID, _ nexuses: [Placed<NexusAssignment>], _ replicas: [Placed<ReplicaAssignment>], _ state: ClusterState
  ) -> Bool {
    guard let record = state.inSync(volume)?.object, !nexuses.isEmpty else { return false }
    let known = Set(replicas.map(\.object.id))
    let wanted = Set(nexuses.flatMap { $0.object.replicas.map(\.id) })
    // One that was taken from the volume is in nobody's list any more, but may still be in the record.
    return record.members.allSatisfy(known.contains) && wanted.allSatisfy(known.contains)
  }

  /// Marks assignments, provided that neither they nor the specification changed.
  private static func tombstones<Object: StoredObject>(
    _ volume: Stored<VolumeSpec>, _ assignments: [Placed<Object>], _ mark: (inout Object) -> Void
  ) -> StoreTransaction {
    let operations = assignments.map { assignment in
      var stored = assignment.stored
      mark(&stored.object)
      return stored.replacement
    }
    return StoreTransaction(compares: [volume.isUnchanged] + assignments.map(\.stored.isUnchanged), operations: operations)
  }

  // MARK: Notes

  /// Says why the volume does not get on; nil if that is said already.
  static func note(
    _ volume: Stored<VolumeSpec>, _ noteState: VolumeNote.State, _ message: String, _ state: ClusterState
  ) -> Step? {
    let note = VolumeNote(state: noteState, message: message)
    let name = String(volume.key.dropFirst(Keys.volumeSpecs.count))
    let key = Keys.volumeNote(name: name)
    if state.note(volumeName: name)?.object == note { return nil }
    let transaction = StoreTransaction(compares: [volume.isUnchanged], operations: [.put(key: key, value: note.encoded())])
    let reason =
      switch noteState {
      case .pending: "NotPlaced"
      case .deleting: "Deleting"
      case .replacing: "NotReplaced"
      }
    return Step(
      transaction: transaction, reason: "volume \(name): \(message)",
      notices: [Notice(kind: .volume, object: name, reason: reason, message: message, isWarning: noteState != .deleting)])
  }

  static func nodeText(_ name: String, _ state: ClusterState) -> String {
    state.node(name) == nil ? "\(name) (not running)" : name
  }
}
