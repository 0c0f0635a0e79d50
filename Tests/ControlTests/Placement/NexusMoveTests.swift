import Foundation
import Testing

@testable import Control

@Suite struct NexusMoveTests {
  /// A volume on nodes 1 and 2 of three, served by node 1.
  private struct Stand {
    var store = SimulatedStore()
    var nodes = (1...3).map { SimulatedNode(name: "node-\($0)", capacityBytes: 1 << 30) }
    let spec: VolumeSpec

    init(replicas: Int = 2) throws {
      spec = VolumeSpec(name: "db", sizeBytes: 100 << 20, replicaCount: replicas, createdAt: Date(timeIntervalSince1970: 0))
      for index in nodes.indices { try nodes[index].start(&store) }
      try store.put(Keys.volumeSpec(name: "db"), spec)
      try settle()
    }

    var state: ClusterState { store.state }
    var nexusNode: String? { state.nexusAssignments(of: spec.id).first?.node }
    var pathNodes: [String] { state.pathAssignments(of: spec.id).map(\.node) }

    func steps() -> [Reconciler.Step] {
      var random = SeededGenerator(state: 1)
      return Reconciler.reconcile(store.state, using: &random)
    }

    mutating func settle() throws {
      for _ in 0..<1000 {
        var isBusy = false
        for step in steps() { if try store.apply(step.transaction) { isBusy = true } }
        for index in nodes.indices where nodes[index].isRunning { if try nodes[index].step(0, &store) { isBusy = true } }
        if !isBusy { return }
      }
      Issue.record("the cluster does not come to rest")
    }

    mutating func change(_ body: (inout VolumeSpec) -> Void) throws {
      var stored = try #require(state.volume(name: "db"))
      body(&stored.object)
      #expect(try store.apply(StoreTransaction(operations: [stored.replacement])))
    }

    mutating func report(_ watcher: String, lost: String, incarnation: String? = nil) throws {
      let incarnation = incarnation ?? "process of \(lost)"
      try store.put(
        Keys.peerStatus(node: watcher),
        PeerStatus(incarnation: "process of \(watcher)", lost: [.init(node: lost, incarnation: incarnation)]))
    }
  }

  @Test func `every node with a replica has a path, and knows the others`() throws {
    let stand = try Stand()
    #expect(stand.nexusNode == "node-1" && stand.pathNodes == ["node-2"])
    let path = try #require(stand.state.pathAssignments(of: stand.spec.id).first?.object)
    #expect(path.otherPaths?.map(\.node) == ["node-1"] && path.pool == "default" && path.sizeBytes == 100 << 20)
    #expect(stand.state.nexusAssignments.first?.object.otherPaths?.map(\.node) == ["node-2"])
  }

  @Test func `a volume with one replica has a second path all the same, and its nexus stays where the replica is`() throws {
    var stand = try Stand(replicas: 1)
    #expect(stand.nexusNode == "node-1" && stand.pathNodes == ["node-2"])
    try stand.nodes[0].die(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-1")
  }

  @Test func `the nexus of a node without a lease moves in one transaction`() throws {
    var stand = try Stand()
    try stand.nodes[0].die(&stand.store)
    let steps = stand.steps()
    try #require(steps.count == 1)
    #expect(steps[0].reason == "volume db: its nexus moves to node-2, node-1 is lost")
    #expect(try stand.store.apply(steps[0].transaction))
    #expect(stand.nexusNode == "node-2" && stand.pathNodes == ["node-1"])
    #expect(stand.state.nexusAssignments.first?.object.lostNodes == ["node-1"])
    #expect(stand.state.replicaAssignments.allSatisfy { $0.object.nexusNode == "node-2" })
    #expect(try !stand.store.apply(steps[0].transaction), "twice is refused")
    try stand.settle()
    try stand.nodes[0].start(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-2", "it does not move back by itself")
    #expect(stand.state.nexusStatus(node: "node-1", stand.spec.id) == nil)
  }

  @Test func `a replica that is not in sync, or not open, takes over nothing`() throws {
    var stand = try Stand()
    var record = try #require(stand.state.inSync(stand.spec.id))
    let away = try #require(stand.state.replicaAssignments.first { $0.node == "node-2" }).object.id
    record.object.members.removeAll { $0 == away }
    #expect(try stand.store.apply(StoreTransaction(operations: [record.replacement])))
    try stand.nodes[0].die(&stand.store)
    #expect(stand.steps().isEmpty)
    record.object.members.append(away)
    #expect(try stand.store.apply(StoreTransaction(operations: [record.replacement])))
    try stand.store.put(
      Keys.replicaStatus(node: "node-2", away), ReplicaStatus(id: away, volumeID: stand.spec.id, pool: "default", state: .faulted))
    #expect(stand.steps().isEmpty)
  }

  @Test func `a peer's word moves it before the lease ends, unless the controller knows better`() throws {
    var stand = try Stand()
    try stand.report("node-2", lost: "node-1", incarnation: "earlier")
    #expect(stand.steps().isEmpty, "that was another process")
    try stand.report("node-2", lost: "node-1")
    #expect(stand.steps().count == 1)
    var refuted = stand.state
    refuted.reached = ["process of node-1"]
    var random = SeededGenerator(state: 1)
    #expect(Reconciler.reconcile(refuted, using: &random).isEmpty)
    // Who says so must be running, as the process that said it.
    try stand.nodes[1].die(&stand.store)
    #expect(stand.steps().isEmpty)
  }

  @Test func `a preferred node is told of first, and takes over when the other has let go`() throws {
    var stand = try Stand()
    try stand.change { $0.preferredNexus = "node-2" }
    let first = stand.steps()
    try #require(first.count == 1)
    #expect(first[0].reason == "volume db: told to hand over to node-2")
    #expect(try stand.store.apply(first[0].transaction))
    #expect(stand.nexusNode == "node-1" && stand.steps().isEmpty, "not before it has let go")
    while stand.state.nexusStatus(node: "node-1", stand.spec.id)?.handedOver != true { _ = try stand.nodes[0].step(0, &stand.store) }
    let second = stand.steps()
    try #require(second.count == 1)
    #expect(try stand.store.apply(second[0].transaction))
    #expect(stand.nexusNode == "node-2" && stand.state.nexusAssignments.first?.object.handsOver == nil)
    // The wish ends with the move, in the same transaction.
    #expect(stand.state.volume(name: "db")?.object.preferredNexus == nil)
    try stand.settle()
    try stand.nodes[1].die(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-1")
    try stand.nodes[1].start(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-1", "nobody asked for the way back")
  }

  @Test func `a wish stands while its node is away, and ends where it is fulfilled already or never can be`() throws {
    var stand = try Stand()
    try stand.nodes[1].die(&stand.store)
    try stand.change { $0.preferredNexus = "node-2" }
    try stand.settle()
    #expect(stand.nexusNode == "node-1" && stand.state.volume(name: "db")?.object.preferredNexus == "node-2")
    try stand.nodes[1].start(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-2" && stand.state.volume(name: "db")?.object.preferredNexus == nil)
    for node in ["node-2", "node-3"] {
      try stand.change { $0.preferredNexus = node }
      try stand.settle()
      #expect(stand.nexusNode == "node-2" && stand.state.volume(name: "db")?.object.preferredNexus == nil)
    }
  }

  @Test func `a hand-over that nobody can take is called off`() throws {
    var stand = try Stand()
    try stand.change { $0.preferredNexus = "node-2" }
    for step in stand.steps() { #expect(try stand.store.apply(step.transaction)) }
    try stand.nodes[1].die(&stand.store)
    try stand.settle()
    #expect(stand.nexusNode == "node-1" && stand.state.nexusAssignments.first?.object.handsOver == nil)
    #expect(stand.state.nexusStatus(node: "node-1", stand.spec.id)?.state == .starting || stand.nodes[0].nexuses.contains(stand.spec.id))
  }

  @Test func `a node that stops hands its nexuses over`() throws {
    var stand = try Stand()
    var status = try #require(stand.state.nodes.first { $0.object.name == "node-1" })
    status.object.state = .stopping
    #expect(try stand.store.apply(StoreTransaction(operations: [status.replacement])))
    try stand.settle()
    #expect(stand.nexusNode == "node-2")
  }

  @Test func `publications reach the nexus and every path`() throws {
    var stand = try Stand()
    let publication = Publication(hostNQN: "nqn.2014-08.org.example:host", readOnly: true)
    try stand.change { $0.publications = [publication] }
    try stand.settle()
    #expect(stand.state.nexusAssignments.first?.object.publications == [publication])
    #expect(stand.state.pathAssignments.first?.object.publications == [publication])
  }
}
