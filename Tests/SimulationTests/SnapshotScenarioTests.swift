import Pool
import Testing

@testable import Simulation

/// Stories about snapshots and growth (R15).
@Suite struct SnapshotScenarioTests {
  private func scene(_ replicas: Int, minInSync: Int = 1, firstSet: Int? = nil, bug: PlantedBug? = nil) throws -> Scene {
    let scene = Scene(replicas: replicas, minInSync: minInSync, firstSet: firstSet, bug: bug)
    try #require(scene.startNexus(0) != nil)
    try #require(scene.wait { firstSet == nil ? scene.isHealthy : scene.isServing }, "\(scene.story)")
    return scene
  }

  @Test func `a snapshot is the same on all members and stays`() throws {
    let scene = try scene(3, minInSync: 2)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    let snapshot = try #require(scene.takeSnapshot())
    let later = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(later) == .success })
    for node in 0..<3 {
      #expect(scene.held(node, snapshot, 0) == written)
      #expect(scene.held(node, 0) == later)
    }
    #expect(scene.end() == nil)
  }

  @Test func `snapshot-trim-grow-while-away`() throws {
    let scene = try scene(3, minInSync: 2)
    let before = scene.send(.write, 0..<32)
    #expect(scene.wait { scene.ending(before) == .success })
    scene.cluster.killNode(2)
    #expect(scene.wait { scene.set == [0, 1] })
    let first = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(first) == .success })
    let one = try #require(scene.takeSnapshot())
    // What the first snapshot holds is trimmed, and written over, before the next one.
    #expect(scene.run(.deallocate, 0..<16) == .success)
    let second = scene.send(.write, 16..<24)
    #expect(scene.wait { scene.ending(second) == .success })
    let two = try #require(scene.takeSnapshot())
    let size = scene.cluster.store.record.sizeBytes
    #expect(scene.grow(toSizeBytes: size + 65536))
    let end = Int(size) / 512
    let third = scene.send(.write, end..<end + 8)
    #expect(scene.wait { scene.ending(third) == .success })
    #expect(scene.run(.deallocate, 24..<32) == .success)
    scene.cluster.startNode(2)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.disk(2).sizeBytes == size + 65536)
    for node in 0..<3 {
      #expect(scene.held(node, one, 0) == first && scene.held(node, one, 8) == before && scene.held(node, one, 24) == before)
      #expect(scene.held(node, two, 0) == -1 && scene.held(node, two, 16) == second && scene.held(node, two, 24) == before)
      #expect(scene.held(node, 0) == -1 && scene.held(node, 24) == -1 && scene.held(node, end) == third)
    }
    #expect(scene.end() == nil)
  }

  @Test func `a new replica gets the snapshots too`() throws {
    let scene = try scene(2, firstSet: 1)
    scene.isolate(1)
    let written = scene.send(.write, 0..<8)
    #expect(scene.wait { scene.ending(written) == .success })
    let snapshot = try #require(scene.takeSnapshot())
    #expect(scene.run(.deallocate, 0..<8) == .success)
    scene.isolate(1, false)
    #expect(scene.wait { scene.isHealthy }, "\(scene.story)")
    #expect(scene.held(1, snapshot, 0) == written && scene.held(1, 0) == -1)
    #expect(scene.end() == nil)
  }

  @Test func `a takeover in the middle leaves nothing half-done`() throws {
    // The nexus dies after each of the first milliseconds of a snapshot.
    for milliseconds in [1, 2, 3, 4, 6, 8, 12] {
      let scene = try scene(3, minInSync: 2)
      let written = scene.send(.write, 0..<8)
      #expect(scene.wait { scene.ending(written) == .success })
      let run = try #require(scene.cluster.latest)
      run.process.enqueue { run.server.takeSnapshot(.random(), request: .random()) { _ in } }
      let later = scene.send(.write, 8..<16)
      scene.wait(seconds: Double(milliseconds) / 1000)
      scene.cluster.killNode(0)
      scene.startNexus(1)
      #expect(scene.wait { scene.isServing }, "\(scene.story)")
      _ = later
      let again = try #require(scene.takeSnapshot())
      #expect(scene.held(1, again, 0) == written)
      #expect(scene.end() == nil, "after \(milliseconds) ms")
      #expect(scene.cluster.store.record.snapshots.allSatisfy { $0.state == .ready })
    }
  }

  @Test func `one that is away when a snapshot goes loses it when it comes back`() throws {
    let scene = try scene(3, minInSync: 2)
    #expect(scene.run(.write, 0..<8) == .success)
    let snapshot = try #require(scene.takeSnapshot())
    scene.cluster.killNode(2)
    #expect(scene.wait { scene.set == [0, 1] })
    scene.deleteSnapshot(snapshot)
    #expect(scene.wait { !scene.hasSnapshot(0, snapshot) && !scene.hasSnapshot(1, snapshot) })
    // Another nexus knows of it too.
    scene.startNexus(1)
    #expect(scene.wait { scene.isServing })
    #expect(scene.hasSnapshot(2, snapshot))
    scene.cluster.startNode(2)
    #expect(scene.wait { scene.isHealthy && scene.cluster.store.record.snapshots.isEmpty }, "\(scene.story)")
    #expect(!scene.hasSnapshot(2, snapshot))
    #expect(scene.end() == nil)
  }

  @Test func `a pause that lasts too long is given up and changes go on`() throws {
    let scene = try scene(2, minInSync: 2)
    scene.disk(1).faults.sticksNextWrite = true
    let slow = scene.send(.write, 0..<8)
    scene.wait(seconds: 0.1)
    let run = try #require(scene.cluster.latest)
    var outcome: String??
    run.process.enqueue { run.server.takeSnapshot(.random(), request: .random()) { outcome = .some($0) } }
    scene.wait(seconds: 1)
    let waiting = scene.send(.write, 64..<72)
    #expect(scene.wait(seconds: 10) { outcome != nil })
    #expect(outcome != .some(nil))
    #expect(scene.wait(seconds: 2) { scene.ending(waiting) == .success })
    #expect(scene.ending(slow) == nil)
    scene.unstick(1)
    #expect(scene.wait { scene.ending(slow) == .success })
    #expect(scene.wait { scene.cluster.store.record.snapshots.isEmpty })
    #expect(scene.takeSnapshot() != nil)
    #expect(scene.end() == nil)
  }

  @Test func `a member that dies while all grow or freeze leaves, and the others go on`() throws {
    let scene = try scene(3, minInSync: 2)
    #expect(scene.run(.write, 0..<8) == .success)
    scene.cluster.pauseNode(2)
    let size = scene.cluster.store.record.sizeBytes
    let run = try #require(scene.cluster.latest)
    var grown: String??
    run.process.enqueue { run.server.grow(toSizeBytes: size + 16384) { grown = .some($0) } }
    scene.wait(seconds: 0.5)
    scene.cluster.killNode(2)
    #expect(scene.wait { grown != nil })
    #expect(grown == .some(nil) && scene.cluster.store.record.sizeBytes == size + 16384)
    #expect(scene.takeSnapshot() != nil)
    #expect(scene.end() == nil)
    #expect(scene.disk(2).sizeBytes == size + 16384)
  }

  @Test func `a snapshot that the replica of a force never took is gone for good`() throws {
    let scene = try scene(2)
    #expect(scene.run(.write, 0..<8) == .success)
    let kept = try #require(scene.takeSnapshot())
    scene.cluster.killNode(1)
    #expect(scene.wait { scene.set == [0] })
    #expect(scene.run(.write, 0..<8) == .success)
    let lost = try #require(scene.takeSnapshot())
    scene.cluster.killNode(0)
    scene.cluster.startNode(1)
    scene.force(1)
    #expect(scene.wait { scene.isServing }, "\(scene.story)")
    #expect(scene.wait { scene.cluster.store.record.snapshots.first { $0.id == lost }?.state == .deleting })
    // The replica left behind is not touched before it is discarded.
    scene.cluster.startNode(0)
    scene.wait(seconds: 5)
    #expect(scene.hasSnapshot(0, lost))
    scene.cluster.discard(0)
    #expect(scene.wait { scene.isHealthy && scene.cluster.store.record.snapshots.map(\.id) == [kept] }, "\(scene.story)")
    #expect(!scene.hasSnapshot(0, lost) && scene.hasSnapshot(0, kept) && scene.hasSnapshot(1, kept))
    #expect(scene.takeSnapshot() != nil)
    #expect(scene.end(checksHistory: false) == nil)
  }
}
