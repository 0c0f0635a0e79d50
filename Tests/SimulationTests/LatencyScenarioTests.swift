import Nexus
import Testing

@testable import Simulation

/// Stories about disks that become slow.
@Suite struct LatencyScenarioTests {
  private struct Latencies {
    var idle: UInt64 = 0
    var copying: UInt64 = 0
    var seconds = 0.0
  }

  /// One command after the other, read and write in turns, while a condition holds; p99 of what they took.
  private func p99(_ scene: Scene, while condition: (Int) -> Bool) -> UInt64 {
    var latencies: [UInt64] = []
    while condition(latencies.count), latencies.count < 20_000, scene.violation == nil {
      let first = latencies.count % 8 * 8
      let began = scene.world.now
      let status = scene.run(latencies.count.isMultiple(of: 2) ? .read : .write, first..<first + 8)
      #expect(status == .success)
      latencies.append(scene.world.now - began)
    }
    return latencies.sorted()[latencies.count * 99 / 100]
  }

  /// A new replica is made equal under load, on disks on which each operation beside makes others slower by 30 %.
  private func rebuild(percent: Int) throws -> Latencies {
    let scene = Scene(replicas: 2, firstSet: 1, absent: [1], sizeBytes: 6 << 20)
    let run = try #require(scene.startNexus(0))
    let server = try #require(run.server as? ProductionServer)
    #expect(scene.wait { scene.isServing })
    for first in stride(from: 0, to: scene.disk(0).current.count, by: 128) { scene.run(.write, first..<first + 128) }
    for node in [0, 1] {
      scene.disk(node).faults.latencyNanoseconds = 1_800_000...2_200_000
      scene.disk(node).faults.loadPercent = 30
    }
    server.nexus.budget.limits.percent = percent
    var latencies = Latencies()
    _ = p99(scene) { $0 < 50 }
    latencies.idle = p99(scene) { $0 < 500 }
    let began = scene.world.now
    scene.cluster.startNode(1)
    #expect(scene.wait(seconds: 10) { server.nexus.rebuilds.last?.state == .running && server.nexus.rebuilds.last!.bytesDone > 0 })
    latencies.copying = p99(scene) { _ in !scene.isHealthy }
    latencies.seconds = Double(scene.world.now - began) / 1e9
    #expect(scene.end() == nil)
    return latencies
  }

  @Test func `rebuild-gives-way`() throws {
    let governed = try rebuild(percent: 150)
    let free = try rebuild(percent: 0)
    #expect(governed.copying <= governed.idle * 3 / 2, "\(governed)")
    #expect(free.copying > free.idle * 8 / 5, "\(free)")
    // What it costs: far less than at the floor, which is 64 ms and more for each of 384 copies.
    #expect(governed.seconds < 16, "\(governed), \(free)")
  }

  /// Writes for so many seconds, one after the other.
  private func work(_ scene: Scene, seconds: UInt64, until condition: () -> Bool = { false }) {
    let end = scene.world.now + seconds * Scene.second
    var count = 0
    while scene.world.now < end, scene.violation == nil, !condition() {
      let first = count % 64 * 8
      scene.run(.write, first..<first + 8)
      scene.wait(seconds: 0.05)
      count += 1
    }
  }

  @Test func `slow-replica-is-reported`() throws {
    let scene = Scene(replicas: 3, minInSync: 2)
    let run = try #require(scene.startNexus(0))
    let server = try #require(run.server as? ProductionServer)
    #expect(scene.wait { scene.isHealthy })
    func isSlow(_ node: Int) -> Bool { server.nexus.members.first { $0.replica == scene.disk(node).id }?.slow != nil }
    work(scene, seconds: 15)
    #expect(!(0..<3).contains(where: isSlow))
    scene.disk(0).faults.latencyNanoseconds = 60_000_000...90_000_000
    work(scene, seconds: 8)
    #expect(!isSlow(0))
    work(scene, seconds: 10) { isSlow(0) }
    #expect(isSlow(0) && !isSlow(1) && !isSlow(2) && scene.isHealthy && scene.set == [0, 1, 2])
    // The nearest, but slow: reads go elsewhere.
    let began = scene.world.now
    #expect(scene.read(0) != nil && scene.world.now - began < 20_000_000)
    scene.disk(0).faults.latencyNanoseconds = 20_000...400_000
    work(scene, seconds: 30) { !isSlow(0) }
    #expect(!isSlow(0))
    #expect(scene.end() == nil)
  }

  @Test(arguments: [1, 3]) func `slow-replica-is-dropped`(minInSync: Int) throws {
    let scene = Scene(replicas: 3, minInSync: minInSync, configure: { $0.slowReplicas = .drop })
    try #require(scene.startNexus(0) != nil)
    #expect(scene.wait { scene.isHealthy })
    scene.disk(2).faults.latencyNanoseconds = 60_000_000...90_000_000
    work(scene, seconds: 30) { scene.set == [0, 1] }
    // A set that must not shrink keeps it.
    #expect(scene.set == (minInSync == 3 ? [0, 1, 2] : [0, 1]))
    let began = scene.world.now
    #expect(scene.run(.write, 0..<8) == .success)
    #expect((scene.world.now - began < 20_000_000) == (minInSync == 1))
    scene.disk(2).faults.latencyNanoseconds = 20_000...400_000
    #expect(scene.end() == nil)
  }
}
