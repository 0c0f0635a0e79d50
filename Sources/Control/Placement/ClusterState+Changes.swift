/// What changes of the store concern: where a controller has to look again.
struct ClusterChanges: Equatable, Sendable {
  var volumes: Set<VolumeID> = []
  /// Nodes whose process, wishes or labels changed.
  var nodes: Set<String> = []
  /// What was refused for want of a place may have one now.
  var hasMoreRoom = false

  mutating func merge(_ other: ClusterChanges) {
    volumes.formUnion(other.volumes)
    nodes.formUnion(other.nodes)
    hasMoreRoom = hasMoreRoom || other.hasMoreRoom
  }
}

extension ClusterState {
  /// Applies a watch's batch. What is known already, from a later page of the listing or from our own transactions, changes nothing.
  @discardableResult
  mutating func apply(_ batch: StoreWatchBatch) -> ClusterChanges {
    var changes = ClusterChanges()
    for event in batch.events {
      if let known = revisions[event.key] ?? removedAhead[event.key], known >= event.revision { continue }
      switch event {
      case .put(let entry): put(entry, &changes)
      case .delete(let key, _): remove(key, &changes)
      }
    }
    revision = max(revision, batch.revision)
    if !removedAhead.isEmpty { removedAhead = removedAhead.filter { $0.value > revision } }
    return changes
  }

  /// Applies a transaction that was committed at `revision`, before the watch tells of it.
  @discardableResult
  mutating func apply(_ transaction: StoreTransaction, committedAt revision: StoreRevision) -> ClusterChanges {
    var changes = ClusterChanges()
    for operation in transaction.operations {
      if let known = revisions[operation.key], known >= revision { continue }
      switch operation {
      case .put(let key, let value, let lease):
        put(StoreEntry(key: key, value: value, createRevision: revision, modRevision: revision, version: 1, lease: lease), &changes)
      case .delete(let key):
        remove(key, &changes)
        if revision > self.revision { removedAhead[key] = revision }
      }
    }
    return changes
  }

  // MARK: One key

  mutating func put(_ entry: StoreEntry, _ changes: inout ClusterChanges) {
    let oldPool = poolsByKey[entry.key]
    forget(entry.key, &changes)
    removedAhead[entry.key] = nil
    revisions[entry.key] = entry.modRevision
    do throws(ObjectError) {
      try add(entry, &changes)
    } catch {
      problemsByKey[entry.key] = error
    }
    comparePool(oldPool, entry.key, &changes)
  }

  private mutating func remove(_ key: String, _ changes: inout ClusterChanges) {
    let oldPool = poolsByKey[key]
    forget(key, &changes)
    revisions[key] = nil
    comparePool(oldPool, key, &changes)
  }

  /// Usage changes all the time: only more room is news to others, and only a pool's end or return is to its replicas.
  private mutating func comparePool(_ old: Placed<PoolStatus>?, _ key: String, _ changes: inout ClusterChanges) {
    let new = poolsByKey[key]
    guard let node = (new ?? old)?.node else { return }
    if old?.object.state != new?.object.state { touch(node: node, &changes) }
    guard let new = new?.object, let old = old?.object else { return }
    let limits = (old.promiseLimitBytes ?? 0, new.promiseLimitBytes ?? 0)
    if new.freeBytes > old.freeBytes || new.promisedBytes < old.promisedBytes || limits.1 > limits.0 { changes.hasMoreRoom = true }
  }

  private static func parts(_ key: String) -> [String] {
    key.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
  }

  private mutating func add(_ entry: StoreEntry, _ changes: inout ClusterChanges) throws(ObjectError) {
    let key = entry.key
    let parts = Self.parts(key)
    switch (parts.first, parts.count) {
    case ("spec", 3) where parts[1] == "volume":
      let volume: Stored<VolumeSpec> = try Stored(entry)
      volumesByKey[key] = volume
      index.add(key, of: volume.object.id)
      if let group = volume.object.group { index.addToGroup(group, volume.object.id) }
      if let source = volume.object.source { clonesByVolume[source.volumeID, default: []].insert(volume.object.id) }
      changes.volumes.insert(volume.object.id)
      touchKin(of: volume.object.id, &changes)
    case ("spec", 3) where parts[1] == "snapshot":
      let snapshot: Stored<SnapshotSpec> = try Stored(entry)
      snapshotsByKey[key] = snapshot
      index.add(key, of: snapshot.object.volumeID)
      changes.volumes.insert(snapshot.object.volumeID)
    case ("spec", 3) where parts[1] == "node":
      nodeSpecsByName[parts[2]] = try Stored(entry)
      touch(node: parts[2], &changes)
    case ("spec", 4) where parts[1] == "pool":
      poolSpecsByKey[key] = try Stored(entry)
      changes.hasMoreRoom = true
    case ("assign", 4) where parts[2] == "replica":
      let placed = Placed<ReplicaAssignment>(node: parts[1], stored: try Stored(entry))
      replicaAssignmentsByKey[key] = placed
      addAssignment(key, parts[1], placed.object.volumeID, &changes)
      index.addReplica(key, pool: Keys.poolStatus(node: parts[1], placed.object.pool))
      notePending(assignmentKey: key, node: parts[1], placed.object.id)
    case ("assign", 4) where parts[2] == "nexus":
      let placed = Placed<NexusAssignment>(node: parts[1], stored: try Stored(entry))
      nexusAssignmentsByKey[key] = placed
      addAssignment(key, parts[1], placed.object.volumeID, &changes)
      index.countNexus(1, node: parts[1])
    case ("assign", 4) where parts[2] == "path":
      let placed = Placed<PathAssignment>(node: parts[1], stored: try Stored(entry))
      pathAssignmentsByKey[key] = placed
      addAssignment(key, parts[1], placed.object.volumeID, &changes)
    case ("insync", 2):
      inSyncByKey[key] = try Stored(entry)
      if let volume = VolumeID(parts[1]) {
        changes.volumes.insert(volume)
        touchKin(of: volume, &changes)
      }
    case ("status", 4) where parts[1] == Keys.controllerName && parts[2] == "volume":
      notesByKey[key] = try Stored(entry)
    case ("status", 4) where parts[1] == Keys.controllerName && parts[2] == "node":
      nodeNotesByName[parts[3]] = try Stored(entry)
      changes.nodes.insert(parts[3])
    case ("status", 3) where parts[2] == "node":
      nodesByName[parts[1]] = try Stored(entry)
      touch(node: parts[1], &changes)
      weighReports(&changes)
    case ("status", 4) where parts[2] == "pool":
      let pool = Placed<PoolStatus>(node: parts[1], stored: try Stored(entry))
      poolsByKey[key] = pool
      index.addPool(key, node: parts[1])
    case ("status", 4) where parts[2] == "replica":
      let status = Placed<ReplicaStatus>(node: parts[1], stored: try Stored(entry))
      replicaStatusesByKey[key] = status
      index.add(key, of: status.object.volumeID)
      changes.volumes.insert(status.object.volumeID)
      notePending(assignmentKey: Keys.replicaAssignment(node: parts[1], status.object.id), node: parts[1], status.object.id)
    case ("status", 4) where parts[2] == "nexus":
      let status = Placed<NexusStatus>(node: parts[1], stored: try Stored(entry))
      nexusStatusesByKey[key] = status
      index.add(key, of: status.object.volumeID)
      changes.volumes.insert(status.object.volumeID)
    case ("status", 4) where parts[2] == "path":
      let status: Stored<PathStatus> = try Stored(entry)
      pathStatusesByKey[key] = status.object
      index.add(key, of: status.object.volumeID)
      changes.volumes.insert(status.object.volumeID)
    case ("status", 4) where parts[2] == "found":
      foundReplicasByKey[key] = Placed(node: parts[1], stored: try Stored(entry))
    case ("spec", 2) where key == Keys.storeTrust:
      let stored: Stored<StoreTrust> = try Stored(entry)
      trust = stored.object
    case ("status", 3) where parts[2] == "doubt":
      let stored: Stored<StoreDoubt> = try Stored(entry)
      doubtsByWho[parts[1]] = stored.object
    case ("status", 3) where parts[2] == "peers":
      let status: Stored<PeerStatus> = try Stored(entry)
      peersByNode[parts[1]] = status.object
      weighReports(&changes)
    default: break
    }
  }

  /// Takes what was known of the key out of all tables.
  private mutating func forget(_ key: String, _ changes: inout ClusterChanges) {
    guard revisions[key] != nil else { return }
    problemsByKey[key] = nil
    let parts = Self.parts(key)
    switch (parts.first, parts.count) {
    case ("spec", 3) where parts[1] == "volume":
      if let old = volumesByKey[key]?.object {
        touchKin(of: old.id, &changes)
        volumesByKey[key] = nil
        if let group = old.group { index.removeFromGroup(group, old.id) }
        if let source = old.source { clonesByVolume[source.volumeID]?.remove(old.id) }
      }
    case ("spec", 3) where parts[1] == "snapshot": snapshotsByKey[key] = nil
    case ("spec", 3) where parts[1] == "node":
      nodeSpecsByName[parts[2]] = nil
      touch(node: parts[2], &changes)
    case ("spec", 4) where parts[1] == "pool":
      poolSpecsByKey[key] = nil
      changes.hasMoreRoom = true
    case ("assign", 4):
      index.removeAssignment(key, node: parts[1])
      changes.nodes.insert(parts[1])
      if replicaAssignmentsByKey.removeValue(forKey: key) != nil {
        index.removeReplica(key)
        changes.hasMoreRoom = true
      }
      pathAssignmentsByKey[key] = nil
      if nexusAssignmentsByKey.removeValue(forKey: key) != nil { index.countNexus(-1, node: parts[1]) }
    case ("insync", 2):
      inSyncByKey[key] = nil
      if let volume = VolumeID(parts[1]) { changes.volumes.insert(volume) }
    case ("status", 4) where parts[1] == Keys.controllerName && parts[2] == "volume": notesByKey[key] = nil
    case ("status", 4) where parts[1] == Keys.controllerName && parts[2] == "node": nodeNotesByName[parts[3]] = nil
    case ("status", 3) where parts[2] == "node":
      nodesByName[parts[1]] = nil
      touch(node: parts[1], &changes)
      weighReports(&changes)
    case ("spec", 2) where key == Keys.storeTrust: trust = nil
    case ("status", 3) where parts[2] == "doubt": doubtsByWho[parts[1]] = nil
    case ("status", 3) where parts[2] == "peers":
      peersByNode[parts[1]] = nil
      weighReports(&changes)
    case ("status", 4) where parts[2] == "path": pathStatusesByKey[key] = nil
    case ("status", 4) where parts[2] == "found": foundReplicasByKey[key] = nil
    case ("status", 4) where parts[2] == "pool":
      poolsByKey[key] = nil
      index.removePool(key, node: parts[1])
    case ("status", 4) where parts[2] == "replica":
      if let old = replicaStatusesByKey.removeValue(forKey: key)?.object {
        notePending(assignmentKey: Keys.replicaAssignment(node: parts[1], old.id), node: parts[1], old.id)
      }
    case ("status", 4) where parts[2] == "nexus": nexusStatusesByKey[key] = nil
    default: break
    }
    if let volume = index.remove(key) { changes.volumes.insert(volume) }
  }

  /// A clone waits for its source's snapshot, and the snapshot for the clone.
  private func touchKin(of volume: VolumeID, _ changes: inout ClusterChanges) {
    if let source = self.volume(volume)?.object.source { changes.volumes.insert(source.volumeID) }
    changes.volumes.formUnion(clonesByVolume[volume] ?? [])
  }

  private mutating func addAssignment(_ key: String, _ node: String, _ volume: VolumeID, _ changes: inout ClusterChanges) {
    index.add(key, of: volume)
    index.addAssignment(key, node: node)
    changes.volumes.insert(volume)
    changes.nodes.insert(node)
  }

  /// Who is said to be lost now. Nodes of which that changes are looked at again.
  private mutating func weighReports(_ changes: inout ClusterChanges) {
    var reports: Set<String> = []
    for (watcher, peers) in peersByNode where !peers.lost.isEmpty && node(watcher)?.incarnation == peers.incarnation {
      for lost in peers.lost where lost.node != watcher && node(lost.node)?.incarnation == lost.incarnation {
        reports.insert(lost.incarnation)
      }
    }
    let changed = reports.symmetricDifference(lossReports)
    lossReports = reports
    touch(incarnations: changed, &changes)
  }

  /// Takes what the controller has found out itself.
  mutating func setReached(_ incarnations: Set<String>) -> ClusterChanges {
    var changes = ClusterChanges()
    let changed = reached.symmetricDifference(incarnations)
    reached = incarnations
    touch(incarnations: changed, &changes)
    return changes
  }

  private mutating func touch(incarnations: Set<String>, _ changes: inout ClusterChanges) {
    if incarnations.isEmpty { return }
    for (name, stored) in nodesByName where incarnations.contains(stored.object.incarnation) { touch(node: name, &changes) }
  }

  /// A node's own state matters to all that is assigned to it, and to what has found no place.
  private func touch(node: String, _ changes: inout ClusterChanges) {
    changes.nodes.insert(node)
    changes.volumes.formUnion(volumes(onNode: node))
    changes.hasMoreRoom = true
  }

  /// Those that the pool has made already but not finished are counted twice for a moment: better than not at all.
  private mutating func notePending(assignmentKey: String, node: String, _ id: ReplicaID) {
    guard let assignment = replicaAssignmentsByKey[assignmentKey]?.object else { return }
    switch replicaStatus(node: node, id)?.state {
    case .ready?, .faulted?, .deleted?: index.setPending(assignmentKey, nil)
    case .creating?, nil:
      let bytes = Placement.roundedUp(assignment.sizeBytes, toMultipleOf: pool(node: node, assignment.pool)?.clusterBytes ?? 0)
      // A size that nobody could have asked for must not make the sum overflow.
      let counted = min(bytes, 2 * VolumeSpec.maximumSizeBytes)
      index.setPending(assignmentKey, .init(bytes: counted, thickBytes: assignment.isThick ? counted : 0))
    }
  }
}
