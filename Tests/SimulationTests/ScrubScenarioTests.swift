import Nexus
import Testing

@testable import Simulation

/// Stories about disks that say something else than what was written (R20).
@Suite struct ScrubScenarioTests {
  private func scene(_ replicas: Int) throws -> (Scene, Nexus) {
    let scene = Scene(replicas: replicas)
    let run = try #require(scene.startNexus(0))
    let server = try #require(run.server as? ProductionServer)
    #expect(scene.wait { scene.isHealthy })
    for first in stride(from: 0, to: 256, by: 64) { #expect(scene.run(.write, first..<first + 64) == .success) }
    return (scene, server.nexus)
  }

  /// Until the scrub is over, hosts write to the second half.
  private func work(_ scene: Scene, _ nexus: Nexus) {
    var count = 0
    while nexus.scrub?.state == .running, count < 2000, scene.violation == nil {
      _ = scene.send(.write, 256 + count % 32 * 8 + 1..<256 + count % 32 * 8 + 4)
      scene.wait(seconds: 0.002)
      count += 1
    }
    scene.wait(seconds: 1)
  }

  @Test func `bit-rot-is-repaired`() throws {
    let (scene, nexus) = try scene(3)
    scene.disk(0).rot(sector: 7)
    scene.disk(1).rot(sector: 8)
    scene.disk(2).rot(sector: 100)
    scene.disk(2).rot(sector: 255)
    #expect(nexus.startScrub())
    #expect(!nexus.startScrub())
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state != .running })
    let scrub = try #require(nexus.scrub)
    #expect(scrub.state == .done && scrub.differingBlocks == 4 && scrub.repairedBlocks == 4 && scrub.unresolved.isEmpty, "\(scrub)")
    #expect(scrub.bytesDone == 128 << 10 && scrub.bytesToDo == 128 << 10)
    #expect(scene.disk(0).current == scene.disk(1).current && scene.disk(1).current == scene.disk(2).current)
    #expect(nexus.startScrub())
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done && nexus.scrub?.differingBlocks == 0 })
    #expect(scene.end() == nil)
  }

  @Test func `scrub-under-load`() throws {
    let (scene, nexus) = try scene(3)
    #expect(scene.run(.write, 256..<384) == .success && scene.run(.write, 384..<512) == .success)
    for (count, block) in stride(from: 0, to: 32, by: 3).enumerated() { scene.disk(count % 3).rot(sector: block * 8 + 6) }
    #expect(nexus.startScrub())
    work(scene, nexus)
    let scrub = try #require(nexus.scrub)
    // What is being written differs for a moment, and is never taken for rot.
    #expect(scrub.state == .done && scrub.differingBlocks == 11 && scrub.repairedBlocks == 11, "\(scrub)")
    #expect(scrub.bytesDone == 256 << 10)
    #expect(scene.end() == nil)
  }

  @Test func `two-copies-and-no-checksum`() throws {
    let (scene, nexus) = try scene(2)
    let right = scene.disk(0).current
    scene.disk(1).rot(sector: 20)
    let rotten = scene.disk(1).current
    #expect(nexus.startScrub())
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done })
    var scrub = try #require(nexus.scrub)
    #expect(scrub.differingBlocks == 1 && scrub.repairedBlocks == 0 && scrub.unresolved == [2 * 4096], "\(scrub)")
    #expect(scene.disk(0).current == right && scene.disk(1).current == rotten)
    // An operator says who is right.
    #expect(nexus.startScrub(trusting: scene.disk(0).id))
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done })
    scrub = try #require(nexus.scrub)
    #expect(scrub.differingBlocks == 1 && scrub.repairedBlocks == 1 && scrub.unresolved.isEmpty, "\(scrub)")
    #expect(scene.disk(1).current == right)
    #expect(scene.end() == nil)
  }

  @Test func `scrub-repairs-what-cannot-be-read`() throws {
    let (scene, nexus) = try scene(2)
    scene.disk(1).rot(sector: 20)
    scene.disk(1).faults.readErrorPercent = 100
    #expect(nexus.startScrub())
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done })
    scene.disk(1).faults.readErrorPercent = 0
    let scrub = try #require(nexus.scrub)
    #expect(scrub.differingBlocks > 0 && scrub.repairedBlocks == scrub.differingBlocks, "\(scrub)")
    #expect(scene.disk(0).current == scene.disk(1).current)
    #expect(scene.end() == nil)
  }

  @Test func `scrub-loses-a-member`() throws {
    let (scene, nexus) = try scene(3)
    for node in 0..<3 { scene.disk(node).faults.latencyNanoseconds = 5_000_000...20_000_000 }
    scene.disk(1).rot(sector: 255)
    #expect(nexus.startScrub())
    scene.wait(seconds: 0.05)
    scene.cluster.killNode(2)
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done })
    // Two were left that disagree: it takes three to say who is right.
    #expect(nexus.scrub?.unresolved == [31 * 4096])
    scene.cluster.startNode(2)
    #expect(scene.wait { scene.isHealthy })
    #expect(nexus.startScrub())
    #expect(scene.wait(seconds: 120) { nexus.scrub?.state == .done })
    #expect(nexus.scrub?.repairedBlocks == 1 && nexus.scrub?.unresolved == [])
    #expect(scene.end() == nil)
  }

  /// What cannot be read where it is to be compared is written anew: after a crash, and when the replica comes back.
  @Test(arguments: [false, true]) func `rot-on-a-target`(isAway: Bool) throws {
    let (scene, _) = try scene(2)
    if isAway {
      scene.cluster.killNode(1)
      #expect(scene.wait { scene.set == [0] })
      #expect(scene.run(.write, 0..<16) == .success)
      scene.disk(1).spoil(sector: 3)
      scene.disk(1).spoil(sector: 9)
      scene.cluster.startNode(1)
    } else {
      #expect(scene.run(.write, 0..<16) == .success)
      scene.disk(1).spoil(sector: 3)
      scene.cluster.killNode(0)
      scene.cluster.startNode(0)
      scene.startNexus(0)
    }
    #expect(!scene.disk(1).rotten.isEmpty)
    #expect(scene.wait(seconds: 60) { scene.isHealthy && scene.disk(1).rotten.isEmpty }, "\(scene.story)")
    #expect(scene.end() == nil)
  }
}
