import Foundation
import Host
import NVMe
import Nexus
import Reactor
import Synchronization
import Target
import Transport

/// Runs one volume's nexus on this node: claims the volume, gives the nexus doors to its replicas, serves it to hosts while it can be
/// served, and starts over when another nexus took it away.
///
/// All state belongs to `queue`; every volume has its own, so that one that waits for a node keeps no other waiting.
final class VolumeRunner: @unchecked Sendable {
  static let retryMilliseconds = 500
  /// How long a stop waits for the store to commit what commands depend on.
  static let stopPatienceNanoseconds = 6_000_000_000
  /// How long a start waits for the in-sync replicas of nodes that were lost.
  static let graceWithoutLostNanoseconds: UInt64 = 500_000_000
  /// While a replica is being made equal, how far it is is looked at this often.
  private static let progressSeconds = 1.0

  let node: NodeContext
  let keeper: ReplicaKeeper
  /// Where hosts come in; it was there before the nexus and is there after it.
  let path: VolumePath
  let queue: DispatchQueue
  /// Apart from `queue`: a stop waits for commands, and those may wait for a commit.
  let commits: DispatchQueue
  /// For questions to the store that nobody here waits for.
  let lookups: DispatchQueue
  var assignment: NexusAssignment
  var serving: Serving?
  /// What the nexus told last, and why replicas cannot be reached.
  var told: NexusReport?
  var troubles: [ReplicaID: String] = [:]
  var past: RebuildHistory
  let tending = VolumeTending()
  var scrubs = ScrubKeeping()
  /// Replicas that a force left behind, and which force.
  var kept: [ReplicaID: UUID] = [:]
  /// The last force that was decided.
  var lastForce: UUID?
  /// The last claim made, for a stop that cannot wait for the store.
  let held = Mutex<MembershipRecord?>(nil)
  /// Replicas that are assigned, and those that there is a way to still.
  let uses: Mutex<(assigned: Set<ReplicaID>, linked: Set<ReplicaID>)>
  private(set) var isStopping = false
  /// The nexus was ended for another node to take over.
  var hasHandedOver = false
  /// Nobody took over in time, so it serves although it was told not to.
  var ignoresHandOver = false
  private var firstAttempt: UInt64?
  private var lastStatus: NexusStatus?
  private var isLookDue = false

  /// A nexus at work. Belongs to `queue`.
  final class Serving: @unchecked Sendable {
    let record: MembershipRecord
    let reactor: ReactorReference
    let transport: ReactorBound<TransportContext>
    /// Who the nexus is to its replicas.
    let host: HostIdentity
    let nexus: ReactorBound<Nexus>
    let surroundings: ReactorBound<VolumeSurroundings>
    /// Ways to its replicas, as they are assigned.
    var links: [(replica: ReplicaID, link: ReactorBound<ReplicaLink>)] = []
    /// Those that are not assigned any more and that the nexus has not let go of.
    var goers: [ReplicaID] = []
    /// Whether it has served, and hosts' commands reach it.
    var isPublished = false
    /// Counts the times that service ended, to know late timers.
    var outages = 0
    var isOut = false

    init(
      record: MembershipRecord, reactor: ReactorReference, transport: ReactorBound<TransportContext>, host: HostIdentity,
      nexus: ReactorBound<Nexus>, surroundings: ReactorBound<VolumeSurroundings>
    ) {
      self.record = record
      self.reactor = reactor
      self.transport = transport
      self.host = host
      self.nexus = nexus
      self.surroundings = surroundings
    }
  }

  init(assignment: NexusAssignment, node: NodeContext, keeper: ReplicaKeeper, path: VolumePath) {
    self.path = path
    self.assignment = assignment
    self.node = node
    self.keeper = keeper
    past = RebuildHistory(assignment)
    uses = Mutex((Set(assignment.replicas.map(\.id)), []))
    queue = DispatchQueue(label: "keelson.volume.\(assignment.volumeID)")
    commits = DispatchQueue(label: "keelson.commit.\(assignment.volumeID)")
    lookups = DispatchQueue(label: "keelson.lookup.\(assignment.volumeID)", attributes: .concurrent)
  }

  /// Begins, and goes on trying until `stop`.
  func start() {
    queue.async {
      if let old = try? self.node.store.object(NexusStatus.self, at: Keys.nexusStatus(node: self.node.name, self.assignment.volumeID)) {
        self.past.adopt(old.object.rebuilds)
      }
      self.publish(.starting)
      self.attempt()
    }
  }

  func attempt() {
    guard serving == nil, !isStopping, !hasHandedOver else { return }
    let began = firstAttempt ?? Clock.monotonicNanoseconds()
    firstAttempt = began
    do {
      if try startNexus() {
        firstAttempt = nil
        return
      }
    } catch {
      publish(.starting, "cannot start: \(error)")
    }
    // Quick at first, since a new volume's replicas are ready in a moment; then at leisure.
    let isYoung = Clock.monotonicNanoseconds() - began < 3_000_000_000
    queue.asyncAfter(deadline: .now() + .milliseconds(isYoung ? 20 : Self.retryMilliseconds)) { self.attempt() }
  }

  // MARK: News

  /// What the nexus of a generation told of itself, on `queue`.
  func nexusChanged(_ report: NexusReport, generation: UInt64) {
    guard let serving, serving.record.generation == generation, !isStopping else { return }
    told = report
    tend()
    if report.state == .fenced {
      publish(.blocked, "another nexus owns the volume")
      return restart("another nexus owns the volume")
    }
    updatePath(serving, report)
    followForce()
    followReplicas()
    followScrub()
    publishReport()
    lookLater()
  }

  /// A node is lost to this one, as far as it can be told apart from data: its replicas' doors are looked at without waiting for their keep-alive.
  func peerLost(_ name: String) {
    queue.async { [self] in
      guard let serving, !isStopping else { return }
      for entry in serving.links where assignment.node(of: entry.replica) == name {
        let link = entry.link
        serving.reactor.post { _ in link.value.probe() }
      }
    }
  }

  /// The node reaches nobody any more, or somebody again.
  func setSecluded(_ secluded: Bool) {
    queue.async { [self] in
      guard let serving, !isStopping else { return }
      let nexus = serving.nexus
      serving.reactor.post { _ in nexus.value.setSecluded(secluded) }
    }
  }

  /// A replica can be reached, or cannot, and why.
  func replicaChanged(_ replica: ReplicaID, trouble: String?, generation: UInt64) {
    guard let serving, serving.record.generation == generation, !isStopping else { return }
    troubles[replica] = trouble
    publishReport()
  }

  /// Looks again while something is under way that the nexus does not tell of.
  private func lookLater() {
    guard !isLookDue, let told, told.rebuilds.contains(where: { $0.state == .running }) || told.scrub?.state == .running else { return }
    isLookDue = true
    queue.asyncAfter(deadline: .now() + Self.progressSeconds) { [self] in
      isLookDue = false
      guard let serving, !isStopping else { return }
      let nexus = serving.nexus
      let report = serving.reactor.call { _ in NexusReport(nexus.value) }
      nexusChanged(report, generation: serving.record.generation)
    }
  }

  // MARK: Ends

  func restart(_ why: String) {
    guard !isStopping else { return }
    node.log.write("volume \(assignment.volumeName): starting over, \(why)")
    tearDown(isInOrder: false)
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.retryMilliseconds)) { self.attempt() }
  }

  /// Ends the nexus. `body` runs when all is settled.
  func stop(then body: @escaping @Sendable () -> Void) {
    queue.async {
      self.isStopping = true
      self.tearDown(isInOrder: true)
      body()
    }
    // A store that stays away must not keep the node from ending: what waits for a commit is then never acknowledged.
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Self.stopPatienceNanoseconds)) {
      self.held.withLock { $0 }?.abandon()
    }
  }

  /// Forgets the status, after `stop`.
  func withdrawStatus() {
    queue.async { self.node.withdraw(Keys.nexusStatus(node: self.node.name, self.assignment.volumeID)) }
  }

  /// Hosts first, then the nexus with what it has under way, then its doors.
  func tearDown(isInOrder: Bool) {
    guard let serving else { return }
    self.serving = nil
    // The nexus does not own its surroundings, and has events until nothing of it is under way any more.
    withExtendedLifetime(serving) {
      if serving.isPublished { path.withdrawNexus() }
      if !isInOrder { serving.record.abandon() }
      let (nexus, surroundings) = (serving.nexus, serving.surroundings)
      _ = serving.reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
        nexus.value.shutDown { done(true) }
      }
      serving.record.abandon()
      commits.sync {}
      serving.reactor.call { _ in nexus.value.retire() }
      for entry in serving.links { close(entry.link, of: entry.replica, serving) }
      serving.reactor.call { _ in surroundings.value.nexus = nil }
    }
    told = nil
    tending.reset()
    troubles = [:]
    past.close()
    scrubs.close()
  }

  // MARK: Status

  func publish(
    _ state: NexusStatus.State, _ message: String? = nil, replicas: [NexusStatus.Replica]? = nil, rebuilds: [RebuildStatus]? = nil
  ) {
    var status = NexusStatus(
      volumeID: assignment.volumeID, state: state, message: message, generation: serving?.record.generation ?? 0,
      replicas: replicas ?? lastStatus?.replicas ?? [], rebuilds: rebuilds ?? past.all)
    // Over it is when that is written down.
    status.scrub = scrubs.status(told?.scrub)
    status.scrub?.state = .running
    status.hosts = path.hosts
    if hasHandedOver { status.handedOver = true }
    describeTending(in: &status)
    publish(status)
  }

  /// The same as before, with the hosts that are admitted now.
  func publishHosts() {
    guard var status = lastStatus else { return }
    status.hosts = path.hosts
    publish(status)
  }

  private func publish(_ status: NexusStatus) {
    if status == lastStatus { return }
    let isNews = status.state != lastStatus?.state || status.message != lastStatus?.message
    lastStatus = status
    node.publish(status, at: Keys.nexusStatus(node: node.name, assignment.volumeID))
    if isNews { node.log.write("volume \(assignment.volumeName) is \(status.state.rawValue)\(status.message.map { ": \($0)" } ?? "")") }
  }
}

/// What a nexus tells of itself, as it leaves its reactor.
struct NexusReport: Sendable {
  let state: Nexus.State
  let members: [NexusMember]
  let sizeBytes: UInt64
  let snapshots: [VolumeSnapshot]
  let rebuilds: [Rebuild]
  var scrub: Scrub?
  /// Commands that were told to look elsewhere (R12).
  let impatientCommands: UInt64
  /// It can serve nothing, and ask nobody.
  var isCutOff = false
  /// On the clock of `Rebuild`.
  let nowNanoseconds: UInt64
}

extension NexusReport {
  /// On the nexus's reactor.
  init(_ nexus: Nexus) {
    state = nexus.state
    members = nexus.members
    sizeBytes = nexus.sizeBytes
    snapshots = nexus.snapshots
    rebuilds = nexus.rebuilds
    scrub = nexus.scrub
    impatientCommands = nexus.impatientCommands
    isCutOff = nexus.isCutOff
    nowNanoseconds = Clock.monotonicNanoseconds()
  }
}

/// The nexus's way out of its reactor: commits and news go to the runner's queues.
final class VolumeSurroundings: NexusSurroundings {
  private let runner: VolumeRunner
  private let record: MembershipRecord
  private let reactor: ReactorReference
  /// Set right after the nexus is made. Strong: the nexus does not own its surroundings, and weak references would make every
  /// reference count of an object on the data path take the slow way.
  var nexus: Nexus?

  init(runner: VolumeRunner, record: MembershipRecord, reactor: ReactorReference) {
    self.runner = runner
    self.record = record
    self.reactor = reactor
  }

  let bootNanoseconds: (() -> UInt64)? = nil

  func commit(_ change: MembershipChange) {
    guard let nexus else { return }
    let bound = ReactorBound(nexus)
    let (record, reactor) = (record, reactor)
    runner.commits.async {
      let outcome = record.commit(change)
      reactor.post { _ in bound.value.membershipCommitted(outcome) }
    }
  }

  func nexusChanged() {
    guard let nexus else { return }
    let (report, generation) = (NexusReport(nexus), record.generation)
    let runner = runner
    runner.queue.async { runner.nexusChanged(report, generation: generation) }
  }
}
