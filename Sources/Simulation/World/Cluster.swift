import Nexus
import Pool
import Reactor

/// Nodes with a replica each, a store beside them, and the nexuses of the one volume.
final class Cluster {
  struct Options {
    var replicaCount = 3
    var minInSync = 2
    var sizeBytes: UInt64 = 256 << 10
    var regionBytes: UInt64 = 16 << 10
    var maximumHotRegions = 6
    var isWriteThrough = false
    var leaseNanoseconds: UInt64 = 2_000_000_000
    /// Clocks are up to this much too fast or slow.
    var driftPartsPerMillion = 0
    /// Nodes beside these, without a replica to begin with.
    var spareCount = 0
    /// Replicas beyond these are not in the first set.
    var firstSetCount: Int?
    /// Ranges of regions in one question of a nexus, and in what a pool makes durable at once.
    var rangesPerQuestion = ReplicaQuestion.maximumMessageRanges
    var rangesPerRecord = 96
    /// A nexus is told of replicas that never joined, and need not meet them to know of them.
    var tellsOfNew = false
  }

  final class Node {
    let index: Int
    let disk: ReplicaDisk
    var bootID: Identifier
    var process: NodeProcess?
    var storage: SimulatedStorage?
    var gate: ReplicaGate?
    /// It is none of the volume's replicas now, or shall be none.
    var isSpare = false
    /// It has gone with its pool, for good: it comes back as a new one.
    var isLost = false

    init(index: Int, disk: ReplicaDisk, bootID: Identifier) {
      self.index = index
      self.disk = disk
      self.bootID = bootID
    }
  }

  let world: World
  let options: Options
  let network: Network
  let store: SimulatedStore
  let history = History()
  let nodes: [Node]
  private(set) lazy var snapshots = SnapshotWatch(cluster: self)
  let makeServer: ServerMaker
  /// Errors for the gates to make.
  var plantedErrors: ReplicaGate.PlantedErrors = []
  /// The nexuses that were started, by generation; those of dead processes are taken out.
  private(set) var nexuses: [NexusRun] = []
  private var former: [NexusRun] = []
  /// Of an older lineage nobody need know that there is another (R6).
  private var wasForced = false

  init(world: World, options: Options, makeServer: @escaping ServerMaker) {
    self.world = world
    self.options = options
    self.makeServer = makeServer
    let nodeCount = options.replicaCount + options.spareCount
    network = Network(world: world, nodeCount: nodeCount + 1)
    var nodes: [Node] = []
    for index in 0..<nodeCount {
      let disk = ReplicaDisk(
        id: .random(using: &world.generator), node: index, sizeBytes: options.sizeBytes, regionBytes: options.regionBytes,
        maximumHotRegions: options.maximumHotRegions, isWriteThrough: options.isWriteThrough, rangesPerRecord: options.rangesPerRecord)
      nodes.append(Node(index: index, disk: disk, bootID: .random(using: &world.generator)))
      nodes[index].isSpare = index >= options.replicaCount
    }
    self.nodes = nodes
    let firstSet = nodes.prefix(options.firstSetCount ?? options.replicaCount).map(\.disk.id)
    store = SimulatedStore(world: world, network: network, place: nodeCount, members: firstSet, sizeBytes: options.sizeBytes)
    store.changed = { [unowned self] in snapshots.look(at: $0) }
  }

  /// Takes everything apart at the end of a run.
  func dispose() {
    world.dispose()
    network.dispose()
    for run in nexuses + former { run.dispose() }
    nexuses = []
    former = []
    for node in nodes {
      node.storage?.dispose()
      node.process = nil
      node.storage = nil
      node.gate = nil
    }
    store.changed = { _ in }
  }

  func node(of replica: Identifier) -> Node? { nodes.first { $0.disk.id == replica } }

  /// The nexus of the highest generation that lives.
  var latest: NexusRun? { nexuses.last }

  /// The store's members, as nodes.
  var memberNodes: [Node] { store.record.members.compactMap { node(of: $0) } }

  // MARK: Nodes

  func startNode(_ index: Int) {
    let node = nodes[index]
    guard node.process == nil, !node.isLost else { return }
    let process = world.startProcess(node: index, maximumDriftPartsPerMillion: options.driftPartsPerMillion)
    let storage = SimulatedStorage(disk: node.disk, world: world, process: process, bootID: node.bootID)
    let gate = ReplicaGate(
      storage: storage, reactor: process.reactor, incarnation: process.incarnation, leaseNanoseconds: options.leaseNanoseconds,
      bootNanoseconds: { process.bootNanoseconds })
    gate.plantedErrors = plantedErrors
    storage.snapshotTaken = { [unowned self] in snapshots.taken($0) }
    node.process = process
    node.storage = storage
    node.gate = gate
  }

  func startAllNodes() { for index in nodes.indices { startNode(index) } }

  /// Kills a node's process; with its power, its disk forgets what was not flushed.
  func killNode(_ index: Int, losingPower: Bool = false) {
    let node = nodes[index]
    guard let process = node.process else {
      if losingPower { losePower(node) }
      return
    }
    world.kill(process)
    for run in nexuses where run.process === process { run.processEnded() }
    former += nexuses.filter { $0.process === process }
    nexuses.removeAll { $0.process === process }
    if losingPower { network.becameSilent(process) } else { network.wasKilled(process) }
    if losingPower {
      for connection in network.connections where connection.nexusProcess === process { connection.nexusProcessEnded(silently: true) }
    }
    node.storage?.settleAfterDeath()
    node.process = nil
    node.storage = nil
    node.gate = nil
    if losingPower { losePower(node) }
  }

  private func losePower(_ node: Node) {
    world.note(.fault, node.index, 0) { "node \(node.index) loses its power" }
    node.disk.losePower(keepPercent: node.disk.faults.keepPercent, &world.generator)
    node.bootID = .random(using: &world.generator)
  }

  /// The latest generation that the store knows a node's replica to have accepted.
  func floorGeneration(_ index: Int) -> UInt64 {
    let id = nodes[index].disk.id
    if store.record.members.contains(id) { return store.record.confirmedGeneration }
    return store.record.absent.first { $0.id == id }?.generation ?? 0
  }

  /// Stops a node's process for a while, as SIGSTOP does, or the whole machine, as a suspend does.
  func pauseNode(_ index: Int, sleeps: Bool = false) {
    guard let process = nodes[index].process, !process.isPaused else { return }
    world.note(.fault, index, 1) { "node \(index) \(sleeps ? "sleeps" : "is stopped")" }
    process.pause(world.now, sleeps: sleeps)
    network.becameSilent(process)
  }

  func resumeNode(_ index: Int) {
    guard let process = nodes[index].process, process.isPaused else { return }
    world.note(.fault, index, 2) { "node \(index) goes on" }
    process.resume(world.now)
  }

  // MARK: Nexuses

  /// Starts a nexus on a node, if that can reach the store: a generation, then doors to all replicas (R3).
  func startNexus(on index: Int, then started: @escaping (NexusRun) -> Void = { _ in }) {
    guard let process = nodes[index].process else { return }
    let nexusID = Identifier.random(using: &world.generator)
    process.enqueue { [self] in
      store.transact(from: process) { record in
        record.generation += 1
        record.nexusID = nexusID
        return true
      } then: { [self] reply in
        guard case .answered(_, let record) = reply, record.nexusID == nexusID else { return }
        let surroundings = SimulatedSurroundings(
          world: world, store: store, process: process, record: record, minInSync: options.minInSync)
        let claim = ReplicaClaim(
          generation: record.generation, setVersion: record.setVersion, nexusID: nexusID, inSync: record.members,
          storeRevision: record.revision)
        let known = record.members + record.absent.map(\.id)
        let new = !options.tellsOfNew ? [] : nodes.filter { !$0.isSpare }.map(\.disk.id).filter { !known.contains($0) }
        var configuration = NexusConfiguration(
          sizeBytes: record.sizeBytes, blockSizeBytes: 512, claim: claim,
          absent: record.absent.map { Absence($0.id, reason: "away", generation: $0.generation, isForeign: $0.isForeign) }
            + new.map { Absence($0, reason: "new") },
          nearest: known.first { $0 == nodes[index].disk.id }, minInSync: options.minInSync)
        configuration.confirmedGeneration = record.confirmedGeneration
        configuration.snapshots = record.snapshots
        configuration.rangesPerQuestion = options.rangesPerQuestion
        world.note(.nexus, index, Int(record.generation)) { "generation \(record.generation) starts on node \(index)" }
        let server = makeServer(process, configuration, surroundings)
        let run = NexusRun(cluster: self, process: process, server: server, surroundings: surroundings, generation: record.generation)
        // Replies may overtake each other.
        nexuses.insert(run, at: nexuses.firstIndex { $0.generation > run.generation } ?? nexuses.count)
        surroundings.changed = { [unowned self, unowned run] in if run.server.isServing { checkSole(run) } }
        for node in nodes where isToBeMet(node) { run.connect(to: node) }
        followReplicas()
        started(run)
      }
    }
  }

  /// An operator goes on from one replica, and a nexus starts with it.
  func force(_ index: Int, then started: @escaping (NexusRun) -> Void = { _ in }) {
    world.note(.fault, index, 7) { "an operator goes on from node \(index)" }
    let id = nodes[index].disk.id
    store.change { $0.force(id) }
    wasForced = true
    startNexus(on: index, then: started)
  }

  /// An operator gives up what a replica holds that a force left behind.
  func discard(_ index: Int) {
    let id = nodes[index].disk.id
    store.change { $0.discard(id) }
    latest?.connect(to: nodes[index])
  }

  /// Looks like a controller: when nobody serves for the latest generation, somebody shall.
  var isServed: Bool {
    guard let latest, let process = nodes[latest.process.node].process else { return false }
    return process === latest.process && latest.generation == store.record.generation && !latest.server.isFenced
  }

  // MARK: Checks

  /// A nexus serves: none of an older generation can answer anything any more (R3, R3b).
  private func checkSole(_ run: NexusRun) {
    if wasForced { return }
    for older in nexuses where older.generation < run.generation && older.process.isRunning && !older.isOver {
      older.process.setTime(world.now)
      if older.server.mayAnswerReads {
        world.fail("generation \(run.generation) serves while generation \(older.generation) may still answer reads (R3, R3b)")
      }
    }
  }

  /// A write was acknowledged: every member of the set has it now (R1, R2), or had it when its power failed. Zeroes are done in
  /// steps, between which others may come.
  func checkAcknowledged(_ number: Int) {
    let operation = history.operations[number]
    guard operation.kind == .write else { return }
    for node in memberNodes {
      for sector in operation.sectors {
        let value = operation.value(sector: sector)
        if node.disk.value(sector) == value || node.disk.lost[sector] == value { continue }
        return world.fail(
          "\(operation.kind) \(number) was acknowledged, but node \(node.index) of the set holds \(Stamp.describe(node.disk.value(sector))) "
            + "in sector \(sector) (R1, R2)")
      }
    }
  }

  /// When all is well and nothing happens, all replicas are members and hold the same, and nothing is left over.
  func checkAtRest() {
    guard let run = latest else { return world.fail("no nexus runs at the end") }
    if run.server.inFlight != 0 { world.fail("\(run.server.inFlight) commands are inside the nexus at the end") }
    let members = memberNodes
    guard let first = members.first else { return world.fail("the set is empty at the end") }
    let size = store.record.sizeBytes
    for node in members where node.disk.sizeBytes < size {
      world.fail("at rest, node \(node.index) has \(node.disk.sizeBytes) bytes, the volume \(size)")
    }
    snapshots.checkAtRest()
    for node in members.dropFirst() {
      for sector in first.disk.current.indices where node.disk.value(sector) != first.disk.value(sector) {
        return world.fail(
          "at rest, sector \(sector) holds \(Stamp.describe(first.disk.value(sector))) on node \(first.index) and "
            + "\(Stamp.describe(node.disk.value(sector))) on node \(node.index)")
      }
    }
    for node in nodes {
      if let process = node.process {
        let used = process.reactor.arena.usedBytes + process.reactor.replicaArena.usedBytes + process.reactor.reserveArena.usedBytes
        if used != 0 { world.fail("\(used) bytes of payload memory of node \(node.index) were not given back") }
      }
      if let gate = node.gate, gate.inFlight != 0 {
        world.fail("\(gate.inFlight) requests are inside the gate of node \(node.index) at the end")
      }
    }
  }
}
