import Foundation
import Testing

@testable import Control

@Suite struct ClusterStateTests {
  private struct Seen: Equatable {
    var lists: [[String]]
    var perVolume: [String]
    var perNode: [String]
    var index: [String]

    init(_ state: ClusterState) {
      lists = [
        state.volumes.map(\.key), state.replicaAssignments.map(\.stored.key), state.nexusAssignments.map(\.stored.key),
        state.nodes.map(\.key), state.nodeSpecs.map(\.key), state.pools.map { $0.stored.key + "\($0.object.freeBytes)" },
        state.replicaStatuses.map { $0.stored.key + $0.object.state.rawValue }, state.nexusStatuses.map(\.stored.key),
        state.problems.map(\.description),
      ]
      perVolume = state.volumes.map { volume in
        let id = volume.object.id
        return
          "\(volume.key) \(state.replicaAssignments(of: id).map(\.stored.key)) \(state.nexusAssignments(of: id).map(\.node)) "
          + "\(String(describing: state.inSync(id)?.modRevision)) \(String(describing: state.note(volumeName: volume.object.name)?.object))"
      }
      perNode = state.nodeNames.map { name in
        let pending = state.pending(node: name, pool: "default")
        return "\(name) \(state.nexusCount(ofNode: name)) \(state.replicaCount(node: name, pool: "default")) \(pending) "
          + "\(state.volumes(onNode: name).sorted())"
      }
      index = state.index.volumesByGroup.map { "\($0.key) \($0.value.sorted())" }.sorted()
    }
  }

  /// Whatever came in which order, it is as if it had been listed just now.
  @Test(arguments: 0..<20) func `changes add up to what a listing gives`(seed: UInt64) throws {
    var random = SeededGenerator(state: seed)
    var store = SimulatedStore()
    var nodes = (1...3).map { SimulatedNode(name: "node-\($0)", capacityBytes: 2 << 30) }
    for index in nodes.indices { try nodes[index].start(&store) }
    for _ in 0..<250 {
      let node = Int.random(in: 0..<nodes.count, using: &random)
      switch Int.random(in: 0..<12, using: &random) {
      case 0:
        let name = "v\(Int.random(in: 0..<5, using: &random))"
        var spec = VolumeSpec(
          id: VolumeID(uuid: .random(using: &random)), name: name, sizeBytes: 1 << 20, replicaCount: 2,
          createdAt: Date(timeIntervalSince1970: 0))
        spec.group = Bool.random(using: &random) ? "g" : nil
        if store.state.volume(name: name) == nil { try store.put(Keys.volumeSpec(name: name), spec) }
      case 1:
        if var volume = store.state.volumes.randomElement(using: &random) {
          volume.object.deleting = true
          _ = try store.apply(StoreTransaction(operations: [volume.replacement]))
        }
      case 2: if nodes[node].isRunning { try nodes[node].die(&store) }
      case 3: if !nodes[node].isRunning { try nodes[node].start(&store) }
      case 4:
        // What cannot be read, and can again.
        let key = "assign/node-1/replica/\(ReplicaID(uuid: .random(using: &random)))"
        _ = try store.apply(StoreTransaction(operations: [.put(key: key, value: Data("nonsense".utf8))]))
        if Bool.random(using: &random) { try store.remove(key) }
      case 5...7:
        for step in Reconciler.reconcile(store.state, using: &random) { _ = try store.apply(step.transaction) }
      default: if nodes[node].isRunning { _ = try nodes[node].step(random.next(), &store) }
      }
    }
    #expect(Seen(store.state) == Seen(ClusterState(store.snapshot)))
    for key in store.snapshot.map(\.key) { try store.remove(key) }
    #expect(Seen(store.state) == Seen(ClusterState([])))
    #expect(store.state.nodeNames.isEmpty)
  }

  @Test func `our own transaction is known before the watch tells of it, and once`() throws {
    var state = ClusterState([], revision: 5)
    let spec = NodeSpec(name: "a", isCordoned: true)
    let key = Keys.nodeSpec("a")
    state.apply(StoreTransaction(operations: [.put(key: key, value: spec.encoded())]), committedAt: 8)
    #expect(state.nodeSpec("a")?.isCordoned == true)
    func entry(_ spec: NodeSpec, _ revision: StoreRevision) -> StoreEntry {
      StoreEntry(key: key, value: spec.encoded(), createRevision: 1, modRevision: revision, version: 1)
    }
    // What happened before it comes later.
    let old = StoreWatchBatch(events: [.put(entry(NodeSpec(name: "a"), 7))], revision: 7)
    #expect(state.apply(old) == ClusterChanges())
    #expect(state.nodeSpec("a")?.isCordoned == true)
    state.apply(StoreTransaction(operations: [.delete(key: key)]), committedAt: 9)
    #expect(state.apply(StoreWatchBatch(events: [.put(entry(spec, 8))], revision: 8)) == ClusterChanges())
    #expect(state.nodeSpec("a") == nil)
    #expect(state.apply(StoreWatchBatch(events: [.delete(key: key, revision: 9)], revision: 9)) == ClusterChanges())
    #expect(state.apply(StoreWatchBatch(events: [.put(entry(spec, 10))], revision: 10)).nodes == ["a"])
    #expect(state.nodeSpec("a") != nil)
  }

  @Test func `only more room in a pool is news for those who wait`() throws {
    var store = SimulatedStore()
    func put(free: UInt64, _ poolState: PoolStatus.State = .ready) throws -> ClusterChanges {
      let pool = PoolStatus(
        name: "p", uuid: "u", kind: .file, path: "/p", sizeBytes: 100, freeBytes: free, promisedBytes: 0, clusterBytes: 1, state: poolState)
      var state = store.state
      try store.put(Keys.poolStatus(node: "a", "p"), pool)
      let transaction = StoreTransaction(operations: [.put(key: Keys.poolStatus(node: "a", "p"), value: pool.encoded())])
      return state.apply(transaction, committedAt: store.revision)
    }
    #expect(try put(free: 50).hasMoreRoom)
    #expect(try put(free: 40) == ClusterChanges())
    #expect(try put(free: 41).hasMoreRoom)
    #expect(try put(free: 41, .faulted).nodes == ["a"])
  }
}
