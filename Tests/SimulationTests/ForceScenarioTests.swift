import Testing

@testable import Simulation

/// Stories about an operator's force while an old nexus, cut off, takes itself for the one that serves (R3b, R6).
@Suite struct ForceScenarioTests {
  /// The old nexus is alone with its replica and its hosts; the store has the other replica in the set still, and an operator goes on from that.
  @Test func `an old nexus that is cut off acknowledges nothing after a force`() throws {
    let scene = Scene(replicas: 2)
    // Nobody tells it for a long time.
    scene.cluster.network.nexusPatienceNanoseconds = 60_000_000_000...60_000_000_001
    scene.cluster.network.gatePatienceNanoseconds = 60_000_000_000...60_000_000_001
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    let before = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(before) == .success })
    scene.isolate(0)
    let cut = scene.send(.write, 8..<16, on: 0)
    try #require(scene.force(1) != nil)
    #expect(scene.wait(seconds: 25) { scene.isServing }, "\(scene.story)")
    #expect(scene.set == [1])
    let later = scene.send(.write, 0..<8, on: 1)
    #expect(scene.wait { scene.ending(later) == .success })
    // Its own replica holds what was there before: it must not tell.
    let read = scene.send(.read, 0..<8, on: 0)
    let write = scene.send(.write, 16..<24, on: 0)
    let flush = scene.send(.flush, 0..<0, on: 0)
    scene.wait(seconds: 40)
    for number in [cut, read, write, flush] { #expect(scene.ending(number) != .success, "command \(number)") }
    #expect(scene.held(0, 0) == before)
    scene.isolate(0, false)
    #expect(scene.wait(seconds: 60) { scene.cluster.nexuses.first?.server.isFenced == true }, "\(scene.story)")
    #expect(scene.read(0, on: 1) == later && scene.read(8, on: 1) == -1 && scene.read(16, on: 1) == -1)
    // What it holds is kept until somebody says otherwise.
    #expect(scene.set == [1] && scene.held(0, 8) == cut)
    scene.cluster.discard(0)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.held(0, 0) == later && scene.held(0, 8) == -1 && scene.held(0, 16) == -1)
    #expect(scene.end(checksHistory: false) == nil)
  }

  /// The same, but the process of the old nexus is stopped, and goes on when another one has served.
  @Test func `an old nexus that was stopped acknowledges nothing after a force`() throws {
    let scene = Scene(replicas: 2)
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    let before = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(before) == .success })
    let read = scene.send(.read, 0..<8, on: 0)
    scene.cluster.pauseNode(0)
    let asked = scene.send(.write, 8..<16, on: 0)
    try #require(scene.force(1) != nil)
    #expect(scene.wait(seconds: 30) { scene.isServing }, "\(scene.story)")
    let later = scene.send(.write, 0..<8, on: 1)
    #expect(scene.wait { scene.ending(later) == .success })
    scene.cluster.resumeNode(0)
    scene.wait(seconds: 30)
    #expect(scene.ending(read) != .success || scene.cluster.history.operations[read].end! < scene.cluster.history.operations[later].begin)
    #expect(asked < 0 || scene.ending(asked) != .success)
    #expect(scene.read(0, on: 1) == later)
    scene.cluster.discard(0)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.end(checksHistory: false) == nil)
  }

  /// The set was the old nexus's replica alone: nothing tells it of a force as long as it is cut off, which is why the command says so. It ends
  /// with its next change of the set.
  @Test func `an old nexus that is alone in its set ends with its next change of it`() throws {
    let scene = Scene(replicas: 2)
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    #expect(scene.run(.write, 0..<8) == .success)
    scene.wait(seconds: 6)
    scene.isolate(0)
    scene.cluster.startNode(1)
    try #require(scene.force(1) != nil)
    #expect(scene.wait(seconds: 30) { scene.isServing && scene.set == [1] }, "\(scene.story)")
    #expect(scene.run(.write, 0..<8, on: 1) == .success)
    scene.isolate(0, false)
    // The other replica comes to it, and refuses; or its return is to be committed.
    #expect(scene.wait(seconds: 60) { scene.cluster.nexuses.first { $0.process.node == 0 }?.server.isFenced == true }, "\(scene.story)")
    #expect(scene.run(.write, 8..<16, on: 0) != .success)
    scene.cluster.discard(0)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.end(checksHistory: false) == nil)
  }
}
