import Foundation
import Testing

@testable import Control

/// What a specification says reaches the nexus that runs.
@Suite struct OrdersTests {
  private let sample = SampleVolume()

  private func steps(_ store: SimulatedStore) -> [Reconciler.Step] {
    var random = SystemRandomNumberGenerator()
    return Reconciler.reconcile(store.state, using: &random)
  }

  /// Does what the reconciler says until it has nothing to say, and returns the nexus's assignment.
  private func settled(_ store: inout SimulatedStore) throws -> NexusAssignment {
    for _ in 0..<10 {
      guard let step = steps(store).first else { break }
      #expect(try store.apply(step.transaction))
    }
    #expect(steps(store).isEmpty)
    return try #require(store.state.nexusAssignments(of: sample.spec.id).first).object
  }

  @Test func `they are carried, changed, and taken back`() throws {
    var store = try sample.healthy()
    #expect(try settled(&store).orders == nil)
    var spec = sample.spec
    spec.rebuild = RebuildPolicy(isPaused: true, bytesPerSecond: 1 << 20)
    spec.slowReplicas = .drop
    let scrub = ScrubRequest(requestedAt: .now)
    spec.scrub = scrub
    try store.put(Keys.volumeSpec(name: "db"), spec)
    let told = try settled(&store)
    #expect(told.orders?.rebuild?.isPaused == true && told.orders?.rebuild?.bytesPerSecond == 1 << 20)
    #expect(told.orders?.slowReplicas == .drop && told.orders?.scrub == scrub)
    // As many replicas as were asked for count, whatever stands in for whom.
    #expect(told.minInSync == 1)
    try store.put(Keys.volumeSpec(name: "db"), sample.spec)
    #expect(try settled(&store).orders == nil)
  }

  @Test func `an operator's force takes the nexus to the replica it names, where its node is gone`() throws {
    var store = try sample.healthy()
    _ = try settled(&store)
    try sample.put(members: [0], out: [1], &store)
    try store.remove(Keys.nodeStatus("node-1"))
    // Nobody else is in sync: it stays where it is.
    _ = try settled(&store)
    #expect(store.state.nexusAssignments(of: sample.spec.id).map(\.node) == ["node-1"])
    var spec = sample.spec
    let record = try #require(store.state.inSync(sample.spec.id)).object
    spec.force = ForceRequest(requestedAt: .now, replica: sample.replicas[1].id, record: record)
    try store.put(Keys.volumeSpec(name: "db"), spec)
    let told = try settled(&store)
    #expect(store.state.nexusAssignments(of: sample.spec.id).map(\.node) == ["node-2"])
    #expect(told.orders?.force == spec.force)
  }
}
