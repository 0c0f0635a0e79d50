import Foundation
import Testing

@testable import Control

/// What the controller does about snapshots, clones and sizes.
@Suite struct SnapshotReconcilerTests {
  private let date = Date(timeIntervalSince1970: 0)

  /// A volume of two replicas on three nodes, served, with a snapshot that is asked for.
  private func cluster() throws -> (store: SimulatedStore, nodes: [SimulatedNode], volume: VolumeSpec, snapshot: SnapshotSpec) {
    var store = SimulatedStore()
    var nodes = (1...3).map { SimulatedNode(name: "node-\($0)", capacityBytes: 1 << 30) }
    for index in nodes.indices { try nodes[index].start(&store) }
    let volume = VolumeSpec(name: "db", sizeBytes: 64 << 20, replicaCount: 2, createdAt: date)
    try store.put(Keys.volumeSpec(name: "db"), volume)
    try settle(&store, &nodes)
    let snapshot = SnapshotSpec(name: "one", volumeID: volume.id, volumeName: "db", createdAt: date)
    try store.put(Keys.snapshotSpec(name: "one"), snapshot)
    try settle(&store, &nodes)
    return (store, nodes, volume, snapshot)
  }

  private func settle(_ store: inout SimulatedStore, _ nodes: inout [SimulatedNode]) throws {
    for round in 0..<60 {
      var random = SeededGenerator(state: UInt64(round))
      for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
      for index in nodes.indices where nodes[index].isRunning {
        while try nodes[index].step(UInt64(round), &store) {}
      }
    }
  }

  private func nexus(_ volume: VolumeSpec, _ store: SimulatedStore) throws -> Placed<NexusAssignment> {
    try #require(store.state.nexusAssignments(of: volume.id).first)
  }

  private func setRecord(_ volume: VolumeSpec, _ store: inout SimulatedStore, _ change: (inout InSyncRecord) -> Void) throws {
    var record = try #require(store.state.inSync(volume.id)).object
    change(&record)
    try store.put(Keys.inSync(volume.id), record)
  }

  @Test func `the nexus is told of snapshots and size, and nothing else of it changes`() throws {
    var (store, nodes, volume, snapshot) = try cluster()
    let before = try nexus(volume, store).object
    #expect(before.snapshots == [.init(id: snapshot.id, deleting: false)] && before.wantedSizeBytes == nil)
    volume.sizeBytes = 128 << 20
    try store.put(Keys.volumeSpec(name: "db"), volume)
    try settle(&store, &nodes)
    let after = try nexus(volume, store).object
    #expect(after.wantedSizeBytes == 128 << 20 && after.sizeBytes == 64 << 20)
    #expect(after.replicas == before.replicas && after.snapshots == before.snapshots)
  }

  @Test func `a snapshot's specification goes when its nexus says that there is nothing of it`() throws {
    var (store, nodes, volume, snapshot) = try cluster()
    try setRecord(volume, &store) {
      $0.snapshots = [.init(id: snapshot.id, replicaSnapshot: UUID().uuidString, state: .ready, sizeBytes: 64 << 20)]
    }
    snapshot.deleting = true
    try store.put(Keys.snapshotSpec(name: "one"), snapshot)
    try settle(&store, &nodes)
    #expect(try nexus(volume, store).object.snapshots == [.init(id: snapshot.id, deleting: true)])
    #expect(store.state.snapshots.count == 1)
    // Gone from the record, and the nexus may still be about to take it.
    try setRecord(volume, &store) { $0.snapshots = [] }
    try settle(&store, &nodes)
    #expect(store.state.snapshots.count == 1)
    let node = try nexus(volume, store).node
    var status = try #require(store.state.nexusStatus(node: node, volume.id))
    status.deletedSnapshots = [snapshot.id]
    try store.put(Keys.nexusStatus(node: node, volume.id), status)
    var random = SeededGenerator(state: 1)
    for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
    #expect(store.state.snapshots.isEmpty)
  }

  @Test func `a clone waits for its snapshot, lies where that lies, and keeps it until it is made`() throws {
    var (store, nodes, volume, snapshot) = try cluster()
    let clone = VolumeSpec(name: "copy", sizeBytes: 64 << 20, replicaCount: 2, source: VolumeSource(snapshot), createdAt: date)
    try store.put(Keys.volumeSpec(name: "copy"), clone)
    try settle(&store, &nodes)
    #expect(store.state.note(volumeName: "copy")?.object.message.hasPrefix("waiting for snapshot one") == true)
    let name = UUID().uuidString.lowercased()
    try setRecord(volume, &store) {
      $0.snapshots = [.init(id: snapshot.id, replicaSnapshot: name, state: .ready, sizeBytes: 64 << 20)]
    }
    snapshot.deleting = true
    try store.put(Keys.snapshotSpec(name: "one"), snapshot)
    var random = SeededGenerator(state: 1)
    for _ in 0..<3 { for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) } }
    #expect(try nexus(volume, store).object.snapshots == [.init(id: snapshot.id, deleting: false)], "a clone waits for it")
    let assignments = store.state.replicaAssignments(of: clone.id)
    #expect(assignments.count == 2 && assignments.allSatisfy { $0.object.sourceSnapshot == name })
    #expect(Set(assignments.map(\.node)) == Set(store.state.replicaAssignments(of: volume.id).map(\.node)))
    #expect(store.state.inSync(clone.id)?.object.sizeBytes == 64 << 20)
    try setRecord(clone, &store) { $0.generation = 1 }
    for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
    #expect(try nexus(volume, store).object.snapshots == [.init(id: snapshot.id, deleting: true)])
  }

  @Test func `a clone with more replicas than hold the snapshot is refused with the reason`() throws {
    var (store, nodes, volume, snapshot) = try cluster()
    try setRecord(volume, &store) {
      $0.snapshots = [.init(id: snapshot.id, replicaSnapshot: UUID().uuidString, state: .ready, sizeBytes: 64 << 20)]
    }
    let clone = VolumeSpec(name: "copy", sizeBytes: 64 << 20, replicaCount: 3, source: VolumeSource(snapshot), createdAt: date)
    try store.put(Keys.volumeSpec(name: "copy"), clone)
    try settle(&store, &nodes)
    #expect(
      store.state.note(volumeName: "copy")?.object.message.hasPrefix(
        "3 replicas are wanted and snapshot one lies on 2 nodes that are in sync") == true)
    #expect(store.state.replicaAssignments(of: clone.id).isEmpty)
  }

  @Test func `the snapshot of a direct clone goes when the clone is made, or given up`() throws {
    for isMade in [true, false] {
      var (store, _, volume, _) = try cluster()
      let id = VolumeID()
      let hidden = SnapshotSpec(name: "clone-x", volumeID: volume.id, volumeName: "db", createdAt: date, cloneID: id)
      try store.put(Keys.snapshotSpec(name: "clone-x"), hidden)
      let clone = VolumeSpec(
        id: id, name: "copy", sizeBytes: 64 << 20, replicaCount: 2, source: VolumeSource(hidden), createdAt: date)
      try store.put(Keys.volumeSpec(name: "copy"), clone)
      var random = SeededGenerator(state: 1)
      for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
      #expect(store.state.snapshot(name: "clone-x")?.object.deleting == false)
      if isMade {
        try store.put(
          Keys.inSync(id), InSyncRecord(generation: 1, setVersion: 1, nexusNode: "node-1", nexusIncarnation: "i", members: []))
      } else {
        try store.remove(Keys.volumeSpec(name: "copy"))
      }
      for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
      #expect(store.state.snapshot(name: "clone-x")?.object.deleting == true)
    }
  }
}
