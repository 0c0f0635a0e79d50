import Glibc
import Testing

@testable import Pool

/// Random operations against the model, and power losses and kills at any moment. One seed replays:
/// `KEELSON_SEED=17 swift test --filter PowerLossTests`; `KEELSON_SEEDS=1000` runs more.
@Suite struct PowerLossTests {
  /// The seeds to run: one, or the first `count`, or as many as asked for.
  static func seeds(_ count: Int) -> [UInt64] {
    if let seed = unsafe getenv("KEELSON_SEED").flatMap({ UInt64(unsafe String(cString: $0)) }) { return [seed] }
    let asked = unsafe getenv("KEELSON_SEEDS").flatMap { Int(unsafe String(cString: $0)) }
    return (1...UInt64(asked ?? count)).map { $0 }
  }

  @Test func `random operations act as on the model`() {
    for seed in Self.seeds(60) {
      let simulation = PoolSimulation(seed: seed)
      simulation.runChange()
      for _ in 0..<60 {
        if Int.random(in: 0..<4, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
      }
      simulation.checkContents()
      simulation.checkRecovery()
    }
  }

  @Test func `storage that cannot zero never shows debris`() {
    for seed in Self.seeds(20) {
      let simulation = PoolSimulation(seed: seed, options: .init(canZero: false))
      for _ in 0..<50 {
        if Int.random(in: 0..<4, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
      }
      simulation.checkContents()
      simulation.checkRecovery()
    }
  }

  @Test(arguments: [true, false]) func `kills and power losses in a row`(canZero: Bool) {
    for seed in Self.seeds(30) {
      let simulation = PoolSimulation(seed: seed &+ (canZero ? 0 : 100_000), options: .init(canZero: canZero))
      for _ in 0..<5 {
        for _ in 0..<10 {
          if Int.random(in: 0..<3, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
        }
        simulation.beginBatch()
        simulation.crash(keepsCache: Int.random(in: 0..<4, using: &simulation.generator) == 0)
        simulation.checkContents()
      }
    }
  }

  @Test func `a power loss at any moment`() {
    for seed in Self.seeds(1) {
      let simulation = PoolSimulation(seed: seed &+ 500_000)
      simulation.samplesPerEvent = 2
      for _ in 0..<16 {
        if Int.random(in: 0..<3, using: &simulation.generator) == 0 { simulation.runChange() } else { simulation.runBatch() }
      }
    }
  }
}
