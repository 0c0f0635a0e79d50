import Foundation
import Testing

@testable import Control

@Suite struct ReconcilerTests {
  private let mebibyte: UInt64 = 1 << 20

  private func spec(_ name: String, size: UInt64 = 100 << 20, replicas: Int = 2) -> VolumeSpec {
    VolumeSpec(name: name, sizeBytes: size, replicaCount: replicas, createdAt: Date(timeIntervalSince1970: 0))
  }

  private func cluster(_ count: Int) throws -> (SimulatedStore, [SimulatedNode]) {
    var store = SimulatedStore()
    var nodes = (1...count).map { SimulatedNode(name: "node-\($0)", capacityBytes: 1 << 30) }
    for index in nodes.indices { try nodes[index].start(&store) }
    return (store, nodes)
  }

  /// Another seed gives other identifiers.
  private func steps(_ store: SimulatedStore, seed: UInt64 = 1) -> [Reconciler.Step] {
    var random = SeededGenerator(state: seed)
    return Reconciler.reconcile(store.state, using: &random)
  }

  @Test func createsInOneTransaction() throws {
    var (store, _) = try cluster(3)
    let volume = spec("db")
    try store.put(Keys.volumeSpec(name: "db"), volume)
    let steps = steps(store)
    try #require(steps.count == 1)
    #expect(steps[0].reason == "volume db: placed on node-1 (pool default), node-2 (pool default), served by node-1")
    #expect(try store.apply(steps[0].transaction))
    let state = store.state
    let nexus = try #require(state.nexusAssignments.first)
    #expect(nexus.node == "node-1" && state.nexusAssignments.count == 1)
    #expect(nexus.object.replicas.map(\.node) == ["node-1", "node-2"])
    #expect(state.replicaAssignments.map(\.object.id).sorted() == nexus.object.replicas.map(\.id).sorted())
    #expect(state.replicaAssignments.allSatisfy { $0.object.nexusNode == "node-1" && $0.object.sizeBytes == 100 * mebibyte })
    #expect(
      state.inSync(volume.id)?.object
        == InSyncRecord(
          generation: 0, setVersion: 1, nexusNode: "node-1", nexusIncarnation: "", members: nexus.object.replicas.map(\.id),
          sizeBytes: 100 * mebibyte))
    #expect(self.steps(store).isEmpty)
    #expect(try !store.apply(steps[0].transaction), "the same transaction again must not place it twice")
  }

  @Test func refusalIsNotedOnceAndForgottenWhenPlaced() throws {
    var (store, nodes) = try cluster(1)
    try store.put(Keys.volumeSpec(name: "db"), spec("db"))
    let refused = steps(store)
    try #require(refused.count == 1)
    #expect(try store.apply(refused[0].transaction))
    #expect(
      store.state.note(volumeName: "db")?.object
        == VolumeNote(state: .pending, message: "needs 2 nodes with room for 100 MiB, found 1 of 1 node"))
    #expect(steps(store).isEmpty)
    nodes.append(SimulatedNode(name: "node-2", capacityBytes: 1 << 30))
    try nodes[1].start(&store)
    for step in steps(store) { #expect(try store.apply(step.transaction)) }
    #expect(store.state.note(volumeName: "db") == nil)
    #expect(store.state.replicaAssignments.count == 2)
  }

  @Test func countsSpaceThatIsAssignedButNotTaken() throws {
    var (store, _) = try cluster(2)
    for name in ["a", "b"] { try store.put(Keys.volumeSpec(name: name), spec(name, size: 600 << 20)) }
    for _ in 0..<5 { for step in steps(store) { _ = try store.apply(step.transaction) } }
    #expect(store.state.nexusAssignments.map(\.object.volumeName) == ["a"])
    #expect(store.state.note(volumeName: "b")?.object.message.contains("node-2: pool default full (424 MiB of 1 GiB free)") == true)
  }

  @Test func deletesWithoutAssignmentsAtOnce() throws {
    var (store, _) = try cluster(1)
    var volume = spec("db")
    volume.deleting = true
    try store.put(Keys.volumeSpec(name: "db"), volume)
    for step in steps(store) { #expect(try store.apply(step.transaction)) }
    #expect(store.state.volumes.isEmpty)
  }

  @Test func deletionWaitsForNodesThatAreAway() throws {
    var (store, nodes) = try cluster(2)
    var volume = spec("db")
    try store.put(Keys.volumeSpec(name: "db"), volume)
    try settle(&store, &nodes)
    #expect(store.state.nexusStatus(node: "node-1", volume.id)?.state == .healthy)
    try nodes[1].die(&store)
    volume.deleting = true
    try store.put(Keys.volumeSpec(name: "db"), volume)
    try settle(&store, &nodes)
    #expect(
      store.state.note(volumeName: "db")?.object
        == VolumeNote(state: .deleting, message: "waiting for node-2 (not running) to delete its replica"))
    #expect(store.state.replicaAssignments.allSatisfy { $0.object.deleting } && store.state.replicaAssignments.count == 2)
    #expect(nodes[0].disk.isEmpty && nodes[1].disk.count == 1)
    try nodes[1].start(&store)
    try settle(&store, &nodes)
    #expect(nodes[1].disk.isEmpty)
    #expect(store.snapshot.map(\.key) == ["node-1", "node-2"].flatMap { [Keys.nodeStatus($0), Keys.poolStatus(node: $0, "default")] })
  }

  @Test func whatCannotBeReadIsNotTakenForGone() throws {
    var (store, nodes) = try cluster(2)
    var volume = spec("db")
    try store.put(Keys.volumeSpec(name: "db"), volume)
    try settle(&store, &nodes)
    let key = try #require(store.state.replicaAssignments.first).stored.key
    _ = try store.apply(StoreTransaction(operations: [.put(key: key, value: Data(#"{"v":9}"#.utf8))]))
    volume.deleting = true
    try store.put(Keys.volumeSpec(name: "db"), volume)
    #expect(store.state.problems.count == 1)
    try settle(&store, &nodes)
    #expect(store.state.note(volumeName: "db")?.object.message.hasPrefix("its assignments cannot all be read") == true)
    #expect(store.state.nexusAssignments.first?.object.deleting == false)
    #expect(nodes.map(\.disk.count) == [1, 1])
  }

  @Test func `a volume whose node goes before it was ever served is placed elsewhere`() throws {
    var (store, nodes) = try cluster(3)
    let volume = spec("db")
    try store.put(Keys.volumeSpec(name: "db"), volume)
    for step in steps(store) { #expect(try store.apply(step.transaction)) }
    let first = try #require(store.state.nexusAssignments.first)
    #expect(first.node == "node-1" && first.object.replicas.map(\.node) == ["node-1", "node-2"])
    let stale = store
    // The replica on its disk, perhaps: nobody knows.
    nodes[0].disk[first.object.replicas[0].id] = volume.sizeBytes
    try nodes[0].die(&store)
    let steps = steps(store, seed: 2)
    try #require(steps.count == 1)
    #expect(steps[0].reason == "volume db: placed anew on node-3 (pool default) before it was ever served, by node-2: node-1 does not run")
    #expect(try store.apply(steps[0].transaction))
    let nexus = try #require(store.state.nexusAssignments.first)
    #expect(nexus.node == "node-2" && nexus.object.replicas.map(\.node) == ["node-2", "node-3"])
    let record = try #require(store.state.inSync(volume.id)?.object)
    #expect(record.generation == 0 && record.members == nexus.object.replicas.map(\.id) && record.nexusNode == "node-2")
    // The old node lives after all, and claims by what it knew: too late.
    let old = try #require(stale.state.inSync(volume.id))
    let claim = StoreTransaction(compares: [old.isUnchanged, first.stored.isUnchanged], operations: [old.replacement])
    #expect(try !store.apply(claim))
    try settle(&store, &nodes)
    #expect(VolumeView(volume, in: store.state).state == .healthy)
    #expect(store.state.replicaAssignments(of: volume.id).filter(\.object.deleting).map(\.node) == ["node-1"])
    try nodes[0].start(&store)
    try settle(&store, &nodes)
    #expect(nodes.map(\.disk.count) == [0, 1, 1] && store.state.replicaAssignments(of: volume.id).count == 2)
  }

  @Test func `a volume that was served once is never placed anew, and one without room waits for it`() throws {
    var (store, nodes) = try cluster(2)
    let (young, served) = (spec("young"), spec("served"))
    func places(_ volume: VolumeSpec) -> [String]? {
      store.state.nexusAssignments(of: volume.id).first?.object.replicas.map(\.node).sorted()
    }
    try store.put(Keys.volumeSpec(name: "served"), served)
    try settle(&store, &nodes)
    try store.put(Keys.volumeSpec(name: "young"), young)
    for step in steps(store) { #expect(try store.apply(step.transaction)) }
    try nodes[1].die(&store)
    var queue = ControlQueue(store.state)
    var random = SeededGenerator(state: 5)
    while let batch = queue.next(now: .now, using: &random) {
      #expect(try store.apply(batch.transaction))
      queue.committed(batch.transaction, at: store.revision)
    }
    #expect(places(young) == ["node-1", "node-2"])
    let before = store.revision
    nodes.append(SimulatedNode(name: "node-3", capacityBytes: 1 << 30))
    try nodes[2].start(&store)
    queue.apply(
      StoreWatchBatch(events: store.snapshot.filter { $0.modRevision > before }.map { .put($0) }, revision: store.revision))
    while let batch = queue.next(now: .now, using: &random) {
      #expect(try store.apply(batch.transaction))
      queue.committed(batch.transaction, at: store.revision)
    }
    #expect(places(young) == ["node-1", "node-3"] && places(served) == ["node-1", "node-2"])
  }

  @Test func invalidSpecsAreNoted() throws {
    var (store, _) = try cluster(2)
    try store.put(Keys.volumeSpec(name: "db"), spec("db", size: 5))
    for step in steps(store) { #expect(try store.apply(step.transaction)) }
    #expect(store.state.note(volumeName: "db")?.object.message.contains("its size is 5 B") == true)
    #expect(steps(store).isEmpty)
  }

  /// Controllers with old snapshots that die between transactions, nodes that die and return: whatever happens, space is not promised
  /// twice, nothing is deleted unasked, and in the end all is as it was asked for.
  @Test(arguments: 0..<60) func convergesFromAnyHistory(seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    var store = SimulatedStore()
    var nodes = (1...4).map { SimulatedNode(name: "node-\($0)", capacityBytes: 512 << 20) }
    var old = store
    var lastPlacement: StoreRevision = 0
    for _ in 0..<300 {
      let node = Int.random(in: 0..<nodes.count, using: &random)
      switch Int.random(in: 0..<20, using: &random) {
      case 0:
        let name = "v\(Int.random(in: 0..<6, using: &random))"
        if store.state.volume(name: name) == nil {
          var new = spec(name, size: UInt64.random(in: 1...200, using: &random) << 20, replicas: Int.random(in: 1...3, using: &random))
          new.id = VolumeID(uuid: .random(using: &random))
          try store.put(Keys.volumeSpec(name: name), new)
        }
      case 1:
        if var volume = store.state.volumes.randomElement(using: &random) {
          volume.object.deleting = true
          _ = try store.apply(StoreTransaction(operations: [volume.replacement]))
        }
      case 2: if nodes[node].isRunning { try nodes[node].die(&store) }
      case 3, 4: if !nodes[node].isRunning { try nodes[node].start(&store) }
      case 5: old = store
      case 6...10:
        // Sometimes a controller acts on what it saw long ago (but never without its own last act), and sometimes it dies before its
        // last step.
        let seen = Bool.random(using: &random) && old.revision >= lastPlacement ? old : store
        let steps = Reconciler.reconcile(seen.state, using: &random)
        for step in steps.prefix(Int.random(in: 0...max(1, steps.count), using: &random)) where try store.apply(step.transaction) {
          lastPlacement = store.revision
        }
      default: if nodes[node].isRunning { _ = try nodes[node].step(random.next(), &store) }
      }
      try check(store, nodes)
    }
    for index in nodes.indices where !nodes[index].isRunning { try nodes[index].start(&store) }
    try settle(&store, &nodes)
    try check(store, nodes)
    let state = store.state
    for volume in state.volumes.map(\.object) {
      #expect(!volume.deleting, "\(volume.name) was not deleted")
      if let nexus = state.nexusAssignments(of: volume.id).first {
        #expect(state.nexusStatus(node: nexus.node, volume.id)?.state == .healthy)
        #expect(VolumeView(volume, in: state).state == .healthy)
      } else {
        #expect(state.note(volumeName: volume.name)?.object.state == .pending)
      }
    }
    let alive = Set(state.replicaAssignments.map(\.object.id))
    #expect(Set(nodes.flatMap(\.disk.keys)) == alive, "a replica was left behind or is missing")
    #expect(Set(state.replicaStatuses.map(\.object.id)) == alive)
  }

  /// Lets everybody act until nobody has anything to do.
  private func settle(_ store: inout SimulatedStore, _ nodes: inout [SimulatedNode]) throws {
    var random = SeededGenerator(state: 99)
    for _ in 0..<10_000 {
      var isBusy = false
      for step in Reconciler.reconcile(store.state, using: &random) {
        if try store.apply(step.transaction) { isBusy = true }
      }
      for index in nodes.indices where nodes[index].isRunning {
        if try nodes[index].step(random.next(), &store) { isBusy = true }
      }
      if !isBusy { return }
    }
    Issue.record("the cluster does not come to rest")
  }

  /// What holds at every moment.
  private func check(_ store: SimulatedStore, _ nodes: [SimulatedNode]) throws {
    let state = store.state
    let assignments = state.replicaAssignments
    #expect(state.problems.isEmpty)
    let tombstones = Set(assignments.filter(\.object.deleting).map(\.object.id))
    for volume in state.volumes.map(\.object) {
      let replicas = state.replicaAssignments(of: volume.id)
      #expect(Set(replicas.map(\.node)).count == replicas.count, "two replicas of \(volume.name) on one node")
      #expect((state.inSync(volume.id) != nil) == (state.nexusAssignments(of: volume.id).count == 1))
      let listed = state.nexusAssignments(of: volume.id).first?.object.replicas.map(\.id) ?? []
      #expect(listed.isEmpty == replicas.isEmpty && (listed.isEmpty || listed.count == volume.replicaCount))
      #expect(listed.allSatisfy { id in replicas.contains { $0.object.id == id } })
      // Only those that were given up before the volume was ever served.
      if !volume.deleting { #expect(!listed.contains(where: tombstones.contains)) }
    }
    for node in nodes {
      let taking = assignments.filter {
        $0.node == node.name && (!$0.object.deleting || node.disk[$0.object.id] != nil)
      }
      let promised = taking.reduce(0) { $0 + $1.object.sizeBytes }
      #expect(promised <= node.capacityBytes, "\(node.name) has promised more than it has")
      for id in node.disk.keys {
        #expect(assignments.contains { $0.object.id == id }, "a tombstone went before its replica")
      }
      for assignment in assignments where assignment.node == node.name && !assignment.object.deleting {
        if state.replicaStatus(node: node.name, assignment.object.id)?.state == .ready {
          #expect(node.disk[assignment.object.id] != nil, "a replica went without a tombstone")
        }
      }
    }
  }
}
