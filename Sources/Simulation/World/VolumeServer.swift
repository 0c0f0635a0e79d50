import Nexus
import Pool
import Reactor

/// What serves a volume in one process of the world.
class VolumeServer {
  /// Takes the hosts' commands.
  var device: BlockDevice { preconditionFailure("device is not implemented") }
  func replicaAppeared(_ replica: Identifier, _ door: ReplicaDoor) { preconditionFailure("replicaAppeared is not implemented") }
  /// Ends in order, and tells when nothing is under way and what it held was given back.
  func shutDown(then done: @escaping () -> Void) { preconditionFailure("shutDown is not implemented") }
  /// Does as much of that as goes while commands are carried out.
  func prepareShutDown(then done: @escaping () -> Void) { done() }
  func startScrub() { preconditionFailure("startScrub is not implemented") }
  var isScrubbing: Bool { false }
  func removeReplica(_ replica: Identifier) { preconditionFailure("removeReplica is not implemented") }
  /// Whether it has not let go of a replica that it was to let go of.
  func knows(_ replica: Identifier) -> Bool { true }
  /// A read whose data came now would be answered.
  var mayAnswerReads: Bool { false }
  /// Nothing will ever be served again: another nexus has taken over.
  var isFenced: Bool { false }
  /// Commands are carried out now.
  var isServing: Bool { false }
  /// Every replica is in the set and equal, and nothing is running in the background.
  var isHealthy: Bool { false }
  /// Replicas that are to leave the set, whether or not the store knows.
  var leaving: [Identifier] { [] }
  /// Takes a snapshot; told when it is ready, or was given up, and why.
  func takeSnapshot(_ id: Identifier, request: Identifier, then done: @escaping (String?) -> Void) { done("it cannot") }
  func deleteSnapshots(request: Identifier) {}
  func grow(toSizeBytes size: UInt64, then done: @escaping (String?) -> Void) { done("it cannot") }
  /// Commands under way inside.
  var inFlight: Int { 0 }
  /// Ends commands that have waited too long (R12).
  var hasPatience: Bool { false }
  /// For reports of what hangs.
  var summary: String { "" }
}

/// How servers are made: the reactor is the process's, the configuration what the store said.
typealias ServerMaker = (NodeProcess, NexusConfiguration, SimulatedSurroundings) -> VolumeServer

/// Serves from one replica and knows no other: what the world is tried out with.
final class PassingServer: VolumeServer {
  private let passage: Passage

  init(process: NodeProcess, configuration: NexusConfiguration) {
    passage = Passage(process: process, configuration: configuration)
  }

  override var device: BlockDevice { passage }
  override func replicaAppeared(_ replica: Identifier, _ door: ReplicaDoor) { passage.replicaAppeared(replica, door) }
  override var isServing: Bool { passage.isServing }
  override var isHealthy: Bool { passage.isServing }
  override var inFlight: Int { passage.inFlight }
  /// It has nothing to give back.
  override func shutDown(then done: @escaping () -> Void) { done() }

  private final class Passage: BlockDevice {
    private let process: NodeProcess
    private let claim: ReplicaClaim
    private var door: ReplicaDoor?
    private var waiting: [(request: BlockRequest, client: BlockClient)] = []
    private var running: [Int: (token: UInt64, client: BlockClient)] = [:]
    private var nextNumber = 0
    private(set) var isServing = false

    init(process: NodeProcess, configuration: NexusConfiguration) {
      self.process = process
      claim = configuration.claim
      super.init(sizeBytes: configuration.sizeBytes, blockSizeBytes: configuration.blockSizeBytes)
    }

    var inFlight: Int { running.count + waiting.count }

    func replicaAppeared(_ replica: Identifier, _ door: ReplicaDoor) {
      guard replica == claim.inSync[0] else { return }
      self.door = door
      isServing = false
      door.sessionEnded = { [weak self] _ in self?.isServing = false }
      door.ask(.claim(claim)) { [weak self] answer in
        guard let self, case .success = answer, self.door === door else { return }
        isServing = true
        next()
      }
    }

    private func next() {
      guard isServing, running.isEmpty, !waiting.isEmpty else { return }
      let entry = waiting.removeFirst()
      submit(entry.request, for: entry.client)
    }

    override func submit(_ request: BlockRequest, for client: BlockClient) {
      // One at a time, so that overlapping ones keep their order.
      guard isServing, let door, running.isEmpty else { return waiting.append((request, client)) }
      nextNumber += 1
      running[nextNumber] = (request.token, client)
      var own = request
      own.token = UInt64(nextNumber)
      door.submit(own, for: self)
    }

    override func discardUnstarted(of client: BlockClient) {
      let gone = waiting.filter { $0.client === client }
      waiting.removeAll { $0.client === client }
      for entry in gone { process.enqueue { entry.client.blockRequestCompleted(token: entry.request.token, status: .aborted) } }
    }

    override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
      guard let entry = running.removeValue(forKey: Int(token)) else { return }
      entry.client.blockRequestCompleted(token: entry.token, status: status)
      next()
    }
  }
}
