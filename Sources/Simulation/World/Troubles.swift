import Pool

/// Makes trouble, and ends each again after a while.
final class Troubles {
  private let cluster: Cluster
  private let plan: SimulationPlan
  private let hosts: [Host]
  private var remaining: Int
  /// Backups of the nodes' pools.
  private var images: [ReplicaDisk.Image] = []
  private(set) var isOver = false

  init(cluster: Cluster, plan: SimulationPlan, hosts: [Host]) {
    self.cluster = cluster
    self.plan = plan
    self.hosts = hosts
    remaining = plan.troubleCount
  }

  private var world: World { cluster.world }

  func begin() {
    guard remaining > 0, !isOver else {
      isOver = true
      return
    }
    remaining -= 1
    world.after(1 + world.generator.next() % (2 * plan.troubleIntervalNanoseconds)) { [self] in
      if isOver { return }
      make(plan.troubles[world.generator.below(plan.troubles.count)])
      begin()
    }
  }

  private func later(_ body: @escaping () -> Void) {
    world.after(world.generator.within(plan.troubleNanoseconds)) { [self] in if !isOver { body() } }
  }

  private func make(_ trouble: SimulationPlan.Trouble) {
    let node = world.generator.below(cluster.nodes.count)
    // Now and then the trouble is with the store's place.
    let other =
      world.generator.chance(20) ? cluster.store.place : (node + 1 + world.generator.below(cluster.nodes.count)) % (cluster.nodes.count + 1)
    switch trouble {
    case .kill: kill(node, losingPower: false)
    case .powerLoss: if mayLosePower(node) { kill(node, losingPower: true) }
    case .pause:
      cluster.pauseNode(node, sleeps: world.generator.chance(40))
      later { [self] in cluster.resumeNode(node) }
    case .partition:
      for peer in 0...cluster.nodes.count where peer != node && (peer == other || world.generator.chance(50)) {
        block(node, peer, isBothWays: true)
      }
    case .oneWay: if node != other { block(node, other, isBothWays: false) }
    case .reset: if other < cluster.nodes.count, node != other { cluster.network.reset(between: node, and: other) }
    case .storeAway:
      world.note(.fault, 0, 0) { "the store is away" }
      cluster.store.isAway = true
      later { [self] in cluster.store.isAway = false }
    case .stickDisk:
      world.note(.fault, node, 3) { "the disk of node \(node) hangs" }
      if world.generator.chance(50) {
        cluster.nodes[node].disk.faults.sticksNextWrite = true
      } else {
        cluster.nodes[node].disk.faults.isStuck = true
      }
      later { [self] in unstick(node) }
    case .move: cluster.startNexus(on: node)
    case .dropHost: hosts[world.generator.below(hosts.count)].drop()
    case .failingDisk:
      world.note(.fault, node, 4) { "the disk of node \(node) fails now and then" }
      let kind = world.generator.below(3)
      cluster.nodes[node].disk.faults.readErrorPercent = kind == 0 ? 20 : 0
      cluster.nodes[node].disk.faults.writeErrorPercent = kind == 1 ? 10 : 0
      cluster.nodes[node].disk.faults.flushErrorPercent = kind == 2 ? 40 : 0
      later { [self] in mend(node) }
    case .rollBack: rollBack(node)
    case .stop: stop()
    case .rot: rot()
    case .scrub: if let run = cluster.latest { run.process.enqueue { run.server.startScrub() } }
    case .replace: replace(node)
    case .resize: resize(node)
    case .handOver: cluster.handOver(to: node, patienceNanoseconds: world.generator.within(1_000_000_000...10_000_000_000))
    case .fullDisk:
      world.note(.fault, node, 5) { "the disk of node \(node) is full" }
      cluster.nodes[node].disk.capacityUnits = cluster.nodes[node].disk.allocatedUnits
      later { [self] in cluster.nodes[node].disk.capacityUnits = .max }
    }
  }

  private func block(_ one: Int, _ other: Int, isBothWays: Bool) {
    cluster.network.block(from: one, to: other)
    if isBothWays { cluster.network.block(from: other, to: one) }
    later { [self] in
      cluster.network.unblock(from: one, to: other)
      if isBothWays { cluster.network.unblock(from: other, to: one) }
    }
  }

  /// A node's pool is replaced by a new one or by a backup, so old that it shows.
  private func rollBack(_ node: Int) {
    if images.isEmpty || world.generator.chance(20) { images = cluster.nodes.map(\.disk.image) }
    let image = world.generator.chance(50) ? images[node] : nil
    let floor = cluster.floorGeneration(node)
    guard floor > image?.claim.generation ?? 0, mayLosePower(node) else { return }
    guard mayLoseAll(node) else { return }
    cluster.killNode(node)
    world.note(.fault, node, 6) { "the pool of node \(node) is \(image == nil ? "replaced" : "an old copy")" }
    cluster.nodes[node].disk.replace(by: image)
    cluster.snapshots.mayHaveRelics = true
    later { [self] in cluster.startNode(node) }
  }

  /// Whether a volume goes on without a replica and all that it holds.
  private func mayLoseAll(_ node: Int) -> Bool {
    guard mayLosePower(node) else { return false }
    let isMember = cluster.memberNodes.contains { $0.index == node }
    return !isMember
      || cluster.memberNodes.count { $0.index != node && !$0.disk.isRolledBack && $0.disk.rotten.isEmpty && !$0.isSpare }
        >= plan.cluster.minInSync
  }

  /// A node without a replica of the volume, which could have one.
  private var spare: Cluster.Node? { cluster.nodes.first { $0.isSpare && !$0.isLost && !cluster.isKnown($0) } }

  /// A replica gives place to a new one elsewhere: it is lost for good, if it may be, or let go of.
  private func replace(_ node: Int) {
    guard let spare, !cluster.nodes[node].isSpare, mayLeave(node) else { return }
    if mayLoseAll(node), world.generator.chance(70) { cluster.loseForGood(node) } else { cluster.remove(node) }
    cluster.addNew(spare.index)
  }

  /// The volume is to have one replica more, or one less.
  private func resize(_ node: Int) {
    if let spare {
      cluster.addNew(spare.index)
    } else if !cluster.nodes[node].isSpare, cluster.wanted.count > max(plan.cluster.minInSync, 1), mayLeave(node) {
      cluster.remove(node)
    }
  }

  /// Whether somebody else holds all that there is.
  private func mayLeave(_ node: Int) -> Bool {
    let members = cluster.memberNodes
    return !members.contains { $0.index == node } || cluster.wanted.count == 1
      || members.contains { $0.index != node && isWhole($0, Set(cluster.nexuses.flatMap(\.server.leaving))) }
  }

  /// Sectors of one node's disk change by themselves: their checksums fail, and they cannot be read until they are written.
  private func rot() {
    let disk = cluster.nodes[plan.rottingNode].disk
    let members = cluster.memberNodes
    let leaving = Set(cluster.nexuses.flatMap(\.server.leaving))
    let isMember = members.contains { $0.disk === disk }
    guard !isMember || members.contains(where: { $0.disk !== disk && isWhole($0, leaving) }) else { return }
    for _ in 0..<1 + world.generator.below(6) { disk.spoil(sector: world.generator.below(disk.current.count)) }
    world.note(.fault, plan.rottingNode, 10) { "\(disk.rotten.count) sectors of node \(plan.rottingNode) have rotted" }
  }

  /// A nexus stops in order, now and then with the process around it.
  private func stop() {
    let endsProcess = world.generator.chance(50)
    guard let run = cluster.latest else { return }
    run.stop { [self] in
      if endsProcess { world.after(1) { [self] in if run.process.isAlive, !isOver { kill(run.process.node, losingPower: false) } } }
    }
  }

  private func kill(_ node: Int, losingPower: Bool) {
    cluster.killNode(node, losingPower: losingPower)
    later { [self] in cluster.startNode(node) }
  }

  /// Power may fail everywhere but on one member that lacks nothing (R7).
  private func mayLosePower(_ node: Int) -> Bool {
    let members = cluster.memberNodes
    for member in members { member.disk.forgetDamage(equalOn: members.map(\.disk)) }
    // One on its way out counts for nothing: the store may know in the same moment.
    let leaving = Set(cluster.nexuses.flatMap(\.server.leaving))
    return !members.contains { $0.index == node } || members.contains { $0.index != node && isWhole($0, leaving) }
  }

  private func isWhole(_ node: Cluster.Node, _ leaving: Set<Identifier>) -> Bool {
    node.disk.damage.isEmpty && node.disk.rotten.isEmpty && !node.disk.hasLostPower && !node.disk.isRolledBack
      && !leaving.contains(node.disk.id) && !node.isSpare
  }

  private func unstick(_ node: Int) {
    cluster.nodes[node].disk.faults.isStuck = false
    cluster.nodes[node].disk.faults.sticksNextWrite = false
    cluster.nodes[node].storage?.unstick()
  }

  private func mend(_ node: Int) {
    cluster.nodes[node].disk.faults.readErrorPercent = 0
    cluster.nodes[node].disk.faults.writeErrorPercent = 0
    cluster.nodes[node].disk.faults.flushErrorPercent = 0
  }

  /// Ends all troubles.
  func heal() {
    isOver = true
    world.note(.fault, -1, 0) { "all is healed" }
    cluster.network.unblockAll()
    cluster.store.isAway = false
    cluster.store.lostReplyPercent = 0
    cluster.store.lateRequestPercent = 0
    for node in cluster.nodes {
      cluster.resumeNode(node.index)
      node.disk.faults.busyPercent = 0
      node.disk.capacityUnits = .max
      mend(node.index)
      unstick(node.index)
      cluster.startNode(node.index)
    }
  }
}
