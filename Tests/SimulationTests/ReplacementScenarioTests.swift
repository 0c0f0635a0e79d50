import Nexus
import Testing

@testable import Simulation

/// Stories about replicas that are added to a volume that runs, and taken from it.
@Suite struct ReplacementScenarioTests {
  /// Three nodes, of which the first two have a replica.
  private func scene() throws -> Scene {
    let scene = Scene(replicas: 3, firstSet: 2)
    scene.cluster.nodes[2].isSpare = true
    try #require(scene.startNexus(0) != nil)
    try #require(scene.wait { scene.isHealthy }, "\(scene.story)")
    return scene
  }

  private func nexus(_ scene: Scene) throws -> Nexus {
    try #require((scene.cluster.latest?.server as? ProductionServer)?.nexus)
  }

  @Test func `a replica that is lost for good is replaced, under load`() throws {
    let scene = try scene()
    #expect(scene.run(.write, 0..<64) == .success)
    #expect(scene.run(.write, 400..<416) == .success)
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    scene.cluster.add(2)
    var written = 0
    #expect(
      scene.wait(seconds: 60) {
        if scene.world.eventCount % 7 == 0, written < 300 {
          scene.host()?.send(.write, written % 16 * 8..<written % 16 * 8 + 8)
          written += 1
        }
        return scene.set == [0, 2]
      }, "\(scene.story)")
    scene.wait(seconds: 2)
    // Only what is allocated was copied: the new one is as thin as its source.
    #expect(scene.disk(2).isAllocated == scene.disk(0).isAllocated && scene.disk(2).allocatedUnits < 32)
    #expect(try nexus(scene).rebuilds.last?.kind == .full)
    scene.cluster.remove(1)
    #expect(scene.wait(seconds: 10) { (try? nexus(scene).members.count) == 2 })
    // Nobody records anything for it any more.
    scene.wait(seconds: 5)
    #expect(!scene.disk(0).metadata.missed.contains { $0.peer == scene.disk(1).id })
    #expect(!scene.disk(2).metadata.missed.contains { $0.peer == scene.disk(1).id })
    #expect(scene.end() == nil)
  }

  @Test func `a member that is taken away leaves only when another has come`() throws {
    let scene = Scene(replicas: 3, minInSync: 2, firstSet: 2)
    scene.cluster.nodes[2].isSpare = true
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    scene.cluster.remove(1)
    scene.wait(seconds: 5)
    // Two must be in sync: it stays, and counts.
    #expect(scene.set == [0, 1])
    #expect(scene.run(.write, 8..<16) == .success)
    scene.cluster.add(2)
    #expect(scene.wait { scene.set == [0, 2] }, "\(scene.story)")
    #expect(scene.held(2, 0) == written)
    #expect(scene.run(.write, 16..<24) == .success)
    #expect(scene.held(1, 16) == -1)
    #expect(scene.end() == nil)
  }

  /// What is to be let go of may be all that there is.
  @Test func `a member that is to leave is claimed by the next nexus, too`() throws {
    let scene = try scene()
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    scene.cluster.remove(0)
    scene.startNexus(2)
    scene.wait(seconds: 40)
    scene.cluster.add(2)
    #expect(scene.wait(seconds: 60) { scene.set == [2] }, "\(scene.story)")
    #expect(scene.read(0) == written)
    scene.cluster.startNode(1)
    #expect(scene.end() == nil)
  }

  /// More of them, one after the other, than a nexus has places.
  @Test func `replicas come and go again and again`() throws {
    let scene = try scene()
    var out = 2
    for round in 0..<10 {
      let away = [0, 1, 2].first { $0 != out && $0 != 0 }!
      #expect(scene.run(.write, round * 8..<round * 8 + 8) == .success)
      scene.disk(out).becomeNew(.random(using: &scene.world.generator))
      scene.cluster.add(out)
      #expect(scene.wait(seconds: 60) { scene.set.contains(out) }, "round \(round): \(scene.story)")
      scene.cluster.remove(away)
      #expect(scene.wait(seconds: 60) { !scene.set.contains(away) && (try? nexus(scene).members.count) == 2 }, "round \(round)")
      let gone = scene.disk(away).id
      scene.cluster.store.change { $0.forget(gone) }
      scene.wait(seconds: 1)
      out = away
    }
    #expect(scene.end() == nil)
  }

  /// The nexus dies while the new one is being made equal, and while the old one is being let go.
  @Test(arguments: [5, 20, 80, 200, 500, 900]) func `a takeover in the middle of a replacement`(events: Int) throws {
    let scene = try scene()
    #expect(scene.run(.write, 0..<128) == .success)
    scene.cluster.add(2)
    scene.cluster.remove(1)
    let start = scene.world.eventCount
    scene.wait(seconds: 20) { scene.world.eventCount >= start + events }
    scene.cluster.killNode(0)
    // The controller knows what is wanted: the next nexus is told the same.
    scene.startNexus(scene.set.contains(2) ? 2 : 1)
    scene.cluster.startNode(0)
    if let latest = scene.cluster.latest {
      latest.connect(to: scene.cluster.nodes[1])
      let id = scene.disk(1).id
      latest.process.enqueue { latest.server.removeReplica(id) }
    }
    #expect(scene.wait(seconds: 120) { scene.set == [0, 2] && scene.isServing }, "\(scene.set) \(scene.story)")
    #expect(scene.disk(0).current == scene.disk(2).current)
    #expect(scene.end() == nil)
  }
}
