import Reactor

/// A host at work: sends commands to the nexus it knows of, and looks for another when that serves no more.
final class Host {
  private let cluster: Cluster
  private let plan: SimulationPlan
  private(set) var connection: HostConnection?
  private var former: [HostConnection] = []
  var isWorking = true
  /// Commands to send at most, over the whole run.
  private var remaining: Int
  /// What a nexus has, and the longest trouble on top: what hangs in a disk has its buffer there and cannot be told (R11).
  private static let patienceNanoseconds: UInt64 = 36_000_000_000

  init(cluster: Cluster, plan: SimulationPlan, commands: Int) {
    self.cluster = cluster
    self.plan = plan
    remaining = commands
  }

  private var world: World { cluster.world }
  var outstanding: Int { connection?.outstanding ?? 0 }

  /// Works on, and plans when to do so again.
  func work() {
    world.after(1 + world.generator.next() % (2 * plan.thinkNanoseconds)) { [self] in
      guard isWorking, remaining > 0 else { return }
      attach()
      if let connection, connection.outstanding < 24 {
        for _ in 0..<1 + world.generator.below(plan.burst) where remaining > 0 {
          remaining -= 1
          send(connection)
        }
      }
      work()
    }
  }

  func attach() {
    if let connection, connection.isAlive, !connection.run.isOver, !connection.run.server.isFenced { return }
    guard let latest = cluster.latest, !latest.isOver, !latest.isStopping else { return }
    connect(latest)
  }

  func connect(_ run: NexusRun) {
    if let connection { former.append(connection) }
    let fresh = HostConnection(cluster: cluster, run: run)
    fresh.ended = { [weak self, unowned fresh] _, status in
      guard let self, status == .inaccessible, connection === fresh, isWorking else { return }
      // Another path may serve: the newest, most of the time.
      if let latest = cluster.latest, latest !== fresh.run, !latest.isStopping, world.generator.chance(80) { connect(latest) }
    }
    connection = fresh
  }

  /// The connection breaks; the next command makes another.
  func drop() { connection?.drop() }

  private func send(_ connection: HostConnection) {
    let drawn = world.generator.below(100)
    let isForced = world.generator.chance(15)
    if drawn < plan.flushPercent { return connection.send(.flush, 0..<0) }
    let operation: BlockOperation =
      drawn < plan.flushPercent + plan.zeroPercent
      ? (world.generator.chance(50) ? .writeZeroes : .deallocate)
      : world.generator.below(100) < plan.readPercent ? .read : .write
    let sectorCount = Int(connection.run.server.device.sizeBytes) / Stamp.sectorBytes
    let bound = world.generator.chance(75) ? plan.hotSectors : sectorCount
    let isWhole = operation == .deallocate || world.generator.chance(65)
    let unit = isWhole ? 8 : 1
    let first = world.generator.below(bound) / unit * unit
    let most = min(world.generator.chance(85) ? 16 : 128, sectorCount - first)
    let count = max(unit, (1 + world.generator.below(most)) / unit * unit)
    connection.send(operation, first..<first + count, forceUnitAccess: isForced && operation != .read && operation != .deallocate)
  }

  /// Commands must not wait inside for ever (R12).
  func checkPatience() {
    guard let connection, connection.isAlive, connection.run.server.hasPatience, connection.run.process.isRunning else { return }
    if connection.oldestAgeNanoseconds > Self.patienceNanoseconds {
      world.fail(
        "a command has been waiting for over \(Self.patienceNanoseconds / 1_000_000_000) s in generation \(connection.run.generation) (R12)"
      )
    }
  }
}
