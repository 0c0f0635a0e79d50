import Foundation

/// The controller's decisions, as a function from what is to what has to be changed. Level-triggered: it looks at states, never at events,
/// so it may be stopped between any two transactions and started again anywhere.
///
/// A volume's life, each line one transaction:
/// 1. The specification is there and nothing else: assign replicas and nexus, lay down the first in-sync record.
/// 2. The specification says `deleting`: tell the nexus to go (or, if nothing was assigned, remove the specification).
/// 3. The nexus's status is gone: tell the replicas to go; these are the tombstones without which no node deletes a replica (R18).
/// 4. Every replica's status says `deleted`: remove assignments, in-sync record and specification. The nodes then remove the statuses.
public enum Reconciler {
  /// One transaction and why.
  public struct Step: Equatable, Sendable {
    public var transaction: StoreTransaction
    public var reason: String
  }

  /// What to do now, one step per volume at most; nothing if all that is left is to wait for nodes. New identifiers come from `random`.
  /// A step may use up what the next one counted on, so look again after any step that placed a volume.
  public static func reconcile(_ state: ClusterState, using random: inout some RandomNumberGenerator) -> [Step] {
    var steps: [Step] = []
    var hasPlaced = false
    for volume in state.volumes {
      if volume.object.deleting {
        if let step = delete(volume, state) { steps.append(step) }
      } else if !state.contains(key: Keys.inSync(volume.object.id)), !hasPlaced {
        let (step, isPlaced) = create(volume, state, using: &random)
        if let step { steps.append(step) }
        hasPlaced = hasPlaced || isPlaced
      } else if let step = steer(volume, state) ?? carryOrders(volume, state) {
        steps.append(step)
      }
    }
    return steps + snapshotSteps(state)
  }

  private static func create(
    _ volume: Stored<VolumeSpec>, _ state: ClusterState, using random: inout some RandomNumberGenerator
  ) -> (step: Step?, isPlaced: Bool) {
    let spec = volume.object
    do throws(ObjectError) {
      try spec.validate()
    } catch {
      return (note(volume, .pending, error.description, state), false)
    }
    if volume.key != Keys.volumeSpec(name: spec.name) {
      return (note(volume, .pending, "its name \(spec.name) does not belong to the key \(volume.key)", state), false)
    }
    let choices: [Placement.Choice]
    let nodes = state.placementNodes
    var sourceSnapshot: String?
    if let source = spec.source {
      switch place(cloneOf: source, spec, state) {
      case .refused(let message): return (note(volume, .pending, message, state), false)
      case .placed(let placed, let snapshot): (choices, sourceSnapshot) = (placed, snapshot)
      }
    } else {
      switch Placement.place(sizeBytes: spec.sizeBytes, replicaCount: spec.replicaCount, isThick: spec.isThick, nodes: nodes) {
      case .refused(let message): return (note(volume, .pending, message, state), false)
      case .placed(let placed): choices = placed
      }
    }
    let replicas = choices.map {
      NexusAssignment.Replica(id: ReplicaID(uuid: .random(using: &random)), node: $0.node, pool: $0.pool)
    }
    let nexusNode = choices[0].node
    let assignment = NexusAssignment(
      volumeID: spec.id, volumeName: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes,
      minInSync: spec.effectiveMinInSync, replicas: replicas, publications: spec.publications)
    let plan = NexusPlan(spec, assignment, on: nexusNode, state)
    let record = InSyncRecord(
      generation: 0, setVersion: 1, nexusNode: nexusNode, nexusIncarnation: "", members: replicas.map(\.id),
      sizeBytes: spec.sizeBytes)
    var operations: [StoreOperation] = [
      .put(key: Keys.nexusAssignment(node: nexusNode, spec.id), value: plan.nexus.encoded()),
      .put(key: Keys.inSync(spec.id), value: record.encoded()),
    ]
    for replica in replicas {
      let assignment = ReplicaAssignment(
        id: replica.id, volumeID: spec.id, volumeName: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes,
        isThick: spec.isThick, pool: replica.pool, nexusNode: nexusNode,
        sourceSnapshot: sourceSnapshot)
      operations.append(.put(key: Keys.replicaAssignment(node: replica.node, replica.id), value: assignment.encoded()))
    }
    operations.append(.delete(key: Keys.volumeNote(name: spec.name)))
    var compares = [volume.isUnchanged, .absent(key: Keys.inSync(spec.id))]
    plan.writePaths(&compares, &operations, state)
    let transaction = StoreTransaction(compares: compares, operations: operations)
    let places = choices.map(\.node).joined(separator: ", ")
    return (Step(transaction: transaction, reason: "volume \(spec.name): placed on \(places), served by \(nexusNode)"), true)
  }

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
    let keys =
      nexuses.map(\.stored.key) + replicas.map(\.stored.key) + paths.map(\.stored.key) + [
        Keys.inSync(spec.id), volume.key, Keys.volumeNote(name: spec.name),
      ]
    let transaction = StoreTransaction(compares: compares, operations: keys.map { .delete(key: $0) })
    return Step(transaction: transaction, reason: "volume \(spec.name): deleted")
  }

  /// Whether everything that was assigned for the volume is known. What cannot be read is not taken for gone.
  private static func isComplete(
    _ volume: VolumeID, _ nexuses: [Placed<NexusAssignment>], _ replicas: [Placed<ReplicaAssignment>], _ state: ClusterState
  ) -> Bool {
    guard let record = state.inSync(volume)?.object, !nexuses.isEmpty else { return false }
    let known = Set(replicas.map(\.object.id))
    return (record.members + record.out.map(\.id)).allSatisfy(known.contains)
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

  /// Says why the volume does not get on; nil if that is said already.
  private static func note(
    _ volume: Stored<VolumeSpec>, _ noteState: VolumeNote.State, _ message: String, _ state: ClusterState
  ) -> Step? {
    let note = VolumeNote(state: noteState, message: message)
    let name = String(volume.key.dropFirst(Keys.volumeSpecs.count))
    let key = Keys.volumeNote(name: name)
    if state.note(volumeName: name)?.object == note { return nil }
    let transaction = StoreTransaction(compares: [volume.isUnchanged], operations: [.put(key: key, value: note.encoded())])
    return Step(transaction: transaction, reason: "volume \(name): \(message)")
  }

  private static func nodeText(_ name: String, _ state: ClusterState) -> String {
    state.node(name) == nil ? "\(name) (not running)" : name
  }
}
