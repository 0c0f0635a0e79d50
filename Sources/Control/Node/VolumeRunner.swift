import Foundation
import Host
import NVMe
import Nexus
import Reactor
import Synchronization
import Target

/// Runs one volume's nexus on this node: claims, connects, serves, stops, and starts over when it had to stop.
///
/// All state belongs to `queue`; every volume has its own, so that one that waits for a node keeps no other waiting.
final class VolumeRunner: @unchecked Sendable {
  /// How long a start waits for replicas that were in sync before it goes on without them.
  static let graceNanoseconds: UInt64 = 20_000_000_000
  static let retryMilliseconds = 500
  /// How long a stop waits for the store to commit what commands depend on.
  static let stopPatienceNanoseconds = 6_000_000_000

  let node: NodeContext
  let keeper: ReplicaKeeper
  let queue: DispatchQueue
  /// Apart from `queue`: a stop waits for commands, and those may wait for a commit.
  let commits: DispatchQueue
  var assignment: NexusAssignment
  var serving: Serving?
  /// The last claim made, for a start that has to be tried again, and for a stop that cannot wait for the store.
  let held = Mutex<MembershipRecord?>(nil)
  private var isStopping = false
  private var firstAttempt: UInt64?
  private var lastStatus: NexusStatus?

  /// A nexus in service.
  struct Serving {
    let record: MembershipRecord
    let reactor: ReactorReference
    let nexus: ReactorBound<Nexus>
    let surroundings: ReactorBound<VolumeSurroundings>
    let remotes: [ReactorBound<RemoteController>]
    let doors: ReactorBound<[PlainDoor]>
  }

  init(assignment: NexusAssignment, node: NodeContext, keeper: ReplicaKeeper) {
    self.assignment = assignment
    self.node = node
    self.keeper = keeper
    queue = DispatchQueue(label: "keelson.volume.\(assignment.volumeID)")
    commits = DispatchQueue(label: "keelson.commit.\(assignment.volumeID)")
  }

  var name: QualifiedName { QualifiedName(NQN.volume(assignment.volumeID))! }

  /// Begins, and goes on trying until `stop`.
  func start() {
    queue.async {
      self.publish(.starting)
      self.attempt()
    }
  }

  func attempt() {
    guard serving == nil, !isStopping else { return }
    let began = firstAttempt ?? Clock.monotonicNanoseconds()
    firstAttempt = began
    do {
      if try startNexus(waitedNanoseconds: Clock.monotonicNanoseconds() - began) {
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

  /// What the nexus of a generation told of itself, on `queue`.
  func nexusChanged(_ state: Nexus.State, _ members: [NexusMember], generation: UInt64) {
    guard let serving, serving.record.generation == generation else { return }
    switch state {
    case .starting, .stopped: break
    case .serving: publishMembers(members, generation: serving.record.generation)
    case .blocked(let reason):
      publish(.blocked, reason)
      restart("it has no replica left")
    case .fenced:
      publish(.blocked, "another nexus owns the volume")
      restart("another nexus owns the volume")
    }
  }

  private func restart(_ why: String) {
    guard !isStopping else { return }
    node.log.write("volume \(assignment.volumeName): starting over, \(why)")
    tearDown(isClean: false)
    queue.asyncAfter(deadline: .now() + .milliseconds(Self.retryMilliseconds)) { self.attempt() }
  }

  /// Ends the nexus; with `isClean` its members are known to be equal. `body` runs when all is settled.
  func stop(then body: @escaping @Sendable () -> Void) {
    queue.async {
      self.isStopping = true
      self.tearDown(isClean: true)
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

  private func tearDown(isClean: Bool) {
    guard let serving else { return }
    self.serving = nil
    // The nexus does not own its surroundings, and has events until it is retired.
    withExtendedLifetime(serving) {
      node.target.remove(name)
      if isClean { commitCleanStop(serving) }
      serving.record.abandon()
      commits.sync {}
      for remote in serving.remotes { close(remote) }
      serving.reactor.call { _ in
        serving.nexus.value.retire()
        for door in serving.doors.value { door.close() }
      }
    }
  }

  /// Says that the members are equal, if they are: all hosts are gone and their commands settled; what the members hold is
  /// flushed, so that they are still equal after a loss of power.
  private func commitCleanStop(_ serving: Serving) {
    let flush = FinalFlush()
    // Devices keep no reference to their clients.
    let status = withExtendedLifetime(flush) {
      serving.reactor.callAsynchronously { (_, done: @escaping @Sendable (BlockStatus) -> Void) in
        flush.submit(to: serving.nexus.value, done)
      }
    }
    guard status == .success else {
      node.log.write("volume \(assignment.volumeName): could not be flushed at its stop (\(status)); the stop counts as unclean")
      return
    }
    let (state, members) = serving.reactor.call { _ in (serving.nexus.value.state, serving.nexus.value.members) }
    let isWhole = members.allSatisfy { if case .leaving = $0.state { false } else { true } }
    guard state == .serving, isWhole else { return }
    let equal = members.filter { $0.state == .inSync }.compactMap { ReplicaID($0.replica.description) }
    _ = serving.record.commit(members: equal, leaving: [], isClean: true)
  }

  // MARK: Status

  func publishMembers(_ members: [NexusMember], generation: UInt64) {
    let states = Dictionary(uniqueKeysWithValues: members.map { ($0.replica.description, $0.state) })
    let absent = absentReasons()
    var replicas: [NexusStatus.Replica] = []
    for replica in assignment.replicas {
      switch states[replica.id.description] {
      case .inSync: replicas.append(.init(id: replica.id, node: replica.node, state: .inSync))
      case .syncing, .joining: replicas.append(.init(id: replica.id, node: replica.node, state: .out, reason: "resynchronising"))
      case .unreached(let reason), .leaving(let reason), .out(let reason):
        replicas.append(.init(id: replica.id, node: replica.node, state: .out, reason: reason))
      case nil:
        replicas.append(.init(id: replica.id, node: replica.node, state: .out, reason: absent[replica.id] ?? "not in sync"))
      }
    }
    let missing = replicas.filter { $0.state != .inSync }
    // Which and why is in `replicas`; this is what it means.
    let message = missing.isEmpty ? nil : "what left the in-sync set stays out until resynchronisation is available"
    publish(missing.isEmpty ? .healthy : .degraded, message, generation: generation, replicas: replicas)
  }

  private func absentReasons() -> [ReplicaID: String] {
    guard let record = try? node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID)) else { return [:] }
    return Dictionary(record.object.out.map { ($0.id, $0.reason) }) { $1 }
  }

  func publish(
    _ state: NexusStatus.State, _ message: String? = nil, generation: UInt64 = 0, replicas: [NexusStatus.Replica]? = nil
  ) {
    let status = NexusStatus(
      volumeID: assignment.volumeID, state: state, message: message, generation: generation,
      replicas: replicas ?? lastStatus?.replicas ?? [])
    if status == lastStatus { return }
    lastStatus = status
    node.publish(status, at: Keys.nexusStatus(node: node.name, assignment.volumeID))
    node.log.write("volume \(assignment.volumeName) is \(state.rawValue)\(message.map { ": \($0)" } ?? "")")
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
    let members = change.members.compactMap { ReplicaID($0.description) }
    let leaving = change.leaving.compactMap { absence in
      ReplicaID(absence.replica.description).map { (replica: $0, reason: absence.reason) }
    }
    runner.commits.async {
      let outcome = record.commit(members: members, leaving: leaving, isClean: false)
      reactor.post { _ in bound.value.membershipCommitted(outcome) }
    }
  }

  func nexusChanged() {
    guard let nexus else { return }
    let (state, members, generation) = (nexus.state, nexus.members, record.generation)
    let runner = runner
    runner.queue.async { runner.nexusChanged(state, members, generation: generation) }
  }
}

/// One flush of a device, on its reactor.
private final class FinalFlush: BlockClient, @unchecked Sendable {
  private var completion: ((BlockStatus) -> Void)?

  func submit(to device: BlockDevice, _ completion: @escaping (BlockStatus) -> Void) {
    self.completion = completion
    unsafe device.submit(BlockRequest(.flush, token: 0), for: self)
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) { completion?(status) }
}
