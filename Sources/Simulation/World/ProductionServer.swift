import Nexus
import Pool
import Reactor

/// The nexus that ships.
final class ProductionServer: VolumeServer {
  let nexus: Nexus

  init(process: NodeProcess, configuration: NexusConfiguration, surroundings: SimulatedSurroundings) {
    nexus = Nexus(reactor: process.reactor, configuration: configuration, surroundings: surroundings)
    surroundings.committed = { [unowned nexus] in nexus.membershipCommitted($0) }
  }

  override var device: BlockDevice { nexus }
  override func replicaAppeared(_ replica: Identifier, _ door: ReplicaDoor) { _ = nexus.replicaAppeared(replica, door) }
  override func shutDown(then done: @escaping () -> Void) {
    nexus.shutDown { [nexus] in
      nexus.retire()
      done()
    }
  }
  override func prepareShutDown(then done: @escaping () -> Void) { nexus.prepareShutDown(then: done) }
  override func knows(_ replica: Identifier) -> Bool { nexus.members.contains { $0.replica == replica } }
  override var mayAnswerReads: Bool { nexus.mayAnswerReads }
  override func startScrub() { nexus.startScrub() }
  override var isScrubbing: Bool { nexus.scrub?.state == .running }
  override func removeReplica(_ replica: Identifier) { nexus.removeReplica(replica) }
  override var isFenced: Bool { nexus.state == .fenced || nexus.state == .stopped }
  override var isServing: Bool { nexus.state == .serving }
  override var isHealthy: Bool {
    nexus.state == .serving && nexus.members.allSatisfy { $0.state == .inSync } && nexus.snapshots.allSatisfy { $0.state == .ready }
  }

  override func takeSnapshot(_ id: Identifier, request: Identifier, then done: @escaping (String?) -> Void) {
    nexus.takeSnapshot(id: id, request: request) { if case .failure(let failure) = $0 { done(failure.reason) } else { done(nil) } }
  }

  override func deleteSnapshots(request: Identifier) { nexus.deleteSnapshots(request: request) }

  override func grow(toSizeBytes size: UInt64, then done: @escaping (String?) -> Void) {
    nexus.grow(volumeToSizeBytes: size) { if case .failure(let failure) = $0 { done(failure.reason) } else { done(nil) } }
  }

  override var leaving: [Identifier] {
    nexus.members.compactMap { if case .leaving = $0.state { $0.replica } else { nil } }
  }
  override var inFlight: Int { nexus.inFlight }
  override var hasPatience: Bool { true }

  override var summary: String {
    let members = nexus.members.map { "\($0.replica.description.prefix(4)) \($0.state)" }.joined(separator: ", ")
    let snapshots = nexus.snapshots.map { "\($0.id.description.prefix(4)) \($0.state)" }.joined(separator: ", ")
    return "the nexus is \(nexus.state), its replicas are \(members), its snapshots \(snapshots.isEmpty ? "none" : snapshots)"
  }
}
