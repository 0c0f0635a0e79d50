import Foundation
import Testing

@testable import Control

/// Replicas that come and go while their volume lives.
@Suite struct ReplicaReconcilerTests {
  private let start = Date(timeIntervalSince1970: 1_000_000)

  private struct Cluster {
    var store = SimulatedStore()
    var nodes: [SimulatedNode]
    var now: Date
    var random = SeededGenerator(state: 7)
    var policy = ControllerPolicy()
    /// The fewest in-sync replicas of any volume seen at any moment.
    var fewestInSync = Int.max

    init(_ count: Int, now: Date) throws {
      nodes = (1...count).map { SimulatedNode(name: "node-\($0)", capacityBytes: 1 << 30) }
      self.now = now
      for index in nodes.indices { try nodes[index].start(&store) }
    }

    mutating func create(_ name: String, replicas: Int) throws -> VolumeSpec {
      let spec = VolumeSpec(
        id: VolumeID(uuid: .random(using: &random)), name: name, sizeBytes: 1 << 20, replicaCount: replicas, createdAt: now)
      try store.put(Keys.volumeSpec(name: name), spec)
      try settle()
      return spec
    }

    mutating func change(_ name: String, _ body: (inout VolumeSpec) -> Void) throws {
      var stored = try #require(store.state.volume(name: name))
      body(&stored.object)
      _ = try store.apply(StoreTransaction(operations: [stored.replacement]))
      try settle()
    }

    mutating func settle() throws {
      for _ in 0..<10_000 {
        var isBusy = false
        var queue = ControlQueue(store.state, policy: policy)
        while let batch = queue.next(now: now, using: &random) {
          #expect(batch.transaction.operations.count <= StoreLimits.maximumOperations)
          if try store.apply(batch.transaction) { queue.committed(batch.transaction, at: store.revision) }
          isBusy = true
        }
        for index in nodes.indices where nodes[index].isRunning {
          if try nodes[index].step(random.next(), &store) { isBusy = true }
          for volume in store.state.volumes where !volume.object.deleting {
            if let record = store.state.inSync(volume.object.id) { fewestInSync = min(fewestInSync, record.object.members.count) }
          }
        }
        if !isBusy { return }
      }
      Issue.record("the cluster does not come to rest")
    }

    func places(_ spec: VolumeSpec) -> [String] {
      let state = store.state
      let members = Set(state.inSync(spec.id)?.object.members ?? [])
      let listed = state.nexusAssignments(of: spec.id).first?.object.replicas ?? []
      #expect(Set(listed.map(\.id)) == members, "all that are listed are in sync")
      #expect(Set(state.replicaAssignments(of: spec.id).filter { !$0.object.deleting }.map(\.object.id)) == members)
      return listed.map(\.node).sorted()
    }
  }

  @Test func `more replicas and fewer, while the volume is served`() throws {
    var cluster = try Cluster(4, now: start)
    let spec = try cluster.create("db", replicas: 2)
    #expect(cluster.places(spec) == ["node-1", "node-2"])
    #expect(cluster.store.state.nexusAssignments.first?.object.minInSync == 1)
    try cluster.change("db") { $0.replicaCount = 3 }
    #expect(cluster.places(spec) == ["node-1", "node-2", "node-3"])
    #expect(cluster.store.state.nexusAssignments.first?.object.minInSync == 2)
    try cluster.change("db") { $0.replicaCount = 1 }
    // The one beside the nexus stays; the others are deleted, each with its tombstone.
    #expect(cluster.places(spec) == ["node-1"])
    #expect(cluster.nodes.map(\.disk.count) == [1, 0, 0, 0])
    #expect(cluster.store.state.replicaAssignments.count == 1)
    #expect(cluster.fewestInSync == 1)
  }

  @Test func `a node that stays away is replaced after its grace, and cleared when it is back`() throws {
    var cluster = try Cluster(3, now: start)
    let spec = try cluster.create("db", replicas: 2)
    try cluster.nodes[1].die(&cluster.store)
    try cluster.settle()
    #expect(cluster.store.state.nodeNote("node-2")?.awaySince == start)
    #expect(cluster.places(spec) == ["node-1", "node-2"], "it may come back")
    var queue = ControlQueue(cluster.store.state, policy: cluster.policy)
    #expect(queue.next(now: start, using: &cluster.random) == nil)
    #expect(queue.nextDue == start.addingTimeInterval(600))
    cluster.now = start.addingTimeInterval(599)
    try cluster.settle()
    #expect(cluster.places(spec) == ["node-1", "node-2"])
    cluster.now = start.addingTimeInterval(600)
    try cluster.settle()
    #expect(cluster.places(spec) == ["node-1", "node-3"])
    // Its replica waits for it with a tombstone.
    #expect(cluster.store.state.replicaAssignments.filter { $0.node == "node-2" }.map(\.object.deleting) == [true])
    #expect(cluster.nodes[1].disk.count == 1)
    try cluster.nodes[1].start(&cluster.store)
    try cluster.settle()
    #expect(cluster.nodes[1].disk.isEmpty)
    #expect(cluster.store.state.replicaAssignments.filter { $0.node == "node-2" }.isEmpty)
    #expect(cluster.store.state.nodeNote("node-2") == nil)
  }

  @Test func `a node that is back within its grace keeps its replicas`() throws {
    var cluster = try Cluster(3, now: start)
    let spec = try cluster.create("db", replicas: 2)
    let before = cluster.store.state.replicaAssignments.map(\.stored.key)
    for _ in 0..<5 {
      try cluster.nodes[1].die(&cluster.store)
      try cluster.settle()
      cluster.now += 500
      try cluster.nodes[1].start(&cluster.store)
      try cluster.settle()
    }
    #expect(cluster.store.state.replicaAssignments.map(\.stored.key) == before)
    #expect(cluster.places(spec) == ["node-1", "node-2"])
  }

  @Test func `what is lost is replaced at once, and where there is no room the reason is told`() throws {
    var cluster = try Cluster(2, now: start)
    let spec = try cluster.create("db", replicas: 2)
    let lost = try #require(cluster.store.state.replicaAssignments.first { $0.node == "node-2" }).object
    cluster.nodes[1].isStuck = true
    let status = ReplicaStatus(
      id: lost.id, volumeID: spec.id, pool: "default", state: .faulted, message: "this node has no pool named default", isLost: true)
    try cluster.store.put(Keys.replicaStatus(node: "node-2", lost.id), status)
    try cluster.settle()
    let note = try #require(cluster.store.state.note(volumeName: "db")).object
    #expect(note.state == .replacing)
    #expect(note.message.hasPrefix("2 are wanted, and needs 1 more node with room"))
    cluster.nodes.append(SimulatedNode(name: "node-3", capacityBytes: 1 << 30))
    try cluster.nodes[2].start(&cluster.store)
    try cluster.settle()
    #expect(cluster.places(spec) == ["node-1", "node-3"])
    #expect(cluster.store.state.note(volumeName: "db") == nil)
  }

  @Test func `what is lost makes room for another on the same node, when there is no other`() throws {
    var cluster = try Cluster(3, now: start)
    let spec = try cluster.create("db", replicas: 3)
    let lost = try #require(cluster.store.state.replicaAssignments.first { $0.node == "node-2" }).object
    cluster.nodes[1].disk[lost.id] = nil
    cluster.nodes[1].lost.insert(lost.id)
    try cluster.settle()
    #expect(cluster.places(spec) == ["node-1", "node-2", "node-3"])
    #expect(!cluster.store.state.replicaAssignments.contains { $0.object.id == lost.id })
    #expect(cluster.store.state.inSync(spec.id)?.object.members.count == 3)
  }

  @Test func `draining moves what is there, and never leaves fewer copies`() throws {
    var cluster = try Cluster(3, now: start)
    var specs: [VolumeSpec] = []
    for number in 0..<6 { specs.append(try cluster.create("v\(number)", replicas: 2)) }
    cluster.fewestInSync = .max
    try cluster.store.put(Keys.nodeSpec("node-3"), NodeSpec(name: "node-3", isCordoned: true, isDraining: true))
    try cluster.settle()
    for spec in specs {
      let nexusNode = try #require(cluster.store.state.nexusAssignments(of: spec.id).first).node
      // Where the nexus is, its replica stays until the nexus has moved.
      #expect(cluster.places(spec).filter { $0 == "node-3" }.isEmpty || nexusNode == "node-3")
    }
    #expect(cluster.fewestInSync == 2)
    #expect(cluster.store.state.replicaAssignments.filter { $0.node == "node-3" && $0.object.deleting }.isEmpty)
  }

  @Test func `cordoned nodes keep what they have and get nothing new`() throws {
    var cluster = try Cluster(3, now: start)
    let old = try cluster.create("old", replicas: 3)
    try cluster.store.put(Keys.nodeSpec("node-1"), NodeSpec(name: "node-1", isCordoned: true))
    let new = try cluster.create("new", replicas: 2)
    #expect(cluster.places(old).count == 3)
    #expect(cluster.places(new) == ["node-2", "node-3"])
    let wide = try cluster.create("wide", replicas: 3)
    #expect(cluster.store.state.note(volumeName: "wide")?.object.message.contains("node-1: cordoned") == true)
    #expect(cluster.places(wide).isEmpty)
  }

  @Test func `what a force left behind is not touched`() throws {
    var cluster = try Cluster(3, now: start)
    let spec = try cluster.create("db", replicas: 2)
    var record = try #require(cluster.store.state.inSync(spec.id))
    let left = try #require(cluster.store.state.replicaAssignments.first { $0.node == "node-2" }).object.id
    record.object.members.removeAll { $0 == left }
    record.object.out = [.init(id: left, reason: "left behind", atGeneration: 1)]
    record.object.out[0].keptBy = UUID()
    _ = try cluster.store.apply(StoreTransaction(operations: [record.replacement]))
    for index in cluster.nodes.indices { cluster.nodes[index].isStuck = true }
    try cluster.store.put(Keys.nodeSpec("node-2"), NodeSpec(name: "node-2", isCordoned: true, isDraining: true))
    try cluster.settle()
    #expect(cluster.store.state.replicaAssignments.map(\.node) == ["node-1", "node-2"])
    #expect(cluster.store.state.replicaAssignments.allSatisfy { !$0.object.deleting })
  }

  @Test func `few replicas are filled at the same time`() throws {
    var cluster = try Cluster(3, now: start)
    for number in 0..<8 { _ = try cluster.create("v\(number)", replicas: 1) }
    cluster.policy.maximumBuilds = 2
    for number in 0..<8 {
      var stored = try #require(cluster.store.state.volume(name: "v\(number)"))
      stored.object.replicaCount = 2
      _ = try cluster.store.apply(StoreTransaction(operations: [stored.replacement]))
    }
    var queue = ControlQueue(cluster.store.state, policy: cluster.policy)
    while let batch = queue.next(now: cluster.now, using: &cluster.random) {
      #expect(try cluster.store.apply(batch.transaction))
      queue.committed(batch.transaction, at: cluster.store.revision)
    }
    #expect(cluster.store.state.replicaAssignments.count == 10)
    try cluster.settle()
    #expect(cluster.store.state.replicaAssignments.count == 16)
  }
}
