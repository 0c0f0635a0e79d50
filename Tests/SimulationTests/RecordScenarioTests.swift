import Testing

@testable import Simulation

/// Stories about records of missed regions that are cut short (R6): nobody takes a part of one for all of it.
@Suite struct RecordScenarioTests {
  /// Data in every other region, and an empty activity log: what a new replica lacks is in many ranges, and in no log.
  private static func fill(_ scene: Scene) {
    for first in stride(from: 0, to: 512, by: 16) { scene.run(.write, first..<first + 8) }
    scene.wait(seconds: 8)
  }

  /// What node 0 or 1 has recorded of the replica of node 2; nil before it has any.
  private static func recorded(_ scene: Scene, _ node: Int) -> Int? {
    scene.disk(node).metadata.missed.first { $0.peer == scene.disk(2).id }?.regions.count
  }

  /// The node of the nexus and the other member die while that one is being told what a new replica lacks; later only the other one is there.
  static func cutShort(_ bug: PlantedBug?, after ranges: Int) -> String? {
    let scene = Scene(replicas: 3, firstSet: 2, regionBytes: 4 << 10, rangesPerQuestion: 1, bug: bug)
    scene.cluster.nodes[2].isSpare = true
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    fill(scene)
    for node in [1, 2] { scene.disk(node).faults.latencyNanoseconds = 1_000_000...2_000_000 }
    scene.cluster.add(2)
    guard scene.wait(seconds: 20, until: { recorded(scene, 1) != nil }) else { return "there was no record" }
    for _ in 0..<ranges {
      let before = recorded(scene, 1)
      scene.wait(seconds: 1) { recorded(scene, 1) != before }
    }
    scene.cluster.killNode(0)
    scene.cluster.killNode(1)
    scene.cluster.startNode(1)
    scene.startNexus(1)
    guard scene.wait(seconds: 60, until: { scene.set == [1, 2] }) else {
      return scene.violation ?? "the new replica did not join: \(scene.story)"
    }
    scene.wait(seconds: 5)
    if scene.disk(1).current != scene.disk(2).current { return "the new replica lacks what was written" }
    return scene.end()
  }

  /// Some of it gets lost in most of these.
  static func cutShortSomewhere(_ bug: PlantedBug?) -> String? {
    for ranges in [1, 3, 8, 12, 16, 20] { if let failure = cutShort(bug, after: ranges) { return "after \(ranges) ranges: \(failure)" } }
    return nil
  }

  @Test(arguments: [0, 1, 3, 8, 15, 30]) func `a record cut short is not taken for whole`(ranges: Int) {
    #expect(Self.cutShort(nil, after: ranges) == nil)
  }

  /// The only member is lost, with its connection, before it has heard what a new replica lacks.
  static func unheard(_ bug: PlantedBug?, events: Int) -> String? {
    let scene = Scene(replicas: 2, firstSet: 1, regionBytes: 4 << 10, bug: bug)
    scene.cluster.nodes[1].isSpare = true
    scene.startNexus(1)
    scene.wait { scene.isServing }
    fill(scene)
    scene.cluster.add(1)
    let start = scene.world.eventCount
    scene.wait(seconds: 5) { scene.world.eventCount >= start + events }
    scene.cluster.network.reset(between: 0, and: 1)
    guard scene.wait(seconds: 60, until: { scene.set == [0, 1] }) else {
      return scene.violation ?? "the new replica did not join: \(scene.story)"
    }
    return scene.end()
  }

  static func unheardAnywhere(_ bug: PlantedBug?) -> String? {
    for events in 1...60 { if let failure = unheard(bug, events: events) { return "after \(events) events: \(failure)" } }
    return nil
  }

  @Test func `a record that was asked for and not made does not count`() {
    #expect(Self.unheardAnywhere(nil) == nil)
  }

  /// Less than enough are there, and a replica that is new gets a record at the one member that is. The other member comes, the first one goes.
  static func handedOn(_ bug: PlantedBug?) -> String? {
    let scene = Scene(replicas: 3, minInSync: 2, firstSet: 2, regionBytes: 4 << 10, bug: bug)
    scene.cluster.nodes[2].isSpare = true
    scene.startNexus(0)
    scene.wait { scene.isHealthy }
    fill(scene)
    scene.cluster.killNode(1)
    scene.wait(seconds: 40) { scene.cluster.latest?.server.summary.contains("1 of at least 2") == true }
    // The new one is so slow that others come and go meanwhile.
    scene.disk(2).faults.latencyNanoseconds = 200_000_000...200_000_001
    scene.cluster.add(2)
    guard scene.wait(seconds: 20, until: { (recorded(scene, 0) ?? 0) > 0 }) else { return "there was no record: \(scene.story)" }
    scene.cluster.startNode(1)
    guard scene.wait(seconds: 60, until: { scene.isServing }) else { return "not served: \(scene.story)" }
    scene.cluster.killNode(0)
    scene.startNexus(1)
    scene.disk(2).faults.latencyNanoseconds = 20_000...400_000
    guard scene.wait(seconds: 120, until: { scene.set == [1, 2] }) else {
      return scene.violation ?? "the new replica did not join: \(scene.story)"
    }
    scene.wait(seconds: 5)
    if scene.disk(1).current != scene.disk(2).current { return "the new replica lacks what was written" }
    return scene.end()
  }

  @Test func `a member that comes later gets the records of the others`() {
    #expect(Self.handedOn(nil) == nil)
  }

  /// A record that a nexus did not go on with, as it had not heard of the replica, is gone.
  @Test func `a record that was not gone on with does not count`() throws {
    let scene = Scene(replicas: 2, firstSet: 1, regionBytes: 4 << 10)
    scene.cluster.nodes[1].isSpare = true
    scene.startNexus(0)
    #expect(scene.wait { scene.isHealthy })
    Self.fill(scene)
    scene.disk(1).faults.latencyNanoseconds = 20_000_000...40_000_000
    scene.cluster.add(1)
    // Some of it is copied and off the record.
    let missed = { scene.disk(0).metadata.missed.first?.regions.count ?? 0 }
    #expect(scene.wait(seconds: 20) { missed() > 20 })
    scene.cluster.killNode(1)
    scene.cluster.killNode(0)
    scene.cluster.nodes[1].isSpare = true
    scene.cluster.startNode(0)
    scene.startNexus(0)
    #expect(scene.wait { scene.isServing })
    // New data, which leave the log.
    for first in stride(from: 8, to: 512, by: 32) { #expect(scene.run(.write, first..<first + 8) == .success) }
    scene.wait(seconds: 8)
    scene.cluster.nodes[1].isSpare = false
    scene.cluster.startNode(1)
    scene.startNexus(0)
    #expect(scene.wait(seconds: 60) { scene.set == [0, 1] })
    #expect(scene.end() == nil)
  }
}
