import Testing

@testable import Simulation

/// The checks find what they are for: each error, planted into the nexus or the gates, is caught by some of the first seeds, or by a
/// story that leads to it.
@Suite struct PlantedBugTests {
  private static let rare: [PlantedBug] = [
    .clearsUncopied, .trustsRolledBack, .readsWithoutLease, .dropsReentered, .answersBeforeSettled, .forgetsLeases,
    .recordsInParts, .trustsUnseenRecords,
  ]

  /// Seeds that have found an error before, to be tried first.
  private static let hints: [PlantedBug: [UInt64]] = [
    .acknowledgesUncommitted: [9, 11, 12], .skipsActivityLog: [4, 56, 62], .dropsRangeLocks: [1, 3, 4], .forgetsDeparted: [12, 35, 42],
    .trustsLostCaches: [109, 319, 386, 439], .acceptsOldGenerations: [146, 166, 348, 413],
    .readyBeforeTaken: [2, 7, 19], .snapshotsWithoutPause: [7, 19, 30], .skipsRestoring: [34, 40, 47],
  ]

  @Test(arguments: PlantedBug.allCases.filter { !rare.contains($0) }) func `is caught by a seed`(bug: PlantedBug) {
    for seed in (Self.hints[bug] ?? []) + Array(1...400) {
      guard SimulationRun(seed: seed, bug: bug).run().failure != nil else { continue }
      let honest = SimulationRun(seed: seed).run().failure
      #expect(honest == nil, "seed \(seed) fails without the error, too")
      return
    }
    Issue.record("400 seeds did not find it")
  }

  @Test(arguments: rare) func `is caught by a story`(bug: PlantedBug) {
    #expect(tell(bug, isPlanted: true) != nil)
    #expect(tell(bug, isPlanted: false) == nil)
  }

  private func tell(_ bug: PlantedBug, isPlanted: Bool) -> String? {
    switch bug {
    case .trustsRolledBack: rolledBack(isPlanted ? bug : nil)
    case .clearsUncopied: cutOffWhileCopied(isPlanted ? bug : nil)
    case .readsWithoutLease: isolated(isPlanted ? bug : nil)
    case .forgetsLeases: lateReply(isPlanted ? bug : nil)
    case .dropsReentered: enteredAgain(isPlanted ? bug : nil)
    case .recordsInParts: RecordScenarioTests.cutShortSomewhere(isPlanted ? bug : nil)
    case .trustsUnseenRecords:
      RecordScenarioTests.unheardAnywhere(isPlanted ? bug : nil) ?? RecordScenarioTests.handedOn(isPlanted ? bug : nil)
    default: stuck(isPlanted ? bug : nil)
    }
  }

  /// A returning replica is lost again when half of its regions are copied and taken off the record.
  private func cutOffWhileCopied(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 2, sizeBytes: 512 << 10, regionBytes: 4 << 10, bug: bug)
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.cluster.killNode(1)
    scene.wait { scene.set == [0] }
    for first in stride(from: 0, to: 1024, by: 64) { scene.run(.write, first..<first + 64) }
    scene.wait(seconds: 6)
    scene.disk(1).faults.latencyNanoseconds = 5_000_000...20_000_000
    scene.cluster.startNode(1)
    let missed = { scene.disk(0).metadata.missed.first.map { $0.regions.count } ?? 0 }
    scene.wait { missed() > 100 }
    scene.wait { missed() < 100 }
    scene.isolate(1)
    scene.wait(seconds: 10)
    scene.isolate(1, false)
    return scene.end()
  }

  /// A member's pool is replaced while nothing serves.
  private func rolledBack(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 3, minInSync: 2, bug: bug)
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.run(.write, 0..<8)
    // Time for the region to leave the log.
    scene.wait(seconds: 5)
    scene.cluster.killNode(0)
    scene.cluster.killNode(1)
    scene.disk(1).replace(by: nil)
    scene.cluster.startNode(0)
    scene.cluster.startNode(1)
    scene.startNexus(1)
    return scene.end()
  }

  /// A nexus that is cut off goes on being asked while its successor serves; nothing tells it so for a long time.
  private func isolated(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 3, minInSync: 2, bug: bug)
    scene.cluster.network.nexusPatienceNanoseconds = 60_000_000_000...60_000_000_001
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.run(.write, 0..<8)
    scene.isolate(0)
    guard let next = scene.startNexus(1) else { return "no nexus started" }
    scene.wait { next.server.isServing }
    scene.run(.write, 0..<8, on: 1)
    _ = scene.send(.read, 0..<8, on: 0)
    scene.wait(seconds: 1)
    return scene.end()
  }

  /// The reply to a read is on its way while another nexus takes over; it comes when that has changed what was read.
  private func lateReply(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 3, firstSet: 2, bug: bug)
    // The nexus's own replica never joins.
    scene.disk(2).faults.flushErrorPercent = 100
    scene.disk(0).faults.latencyNanoseconds = 50_000_000...50_000_001
    scene.startNexus(2)
    scene.wait { scene.isServing }
    scene.run(.write, 0..<8, on: 2)
    scene.run(.read, 0..<8, on: 2)
    let running = { scene.cluster.nodes[0].storage?.runningCount ?? 0 }
    scene.wait { running() == 0 }
    _ = scene.send(.read, 0..<8, on: 2)
    scene.wait(seconds: 1) { running() == 1 }
    scene.isolate(2)
    scene.wait(seconds: 1) { running() == 0 }
    scene.disk(0).faults.latencyNanoseconds = 20_000...40_000
    guard let next = scene.startNexus(1) else { return "no nexus started" }
    scene.wait(seconds: 5) { next.server.isServing }
    scene.run(.write, 0..<8, on: 1)
    scene.isolate(2, false)
    scene.wait(seconds: 1)
    scene.disk(2).faults.flushErrorPercent = 0
    return scene.end()
  }

  /// A region is written to again while it is on its way out of the log; then the power of one copy fails.
  private func enteredAgain(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 2, bug: bug)
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.run(.write, 0..<8)
    scene.disk(1).faults.latencyNanoseconds = 1_000_000_000...1_000_000_001
    // The flush before the drop is under way.
    scene.wait { scene.cluster.nodes[1].storage?.runningCount == 1 }
    scene.disk(1).faults.latencyNanoseconds = 20_000...400_000
    scene.run(.write, 0..<8)
    scene.wait(seconds: 1.2)
    scene.cluster.killNode(1, losingPower: true)
    return scene.end()
  }

  /// An old write hangs in a disk while the next nexus begins.
  private func stuck(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 3, minInSync: 2, bug: bug)
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.disk(2).faults.sticksNextWrite = true
    let old = scene.send(.write, 0..<8, on: 0)
    scene.wait { scene.held(1, 0) == old && scene.cluster.nodes[2].storage?.runningCount == 1 }
    scene.isolate(0)
    guard let next = scene.startNexus(1) else { return "no nexus started" }
    scene.wait(seconds: 25) { next.server.isServing }
    if next.server.isServing { scene.run(.write, 0..<8, on: 1) }
    scene.unstick(2)
    scene.wait(seconds: 5)
    return scene.end()
  }
}
