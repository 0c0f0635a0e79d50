import Testing

@testable import Simulation

/// Stories about replicas that go away and come back.
@Suite struct ReturnScenarioTests {
  private func scene(_ replicas: Int, minInSync: Int = 1) throws -> Scene {
    let scene = Scene(replicas: replicas, minInSync: minInSync)
    try #require(scene.startNexus(0) != nil)
    try #require(scene.wait { scene.isHealthy }, "\(scene.story)")
    return scene
  }

  @Test func `cache-lost-is-not-source`() throws {
    let scene = try scene(2)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 1) { scene.ending(written) == .success })
    scene.cluster.killNode(1)
    scene.cluster.killNode(0, losingPower: true)
    #expect(scene.held(0, 0) == -1 && scene.held(1, 0) == written)
    scene.cluster.startNode(0)
    scene.startNexus(0)
    scene.wait(seconds: 40)
    #expect(!scene.isServing)
    scene.cluster.startNode(1)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.read(0) == written)
    #expect(scene.end() == nil)
  }

  @Test func `join-reply-lost`() throws {
    let scene = try scene(3, minInSync: 2)
    scene.cluster.killNode(2)
    #expect(scene.wait { scene.set == [0, 1] })
    #expect(scene.run(.write, 0..<8) == .success)
    scene.cluster.store.lostReplyPercent = 100
    scene.cluster.startNode(2)
    #expect(scene.wait { scene.set == [0, 1, 2] })
    // The nexus does not know yet that it is in: it may not go by either set alone.
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 5) { scene.ending(written) == .success })
    #expect((0..<3).allSatisfy { scene.held($0, 0) == written })
    scene.cluster.store.lostReplyPercent = 0
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.end() == nil)
  }

  @Test func `silent-restart`() throws {
    let scene = try scene(3, minInSync: 2)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 1) { scene.ending(written) == .success })
    let version = scene.cluster.store.record.setVersion
    // So fast that only its incarnation tells.
    scene.cluster.killNode(2, losingPower: true)
    scene.cluster.startNode(2)
    let later = scene.send(.write, 8..<16)
    #expect(scene.wait { scene.ending(later) == .success })
    #expect(scene.wait { scene.isHealthy && scene.cluster.store.record.setVersion >= version + 2 })
    #expect(scene.held(2, 0) == written)
    #expect(scene.end() == nil)
  }

  @Test func `late-write-vs-drop`() throws {
    let scene = try scene(2)
    scene.disk(1).faults.sticksNextWrite = true
    let slow = scene.send(.write, 0..<8)
    scene.wait(seconds: 10)
    // Its region stays in the log however long it takes.
    #expect(scene.ending(slow) == nil)
    #expect(scene.disk(0).metadata.hotRegions.contains(0) && scene.disk(1).metadata.hotRegions.contains(0))
    scene.unstick(1)
    #expect(scene.wait { scene.ending(slow) == .success })
    #expect(scene.wait(seconds: 20) { scene.disk(0).metadata.hotRegions.isEmpty && scene.disk(1).metadata.hotRegions.isEmpty })
    #expect(scene.end() == nil)
  }

  @Test func `target-misses-then-flush`() throws {
    let scene = try scene(2)
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    for first in stride(from: 0, to: 512, by: 32) { #expect(scene.run(.write, first..<first + 32) == .success) }
    // It returns, is cut off while it is being made equal, and misses a write; a flush passes.
    scene.disk(1).faults.latencyNanoseconds = 5_000_000...20_000_000
    scene.cluster.startNode(1)
    #expect(scene.wait { (0..<512).contains { scene.held(1, $0) >= 0 } })
    #expect(!scene.isHealthy)
    scene.isolate(1)
    let missed = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 15) { scene.ending(missed) == .success })
    #expect(scene.run(.flush, 0..<0) == .success)
    scene.wait(seconds: 5)
    scene.isolate(1, false)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.held(1, 0) == missed)
    #expect(scene.end() == nil)
  }

  @Test func `join-then-blackout`() throws {
    let scene = try scene(2)
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    #expect(scene.run(.flush, 0..<0) == .success)
    scene.cluster.startNode(1)
    #expect(scene.wait { scene.set == [0, 1] })
    scene.cluster.killNode(0, losingPower: true)
    scene.cluster.killNode(1, losingPower: true)
    #expect(scene.held(0, 0) == written && scene.held(1, 0) == written)
    scene.cluster.startNode(1)
    scene.cluster.startNode(0)
    scene.startNexus(1)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.read(0) == written)
    #expect(scene.end() == nil)
  }

  @Test func `inherit-bitmap`() throws {
    // A and C are the set; C goes away, D is built from A, A dies, C returns.
    let (a, c, d) = (0, 1, 2)
    let scene = Scene(replicas: 3, firstSet: 2, absent: [d])
    scene.startNexus(a)
    #expect(scene.wait { scene.isServing && scene.set == [a, c] })
    scene.run(.write, 0..<8)
    scene.cluster.killNode(c)
    #expect(scene.wait { scene.set == [a] })
    let missed = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(missed) == .success })
    scene.cluster.startNode(d)
    #expect(scene.wait { scene.set == [a, d] })
    scene.cluster.killNode(a)
    scene.startNexus(d)
    #expect(scene.wait { scene.set == [d] && scene.isServing })
    scene.cluster.startNode(c)
    #expect(scene.wait { scene.set == [c, d] })
    #expect(scene.disk(c).current == scene.disk(d).current)
    #expect(scene.held(c, 0) == missed)
    #expect(scene.end() == nil)
  }

  @Test func `both-down-in-turn`() throws {
    let scene = Scene(replicas: 2)
    scene.startNexus(1)
    #expect(scene.wait { scene.isHealthy })
    scene.run(.write, 0..<8)
    scene.cluster.killNode(0)
    #expect(scene.wait { scene.set == [1] })
    let alone = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(alone) == .success })
    scene.cluster.killNode(1)
    scene.cluster.startNode(0)
    scene.startNexus(0)
    scene.wait(seconds: 60)
    #expect(!scene.isServing && scene.set == [1])
    scene.cluster.startNode(1)
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.read(0) == alone)
    #expect(scene.end() == nil)
  }

  /// Without hope for B an operator goes on from A: what B alone holds never appears, B's replica is not touched until it is given up,
  /// and then it becomes like A.
  @Test func `both-down-in-turn, forced`() throws {
    let (a, b) = (0, 1)
    let scene = Scene(replicas: 2)
    scene.startNexus(b)
    #expect(scene.wait { scene.isHealthy })
    let both = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(both) == .success })
    scene.cluster.killNode(a)
    #expect(scene.wait { scene.set == [b] })
    // Ghosts where A has data, and where it has none; and their regions leave the log.
    let ghosts = [scene.send(.write, 0..<8), scene.send(.write, 64..<72), scene.send(.write, 200..<232)]
    #expect(scene.wait { ghosts.allSatisfy { scene.ending($0) == .success } })
    scene.wait(seconds: 10)
    scene.cluster.killNode(b)
    scene.cluster.startNode(a)
    scene.startNexus(a)
    scene.wait(seconds: 40)
    #expect(!scene.isServing && scene.set == [b])
    scene.force(a)
    #expect(scene.wait { scene.isServing && scene.set == [a] }, "\(scene.story)")
    #expect(scene.read(0) == both && scene.read(64) == -1 && scene.read(200) == -1)
    let later = scene.send(.write, 8..<16)
    #expect(scene.wait { scene.ending(later) == .success })
    let left = scene.disk(b).current
    let claim = scene.disk(b).claim
    scene.cluster.startNode(b)
    scene.wait(seconds: 30)
    #expect(scene.set == [a] && scene.disk(b).current == left && scene.disk(b).claim == claim)
    // Another nexus leaves it alone too.
    scene.startNexus(a)
    scene.wait(seconds: 10)
    #expect(scene.isServing && scene.disk(b).claim == claim)
    scene.cluster.discard(b)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.disk(b).current == scene.disk(a).current)
    // B alone, without A: no ghost.
    scene.cluster.killNode(a)
    scene.startNexus(b)
    #expect(scene.wait { scene.isServing && scene.set == [b] })
    #expect(scene.read(0) == both && scene.read(8) == later && scene.read(64) == -1 && scene.read(200) == -1)
    #expect(scene.end(checksHistory: false) == nil)
  }

  /// Of three, the one that left first is gone on from; the one that left after it has ghosts too, and records that seem unbroken.
  @Test func `forced, with a third replica that was away`() throws {
    let (a, b, c) = (0, 1, 2)
    let scene = Scene(replicas: 3)
    scene.startNexus(b)
    #expect(scene.wait { scene.isHealthy })
    let all = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(all) == .success })
    scene.cluster.killNode(a)
    #expect(scene.wait { scene.set == [b, c] })
    let ghost = scene.send(.write, 64..<72)
    #expect(scene.wait { scene.ending(ghost) == .success })
    scene.wait(seconds: 10)
    scene.cluster.killNode(c)
    #expect(scene.wait { scene.set == [b] })
    scene.cluster.killNode(b)
    scene.cluster.startNode(a)
    scene.cluster.startNode(c)
    scene.force(a)
    #expect(scene.wait { scene.isServing && scene.set == [a] })
    #expect(scene.read(64) == -1 && scene.held(c, 64) == ghost)
    scene.wait(seconds: 10)
    #expect(scene.set == [a] && scene.held(c, 64) == ghost)
    scene.cluster.discard(c)
    #expect(scene.wait { scene.set == [a, c] }, "\(scene.story)")
    #expect(scene.held(c, 64) == -1)
    scene.cluster.startNode(b)
    scene.cluster.discard(b)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.held(b, 64) == -1 && scene.held(b, 0) == all)
    #expect(scene.end(checksHistory: false) == nil)
  }

  @Test func `repair-races-write`() throws {
    let scene = try scene(2)
    for first in stride(from: 0, to: 64, by: 8) { scene.run(.write, first..<first + 8) }
    scene.disk(0).faults.readErrorPercent = 50
    for round in 0..<60 {
      let first = round % 8 * 8
      _ = scene.send(.read, first..<first + 8)
      _ = scene.send(.write, first..<first + 8)
      _ = scene.send(.read, first..<first + 8)
      scene.wait(seconds: 0.002)
    }
    scene.disk(0).faults.readErrorPercent = 0
    #expect(scene.end() == nil)
  }

  @Test func `flush-fails-on-one`() throws {
    let scene = try scene(3, minInSync: 2)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait(seconds: 1) { scene.ending(written) == .success })
    scene.disk(1).faults.flushErrorPercent = 100
    #expect(scene.run(.flush, 0..<0) == .success)
    #expect(!scene.set.contains(1))
    scene.disk(1).faults.flushErrorPercent = 0
    #expect(scene.wait { scene.isHealthy })
    #expect(scene.end() == nil)
  }

  /// While a nexus serves, and while none does.
  @Test(arguments: [false, true], [false, true]) func `rolled-back-member`(isCopy: Bool, isServed: Bool) throws {
    let scene = try scene(3, minInSync: 2)
    #expect(scene.run(.write, 0..<8) == .success)
    #expect(scene.wait(seconds: 20) { scene.disk(2).metadata.hotRegions.isEmpty })
    let backup = scene.disk(2).image
    // The next generation serves, and its writes leave the log.
    scene.startNexus(1)
    #expect(scene.wait { scene.isHealthy })
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    #expect(scene.wait(seconds: 20) { scene.disk(1).metadata.hotRegions.isEmpty })
    let version = scene.cluster.store.record.setVersion
    scene.cluster.killNode(2)
    if !isServed { scene.cluster.killNode(1) }
    scene.disk(2).replace(by: isCopy ? backup : nil)
    #expect(scene.held(2, 0) != written)
    scene.cluster.startNode(2)
    if !isServed {
      scene.cluster.startNode(1)
      scene.startNexus(1)
    }
    // It leaves, is made equal as a whole, and joins.
    #expect(scene.wait { scene.isHealthy && scene.cluster.store.record.setVersion >= version + 2 }, "\(scene.story)")
    #expect(scene.held(2, 0) == written)
    #expect(scene.read(0) == written)
    #expect(scene.end() == nil)
  }
}
