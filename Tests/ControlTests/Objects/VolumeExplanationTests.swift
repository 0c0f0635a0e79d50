import Foundation
import Testing

@testable import Control

@Suite struct VolumeExplanationTests {
  private let sample = SampleVolume()

  private func explain(_ store: SimulatedStore) -> VolumeExplanation {
    VolumeExplanation(store.state.volumes[0].object, in: store.state)
  }

  private func rebuild(_ state: RebuildStatus.State, done: UInt64) -> RebuildStatus {
    RebuildStatus(
      replica: sample.replicas[1].id, node: "node-2", kind: .recorded, state: state, cause: "the connection was lost", bytesToDo: 8 << 20,
      bytesDone: done, bytesRead: done, bytesSent: 1 << 20, bytesPerSecond: 1 << 20, startedAt: Date(timeIntervalSince1970: 0))
  }

  @Test func `healthy: what it can lose, and nothing to do`() throws {
    let told = try explain(sample.healthy())
    #expect(told.why == ["all 2 replicas hold every acknowledged write", "it goes on if 1 of them is lost"])
    #expect(told.running == [] && told.next == [] && told.help == nil)
  }

  @Test func `degraded: who is absent, that what it misses is recorded, and whom to bring back`() throws {
    var store = try sample.healthy()
    try sample.put(.degraded, [.inSync, .absent], &store)
    try sample.put(members: [0], out: [1], &store)
    try store.remove(Keys.nodeStatus("node-2"))
    let told = explain(store)
    #expect(
      told.why == [
        "1 of 2 replicas hold every acknowledged write", "it stops serving if one of them is lost, until that one is back",
        "the replica on node-2 is absent: connection lost; the node is down",
      ])
    #expect(told.next.count == 1 && told.next[0].contains("when the node is back only that is copied"), "\(told.next)")
    #expect(told.help == "Bring back node-2.")
  }

  @Test func `healthy but slow: who is, and where to look`() throws {
    var store = try sample.healthy()
    try sample.put(.healthy, [.inSync, .inSync], slow: (1, "it is slow: 80 ms"), &store)
    let told = explain(store)
    #expect(told.volume.state == .healthy && told.volume.replicas.map(\.slow) == [nil, "it is slow: 80 ms"])
    #expect(told.why.last == "writes wait for the replica on node-2: it is slow: 80 ms")
    #expect(told.help == "See what slows down pool default of node-2, or the network there: keelson pool list")
  }

  @Test func `rebuilding: how far it is, and when it joins`() throws {
    var store = try sample.healthy()
    try sample.put(.rebuilding, [.inSync, .syncing], rebuilds: [rebuild(.done, done: 8 << 20), rebuild(.running, done: 2 << 20)], &store)
    try sample.put(members: [0], out: [1], &store)
    let told = explain(store)
    #expect(told.volume.state == .rebuilding && told.volume.replicas[1].rebuild?.bytesDone == 2 << 20)
    #expect(told.running.count == 1 && told.running[0].contains("2 MiB of 8 MiB, 1 MiB sent"), "\(told.running)")
    #expect(told.next == ["the replica on node-2 joins the in-sync set in about 7 s"])
    #expect(told.help?.hasSuffix("keelson rebuild list --watch") == true)
  }

  @Test func `blocked: why, what it waits for, and whom to bring back`() throws {
    var store = try sample.healthy()
    try sample.put(.blocked, [.inSync, .unreachable], message: "0 of at least 1 replicas are in sync", &store)
    try store.remove(Keys.nodeStatus("node-2"))
    let told = explain(store)
    #expect(told.why[0] == "0 of at least 1 replicas are in sync" && told.why[1].hasPrefix("at least 1 of its 2 replicas"))
    #expect(told.next.count == 1 && told.next[0].contains("node-2"), "\(told)")
    #expect(
      told.help == "Bring back node-2. Only if that cannot be: 'keelson volume force db' says what would be lost by going on without.")
  }

  @Test func `after a force: what was left behind, and how to give it up`() throws {
    var store = try sample.healthy()
    try sample.put(.degraded, [.inSync, .absent], &store)
    var record = InSyncRecord(
      generation: 3, setVersion: 2, nexusNode: "node-1", nexusIncarnation: "i", members: [sample.replicas[0].id],
      out: [.init(id: sample.replicas[1].id, reason: "left behind by force", atGeneration: 1)])
    record.out[0].keptBy = UUID()
    try store.put(Keys.inSync(sample.spec.id), record)
    let told = explain(store)
    #expect(told.volume.replicas[1].state == .leftBehind)
    #expect(told.why.last == "the replica on node-2 was left behind by an operator's force, and is kept as it was")
    #expect(told.help?.hasSuffix("keelson replica discard db node-2") == true, "\(told)")
  }

  @Test func `paused rebuilds and a scrub: what helps`() throws {
    var store = try sample.healthy()
    var spec = sample.spec
    spec.rebuild = RebuildPolicy(isPaused: true)
    try store.put(Keys.volumeSpec(name: "db"), spec)
    try sample.put(.degraded, [.inSync, .absent], &store)
    var record = InSyncRecord(
      generation: 3, setVersion: 2, nexusNode: "node-1", nexusIncarnation: "i", members: [sample.replicas[0].id],
      out: [.init(id: sample.replicas[1].id, reason: "connection lost", atGeneration: 1)])
    var scrub = ScrubStatus(id: UUID(), state: .done, startedAt: .now)
    (scrub.differingBlocks, scrub.repairedBlocks) = (3, 1)
    record.lastScrub = scrub
    try store.put(Keys.inSync(sample.spec.id), record)
    let told = explain(store)
    #expect(told.help == "Rebuilds are paused. Go on with: keelson rebuild resume db")
    #expect(told.why.contains { $0.hasPrefix("the last scrub found 2 blocks") }, "\(told.why)")
  }

  @Test func `blocked since the node of the nexus is gone`() throws {
    var store = try sample.healthy()
    try store.remove(Keys.nodeStatus("node-1"))
    let told = explain(store)
    #expect(told.why == ["node-1, which serves it, does not run"] && told.help == "Bring back node-1." && told.next.count == 1)
  }

  @Test func `before it is placed, and while it goes`() throws {
    var store = SimulatedStore()
    var spec = sample.spec
    try store.put(Keys.volumeSpec(name: "db"), spec)
    #expect(explain(store).help == nil)
    try store.put(Keys.volumeNote(name: "db"), VolumeNote(state: .pending, message: "needs 2 nodes"))
    #expect(explain(store).why == ["it has no place yet: it needs 2 nodes"] && explain(store).help != nil)
    spec.deleting = true
    try store.put(Keys.volumeSpec(name: "db"), spec)
    #expect(explain(store).why[0].hasPrefix("it is being deleted"))
  }

  @Test func `rebuilds of all volumes are listed by age`() throws {
    var store = try sample.healthy()
    var late = rebuild(.running, done: 0)
    late.startedAt = Date(timeIntervalSince1970: 60)
    try sample.put(.rebuilding, [.inSync, .syncing], rebuilds: [late, rebuild(.done, done: 8 << 20)], &store)
    let list = RebuildView.all(in: store.state)
    #expect(list.map(\.volume) == ["db", "db"] && list.map(\.rebuild.state) == [.done, .running])
    #expect(list.map(\.rebuild.fraction) == [1, 0] && list.map(\.rebuild.secondsLeft) == [nil, 8])
  }
}
