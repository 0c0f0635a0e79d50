import Testing

@testable import Pool

/// Thousands of runs in one process: each must let go of what it held.
@Suite struct LettingGoTests {
  private final class Watch {
    weak var simulation: PoolSimulation?
    weak var engine: PoolEngine?
    weak var disk: SimulatedDisk?
    init(_ simulation: PoolSimulation) { (self.simulation, engine, disk) = (simulation, simulation.engine, simulation.disk) }
    var isLetGo: Bool { simulation == nil && engine == nil && disk == nil }
    var text: String { "simulation \(simulation != nil), engine \(engine != nil), disk \(disk != nil)" }
  }

  @Test(arguments: [0, 1, 2, 3]) func `a run that is over holds nothing`(kind: Int) {
    for seed in 0..<8 as Range<UInt64> {
      var watches: [Watch] = []
      do {
        let simulation = PoolSimulation(seed: seed, options: .init(suite: "LettingGoTests", clusterCount: 14))
        watches.append(Watch(simulation))
        simulation.run(.create)
        for _ in 0..<4 { simulation.runRound() }
        if kind == 1 { simulation.checkContents(); simulation.checkRecovery() }
        if kind >= 2 {
          simulation.begin(requests: 4, changes: 2)
          simulation.crash(keepsCache: kind == 2)
          watches.append(Watch(simulation))
          simulation.finishRecovery()
          simulation.runRound()
        }
      }
      for (index, watch) in watches.enumerated() { #expect(watch.isLetGo, "seed \(seed), process \(index): \(watch.text) remain") }
    }
  }
}
