import Pool
import Reactor

/// Short lives of a volume, again and again, with a crash after every event of them and another after events of the recovery.
public struct CrashSweep {
  /// What happens in a life.
  public enum Schedule: String, CaseIterable, Sendable {
    /// Commands that overlap.
    case commands
    /// The last replica comes back and has missed something, while there are commands.
    case comeback
    /// In place of the last replica comes a new one, which lacks what is in many ranges.
    case replacement
    /// A snapshot and a growth, while there are commands.
    case snapshot
    /// A planned move, while there are commands.
    case move
  }

  /// What ends at the crash.
  enum Crash: CaseIterable {
    /// The process of the nexus and of one replica.
    case nexus
    case nexusPower
    /// A replica the nexus is not with.
    case replica
    case replicaPower

    var losesPower: Bool { self == .nexusPower || self == .replicaPower }
    var node: Int { self == .nexus || self == .nexusPower ? 0 : 1 }
  }

  public struct Outcome: Sendable {
    public var lives = 0
    /// Events of the life after each of which there was a crash, or after every so many.
    public var events = 0
    public var failures: [String] = []
  }

  let schedule: Schedule
  let replicas: Int
  /// Crash after every such event.
  let step: Int
  /// And a second time after every such event of the recovery, from another one on for each of the first: together these are all events of a
  /// recovery.
  let secondStep: Int

  public init(_ schedule: Schedule, replicas: Int, step: Int = 1, secondStep: Int = 320) {
    self.schedule = schedule
    self.replicas = replicas
    self.step = step
    self.secondStep = secondStep
  }

  /// Events of a recovery that are of interest for a second crash.
  private static let recoveryEvents = 320
  /// Where a life is longer than this it is over: what comes then is rest.
  private static let maximumEvents = 2_000

  public func run() -> Outcome {
    var outcome = Outcome()
    outcome.events = scriptEvents
    for (kind, crash) in Crash.allCases.enumerated() where isBearable(crash) {
      var first = 1
      while first <= outcome.events {
        let offset = 1 + (first * 37 + kind * 83) % secondStep
        for second in [nil] + stride(from: offset, through: Self.recoveryEvents, by: secondStep).map(Optional.some) {
          outcome.lives += 1
          if let failure = life(crash, first, second) {
            outcome.failures.append(
              "\(schedule), \(replicas) replicas, \(crash) at event \(first), again at \(second.map(String.init) ?? "none"): \(failure)")
            if outcome.failures.count == 5 { return outcome }
          }
        }
        first += step
      }
    }
    return outcome
  }

  /// Without its last replica a volume of two has one: with the power of that, acknowledged writes may go (R7).
  private func isBearable(_ crash: Crash) -> Bool {
    replicas > 2 || !crash.losesPower || (schedule != .comeback && schedule != .replacement)
  }

  private func makeScene(_ seed: UInt64) -> Scene {
    let scene = Scene(
      replicas: replicas, minInSync: replicas == 3 ? 2 : 1, seed: seed, sizeBytes: 64 << 10,
      regionBytes: schedule == .replacement ? 4 << 10 : 8 << 10,
      rangesPerQuestion: schedule == .replacement ? 1 : nil)
    let cluster = scene.cluster
    for node in cluster.nodes {
      node.disk.faults.keepPercent = 50
      node.disk.faults.afterDeathPercent = 50
    }
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    scene.run(.write, 0..<32)
    guard schedule == .comeback || schedule == .replacement else { return scene }
    let last = replicas - 1
    cluster.killNode(last)
    scene.wait { scene.set.count == replicas - 1 }
    for first in stride(from: 0, to: 128, by: 16) { scene.run(.write, first..<first + 8) }
    if schedule == .replacement {
      let gone = scene.disk(last).id
      scene.disk(last).becomeNew(.random(using: &scene.world.generator))
      cluster.latest.map { run in run.process.enqueue { run.server.removeReplica(gone) } }
      // The regions leave the log.
      scene.wait(seconds: 5)
      cluster.store.change { $0.forget(gone) }
    }
    return scene
  }

  private static let script: [(operation: BlockOperation, sectors: Range<Int>)] = [
    (.write, 0..<8), (.write, 4..<12), (.read, 0..<16), (.flush, 0..<0), (.write, 8..<24), (.deallocate, 0..<8), (.write, 64..<72),
    (.read, 0..<24),
    (.writeZeroes, 16..<24), (.write, 16..<17), (.flush, 0..<0), (.write, 0..<8),
  ]

  private func begin(_ scene: Scene) {
    let (cluster, world) = (scene.cluster, scene.world)
    if let host = scene.host() {
      // Where something else is what it is about, some of them do.
      for (index, entry) in Self.script.enumerated() where schedule == .commands || index % 3 == 0 {
        world.after(UInt64(index / 3) * 300_000) { host.send(entry.operation, entry.sectors) }
      }
    }
    switch schedule {
    case .commands: break
    case .comeback: cluster.startNode(replicas - 1)
    case .replacement:
      cluster.startNode(replicas - 1)
      cluster.add(replicas - 1)
    case .snapshot:
      guard let run = cluster.latest else { return }
      let names = (Identifier.random(using: &world.generator), Identifier.random(using: &world.generator))
      run.process.enqueue {
        run.server.takeSnapshot(names.0, request: names.1) { _ in }
        run.server.grow(toSizeBytes: 80 << 10) { _ in }
      }
    case .move: cluster.handOver(to: 1, patienceNanoseconds: 3_000_000_000)
    }
  }

  /// Whether what the schedule is about is done, and nothing but rest would come.
  private func isDone(_ scene: Scene) -> Bool {
    switch schedule {
    case .commands: false
    case .comeback, .replacement: scene.isHealthy
    case .snapshot: scene.cluster.store.record.sizeBytes == 80 << 10 && scene.isHealthy
    case .move: scene.cluster.latest?.process.node == 1 && scene.isServing
    }
  }

  /// How many events a life makes when nothing goes wrong.
  private var scriptEvents: Int {
    let scene = makeScene(1)
    let start = scene.world.eventCount
    begin(scene)
    if schedule == .commands {
      scene.wait(seconds: 0.02)
    } else {
      scene.wait(seconds: 30) { isDone(scene) || scene.world.eventCount >= start + Self.maximumEvents }
    }
    return scene.world.eventCount - start
  }

  private func life(_ crash: Crash, _ first: Int, _ second: Int?) -> String? {
    let scene = makeScene(UInt64(first))
    let world = scene.world
    let start = world.eventCount
    begin(scene)
    scene.wait(seconds: 5) { world.eventCount >= start + first }
    end(scene, crash.node, losingPower: crash.losesPower)
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
