import Nexus
import Pool

/// One nexus in one process: finds doors to its replicas again and again, and knows its hosts.
final class NexusRun {
  unowned let cluster: Cluster
  let process: NodeProcess
  let server: VolumeServer
  let surroundings: SimulatedSurroundings
  let generation: UInt64
  private(set) var isOver = false
  private(set) var isStopping = false
  private var connections: [HostConnection] = []
  /// Replicas that are looked for, or have been found, by their node.
  private var sought: [Int: Identifier] = [:]

  init(cluster: Cluster, process: NodeProcess, server: VolumeServer, surroundings: SimulatedSurroundings, generation: UInt64) {
    self.cluster = cluster
    self.process = process
    self.server = server
    self.surroundings = surroundings
    self.generation = generation
  }

  private var world: World { cluster.world }

  // MARK: Replicas

  /// Tries until there is a door, and again when it was lost.
  func connect(to node: Cluster.Node) {
    if sought[node.index] == node.disk.id { return }
    sought[node.index] = node.disk.id
    seek(node, node.disk.id)
  }

  private func seek(_ node: Cluster.Node, _ id: Identifier) {
    if isOver || server.isFenced || sought[node.index] != id { return }
    guard node.disk.id == id, cluster.isToBeMet(node) else {
      sought[node.index] = nil
      return
    }
    guard let target = node.process, target.isRunning, let gate = node.gate else { return retry(node, id) }
    if target === process {
      sought[node.index] = nil
      return process.enqueue { [self] in server.replicaAppeared(id, gate.makeSession()) }
    }
    let network = cluster.network
    let travel = world.generator.within(network.delayNanoseconds)
    world.after(travel) { [self] in
      guard target.isRunning, process.isRunning, network.isOpen(between: process.node, and: target.node) else { return retry(node, id) }
      target.enqueue { [self] in
        let door = SimulatedDoor(
          world: world, network: network, nexusProcess: process, gateProcess: target, session: gate.makeSession())
        door.over = { [weak self] in self?.retry(node, id) }
        world.after(world.generator.within(network.delayNanoseconds), in: process) { [self] in
          if !door.isLost { server.replicaAppeared(id, door) }
        }
      }
    }
  }

  private func retry(_ node: Cluster.Node, _ id: Identifier) {
    world.after(world.generator.within(100_000_000...1_000_000_000)) { [weak self] in self?.seek(node, id) }
  }

  // MARK: Hosts

  func add(_ connection: HostConnection) { connections.append(connection) }

  /// A stop in order: the hosts go, and then the nexus ends what is under way. False if it stops already, or is over.
  @discardableResult
  func stop(then stopped: @escaping () -> Void = {}) -> Bool {
    if isOver || isStopping || server.isFenced { return false }
    isStopping = true
    world.note(.nexus, process.node, Int(generation)) { "generation \(generation) stops in order" }
    for connection in connections { connection.drop() }
    process.enqueue { [self] in server.shutDown(then: stopped) }
    return true
  }

  /// Ends in order once as much as possible of that is done.
  func handOver(then stopped: @escaping () -> Void) {
    process.enqueue { [self] in
      if isOver || isStopping || server.isFenced { return }
      server.prepareShutDown { [self] in _ = stop(then: stopped) }
    }
  }

  /// Lets go of everything; nothing happens any more.
  func dispose() {
    for connection in connections { connection.ended = { _, _ in } }
    connections = []
    surroundings.committed = { _ in }
    surroundings.changed = {}
  }

  /// The process is dead: what its hosts had under way has no known outcome.
  func processEnded() {
    isOver = true
    for connection in connections { connection.serverEnded() }
  }
}
