import Testing

@testable import Simulation

/// Stories about nexuses that die, hang or are cut off, and their successors.
@Suite struct TakeoverScenarioTests {
  private func scene(_ replicas: Int, minInSync: Int = 1) throws -> Scene {
    let scene = Scene(replicas: replicas, minInSync: minInSync)
    try #require(scene.startNexus(0) != nil)
    try #require(scene.wait { scene.isHealthy }, "\(scene.story)")
    return scene
  }

  @Test func `dies-with-replica`() throws {
    let scene = try scene(2)
    scene.run(.write, 0..<8)
    // On the other copy only; then the nexus dies with its own.
    scene.disk(0).faults.sticksNextWrite = true
    let lost = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.held(1, 0) == lost })
    scene.cluster.killNode(0)
    #expect(scene.held(0, 0) != lost)
    scene.startNexus(1)
    #expect(scene.wait { scene.set == [1] && scene.isServing })
    #expect(scene.run(.flush, 0..<0) == .success)
    scene.cluster.startNode(0)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.held(0, 0) == lost)
    #expect(scene.end() == nil)
  }

  /// A stop in order, of the nexus alone and of its node: the next one waits for no lease. After a kill it does.
  @Test(arguments: [0, 1, 2]) func `a-stop-in-order-is-not-waited-for`(way: Int) throws {
    let scene = try scene(2)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 1) { scene.ending(written) == .success })
    #expect(scene.read(0) == written)
    let run = try #require(scene.cluster.latest)
    if way < 2 {
      var isStopped = false
      #expect(run.stop { isStopped = true })
      #expect(scene.wait(seconds: 5) { isStopped })
      #expect(scene.disk(0).claim.nexusID == .none && scene.disk(1).claim.nexusID == .none)
      #expect(scene.disk(0).metadata.hotRegions.isEmpty)
    }
    if way > 0 {
      // All of it: nobody remembers anything but what is written down.
      for node in [0, 1] { scene.cluster.killNode(node) }
      for node in [0, 1] { scene.cluster.startNode(node) }
    }
    let began = scene.world.now
    scene.startNexus(way == 1 ? 0 : 1)
    #expect(scene.wait { scene.isServing && scene.set == [0, 1] })
    let seconds = Double(scene.world.now - began) / 1e9
    #expect(way == 2 ? seconds > 1.9 : seconds < 0.5, "\(seconds) s")
    #expect(scene.read(0) == written)
    #expect(scene.end() == nil)
  }

  /// CLOCK_BOOTTIME has jumped, and the timers that would have told of a lost lease have stood.
  @Test func `a machine that slept answers no read with what was there before`() throws {
    let scene = try scene(2)
    #expect(scene.run(.write, 0..<8) == .success)
    scene.cluster.pauseNode(0, sleeps: true)
    scene.startNexus(1)
    #expect(scene.wait(seconds: 60) { scene.isServing && scene.set == [1] }, "\(scene.story)")
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    scene.cluster.resumeNode(0)
    let stale = scene.send(.read, 0..<8, on: 0)
    scene.wait(seconds: 0.5)
    #expect(scene.ending(stale) != .success)
    #expect(scene.end() == nil)
  }

  @Test func `no-unread-across-takeovers`() throws {
    let scene = try scene(3, minInSync: 1)
    scene.run(.write, 0..<8)
    // The write is on the replica of node 1 only when the nexus dies.
    scene.disk(0).faults.sticksNextWrite = true
    scene.disk(2).faults.sticksNextWrite = true
    let half = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.held(1, 0) == half && scene.cluster.nodes[2].storage?.runningCount == 1 })
    scene.cluster.killNode(0)
    scene.unstick(2)
    scene.startNexus(1)
    #expect(scene.wait { scene.isServing && scene.set == [1, 2] }, "\(scene.story)")
    let first = scene.read(0)
    #expect(first != nil, "\(scene.story)")
    scene.cluster.killNode(1)
    scene.startNexus(2)
    #expect(scene.wait { scene.isServing }, "\(scene.story)")
    #expect(scene.read(0) == first)
    #expect(scene.end() == nil)
  }

  @Test func `no-unread-in-flight`() throws {
    let scene = try scene(2)
    scene.disk(1).faults.sticksNextWrite = true
    let half = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.held(0, 0) == half })
    let read = scene.send(.read, 0..<8)
    scene.wait(seconds: 2)
    #expect(scene.ending(read) == nil)
    scene.unstick(1)
    #expect(scene.wait { scene.ending(read) == .success })
    #expect(scene.ending(half) == .success)
    #expect(scene.end() == nil)
  }

  @Test func `stuck-disk-write`() throws {
    let scene = try scene(3, minInSync: 2)
    scene.disk(2).faults.sticksNextWrite = true
    let old = scene.send(.write, 0..<8, on: 0)
    #expect(scene.wait { scene.held(1, 0) == old && scene.cluster.nodes[2].storage?.runningCount == 1 })
    scene.isolate(0)
    let next = try #require(scene.startNexus(1))
    scene.wait(seconds: 10)
    #expect(scene.disk(2).claim.generation == next.generation && !next.server.isServing)
    scene.unstick(2)
    #expect(scene.wait { next.server.isServing })
    let new = scene.send(.write, 0..<8, on: 1)
    #expect(scene.wait { scene.ending(new) == .success })
    #expect(scene.held(1, 0) == new && scene.held(2, 0) == new)
    scene.wait(seconds: 10)
    #expect(scene.held(1, 0) == new && scene.held(2, 0) == new)
    #expect(scene.end() == nil)
  }

  @Test(arguments: [false, true]) func `isolated-nexus-local-read`(isStopped: Bool) throws {
    let scene = try scene(3, minInSync: 2)
    let first = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(first) == .success })
    #expect(scene.read(0, on: 0) == first)
    if isStopped { scene.cluster.pauseNode(0) } else { scene.isolate(0) }
    let next = try #require(scene.startNexus(1))
    var second: Int?
    var isAcknowledged = false
    for _ in 0..<400 {
      // Asked of the old nexus all the while, its process stopped or not.
      _ = scene.send(.read, 0..<8, on: 0)
      if second == nil, next.server.isServing { second = scene.send(.write, 0..<8, on: 1) }
      isAcknowledged = isAcknowledged || second.map { scene.ending($0) == .success } ?? false
      if isAcknowledged, scene.cluster.nodes[0].process?.isPaused == true { scene.cluster.resumeNode(0) }
      scene.wait(seconds: 0.1)
    }
    #expect(isAcknowledged, "\(scene.story)")
    // Were a read of the old one answered after that, the history would say so.
    #expect(scene.violation == nil)
    #expect(scene.end() == nil)
  }

  @Test func `twin-claims`() throws {
    let scene = Scene(replicas: 3, minInSync: 2)
    scene.cluster.startNexus(on: 0)
    scene.cluster.startNexus(on: 1)
    #expect(scene.wait { scene.cluster.nexuses.count == 2 })
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.run(.write, 0..<8) == .success)
    let loser = try #require(scene.cluster.nexuses.first)
    #expect(scene.wait { loser.server.isFenced })
    #expect(scene.run(.write, 0..<8, on: loser.process.node) == .inaccessible)
    #expect(scene.end() == nil)
  }

  @Test func `reconnect-duplicate`() throws {
    let scene = try scene(2)
    // Parked behind a write that hangs on both copies.
    scene.disk(0).faults.isStuck = true
    scene.disk(1).faults.isStuck = true
    _ = scene.send(.write, 0..<8)
    let parked = scene.send(.write, 0..<8)
    let old = try #require(scene.host())
    old.drop()
    scene.wait(seconds: 1)
    let new = scene.send(.write, 0..<8)
    scene.wait(seconds: 1)
    scene.unstick(0)
    scene.unstick(1)
    #expect(scene.wait { scene.ending(new) == .success })
    scene.wait(seconds: 5)
    #expect(scene.held(0, 0) == new && scene.held(1, 0) == new)
    #expect(scene.ending(parked) == .aborted)
    #expect(scene.end() == nil)
  }
}
