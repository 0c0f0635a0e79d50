import Foundation
import Testing

@testable import Control

/// 1,000 volumes on 100 nodes: what one change costs the controller, and what rest costs the store.
@Suite struct ControlScaleTests {
  private struct Cluster {
    var store = SimulatedStore()
    var queue = ControlQueue(ClusterState([]))
    var random = SeededGenerator(state: 3)
    var seen: StoreRevision = 0
    var transactionCount = 0
    let now = Date(timeIntervalSince1970: 1_000_000)

    init(nodes: Int) throws {
      for number in 0..<nodes {
        var node = SimulatedNode(name: "node-\(number)", capacityBytes: 64 << 30)
        try node.start(&store)
      }
      queue = ControlQueue(store.state)
      try work()
    }

    /// The controller until it has nothing to do, as on a live store.
    mutating func work() throws {
      while let batch = queue.next(now: now, using: &random) {
        #expect(batch.transaction.operations.count <= StoreLimits.maximumOperations)
        #expect(batch.transaction.compares.count < StoreLimits.maximumCompares)
        #expect(try store.apply(batch.transaction))
        queue.committed(batch.transaction, at: store.revision)
        transactionCount += 1
      }
    }

    /// Writes as somebody else, and lets the watch tell the controller.
    mutating func write(_ operations: [StoreOperation]) throws {
      #expect(try store.apply(StoreTransaction(operations: operations)))
      let events = operations.map { operation -> StoreEvent in
        store.entries[operation.key].map { .put($0) } ?? .delete(key: operation.key, revision: store.revision)
      }
      queue.apply(StoreWatchBatch(events: events, revision: store.revision))
      try work()
    }

    mutating func create(_ names: [String]) throws {
      for name in names {
        let spec = VolumeSpec(
          id: VolumeID(uuid: .random(using: &random)), name: name, sizeBytes: 1 << 30, replicaCount: 3, createdAt: now)
        #expect(try store.apply(StoreTransaction(operations: [.put(key: Keys.volumeSpec(name: name), value: spec.encoded())])))
        queue.apply(StoreWatchBatch(events: [.put(store.entries[Keys.volumeSpec(name: name)]!)], revision: store.revision))
      }
      try work()
    }

    /// Every replica says that it is ready, and every volume is claimed.
    mutating func makeReady() throws {
      var operations = store.state.replicaAssignments.map { assignment -> StoreOperation in
        let status = ReplicaStatus(id: assignment.object.id, volumeID: assignment.object.volumeID, pool: "default", state: .ready)
        return .put(key: Keys.replicaStatus(node: assignment.node, assignment.object.id), value: status.encoded())
      }
      for stored in store.state.inSyncByKey.values.sorted(by: { $0.key < $1.key }) where stored.object.generation == 0 {
        var stored = stored
        stored.object.generation = 1
        operations.append(stored.replacement)
      }
      while !operations.isEmpty {
        try write(Array(operations.prefix(100)))
        operations.removeFirst(min(100, operations.count))
      }
    }

    /// How many decisions what `body` writes takes.
    mutating func decisions(_ body: (inout Cluster) throws -> Void) throws -> Int {
      let before = queue.decisionCount
      try body(&self)
      return queue.decisionCount - before
    }
  }

  private func status(_ state: NodeStatus.State, _ name: String) -> Data {
    NodeStatus(
      name: name, pid: 1, incarnation: "i", addresses: [], ioEngine: "io_uring", state: state, startedAt: Date(timeIntervalSince1970: 0)
    ).encoded()
  }

  @Test func `the work for a change does not grow with what it does not concern`() throws {
    var costs: [[Int]] = []
    for count in [20, 1000] {
      var cluster = try Cluster(nodes: 100)
      try cluster.create((0..<count).map { "v\($0)" })
      #expect(cluster.store.state.nexusAssignments.count == count)
      try cluster.makeReady()
      // Placed in transactions of many volumes each.
      #expect(cluster.transactionCount <= count / 8 + 10)
      let volume = try #require(cluster.store.state.volume(name: "v7")).object
      let nexus = try #require(cluster.store.state.nexusAssignments(of: volume.id).first)
      let one = try cluster.decisions { cluster in
        let status = NexusStatus(volumeID: volume.id, state: .healthy, generation: 1, replicas: [])
        try cluster.write([.put(key: Keys.nexusStatus(node: nexus.node, volume.id), value: status.encoded())])
      }
      let created = try cluster.decisions { try $0.create(["new"]) }
      let usage = try cluster.decisions { cluster in
        var pool = try #require(cluster.store.state.poolsByKey[Keys.poolStatus(node: "node-5", "default")]).stored
        pool.object.freeBytes += 4096
        try cluster.write([pool.replacement])
      }
      let deleted = try cluster.decisions { cluster in
        var stored = try #require(cluster.store.state.volume(name: "v7"))
        stored.object.deleting = true
        try cluster.write([stored.replacement])
      }
      costs.append([one, created, usage, deleted])
    }
    #expect(costs[0] == costs[1], "with 20 volumes and with 1,000")
    #expect(costs[1].allSatisfy { $0 <= 8 }, "\(costs[1])")
  }

  @Test func `a node's end and return cost what it has, in few transactions`() throws {
    var cluster = try Cluster(nodes: 100)
    try cluster.create((0..<1000).map { "v\($0)" })
    try cluster.makeReady()
    let own = cluster.store.state.replicaAssignments.filter { $0.node == "node-9" }.count
    let transactions = cluster.transactionCount
    let gone = try cluster.decisions { try $0.write([.delete(key: Keys.nodeStatus("node-9"))]) }
    let back = try cluster.decisions { cluster in
      try cluster.write([.put(key: Keys.nodeStatus("node-9"), value: status(.ready, "node-9"))])
    }
    #expect(own >= 10)
    #expect(gone <= 2 * own + 8 && back <= 2 * own + 8, "\(own) replicas: \(gone) and \(back) decisions")
    #expect(cluster.transactionCount - transactions <= 4)
  }

  @Test func `at rest nothing is written, and a new leader finds nothing to do`() throws {
    var cluster = try Cluster(nodes: 100)
    try cluster.create((0..<1000).map { "v\($0)" })
    try cluster.makeReady()
    let writes = cluster.store.writeCount
    #expect(cluster.queue.nextDue == nil && cluster.queue.isIdle)
    #expect(cluster.queue.next(now: cluster.now + 3600, using: &cluster.random) == nil)
    var other = ControlQueue(ClusterState(cluster.store.snapshot, revision: cluster.store.revision))
    #expect(other.next(now: cluster.now + 3600, using: &cluster.random) == nil)
    #expect(cluster.store.writeCount == writes)
  }

  @Test func `two leaders that do not know of each other do nothing twice`() throws {
    var cluster = try Cluster(nodes: 10)
    for number in 0..<50 {
      let spec = VolumeSpec(
        id: VolumeID(uuid: .random(using: &cluster.random)), name: "v\(number)", sizeBytes: 1 << 30, replicaCount: 3, createdAt: cluster.now
      )
      _ = try cluster.store.apply(StoreTransaction(operations: [.put(key: Keys.volumeSpec(name: "v\(number)"), value: spec.encoded())]))
    }
    var first = ControlQueue(cluster.store.state)
    var second = ControlQueue(cluster.store.state)
    var random = SeededGenerator(state: 9)
    while let batch = first.next(now: cluster.now, using: &cluster.random) {
      let isCommitted = try cluster.store.apply(batch.transaction)
      if isCommitted { first.committed(batch.transaction, at: cluster.store.revision) }
      // The other one decided on the same state: all of it is refused, and so is each step alone.
      if let late = second.next(now: cluster.now, using: &random) {
        #expect(try !cluster.store.apply(late.transaction))
        for step in late.steps { #expect(try !cluster.store.apply(step.transaction)) }
      }
    }
    #expect(cluster.store.state.nexusAssignments.count == 50)
    #expect(cluster.store.state.replicaAssignments.count == 150)
  }
}
