/// Snapshots, clones and sizes, level by level:
///
/// - What is wanted of a volume's snapshots, and how large it shall be, is told to its nexus; that does it and keeps the in-sync record.
/// - A snapshot whose end was asked for is told so when no clone waits for it any more; its specification goes when the nexus says that there is nothing of
///   it and will be nothing. One that was taken for a clone is to go when the clone has been served once.
/// - A clone is placed when its snapshot is ready, beside it: in pools of replicas that are in sync.
extension Reconciler {
  /// What the nexus is to be told.
  static func want(of spec: VolumeSpec, _ state: ClusterState, in nexus: inout NexusAssignment) {
    nexus.snapshots = state.snapshots(of: spec.id).map {
      .init(id: $0.object.id, deleting: $0.object.deleting && !isNeeded($0.object, state))
    }
    nexus.wantedSizeBytes = spec.sizeBytes > nexus.sizeBytes ? spec.sizeBytes : nil
  }

  /// What hosts see.
  static func servedSizeBytes(_ nexus: NexusAssignment, _ state: ClusterState) -> UInt64 {
    state.inSync(nexus.volumeID)?.object.sizeBytes ?? nexus.sizeBytes
  }

  /// Whether a volume is still to be made from it.
  private static func isNeeded(_ snapshot: SnapshotSpec, _ state: ClusterState) -> Bool {
    state.clones(of: snapshot.volumeID).contains {
      $0.object.source?.snapshotID == snapshot.id && !$0.object.deleting && !isMade($0.object.id, state)
    }
  }

  /// All replicas of a volume were there once.
  private static func isMade(_ volume: VolumeID, _ state: ClusterState) -> Bool { (state.inSync(volume)?.object.generation ?? 0) > 0 }

  static func stepAboutSnapshots(of volume: VolumeID, _ state: ClusterState) -> Step? {
    for snapshot in state.snapshots(of: volume) { if let step = step(about: snapshot, state) { return step } }
    return nil
  }

  private static func step(about snapshot: Stored<SnapshotSpec>, _ state: ClusterState) -> Step? {
    let spec = snapshot.object
    guard spec.deleting else {
      guard let clone = spec.cloneID else { return nil }
      let volume = state.volume(clone)?.object
      guard volume == nil || volume!.deleting || isMade(clone, state) else { return nil }
      var stored = snapshot
      stored.object.deleting = true
      return Step(
        transaction: StoreTransaction(compares: [snapshot.isUnchanged], operations: [stored.replacement]),
        reason: "snapshot \(spec.name) of volume \(spec.volumeName): its clone is made")
    }
    let removal = StoreTransaction(compares: [snapshot.isUnchanged], operations: [.delete(key: snapshot.key)])
    guard let record = state.inSync(spec.volumeID), !record.object.snapshots.contains(where: { $0.id == spec.id }),
      let nexus = state.nexusAssignments(of: spec.volumeID).first,
      state.nexusStatus(node: nexus.node, spec.volumeID)?.deletedSnapshots.contains(spec.id) == true
    else { return nil }
    var transaction = removal
    transaction.compares.append(record.isUnchanged)
    return Step(transaction: transaction, reason: "snapshot \(spec.name) of volume \(spec.volumeName): deleted")
  }

  // MARK: Clones

  enum ClonePlace {
    case placed([Placement.Choice], snapshot: String)
    /// Why not, or not yet.
    case refused(String)
  }

  /// Where a volume with a source goes.
  static func place(
    cloneOf source: VolumeSource, _ spec: VolumeSpec, _ candidates: [Placement.Node], _ state: ClusterState
  ) -> ClonePlace {
    let name = source.isVolume == true ? "a snapshot of volume \(source.volumeName)" : "snapshot \(source.snapshotName)"
    guard let record = state.inSync(source.volumeID)?.object, let nexus = state.nexusAssignments(of: source.volumeID).first else {
      return .refused("it is to be made from \(name), and volume \(source.volumeName) is not there")
    }
    guard let entry = record.snapshots.first(where: { $0.id == source.snapshotID && $0.state == .ready }) else {
      let spec = state.snapshots(of: source.volumeID).first { $0.object.id == source.snapshotID }?.object
      let isGone = spec == nil
      let message = spec.flatMap { SnapshotView($0, in: state).message }
      return .refused(isGone ? "\(name) is gone" : "waiting for \(name)" + (message.map { ": \($0)" } ?? ""))
    }
    let holders = nexus.object.replicas.filter { record.members.contains($0.id) }
    guard holders.count >= spec.replicaCount else {
      return .refused(
        "\(spec.replicaCount) replicas are wanted and \(name) lies on \(holders.count) \(holders.count == 1 ? "node" : "nodes") that are in sync: "
          + "a clone shares its space, and so lies where it lies")
    }
    var nodes: [Placement.Node] = []
    for var node in candidates {
      guard let holder = holders.first(where: { $0.node == node.name }) else { continue }
      node.pools = node.pools.filter { $0.name == holder.pool }
      nodes.append(node)
    }
    switch Placement.place(Placement.Request(spec), nodes: nodes) {
    case .placed(let choices, _): return .placed(choices, snapshot: entry.replicaSnapshot)
    case .refused(let reason): return .refused("beside \(name): \(reason)")
    }
  }
}
