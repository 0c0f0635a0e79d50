import Pool
import Reactor
import Testing

@testable import Nexus
@testable import Simulation

/// Stories about volumes that are rebuilt at the same time, on one node.
@Suite struct BudgetScenarioTests {
  /// A store that does what it is asked, soon.
  private final class Surroundings: NexusSurroundings {
    let process: NodeProcess
    let world: World
    var version: UInt64 = 1
    var committed: (MembershipOutcome) -> Void = { _ in }

    init(_ world: World, _ process: NodeProcess) {
      self.world = world
      self.process = process
    }

    var bootNanoseconds: (() -> UInt64)? { { [process] in process.bootNanoseconds } }
    func nexusChanged() {}
    func commit(_ change: MembershipChange) {
      version += 1
      let outcome = MembershipOutcome.committed(setVersion: version, storeRevision: version)
      world.after(1_000_000, in: process) { [self] in committed(outcome) }
    }
  }

  /// A volume with one replica that holds data everywhere, and one that is new.
  private final class Volume {
    static let sizeBytes: UInt64 = 4 << 20
    let disks: [ReplicaDisk]
    let gates: [ReplicaGate]
    let nexus: Nexus
    private let storages: [SimulatedStorage]
    private let surroundings: Surroundings

    init(_ world: World, _ process: NodeProcess, _ budget: RebuildBudget) {
      disks = (0..<2).map { node in
        ReplicaDisk(
          id: .random(using: &world.generator), node: node, sizeBytes: Self.sizeBytes, regionBytes: 64 << 10, maximumHotRegions: 64,
          isWriteThrough: false, rangesPerRecord: 96)
      }
      for sector in disks[0].current.indices {
        disks[0].write(sector: sector, Stamp.value(operation: sector, sector: sector), durably: true)
      }
      let bootID = Identifier.random(using: &world.generator)
      storages = disks.map { SimulatedStorage(disk: $0, world: world, process: process, bootID: bootID) }
      gates = storages.map {
        ReplicaGate(
          storage: $0, reactor: process.reactor, incarnation: process.incarnation, leaseNanoseconds: 2_000_000_000,
          bootNanoseconds: { process.bootNanoseconds })
      }
      surroundings = Surroundings(world, process)
      let claim = ReplicaClaim(
        generation: 1, setVersion: 1, nexusID: .random(using: &world.generator), inSync: [disks[0].id], storeRevision: 1)
      nexus = Nexus(
        reactor: process.reactor, configuration: NexusConfiguration(sizeBytes: Self.sizeBytes, blockSizeBytes: 512, claim: claim),
        surroundings: surroundings, budget: budget)
      surroundings.committed = { [unowned nexus] in nexus.membershipCommitted($0) }
      nexus.replicaAppeared(disks[0].id, gates[0].makeSession())
    }

    func addReplica() { nexus.replicaAppeared(disks[1].id, gates[1].makeSession()) }

    var copied: UInt64 { nexus.rebuilds.last?.bytesDone ?? 0 }
    var isHealthy: Bool { nexus.state == .serving && nexus.members.count == 2 && nexus.members.allSatisfy { $0.state == .inSync } }

    func dispose() {
      for storage in storages { storage.dispose() }
      surroundings.committed = { _ in }
    }
  }

  private struct Course {
    var mostAtOnce = 0
    /// When the first of them was done: how far the other was.
    var otherBytes: UInt64 = 0
    var seconds = 0.0
    var areEqual = false
  }

  private func rebuildBoth(_ budget: RebuildBudget) throws -> Course {
    let world = World(seed: 1)
    defer { world.dispose() }
    let process = world.startProcess(node: 0, maximumDriftPartsPerMillion: 0)
    let volumes = (0..<2).map { _ in Volume(world, process, budget) }
    defer { for volume in volumes { volume.dispose() } }
    try #require(world.run(until: { volumes.allSatisfy { $0.nexus.state == .serving } }, limitNanoseconds: 30_000_000_000))
    for volume in volumes { process.enqueue { volume.addReplica() } }
    var course = Course()
    let began = world.now
    world.run(
      until: {
        course.mostAtOnce = max(course.mostAtOnce, budget.governor.inFlight)
        if course.otherBytes == 0, let done = volumes.firstIndex(where: \.isHealthy) { course.otherBytes = volumes[1 - done].copied }
        return volumes.allSatisfy(\.isHealthy)
      }, limitNanoseconds: 600_000_000_000)
    course.seconds = Double(world.now - began) / 1e9
    course.areEqual = volumes.allSatisfy { $0.isHealthy && $0.disks[0].current == $0.disks[1].current }
    #expect(world.violation == nil)
    return course
  }

  @Test func `two rebuilds copy no more at once than one may`() throws {
    let budget = RebuildBudget()
    let course = try rebuildBoth(budget)
    #expect(course.areEqual)
    #expect(course.mostAtOnce == budget.limits.copies, "\(course)")
    // Neither waits for the other's end.
    #expect(course.otherBytes > Volume.sizeBytes / 2, "\(course)")
  }

  @Test func `two rebuilds share the bandwidth of their node`() throws {
    let free = try rebuildBoth(RebuildBudget())
    let bytesPerSecond: UInt64 = 1 << 20
    let bound = try rebuildBoth(RebuildBudget(bandwidth: RebuildBudget.Bandwidth(bytesPerSecond: bytesPerSecond)))
    #expect(bound.areEqual)
    // What both copy, but for what is under way at once, takes so long at least, and not much longer.
    let least = Double(2 * Volume.sizeBytes - (2 << 20)) / Double(bytesPerSecond)
    #expect(bound.seconds >= least && bound.seconds < 2 * Double(2 * Volume.sizeBytes) / Double(bytesPerSecond), "\(bound)")
    #expect(free.seconds < bound.seconds / 2, "\(free)")
    #expect(bound.otherBytes > Volume.sizeBytes / 2, "\(bound)")
  }
}
