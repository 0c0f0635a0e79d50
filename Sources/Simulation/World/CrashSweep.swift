import Reactor

/// One short life of a volume, again and again, with a crash after every event of it and another after events of the recovery.
public struct CrashSweep {
  /// What ends at the crash.
  enum Crash: CaseIterable {
    /// The process of the nexus and of one replica.
    case nexus
    case nexusPower
    /// A replica the nexus is not with.
    case replica
    case replicaPower
  }

  public struct Outcome: Sendable {
    public var lives = 0
    public var failures: [String] = []
  }

  let replicas: Int
  /// Crash after every such event.
  let step: Int
  /// And a second time after every such event of the recovery.
  let secondStep: Int

  public init(replicas: Int, step: Int = 1, secondStep: Int = 16) {
    self.replicas = replicas
    self.step = step
    self.secondStep = secondStep
  }

  /// Events of a recovery that are of interest for a second crash.
  private static let recoveryEvents = 320

  public func run() -> Outcome {
    var outcome = Outcome()
    let events = scriptEvents
    for crash in Crash.allCases {
      var first = 1
      while first <= events {
        for second in [nil] + stride(from: 1, to: Self.recoveryEvents, by: secondStep).map(Optional.some) {
          outcome.lives += 1
          if let failure = life(crash, first, second) {
            outcome.failures.append(
              "\(replicas) replicas, \(crash) at event \(first), again at \(second.map(String.init) ?? "none"): \(failure)")
            if outcome.failures.count == 5 { return outcome }
          }
        }
        first += step
      }
    }
    return outcome
  }

  private func makeScene(_ seed: UInt64) -> Scene {
    let scene = Scene(replicas: replicas, minInSync: replicas == 3 ? 2 : 1, seed: seed, sizeBytes: 64 << 10, regionBytes: 8 << 10)
    for node in scene.cluster.nodes {
      node.disk.faults.keepPercent = 50
      node.disk.faults.afterDeathPercent = 50
    }
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.run(.write, 0..<32)
    return scene
  }

  private static let script: [(operation: BlockOperation, sectors: Range<Int>)] = [
    (.write, 0..<8), (.write, 4..<12), (.read, 0..<16), (.flush, 0..<0), (.write, 8..<24), (.deallocate, 0..<8), (.write, 64..<72),
    (.read, 0..<24),
    (.writeZeroes, 16..<24), (.write, 16..<17), (.flush, 0..<0), (.write, 0..<8),
  ]

  private func sendScript(_ scene: Scene) {
    guard let host = scene.host() else { return }
    for (index, entry) in Self.script.enumerated() {
      scene.world.after(UInt64(index / 3) * 300_000) { host.send(entry.operation, entry.sectors) }
    }
  }

  /// How many events the script makes when nothing goes wrong.
  private var scriptEvents: Int {
    let scene = makeScene(1)
    let start = scene.world.eventCount
    sendScript(scene)
    scene.wait(seconds: 0.02)
    return scene.world.eventCount - start
  }

  private func life(_ crash: Crash, _ first: Int, _ second: Int?) -> String? {
    let scene = makeScene(UInt64(first))
    let world = scene.world
    let start = world.eventCount
    sendScript(scene)
    scene.wait(seconds: 1) { world.eventCount >= start + first }
    let victim = crash == .nexus || crash == .nexusPower ? 0 : 1
    end(scene, victim, losingPower: crash == .nexusPower || crash == .replicaPower)
    if let second {
      let crashed = world.eventCount
      scene.wait(seconds: 30) { world.eventCount >= crashed + second }
      if let latest = scene.cluster.latest { end(scene, latest.process.node, losingPower: false) }
    }
    return scene.end()
  }

  private func end(_ scene: Scene, _ node: Int, losingPower: Bool) {
    let cluster = scene.cluster
    let wasServing = cluster.latest?.process.node == node
    cluster.killNode(node, losingPower: losingPower)
    scene.world.after(400_000_000) { cluster.startNode(node) }
    if wasServing { cluster.startNexus(on: (node + 1) % replicas) }
  }
}
