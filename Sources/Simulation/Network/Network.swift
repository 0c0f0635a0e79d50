/// The ways between nodes, each direction by itself, and the connections over them.
final class Network {
  private let world: World
  /// How long a message takes.
  var delayNanoseconds: ClosedRange<UInt64> = 10_000...500_000
  /// How long a nexus waits for a silent replica before it gives up the connection, and the other way round.
  var nexusPatienceNanoseconds: ClosedRange<UInt64> = 2_000_000_000...5_000_000_000
  var gatePatienceNanoseconds: ClosedRange<UInt64> = 4_000_000_000...15_000_000_000
  /// By sender, then receiver: how many reasons there are for nothing to pass.
  private var blocks: [[Int]]
  private var blockedSince: [[UInt64]]
  private(set) var connections: [SimulatedDoor] = []
  /// Replicas may still have requests of connections that are over, and answer them.
  private var former: [SimulatedDoor] = []

  init(world: World, nodeCount: Int) {
    self.world = world
    blocks = Array(repeating: Array(repeating: 0, count: nodeCount), count: nodeCount)
    blockedSince = Array(repeating: Array(repeating: 0, count: nodeCount), count: nodeCount)
  }

  /// Takes all connections apart.
  func dispose() {
    for connection in connections + former { connection.dispose() }
    connections = []
    former = []
  }

  func isOpen(from: Int, to: Int) -> Bool { blocks[from][to] == 0 }

  func isOpen(between one: Int, and other: Int) -> Bool { isOpen(from: one, to: other) && isOpen(from: other, to: one) }

  func add(_ connection: SimulatedDoor) {
    former += connections.filter(\.isOver)
    connections.removeAll { $0.isOver }
    connections.append(connection)
  }

  /// Lets nothing pass in one direction until `unblock` is called as often.
  func block(from: Int, to: Int) {
    blocks[from][to] += 1
    guard blocks[from][to] == 1 else { return }
    world.note(.fault, from, to) { "nothing passes from \(from) to \(to)" }
    blockedSince[from][to] = world.now
    for connection in connections where connection.joins(from, to) { watch(connection, from, to) }
  }

  /// Keep-alives do not pass either: both sides give up after a while.
  private func watch(_ connection: SimulatedDoor, _ from: Int, _ to: Int) {
    let since = world.now
    let isSame = { [self] in blocks[from][to] > 0 && blockedSince[from][to] == since }
    world.after(world.generator.within(nexusPatienceNanoseconds)) { if isSame() { connection.giveUpAtNexus() } }
    world.after(world.generator.within(gatePatienceNanoseconds)) { if isSame() { connection.giveUpAtGate() } }
  }

  func unblock(from: Int, to: Int) {
    guard blocks[from][to] > 0 else { return }
    blocks[from][to] -= 1
    guard blocks[from][to] == 0 else { return }
    world.note(.fault, from, to) { "all passes from \(from) to \(to)" }
    for connection in connections where connection.joins(from, to) {
      world.after(world.generator.within(delayNanoseconds)) { connection.pump() }
    }
  }

  func unblockAll() {
    for from in blocks.indices {
      for to in blocks.indices { while blocks[from][to] > 0 { unblock(from: from, to: to) } }
    }
  }

  /// A process was stopped or its node lost power: the others hear nothing of it any more.
  func becameSilent(_ process: NodeProcess) {
    let isSilent = { !process.isRunning }
    for connection in connections {
      if connection.gateProcess === process {
        world.after(world.generator.within(nexusPatienceNanoseconds)) { if isSilent() { connection.giveUpAtNexus() } }
      } else if connection.nexusProcess === process {
        world.after(world.generator.within(gatePatienceNanoseconds)) { if isSilent() { connection.giveUpAtGate() } }
      }
    }
  }

  /// A process was killed: its node's kernel closes its connections.
  func wasKilled(_ process: NodeProcess) {
    for connection in connections {
      if connection.gateProcess === process { connection.gateProcessEnded() }
      if connection.nexusProcess === process { connection.nexusProcessEnded() }
    }
  }

  /// Breaks every connection between two nodes; new ones can be made.
  func reset(between one: Int, and other: Int) {
    world.note(.fault, one, other) { "connections between \(one) and \(other) break" }
    for connection in connections where connection.joins(one, other) {
      connection.giveUpAtNexus()
      world.after(world.generator.within(delayNanoseconds)) { connection.giveUpAtGate() }
    }
  }
}
