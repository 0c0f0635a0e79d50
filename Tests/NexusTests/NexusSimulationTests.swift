import Glibc
import Reactor
import Testing

@testable import Nexus

/// Thousands of random lives of a nexus. `KEELSON_SEED=n` repeats one of them.
@Suite(.serialized) struct NexusSimulationTests {
  /// Small arenas; always awake, as the events of a run are never far away.
  private static func makeReactor() throws -> Reactor {
    try Reactor(configuration: Reactor.Configuration(arenaBytes: 2 << 20, spinNanoseconds: 1_000_000_000))
  }

  private static var chosenSeed: UInt64? {
    unsafe getenv("KEELSON_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
  }

  @Test func `keeps its rules in thousands of random lives`() throws {
    var reactor = try Self.makeReactor()
    let seeds = Self.chosenSeed.map { $0...$0 } ?? 1...3_000
    var endings: [BlockStatus: Int] = [:]
    var failures = 0
    var returns = 0
    var joins = 0
    for seed in seeds {
      let simulation = NexusSimulation(seed: seed, reactor: reactor)
      if let violation = simulation.run() {
        Issue.record("seed \(seed): \(violation). Again: KEELSON_SEED=\(seed) swift test --filter NexusSimulationTests")
        failures += 1
        if failures == 5 { return }
        // The broken life has left its things behind.
        reactor = try Self.makeReactor()
      }
      returns += simulation.returns
      joins += simulation.surroundings.commits.count { !$0.joining.isEmpty }
      for (status, count) in simulation.endings { endings[status, default: 0] += count }
    }
    if seeds.count > 1 {
      // The lives are not dull: all these ends were seen.
      for status in [BlockStatus.success, .outOfRange, .readFault, .writeFault, .capacityExceeded, .aborted, .inaccessible] {
        #expect(endings[status, default: 0] > 0, "\(status)")
      }
      #expect(returns > 100 && joins > 100, "\(returns) returns, \(joins) joins")
    }
  }

  @Test(arguments: [FakeMember.Lie.loseChange(after: 3), .misplaceChange(after: 2), .readNothing(after: 2)])
  func `finds out a member that lies`(lie: FakeMember.Lie) throws {
    let reactor = try Self.makeReactor()
    var caught = 0
    for seed in 1...40 where NexusSimulation(seed: UInt64(seed), reactor: reactor, lie: lie).run() != nil { caught += 1 }
    #expect(caught >= 10)
  }

  @Test func `repeats a life exactly`() throws {
    let reactor = try Self.makeReactor()
    for seed in 1...60 {
      let first = NexusSimulation(seed: UInt64(seed), reactor: reactor)
      // Those wait for real time.
      if first.plan.hasReturns || first.plan.dropsEagerly { continue }
      _ = first.run()
      let second = NexusSimulation(seed: UInt64(seed), reactor: reactor)
      _ = second.run()
      for (one, other) in zip(first.members, second.members) {
        #expect(one.submitted.map(\.offsetBytes) == other.submitted.map(\.offsetBytes))
        #expect(one.hasSameBytes(as: other))
      }
    }
  }
}
