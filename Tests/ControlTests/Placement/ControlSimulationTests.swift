import Foundation
import Testing

@testable import Control

/// Controllers as they are on a live store, from seeds: several at a time, each with a picture that lags behind, leading without knowing that
/// another one does, losing replies, dying between any two transactions; nodes that come and go under them, and claim by what they last read.
@Suite struct ControlSimulationTests {
  @Test(arguments: 0..<40)
  func `controllers that crash, lead twice, and lose replies: never two nexuses that serve, and in the end all is as asked for`(
    seed: UInt64
  ) throws {
    var world = try World(seed: seed)
    for _ in 0..<300 { try world.step() }
    try world.heal()
    world.expectSettled()
  }

  /// That the checks can fail: a node that claims without looking whether it is still the assigned one.
  @Test func `nodes that claim unseen are found out`() throws {
    var found = false
    for seed in 0..<60 as Range<UInt64> where !found {
      var world = try World(seed: seed)
      world.claimsUnseen = true
      for _ in 0..<300 {
        try world.step()
        found = found || world.hasTwoServing
        if found { break }
      }
    }
    #expect(found)
  }
}

/// A process that leads, or thinks so.
private struct SimulatedController {
  var queue: ControlQueue
  /// The revision of its lead; every transaction compares it.
  var lead: StoreRevision
  /// How far its watch has told it.
  var seen: StoreRevision
}

private struct World {
  private var random: SeededGenerator
  private var store = SimulatedStore()
  private var nodes = (1...5).map { SimulatedNode(name: "node-\($0)", capacityBytes: 2 << 30) }
  private var controllers: [SimulatedController?] = [nil, nil, nil]
  /// What happened, for watches that lag.
  private var history: [StoreEvent] = []
  /// Who serves which volume under which generation, in memory.
  private var serving: [VolumeID: [(node: String, generation: UInt64)]] = [:]
  /// Assignments and records that nodes have read and will claim by.
  private var readings: [(node: String, nexus: Placed<NexusAssignment>, record: Stored<InSyncRecord>)] = []
  private(set) var hasTwoServing = false
  var claimsUnseen = false
  private let now = Date(timeIntervalSince1970: 1_000_000)

  init(seed: UInt64) throws {
    random = SeededGenerator(state: seed)
    for index in nodes.indices { try change(node: index) { try $0.start(&$1) } }
  }

  /// Changes the store, and keeps what the watches will tell.
  @discardableResult
  private mutating func change<Value>(_ body: (inout SimulatedStore) throws -> Value) throws -> Value {
    let (revision, before) = (store.revision, store.entries)
    let value = try body(&store)
    if store.revision == revision { return value }
    let keys = before.keys.sorted()
    history += store.entries.values.filter { $0.modRevision > revision }.sorted { ($0.modRevision, $0.key) < ($1.modRevision, $1.key) }.map
    {
      .put($0)
    }
    history += keys.filter { store.entries[$0] == nil }.map { .delete(key: $0, revision: store.revision) }
    return value
  }

  @discardableResult
  private mutating func change<Value>(
    node index: Int, _ body: (inout SimulatedNode, inout SimulatedStore) throws -> Value
  ) throws -> Value {
    var node = nodes[index]
    defer { nodes[index] = node }
    return try change { try body(&node, &$0) }
  }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  mutating func step() throws {
    switch Int.random(in: 0..<24, using: &random) {
    case 0: try ask()
    case 1:
      if let volume = store.state.volumes.randomElement(using: &random) {
        var volume = volume
        volume.object.deleting = true
        try change { try $0.apply(StoreTransaction(operations: [volume.replacement])) }
      }
    case 2:
      if let volume = store.state.volumes.randomElement(using: &random), !volume.object.deleting {
        var volume = volume
        volume.object.preferredNexus = nodes.randomElement(using: &random)?.name
        try change { try $0.apply(StoreTransaction(operations: [volume.replacement])) }
      }
    case 3: try flap()
    case 4: try beginLead()
    // A process dies, with all that it knew.
    case 5: if chance(30) { controllers[Int.random(in: 0..<controllers.count, using: &random)] = nil }
    case 6..<12: for index in controllers.indices where chance(60) { try control(index) }
    case 12..<15: try claim()
    default:
      let index = Int.random(in: nodes.indices, using: &random)
      if nodes[index].isRunning { try work(index) }
    }
    check()
  }

  private mutating func ask() throws {
    let name = "v\(Int.random(in: 0..<8, using: &random))"
    guard store.state.volume(name: name) == nil else { return }
    var spec = VolumeSpec(
      name: name, sizeBytes: UInt64.random(in: 1...100, using: &random) << 20, replicaCount: Int.random(in: 1...3, using: &random),
      createdAt: now)
    spec.id = VolumeID(uuid: .random(using: &random))
    try change { try $0.put(Keys.volumeSpec(name: name), spec) }
  }

  /// A node's process dies, or comes back; or only its lease goes, and it lives on as if nothing were.
  private mutating func flap() throws {
    let index = Int.random(in: nodes.indices, using: &random)
    let name = nodes[index].name
    if !nodes[index].isRunning || store.state.node(name) == nil {
      try change(node: index) { try $0.start(&$1) }
    } else if chance(50) {
      try change(node: index) { try $0.die(&$1) }
      for volume in serving.keys { serving[volume]?.removeAll { $0.node == name } }
      readings.removeAll { $0.node == name }
    } else {
      try change { try $0.remove(Keys.nodeStatus(name)) }
    }
  }

  // MARK: Controllers

  /// One more takes the lead: the lease of the one before ran out, which that one need not know.
  private mutating func beginLead() throws {
    let index = Int.random(in: controllers.indices, using: &random)
    try change { try $0.put(Keys.controllerLease, LeaderRecord(holder: "controller-\(index)")) }
    controllers[index] = SimulatedController(
      queue: ControlQueue(ClusterState(store.snapshot, revision: store.revision)), lead: store.revision, seen: store.revision)
  }

  private mutating func control(_ index: Int) throws {
    guard var controller = controllers[index] else { return }
    defer { controllers[index] = controller }
    // Its watch tells some of what happened, whole revisions, in order.
    let news = history.filter { $0.revision > controller.seen }
    let revisions = Set(news.map(\.revision)).sorted()
    if let upTo = revisions.prefix(Int.random(in: 0...max(1, revisions.count), using: &random)).last {
      controller.queue.apply(StoreWatchBatch(events: news.filter { $0.revision <= upTo }, revision: upTo))
      controller.seen = upTo
    }
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard let batch = controller.queue.next(now: now, using: &random) else { return }
      var transaction = batch.transaction
      transaction.compares.append(.modRevision(key: Keys.controllerLease, equals: controller.lead))
      // The request is lost; or its reply is, and the controller begins anew with all it can read.
      if chance(5) { return restart(&controller) }
      let isCommitted = try change { try $0.apply(transaction) }
      if chance(10) { return restart(&controller) }
      if isCommitted {
        controller.queue.committed(transaction, at: store.revision)
      } else {
        for position in batch.steps.indices {
          var alone = batch.steps[position].transaction
          alone.compares.append(.modRevision(key: Keys.controllerLease, equals: controller.lead))
          if batch.steps.count > 1, try change({ try $0.apply(alone) }) {
            controller.queue.committed(alone, at: store.revision)
          } else {
            controller.queue.refused(position, of: batch)
          }
        }
      }
    }
  }

  /// It lists the store anew, if it leads still; else it waits for the lead.
  private func restart(_ controller: inout SimulatedController) {
    controller.queue = ControlQueue(ClusterState(store.snapshot, revision: store.revision))
    controller.seen = store.revision
  }

  // MARK: Nodes

  /// A small step; what a nexus does first is not done here.
  private mutating func work(_ index: Int) throws {
    let choice = random.next()
    try change(node: index) { try $0.step(choice, &$1) }
  }

  /// Nodes read what is assigned to them, and claim by it, later.
  private mutating func claim() throws {
    let state = store.state
    if chance(50), let nexus = state.nexusAssignments.randomElement(using: &random), let record = state.inSync(nexus.object.volumeID),
      nodes.contains(where: { $0.name == nexus.node && $0.isRunning }), !nexus.object.deleting, nexus.object.handsOver != true
    {
      readings.append((nexus.node, nexus, record))
    }
    guard !readings.isEmpty, chance(60) else { return }
    let (node, nexus, record) = readings.remove(at: Int.random(in: readings.indices, using: &random))
    let isNew = record.object.generation == 0
    let areReady = nexus.object.replicas.allSatisfy { state.replicaStatus(node: $0.node, $0.id)?.state == .ready }
    if isNew, !areReady { return }
    var next = record
    next.object.generation += 1
    next.object.nexusNode = node
    // R3: checked and taken in one transaction.
    let compares = claimsUnseen ? [] : [record.isUnchanged, nexus.stored.isUnchanged]
    guard try change({ try $0.apply(StoreTransaction(compares: compares, operations: [next.replacement])) }) else { return }
    serving[nexus.object.volumeID, default: []].append((node, next.object.generation))
  }

  // MARK: Checks

  private mutating func check() {
    // One that a higher generation superseded is fenced by its replicas; two of one generation would both write.
    for claims in serving.values where Set(claims.map(\.generation)).count < claims.count { hasTwoServing = true }
    if claimsUnseen { return }
    let state = store.state
    #expect(!hasTwoServing, "two nexuses hold one generation")
    #expect(state.problems.isEmpty)
    for volume in state.volumes.map(\.object) {
      let nexuses = state.nexusAssignments(of: volume.id)
      #expect(nexuses.count <= 1, "two nexuses of \(volume.name) are assigned")
      #expect((state.inSync(volume.id) != nil) == (nexuses.count == 1))
      let replicas = state.replicaAssignments(of: volume.id)
      #expect(Set(replicas.map(\.node)).count == replicas.count, "two replicas of \(volume.name) on one node")
      if let record = state.inSync(volume.id)?.object, let last = serving[volume.id]?.map(\.generation).max() {
        #expect(last <= record.generation, "the record went back")
      }
    }
    for node in nodes {
      for id in node.disk.keys.sorted() {
        #expect(state.replicaAssignments.contains { $0.object.id == id }, "a tombstone went before its replica")
      }
    }
  }

  /// Everybody lives, nothing is lost any more, one controller leads.
  mutating func heal() throws {
    for index in nodes.indices where !nodes[index].isRunning || store.state.node(nodes[index].name) == nil {
      try change(node: index) { try $0.start(&$1) }
    }
    controllers = [nil, nil, nil]
    readings = []
    var queue = ControlQueue(ClusterState(store.snapshot, revision: store.revision))
    for _ in 0..<20_000 {
      let seen = store.revision
      var isBusy = false
      while let batch = queue.next(now: now, using: &random) {
        if try change({ try $0.apply(batch.transaction) }) {
          queue.committed(batch.transaction, at: store.revision)
          isBusy = true
        } else {
          for position in batch.steps.indices { queue.refused(position, of: batch) }
        }
      }
      for index in nodes.indices {
        let choice = random.next()
        if try change(node: index, { try $0.step(choice, &$1) }) { isBusy = true }
      }
      let news = history.filter { $0.revision > seen }
      if !news.isEmpty { queue.apply(StoreWatchBatch(events: news, revision: store.revision)) }
      history.removeAll()
      if !isBusy { return }
    }
    Issue.record("the cluster does not come to rest")
  }

  func expectSettled() {
    let state = store.state
    for volume in state.volumes.map(\.object) {
      #expect(!volume.deleting, "\(volume.name) was not deleted")
      guard let nexus = state.nexusAssignments(of: volume.id).first else {
        #expect(state.note(volumeName: volume.name)?.object.state == .pending)
        continue
      }
      #expect(state.nexusStatus(node: nexus.node, volume.id)?.state == .healthy, "\(volume.name)")
      #expect(nexus.object.replicas.count == volume.replicaCount && nexus.object.handsOver != true)
      #expect(volume.preferredNexus == nil || volume.preferredNexus != nexus.node, "a wish that is fulfilled is over")
    }
    let alive = Set(state.replicaAssignments.map(\.object.id))
    #expect(Set(nodes.flatMap(\.disk.keys)) == alive, "a replica was left behind or is missing")
  }
}
