import Nexus
import Pool
import Reactor

/// A cluster to be led through a story step by step: the node's replicas are called by their node's number.
final class Scene {
  let world: World
  let cluster: Cluster
  private var hosts: [Int: HostConnection] = [:]
  private var endings: [Int: BlockStatus] = [:]

  static let second: UInt64 = 1_000_000_000

  /// Starts all nodes but those that are `absent`.
  init(
    replicas: Int, minInSync: Int = 1, firstSet: Int? = nil, absent: [Int] = [], seed: UInt64 = 1,
    sizeBytes: UInt64 = 256 << 10, regionBytes: UInt64 = 16 << 10, rangesPerQuestion: Int? = nil, bug: PlantedBug? = nil,
    configure: @escaping (inout NexusConfiguration) -> Void = { _ in }
  ) {
    world = World(seed: seed)
    var options = Cluster.Options(replicaCount: replicas, minInSync: minInSync)
    options.maximumHotRegions = 256
    options.sizeBytes = sizeBytes
    options.regionBytes = regionBytes
    options.firstSetCount = firstSet
    if let rangesPerQuestion { (options.rangesPerQuestion, options.rangesPerRecord) = (rangesPerQuestion, rangesPerQuestion) }
    cluster = Cluster(world: world, options: options) {
      var configuration = $1
      configure(&configuration)
      let server = ProductionServer(process: $0, configuration: configuration, surroundings: $2)
      server.nexus.plantedErrors = bug?.ofNexus ?? []
      return server
    }
    cluster.plantedErrors = bug?.ofGate ?? []
    world.trace.keepsLatest = true
    for node in cluster.nodes {
      node.disk.faults.keepPercent = 0
      node.disk.faults.afterDeathPercent = 0
      if !absent.contains(node.index) { cluster.startNode(node.index) }
    }
  }

  deinit { cluster.dispose() }

  var violation: String? { world.violation }
  /// The last happenings, for reports.
  var story: String { world.trace.latest.suffix(60).joined(separator: "\n") }
  /// The nodes whose replicas are in the in-sync set.
  var set: [Int] { cluster.memberNodes.map(\.index).sorted() }
  func disk(_ node: Int) -> ReplicaDisk { cluster.nodes[node].disk }

  // MARK: Time

  @discardableResult
  func wait(seconds: Double = 60, until condition: () -> Bool) -> Bool {
    world.run(until: condition, limitNanoseconds: UInt64(seconds * Double(Self.second)))
  }

  func wait(seconds: Double) { world.run(forNanoseconds: UInt64(seconds * Double(Self.second))) }

  // MARK: Nexuses

  /// An operator goes on from the replica of one node, and a nexus starts there.
  @discardableResult
  func force(_ node: Int) -> NexusRun? {
    var run: NexusRun?
    cluster.force(node) { run = $0 }
    wait(seconds: 5) { run != nil }
    return run
  }

  /// Starts a nexus on a node; returns its run once the store has given it a generation.
  @discardableResult
  func startNexus(_ node: Int) -> NexusRun? {
    var run: NexusRun?
    cluster.startNexus(on: node) { run = $0 }
    wait(seconds: 5) { run != nil }
    return run
  }

  /// Whether the latest nexus serves.
  var isServing: Bool { cluster.latest?.server.isServing ?? false }

  /// Whether it has every replica.
  var isHealthy: Bool {
    guard let latest = cluster.latest, cluster.isServed, latest.server.isHealthy, !latest.isStopping else { return false }
    // A growth is known to the store before it is to the nexus.
    return latest.server.device.sizeBytes >= cluster.store.record.sizeBytes
      && cluster.store.record.members.count == cluster.nodes.count { !$0.isSpare }
  }

  // MARK: Commands

  /// The host that talks to the latest nexus, or that of a node.
  func host(_ node: Int? = nil) -> HostConnection? {
    guard let run = cluster.nexuses.last(where: { node == nil || $0.process.node == node }) else { return nil }
    if let host = hosts[run.process.number * 1000 + Int(run.generation)], host.isAlive { return host }
    let host = HostConnection(cluster: cluster, run: run)
    host.ended = { [unowned self] in endings[$0] = $1 }
    hosts[run.process.number * 1000 + Int(run.generation)] = host
    return host
  }

  /// Sends a command and goes on; returns its number.
  func send(_ operation: BlockOperation, _ sectors: Range<Int>, on node: Int? = nil) -> Int {
    var number = -1
    host(node)?.send(operation, sectors) { number = $0 }
    wait(seconds: 0.001) { number >= 0 }
    return number
  }

  func ending(_ number: Int) -> BlockStatus? { endings[number] }

  /// Sends a command and waits for its end.
  @discardableResult
  func run(_ operation: BlockOperation, _ sectors: Range<Int>, on node: Int? = nil, seconds: Double = 30) -> BlockStatus? {
    let number = send(operation, sectors, on: node)
    wait(seconds: seconds) { endings[number] != nil }
    return endings[number]
  }

  /// What a read sees in a sector: the number of the write, -1 for zeros; nil if the read did not succeed.
  func read(_ sector: Int, on node: Int? = nil) -> Int? {
    let number = send(.read, sector..<sector + 1, on: node)
    wait(seconds: 30) { endings[number] != nil }
    guard endings[number] == .success else { return nil }
    return Self.author(cluster.history.operations[number].values[0])
  }

  /// The write that a disk holds in a sector, -1 for zeros.
  func held(_ node: Int, _ sector: Int) -> Int { Self.author(disk(node).current[sector]) }

  private static func author(_ value: UInt64) -> Int { value == 0 ? -1 : Int(value >> 32) - 1 }

  // MARK: Snapshots and size

  /// Has a snapshot taken and waits for it; its name on the replicas, nil if it was given up.
  func takeSnapshot() -> Identifier? {
    let (id, request) = (Identifier.random(using: &world.generator), Identifier.random(using: &world.generator))
    var outcome: String??
    guard let run = cluster.latest else { return nil }
    run.process.enqueue { run.server.takeSnapshot(id, request: request) { outcome = .some($0) } }
    wait(seconds: 30) { outcome != nil }
    return outcome == .some(nil) ? id : nil
  }

  func deleteSnapshot(_ id: Identifier) {
    guard let run = cluster.latest, let found = cluster.store.record.snapshots.first(where: { $0.id == id }) else { return }
    run.process.enqueue { run.server.deleteSnapshots(request: found.request) }
  }

  /// Makes the volume larger and waits; false if it could not be.
  func grow(toSizeBytes size: UInt64) -> Bool {
    var outcome: String??
    guard let run = cluster.latest else { return false }
    run.process.enqueue { run.server.grow(toSizeBytes: size) { outcome = .some($0) } }
    wait(seconds: 30) { outcome != nil }
    return outcome == .some(nil)
  }

  /// The write that a node's snapshot holds in a sector, -1 for zeros; nil if it has no such snapshot.
  func held(_ node: Int, _ snapshot: Identifier, _ sector: Int) -> Int? {
    disk(node).snapshots.first { $0.id == snapshot }.map { Self.author($0.content[sector]) }
  }

  func hasSnapshot(_ node: Int, _ snapshot: Identifier) -> Bool { disk(node).snapshots.contains { $0.id == snapshot } }

  // MARK: Troubles

  /// Cuts a node off from all others and the store, or lets it back.
  func isolate(_ node: Int, _ isIsolated: Bool = true) {
    for peer in 0...cluster.nodes.count where peer != node {
      if isIsolated {
        cluster.network.block(from: node, to: peer)
        cluster.network.block(from: peer, to: node)
      } else {
        cluster.network.unblock(from: node, to: peer)
        cluster.network.unblock(from: peer, to: node)
      }
    }
  }

  func unstick(_ node: Int) {
    disk(node).faults.isStuck = false
    disk(node).faults.sticksNextWrite = false
    cluster.nodes[node].storage?.unstick()
  }

  // MARK: The end

  /// Starts what is down, waits until all is well, reads everything, and looks whether all that was seen can be. Returns what is
  /// wrong. A history that a force cut short is not checked.
  func end(checksHistory: Bool = true) -> String? {
    for node in cluster.nodes {
      cluster.resumeNode(node.index)
      cluster.startNode(node.index)
      unstick(node.index)
    }
    cluster.network.unblockAll()
    for _ in 0..<12 where !isHealthy && violation == nil {
      if !cluster.isServed { startNexus(0) }
      // One that is told to hand over serves until it has.
      wait(seconds: 10) { isHealthy || !cluster.isServed }
    }
    if !isHealthy {
      return violation ?? "not healthy at the end: \(cluster.latest?.server.summary ?? "no nexus")"
    }
    let sectors = Int(cluster.store.record.sizeBytes) / Stamp.sectorBytes
    for first in stride(from: 0, to: sectors, by: 128) {
      var status = run(.read, first..<min(first + 128, sectors))
      // A planned move may come in between.
      for _ in 0..<3 where status != .success && violation == nil {
        wait(seconds: 60) { isHealthy }
        status = run(.read, first..<min(first + 128, sectors))
      }
      if status != .success { return violation ?? "a read at the end ended with \(status.map { "\($0)" } ?? "nothing")" }
    }
    wait(seconds: 10)
    if violation == nil { cluster.checkAtRest() }
    guard checksHistory else { return violation }
    return violation ?? LinearizabilityChecker(operations: cluster.history.operations).violation(sectorCount: sectors)
  }
}
