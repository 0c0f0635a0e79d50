import Nexus

/// How a run of a seed ended.
public struct SimulationOutcome: Sendable {
  public let seed: UInt64
  public let eventCount: Int
  /// Two runs of one seed have the same.
  public let traceHash: UInt64
  /// What was wrong; nil when nothing was.
  public let failure: String?
  public let succeededCommands: Int
  public let generations: UInt64
  /// Snapshots that became ready.
  public let snapshots: Int
}

/// One life of a volume, drawn from a seed: work and troubles, then all is healed, and it must be as if nothing had happened.
public final class SimulationRun {
  private let seed: UInt64
  private let world: World
  private let plan: SimulationPlan
  private let cluster: Cluster
  private let hosts: [Host]
  private let troubles: Troubles
  private let orders: SnapshotOrders
  private var isOver = false

  private static let healthyNanoseconds: UInt64 = 300_000_000_000

  init(seed: UInt64, plan change: (inout SimulationPlan) -> Void = { _ in }, makeServer: @escaping ServerMaker) {
    self.seed = seed
    world = World(seed: seed)
    var plan = SimulationPlan(&world.generator)
    change(&plan)
    self.plan = plan
    cluster = Cluster(world: world, options: plan.cluster, makeServer: makeServer)
    cluster.network.delayNanoseconds = plan.networkDelay
    cluster.store.delayNanoseconds = plan.storeDelay
    cluster.store.lostReplyPercent = plan.lostReplyPercent
    cluster.store.lateRequestPercent = plan.lateRequestPercent
    for node in cluster.nodes {
      node.disk.faults.latencyNanoseconds = plan.diskLatencies[node.index % plan.diskLatencies.count]
      node.disk.faults.busyPercent = plan.busyPercent
      node.disk.faults.keepPercent = plan.keepPercent
    }
    let commands = 240 / plan.hostCount
    let cluster = cluster
    hosts = (0..<plan.hostCount).map { _ in Host(cluster: cluster, plan: plan, commands: commands) }
    troubles = Troubles(cluster: cluster, plan: plan, hosts: hosts)
    orders = SnapshotOrders(cluster: cluster, plan: plan)
  }

  /// The nexus and the gates that ship, as the seed has it.
  public convenience init(seed: UInt64, bug: PlantedBug? = nil) {
    self.init(seed: seed) {
      let server = ProductionServer(process: $0, configuration: $1, surroundings: $2)
      server.nexus.plantedErrors = bug?.ofNexus ?? []
      return server
    }
    cluster.plantedErrors = bug?.ofGate ?? []
  }

  /// Has every happening told, as a line of text.
  public func trace(to print: @escaping (String) -> Void) {
    world.trace.print = print
    print("seed \(seed): \(plan)")
  }

  public func run() -> SimulationOutcome {
    cluster.startAllNodes()
    cluster.startNexus(on: world.generator.below(cluster.nodes.count))
    control()
    if plan.startsQuietly { world.run(until: { isHealthy }, limitNanoseconds: Self.healthyNanoseconds) }
    for host in hosts { host.work() }
    orders.work()
    troubles.begin()
    world.run(until: { troubles.isOver }, limitNanoseconds: 200_000_000_000)
    world.run(forNanoseconds: 1 + world.generator.next() % 5_000_000_000)
    finish()
    let outcome = SimulationOutcome(
      seed: seed, eventCount: world.eventCount, traceHash: world.trace.hash, failure: world.violation,
      succeededCommands: cluster.history.operations.count { $0.outcome == .done }, generations: cluster.store.record.generation,
      snapshots: orders.taken)
    isOver = true
    cluster.dispose()
    return outcome
  }

  /// Sees to it, as a controller does, that somebody serves.
  private func control() {
    world.after(500_000_000 + world.generator.next() % 1_000_000_000) { [self] in
      if isOver { return }
      if !cluster.isServed {
        let running = cluster.nodes.filter { $0.process?.isRunning ?? false }
        if !running.isEmpty { cluster.startNexus(on: running[world.generator.below(running.count)].index) }
      }
      cluster.followReplicas()
      for host in hosts { host.checkPatience() }
      if let only = cluster.memberNodes.first, cluster.memberNodes.count == 1 { only.disk.mendRot() }
      control()
    }
  }

  private var isHealthy: Bool {
    guard let latest = cluster.latest, cluster.isServed, latest.server.isHealthy else { return false }
    // A growth whose reply was lost is known to the store before it is to the nexus.
    if latest.server.device.sizeBytes < cluster.store.record.sizeBytes { return false }
    // Neither too few nor, until they are let go of, too many.
    return cluster.wanted.allSatisfy { cluster.store.record.members.contains($0.disk.id) }
      && cluster.store.record.members.count == cluster.wanted.count && !cluster.nodes.contains { $0.isSpare && cluster.isKnown($0) }
  }

  /// Reads everything once; false when another nexus took over meanwhile.
  private func readAll(_ sectors: Int) -> Bool {
    guard let latest = cluster.latest else { return false }
    let reader = HostConnection(cluster: cluster, run: latest)
    let count = (sectors + 127) / 128
    for index in 0..<count { reader.send(.read, index * 128..<min(index * 128 + 128, sectors)) }
    var (ended, succeeded) = (0, 0)
    reader.ended = { [world] _, status in
      ended += 1
      if status == .success { succeeded += 1 }
      if status != .success, !latest.server.isFenced, !latest.isStopping { world.fail("a read at the end ended with \(status)") }
    }
    let isOver = { ended == count || latest.isOver }
    if !world.run(until: isOver, limitNanoseconds: 30_000_000_000) { world.fail("reads at the end do not end") }
    return succeeded == count
  }

  /// What has rotted, and nobody read, is found and mended (R20).
  private func scrub() {
    guard cluster.wanted.contains(where: { !$0.disk.rotten.isEmpty }), cluster.wanted.count > 1 else { return }
    let limit = Self.healthyNanoseconds
    for _ in 0..<3 {
      guard let latest = cluster.latest else { return }
      latest.process.enqueue { latest.server.startScrub() }
      world.run(forNanoseconds: 1_000_000)
      if !world.run(until: { latest.isOver || latest.server.isFenced || !latest.server.isScrubbing }, limitNanoseconds: limit) {
        return world.fail("a scrub at the end does not end; \(latest.server.summary)")
      }
      if cluster.wanted.allSatisfy(\.disk.rotten.isEmpty) { break }
      world.run(until: { isHealthy }, limitNanoseconds: limit)
    }
    if let node = cluster.wanted.first(where: { !$0.disk.rotten.isEmpty }) {
      world.fail("\(node.disk.rotten.count) rotten sectors of node \(node.index) are left after a scrub (R20)")
    }
    world.run(until: { isHealthy }, limitNanoseconds: limit)
  }

  private func finish() {
    troubles.heal()
    for host in hosts { host.isWorking = false }
    orders.isWorking = false
    if !world.run(until: { isHealthy }, limitNanoseconds: Self.healthyNanoseconds) {
      let members = cluster.store.record.members.count
      let summary = cluster.latest?.server.summary ?? "no nexus"
      world.fail(
        "\(Self.healthyNanoseconds / 1_000_000_000) s after all was healed the volume is not healthy: \(members) of "
          + "\(cluster.wanted.count) replicas are in the set; \(summary)")
      return
    }
    let sectors = Int(cluster.store.record.sizeBytes) / Stamp.sectorBytes
    var tries = 0
    while !readAll(sectors), world.violation == nil {
      tries += 1
      // A start that was late in the store takes the volume over once more.
      if tries == 5 { world.fail("reads at the end do not succeed") }
      world.run(until: { isHealthy }, limitNanoseconds: Self.healthyNanoseconds)
    }
    scrub()
    // Time for the activity log to empty, and for snapshots that were ordered last: on slow disks one after the other takes its time.
    for _ in 0..<12 {
      world.run(forNanoseconds: 10_000_000_000)
      if cluster.store.record.snapshots.allSatisfy({ $0.state == .ready }) { break }
    }
    if world.violation == nil { cluster.checkAtRest() }
    if world.violation == nil, let problem = LinearizabilityChecker(operations: cluster.history.operations).violation(sectorCount: sectors)
    {
      world.fail(problem)
    }
  }
}
