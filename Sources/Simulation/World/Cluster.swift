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
    /// Replicas beyond these are not in the first set.
    var firstSetCount: Int?
  }

  final class Node {
    let index: Int
    let disk: ReplicaDisk
    var bootID: Identifier
    var process: NodeProcess?
    var storage: SimulatedStorage?
    var gate: ReplicaGate?
    /// It is none of the volume's replicas now.
    var isSpare = false

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

  init(world: World, options: Options, makeServer: @escaping ServerMaker) {
    self.world = world
    self.options = options
    self.makeServer = makeServer
    network = Network(world: world, nodeCount: options.replicaCount + 1)
    var nodes: [Node] = []
    for index in 0..<options.replicaCount {
      let disk = ReplicaDisk(
        id: .random(using: &world.generator), node: index, sizeBytes: options.sizeBytes, regionBytes: options.regionBytes,
        maximumHotRegions: options.maximumHotRegions, isWriteThrough: options.isWriteThrough)
      nodes.append(Node(index: index, disk: disk, bootID: .random(using: &world.generator)))
    }
    self.nodes = nodes
    let firstSet = nodes.prefix(options.firstSetCount ?? options.replicaCount).map(\.disk.id)
    store = SimulatedStore(world: world, network: network, place: options.replicaCount, members: firstSet, sizeBytes: options.sizeBytes)
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
    guard node.process == nil else { return }
    let process = world.startProcess(node: index, maximumDriftPartsPerMillion: options.driftPartsPerMillion)
    let storage = SimulatedStorage(disk: node.disk, world: world, process: process, bootID: node.bootID)
    let gate = ReplicaGate(
      storage: storage, reactor: process.reactor, incarnation: process.incarnation, leaseNanoseconds: options.leaseNanoseconds,
      bootNanoseconds: { process.clock.nanoseconds })
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

  /// Stops a node's process for a while, as SIGSTOP does.
  func pauseNode(_ index: Int) {
    guard let process = nodes[index].process, !process.isPaused else { return }
    world.note(.fault, index, 1) { "node \(index) is stopped" }
    process.isPaused = true
    network.becameSilent(process)
  }

  func resumeNode(_ index: Int) {
    guard let process = nodes[index].process, process.isPaused else { return }
    world.note(.fault, index, 2) { "node \(index) goes on" }
    process.isPaused = false
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
        var configuration = NexusConfiguration(
          sizeBytes: record.sizeBytes, blockSizeBytes: 512, claim: claim,
          absent: record.absent.map { Absence($0.id, reason: "away", generation: $0.generation, isForeign: $0.isForeign) },
          nearest: known.first { $0 == nodes[index].disk.id }, minInSync: options.minInSync)
        configuration.confirmedGeneration = record.confirmedGeneration
        configuration.snapshots = record.snapshots
        world.note(.nexus, index, Int(record.generation)) { "generation \(record.generation) starts on node \(index)" }
        let server = makeServer(process, configuration, surroundings)
        let run = NexusRun(cluster: self, process: process, server: server, surroundings: surroundings, generation: record.generation)
        // Replies may overtake each other.
        nexuses.insert(run, at: nexuses.firstIndex { $0.generation > run.generation } ?? nexuses.count)
        for node in nodes where !record.absent.contains(where: { $0.id == node.disk.id && $0.isKept }) && !node.isSpare {
          run.connect(to: node)
        }
        started(run)
      }
    }
  }

  /// An operator goes on from one replica, and a nexus starts with it.
  func force(_ index: Int, then started: @escaping (NexusRun) -> Void = { _ in }) {
    world.note(.fault, index, 7) { "an operator goes on from node \(index)" }
    let id = nodes[index].disk.id
    store.change { $0.force(id) }
    startNexus(on: index, then: started)
  }

  /// An operator gives up what a replica holds that a force left behind.
  func discard(_ index: Int) {
    let id = nodes[index].disk.id
    store.change { $0.discard(id) }
    latest?.connect(to: nodes[index])
  }

  /// A replica is taken from the volume: whoever serves it lets go of it, and then the store forgets it.
  func remove(_ index: Int) {
    let node = nodes[index]
    node.isSpare = true
    world.note(.fault, index, 8) { "the replica of node \(index) is taken from the volume" }
    for run in nexuses { run.process.enqueue { run.server.removeReplica(node.disk.id) } }
  }

  /// A node's replica becomes one of the volume while that runs.
  func add(_ index: Int) {
    nodes[index].isSpare = false
    world.note(.fault, index, 9) { "node \(index) gets a replica of the volume" }
    for run in nexuses { run.connect(to: nodes[index]) }
  }

  /// Looks like a controller: when nobody serves for the latest generation, somebody shall.
  var isServed: Bool {
    guard let latest, let process = nodes[latest.process.node].process else { return false }
    return process === latest.process && latest.generation == store.record.generation && !latest.server.isFenced
  }

  // MARK: Checks

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
