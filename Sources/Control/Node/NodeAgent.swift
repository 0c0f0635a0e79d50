import Foundation
import Pool
import Reactor
import Synchronization

/// What a kubelet is to pods: watches what is assigned to its node, makes it true, and writes what is.
final class NodeAgent: @unchecked Sendable {
  private static let leaseSeconds = 10

  private let node: NodeContext
  private let pools: [Pool]
  private var status: NodeStatus
  private let keeper: ReplicaKeeper
  private let lease = Mutex<LeaseKeeper?>(nil)
  /// Owns everything below.
  private let queue = DispatchQueue(label: "keelson.agent")
  /// A look is queued already, which will see what happens meanwhile; and one is to come after a pause.
  private let isLookDue = Atomic(false)
  private let isLaterLookDue = Atomic(false)
  private var runners: [VolumeID: VolumeRunner] = [:]
  /// Volumes whose nexus is on its way out: it may still use its replica here.
  private var ending: [VolumeID: VolumeRunner] = [:]
  /// Ways for hosts, with a nexus behind them or without; and those that are being closed.
  private var paths: [VolumeID: VolumePath] = [:]
  private var closing: Set<VolumeID> = []
  private var toldPaths: [VolumeID: PathStatus] = [:]
  private var isStopping = false
  private var isFirst = true
  private lazy var watchfulness = StoreWatchfulness(node: node, keeper: keeper)
  private var told: [VolumeID: String] = [:]
  /// While the store is doubted: the next look is due.
  private var isHeld = false
  private var watch: (any StoreWatch)?
  private let reporter: PoolReporter
  private let peers: PeerWatcher

  init(node: NodeContext, pools: [Pool], status: NodeStatus) {
    self.node = node
    self.pools = pools
    self.status = status
    keeper = ReplicaKeeper(node: node, pools: pools)
    reporter = PoolReporter(node: node, pools: pools)
    peers = PeerWatcher(node: node)
  }

  /// Registers the node and follows its assignments. Throws if the store refuses at once; later troubles are logged and retried.
  func start() throws {
    try retractOldStatus()
    try register()
    node.events.record(.node, node.name, "Started", "process \(status.pid) serves with \(status.ioEngine), \(pools.count) pool(s)")
    keeper.whenMade = { [weak self] in
      self?.reconcileSoon()
    }
    peers.tell(
      lost: { [weak self] name in
        guard let self else { return }
        queue.async { for volume in self.runners.keys.sorted() { self.runners[volume]?.peerLost(name) } }
      },
      secluded: { [weak self] secluded in
        guard let self else { return }
        queue.async { self.setSecluded(secluded) }
      })
    PlainThread.start(name: "keelson-watch") { self.follow() }
    queue.async { self.lookAtPools() }
  }

  private func lookAtPools() {
    if isStopping { return }
    reporter.look()
    watchfulness.look()
    if keeper.isUnsettled { reconcile() }
    queue.asyncAfter(deadline: .now() + PoolReporter.intervalSeconds) { self.lookAtPools() }
  }

  /// Takes back what an earlier run said, before this one is announced: nobody shall come for a replica that is not open yet, and
  /// a volatile pool must not look as if it still held what it lost.
  private func retractOldStatus() throws {
    var operations = pools.map { pool -> StoreOperation in
      .put(key: Keys.poolStatus(node: node.name, pool.name), value: node.status(of: pool).encoded())
    }
    for entry in try node.store.listAll(prefix: Keys.statuses(node: node.name)).entries {
      if var old = try? Stored<ReplicaStatus>(entry), old.object.state == .ready {
        // Not ready, but known to have been made: what its pool no longer holds is a loss.
        old.object.state = .faulted
        old.object.message = "its node is starting"
        operations.append(old.replacement)
      } else if var old = try? Stored<NexusStatus>(entry) {
        old.object.state = .starting
        old.object.message = nil
        operations.append(old.replacement)
      } else if entry.key.hasPrefix(Keys.foundReplicas(node: node.name)) {
        operations.append(.delete(key: entry.key))
      } else if (try? Stored<PathStatus>(entry)) != nil, entry.key.hasPrefix(Keys.pathStatuses(node: node.name)) {
        operations.append(.delete(key: entry.key))
      }
    }
    for batch in StoreLimits.batches(operations) { _ = try node.store.transact(StoreTransaction(operations: batch)) }
  }

  /// Takes the process's one lease and puts the node's status under it. A lease that is lost (the store was away, or this
  /// process slept) is taken anew.
  private func register() throws {
    let keeper = try LeaseKeeper(store: node.store, ttlSeconds: Self.leaseSeconds) { [self] in
      node.log.write("the node's lease ran out; registering again")
      node.events.record(.node, node.name, "LeaseLost", "its lease in the state store ran out; it registers again", isWarning: true)
      registerAgain()
    }
    let operation = StoreOperation.put(key: Keys.nodeStatus(node.name), value: status.encoded(), lease: keeper.lease.id)
    _ = try node.store.transact(StoreTransaction(operations: [operation]))
    lease.withLock { $0 = keeper }
  }

  private func registerAgain() {
    queue.async { [self] in
      if isStopping { return }
      do {
        try register()
      } catch {
        node.log.write("cannot register with the state store: \(error); trying again")
        queue.asyncAfter(deadline: .now() + 1) { self.registerAgain() }
      }
    }
  }

  // MARK: Assignments

  /// Watches until `stop`: a full look first, then at every change; after trouble with the store a full look again.
  private func follow() {
    var delay: useconds_t = 50_000
    while !queue.sync(execute: { isStopping }) {
      do {
        let prefix = Keys.assignments(node: node.name)
        let page = try node.store.listAll(prefix: prefix)
        let watch = try node.store.watch(prefix: prefix, fromRevision: page.revision + 1)
        defer { watch.cancel() }
        let isStopping = queue.sync {
          self.watch = watch
          return self.isStopping
        }
        if isStopping { return }
        reconcileSoon()
        delay = 50_000
        while try watch.next(timeoutNanoseconds: nil) != nil { reconcileSoon() }
      } catch StoreError.watchCancelled {
        return
      } catch {
        node.log.write("following the state store: \(error); trying again")
        usleep(delay)
        delay = min(delay * 2, 2_000_000)
      }
    }
  }

  /// Looks at everything once more. Many changes at a time cost one look, and however long the store is away, looks do not pile up.
  private func reconcileSoon() {
    if isLookDue.exchange(true, ordering: .acquiringAndReleasing) { return }
    queue.async {
      self.isLookDue.store(false, ordering: .releasing)
      self.reconcile()
    }
  }

  private func reconcile(afterSeconds seconds: Double) {
    if isLaterLookDue.exchange(true, ordering: .acquiringAndReleasing) { return }
    queue.asyncAfter(deadline: .now() + seconds) {
      self.isLaterLookDue.store(false, ordering: .releasing)
      self.reconcile()
    }
  }

  private func reconcile() {
    if isStopping { return }
    var replicas: [ReplicaAssignment] = []
    var nexuses: [NexusAssignment] = []
    var standbys: [PathAssignment] = []
    let doubt: String?
    do {
      let page = try node.store.listAll(prefix: Keys.replicaAssignments(node: node.name))
      for entry in page.entries { replicas.append(try Stored<ReplicaAssignment>(entry).object) }
      for entry in try node.store.listAll(prefix: Keys.nexusAssignments(node: node.name)).entries {
        nexuses.append(try Stored<NexusAssignment>(entry).object)
      }
      for entry in try node.store.listAll(prefix: Keys.pathAssignments(node: node.name)).entries {
        standbys.append(try Stored<PathAssignment>(entry).object)
      }
      doubt = try watchfulness.doubt(at: page.revision)
    } catch {
      // Nothing is concluded from half a picture.
      node.log.write("cannot read the assignments: \(error); trying again")
      return reconcile(afterSeconds: 0.5)
    }
    if isFirst {
      isFirst = false
      // After the doubt, if there is any: who recovers by these has to know of it.
      keeper.reportUnknown(replicas)
    }
    if let doubt { return holdStill(nexuses, doubt) }
    let assigned = Set(nexuses.map(\.volumeID))
    for assignment in nexuses where assignment.deleting { end(assignment.volumeID) }
    for volume in runners.keys.filter({ !assigned.contains($0) }).sorted() { end(volume) }
    // A replica outlives the nexus that uses it, whatever the store says.
    for assignment in nexuses { runners[assignment.volumeID]?.note(assignment) }
    keeper.reconcile(replicas) { [runners, ending] in
      ending[$0.volumeID] == nil && !(runners[$0.volumeID]?.isUsing($0.id) ?? false)
    }
    for assignment in nexuses where !assignment.deleting && ending[assignment.volumeID] == nil { run(assignment) }
    for assignment in standbys where !assigned.contains(assignment.volumeID) { stand(assignment) }
    let wanted = assigned.union(standbys.map(\.volumeID))
    var related: [String] = nexuses.flatMap { $0.replicas.map(\.node) }
    for paths in nexuses.map(\.otherPaths) + standbys.map(\.otherPaths) { related += (paths ?? []).map(\.node) }
    peers.follow(Set(related))
    for volume in paths.keys.filter({ !wanted.contains($0) }).sorted() { close(volume) }
  }

  private func run(_ assignment: NexusAssignment) {
    let volume = assignment.volumeID
    if let runner = runners[volume] { return runner.update(assignment) }
    if closing.contains(volume) { return }
    let path =
      paths[volume]
      ?? VolumePath(
        node: node, volume: volume, volumeName: assignment.volumeName, sizeBytes: assignment.sizeBytes,
        blockSizeBytes: assignment.blockSizeBytes, pool: assignment.replicas.first { $0.node == node.name }?.pool,
        publications: assignment.publications, otherPaths: assignment.otherPaths ?? [])
    paths[volume] = path
    if toldPaths.removeValue(forKey: volume) != nil { node.withdraw(Keys.pathStatus(node: node.name, volume)) }
    let runner = VolumeRunner(assignment: assignment, node: node, keeper: keeper, path: path)
    runners[volume] = runner
    runner.update(assignment)
    runner.start()
  }

  /// Serves a volume's subsystem without its nexus; a nexus that was here leaves first.
  private func stand(_ assignment: PathAssignment) {
    let volume = assignment.volumeID
    if runners[volume] != nil || ending[volume] != nil || closing.contains(volume) { return }
    let path =
      paths[volume]
      ?? VolumePath(
        node: node, volume: volume, volumeName: assignment.volumeName, sizeBytes: assignment.sizeBytes,
        blockSizeBytes: assignment.blockSizeBytes, pool: assignment.pool, publications: assignment.publications,
        otherPaths: assignment.otherPaths ?? [])
    if paths.updateValue(path, forKey: volume) == nil {
      // What an earlier run of this node said of a nexus that has moved since.
      node.withdraw(Keys.nexusStatus(node: node.name, volume))
    }
    path.openAsStandby()
    path.setOtherPaths(assignment.otherPaths ?? [])
    path.grow(toSizeBytes: assignment.sizeBytes)
    path.admit(assignment.publications) { [weak self] in
      guard let self else { return }
      queue.async { self.tellStanding(path) }
    }
    tellStanding(path)
  }

  private func tellStanding(_ path: VolumePath) {
    guard paths[path.volume] === path, runners[path.volume] == nil, path.isOpen else { return }
    let status = PathStatus(volumeID: path.volume, hosts: path.hosts)
    if toldPaths.updateValue(status, forKey: path.volume) == status { return }
    node.publish(status, at: Keys.pathStatus(node: node.name, path.volume))
  }

  /// Ends a volume's path, once its nexus is gone. Its hosts' commands may take a while.
  private func close(_ volume: VolumeID) {
    guard runners[volume] == nil, ending[volume] == nil, let path = paths.removeValue(forKey: volume) else { return }
    closing.insert(volume)
    DispatchQueue.global().async { [self] in
      path.close()
      queue.async {
        self.closing.remove(volume)
        self.toldPaths[volume] = nil
        self.node.withdraw(Keys.pathStatus(node: self.node.name, volume))
        self.reconcileSoon()
      }
    }
  }

  /// The store may be an old or a foreign one: nothing is begun by it, and nothing deleted, until it is confirmed (R18). What is served goes on: its
  /// nexus knows who is in sync, and changes nothing in a store that went back.
  private func holdStill(_ nexuses: [NexusAssignment], _ doubt: String) {
    for nexus in nexuses where !nexus.deleting && runners[nexus.volumeID] == nil {
      let status = NexusStatus(volumeID: nexus.volumeID, state: .blocked, message: doubt, generation: 0, replicas: [])
      if told.updateValue(doubt, forKey: nexus.volumeID) != doubt {
        node.publish(status, at: Keys.nexusStatus(node: node.name, nexus.volumeID))
      }
    }
    if isHeld { return }
    isHeld = true
    queue.asyncAfter(deadline: .now() + 1) {
      self.isHeld = false
      self.reconcile()
    }
  }

  /// Stops a volume's nexus, and only then says that it is gone: its replicas are deleted after that.
  private func end(_ volume: VolumeID) {
    if ending[volume] != nil { return }
    guard let runner = runners.removeValue(forKey: volume) else {
      node.withdraw(Keys.nexusStatus(node: node.name, volume))
      return
    }
    ending[volume] = runner
    runner.stop { [self] in
      runner.withdrawStatus()
      queue.async {
        self.ending[volume] = nil
        self.reconcileSoon()
      }
    }
  }

  /// Whether this node reaches neither its peers nor the store.
  private func setSecluded(_ secluded: Bool) {
    node.log.write(secluded ? "neither a peer nor the state store can be reached" : "no longer cut off")
    for runner in runners.keys.sorted().compactMap({ runners[$0] }) { runner.setSecluded(secluded) }
  }

  // MARK: Stop

  private static let handOverNanoseconds: UInt64 = 5_000_000_000

  /// Says that this node is going, and waits, not for long, until other nodes have taken over what it serves and they can.
  private func handNexusesOver() {
    guard let lease = lease.withLock({ $0?.lease.id }) else { return }
    queue.sync { status.state = .stopping }
    let stopping = queue.sync { status }
    do {
      _ = try node.store.transact(
        StoreTransaction(operations: [.put(key: Keys.nodeStatus(node.name), value: stopping.encoded(), lease: lease)]))
      let end = BootClock.nanoseconds() + Self.handOverNanoseconds
      let volumes = try nexuses().map(\.volumeID)
      while BootClock.nanoseconds() < end, try hasSuccessors() { usleep(50_000) }
      // The replicas here are members: whoever took over begins with them at once, and without them only when it has given them up.
      while BootClock.nanoseconds() < end, try volumes.contains(where: isBeingTakenOver) { usleep(20_000) }
    } catch {
      node.log.write("stopping without handing over: \(error)")
    }
  }

  private func nexuses() throws -> [NexusAssignment] {
    try node.store.listAll(prefix: Keys.nexusAssignments(node: node.name)).entries.map { try Stored<NexusAssignment>($0).object }
  }

  /// Whether a volume that was served here is another node's by now, which does not serve it yet.
  private func isBeingTakenOver(_ volume: VolumeID) throws -> Bool {
    guard try node.store.get(Keys.nexusAssignment(node: node.name, volume)) == nil,
      let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(volume))?.object
    else { return false }
    return record.nexusNode == node.name || record.confirmedGeneration != record.generation
  }

  /// Whether somebody leads, and some nexus here could be served by a node that stays.
  private func hasSuccessors() throws -> Bool {
    guard try node.store.get(Keys.controllerLease) != nil else { return false }
    for assignment in try nexuses() {
      guard !assignment.deleting, let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID))?.object
      else { continue }
      for replica in assignment.replicas where replica.node != node.name && record.members.contains(replica.id) {
        if try node.store.object(NodeStatus.self, at: Keys.nodeStatus(replica.node))?.object.state == .ready { return true }
      }
    }
    return false
  }

  /// Stops in order: the nexuses here, then, once the nexuses elsewhere have let go (or had time to), the replicas.
  func stop() {
    handNexusesOver()
    peers.stop()
    let (running, watch) = queue.sync {
      isStopping = true
      return ((Array(runners.values) + ending.values), self.watch)
    }
    watch?.cancel()
    let group = DispatchGroup()
    for runner in running {
      group.enter()
      runner.stop { group.leave() }
    }
    if group.wait(timeout: .now() + 20) == .timedOut { node.log.write("a nexus did not stop within 20 s") }
    // Other nodes may be stopping too: their nexuses end cleanly if their replicas here live a little longer.
    for _ in 0..<30 where node.target.connectionCount(usingReplicas: true) > 0 { usleep(100_000) }
    queue.sync {
      watchfulness.look(isLast: true)
      keeper.stop()
    }
    node.events.record(.node, node.name, "Stopped", "it ended in good order")
    node.events.flush()
    node.drainStatus()
    lease.withLock { $0?.revoke() }
  }
}
