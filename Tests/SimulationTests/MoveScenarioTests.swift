import Nexus
import Pool
import Testing

@testable import Simulation

/// Stories about planned moves: the store orders one, the old nexus hands over, a new one begins (R3, R3b, R15).
@Suite struct MoveScenarioTests {
  enum Work: CaseIterable {
    case commands, resync, replacement, snapshot, deletion, growth
  }

  /// Moves from node 0 to node 1, so many events after the work began; then back, before that is over.
  private func move(in work: Work, after events: Int, patienceNanoseconds: UInt64 = 10_000_000_000) throws -> Scene {
    let scene = Scene(replicas: 3, minInSync: 2, seed: UInt64(events + 1))
    scene.startNexus(0)
    try #require(scene.wait { scene.isHealthy })
    for first in stride(from: 0, to: 512, by: 32) { scene.run(.write, first..<first + 8) }
    let world = scene.world
    switch work {
    case .commands: break
    case .resync:
      scene.cluster.killNode(2)
      try #require(scene.wait { scene.set == [0, 1] })
      for first in stride(from: 0, to: 512, by: 64) { scene.run(.write, first..<first + 8) }
      scene.disk(2).faults.latencyNanoseconds = 2_000_000...6_000_000
      scene.cluster.startNode(2)
      try #require(scene.wait(seconds: 10) { server(scene)?.nexus.rebuilds.last?.state == .running })
    case .replacement:
      scene.cluster.killNode(2)
      try #require(scene.wait { scene.set == [0, 1] })
      scene.disk(2).becomeNew(.random(using: &world.generator))
      scene.disk(2).faults.latencyNanoseconds = 2_000_000...6_000_000
      scene.cluster.startNode(2)
    case .snapshot:
      order(scene) { $0.server.takeSnapshot(.random(using: &world.generator), request: .random(using: &world.generator)) { _ in } }
    case .deletion:
      let id = try #require(scene.takeSnapshot())
      scene.deleteSnapshot(id)
    case .growth: order(scene) { $0.server.grow(toSizeBytes: 320 << 10) { _ in } }
    }
    let began = world.eventCount
    if let host = scene.host() {
      for index in 0..<30 {
        world.after(UInt64(index) * 200_000) { host.send(index.isMultiple(of: 3) ? .read : .write, index % 8 * 8..<index % 8 * 8 + 8) }
      }
    }
    scene.wait(seconds: 5) { world.eventCount >= began + events }
    var next: NexusRun?
    scene.cluster.handOver(to: 1, patienceNanoseconds: patienceNanoseconds) { next = $0 }
    try #require(scene.wait(seconds: 60) { next?.server.isServing == true }, "\(work) \(events): \(scene.story)")
    #expect(scene.run(.write, 0..<8, on: 1) == .success)
    return scene
  }

  private func server(_ scene: Scene) -> ProductionServer? { scene.cluster.latest?.server as? ProductionServer }

  private func order(_ scene: Scene, _ body: @escaping (NexusRun) -> Void) {
    if let run = scene.cluster.latest { run.process.enqueue { body(run) } }
  }

  @Test(arguments: Work.allCases) func `a planned move in the middle of`(work: Work) throws {
    for events in stride(from: 0, through: 320, by: 20) {
      let scene = try move(in: work, after: events)
      // And back again, before anything has come to rest.
      var back: NexusRun?
      scene.cluster.handOver(to: 0, patienceNanoseconds: 10_000_000_000) { back = $0 }
      #expect(scene.wait(seconds: 60) { back?.server.isServing == true }, "\(work) \(events): \(scene.story)")
      let failure = scene.end()
      #expect(failure == nil, "\(work) after \(events) events")
    }
  }

  /// Nobody waits for the old one: two believe that they serve.
  @Test(arguments: Work.allCases) func `a move that is not waited for, in the middle of`(work: Work) throws {
    for events in stride(from: 0, through: 200, by: 40) {
      for patience: UInt64 in [1, 1_000_000, 20_000_000] {
        let scene = try move(in: work, after: events, patienceNanoseconds: patience)
        let failure = scene.end()
        #expect(failure == nil, "\(work) after \(events) events, \(patience) ns")
      }
    }
  }

  /// The claims are given back: no lease is waited for.
  @Test func `a planned move takes less than a lease`() throws {
    let scene = Scene(replicas: 3, minInSync: 2)
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.run(.write, 0..<8) == .success && scene.run(.read, 0..<8) == .success)
    let began = scene.world.now
    var next: NexusRun?
    scene.cluster.handOver(to: 1, patienceNanoseconds: 30_000_000_000) { next = $0 }
    #expect(scene.wait(seconds: 10) { next?.server.isServing == true })
    #expect(scene.world.now - began < scene.cluster.options.leaseNanoseconds / 2)
    #expect(scene.end() == nil)
  }

  /// The order does not reach the old nexus, which is cut off from the store alone: it serves on until it is overtaken, and not longer.
  @Test func `a move of which the old nexus does not hear`() throws {
    let scene = Scene(replicas: 3, minInSync: 2)
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    scene.cluster.network.block(from: scene.cluster.store.place, to: 0)
    var next: NexusRun?
    scene.cluster.handOver(to: 1, patienceNanoseconds: 3_000_000_000) { next = $0 }
    var (old, written) = (0, 0)
    #expect(
      scene.wait(seconds: 30) {
        if scene.world.eventCount % 5 == 0, written < 400 {
          scene.host(0)?.send(written.isMultiple(of: 2) ? .write : .read, 0..<8) { old = $0 }
          written += 1
        }
        return next?.server.isServing == true
      })
    let later = scene.send(.write, 0..<8, on: 1)
    #expect(scene.wait { scene.ending(later) == .success })
    let stale = scene.send(.read, 0..<8, on: 0)
    scene.wait(seconds: 5)
    #expect(old > 0 && (stale < 0 || scene.ending(stale) != .success))
    #expect(scene.read(0, on: 1) == later)
    #expect(scene.end() == nil)
  }
}
