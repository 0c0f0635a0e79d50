import Foundation
import Testing

@testable import Control

@Suite struct VolumeViewTests {
  private let sample = SampleVolume()
  private var spec: VolumeSpec { sample.spec }
  private var replicas: [NexusAssignment.Replica] { sample.replicas }

  private func view(_ store: SimulatedStore) -> VolumeView { VolumeView.all(in: store.state)[0] }

  @Test func printsExactly() throws {
    let text = String(decoding: try JSONForm.encoder().encode(view(sample.healthy())), as: UTF8.self)
    #expect(
      text == """
        {"block_size":512,"id":"0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","name":"db","nexus":{"node":"node-1"},\
        "paths":[{"adrfam":"ipv4","ana_state":"optimized","node":"node-1",\
        "subnqn":"nqn.2026-11.io.keelson:volume:0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","traddr":"127.0.0.1","trsvcid":"4420",\
        "trtype":"tcp"}],"rebuilds":[],"replicas":[\
        {"id":"1d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","node":"node-1","pool":"default","state":"in-sync"},\
        {"id":"2d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11","node":"node-2","pool":"default","state":"in-sync"}],\
        "size":1073741824,"state":"healthy"}
        """)
  }

  @Test func aDroppedReplicaIsOut() throws {
    var store = try sample.healthy()
    try sample.put(.degraded, [.inSync, .absent], &store)
    try sample.put(members: [0], out: [1], &store)
    try store.remove(Keys.nodeStatus("node-2"))
    let view = view(store)
    #expect(view.state == .degraded)
    #expect(view.replicas.map(\.state) == [.inSync, .absent])
    #expect(view.message == "the replica on node-2 is absent: connection lost; the node is down")
    #expect(view.paths.map(\.anaState) == ["optimized"])
  }

  @Test func theRecordOutweighsALateStatus() throws {
    var store = try sample.healthy()
    try sample.put(members: [0], out: [1], &store)
    #expect(view(store).state == .degraded)
    #expect(view(store).replicas.map(\.state) == [.inSync, .absent])
  }

  @Test func aDeadReplicaNodeIsUnreachable() throws {
    var store = try sample.healthy()
    try store.remove(Keys.nodeStatus("node-2"))
    #expect(view(store).state == .degraded)
    #expect(view(store).replicas.map(\.state) == [.inSync, .unreachable])
  }

  @Test func aDeadNexusNodeBlocks() throws {
    var store = try sample.healthy()
    try store.remove(Keys.nodeStatus("node-1"))
    let view = view(store)
    #expect(view.state == .blocked && view.paths.isEmpty)
    #expect(view.message?.hasPrefix("node-1, which serves it, is not running") == true)
  }

  @Test func aStartingNexusBlocks() throws {
    var store = try sample.healthy()
    try sample.put(.starting, [], &store)
    #expect(view(store).state == .blocked)
    #expect(view(store).paths.map(\.anaState) == ["inaccessible"])
    try sample.put(.faulted, [.absent, .absent], &store)
    #expect(view(store).state == .faulted)
  }

  @Test func beforeItIsPlaced() throws {
    var store = SimulatedStore()
    try store.put(Keys.volumeSpec(name: "db"), spec)
    #expect(view(store).state == .blocked && view(store).message == "it is being created" && view(store).nexus == nil)
    try store.put(Keys.volumeNote(name: "db"), VolumeNote(state: .pending, message: "needs 2 nodes"))
    #expect(view(store).message == "needs 2 nodes")
  }

  @Test func nodesPoolsAndReplicas() throws {
    var store = try sample.healthy()
    try store.remove(Keys.nodeStatus("node-2"))
    let state = store.state
    let nodes = String(decoding: try JSONForm.encoder().encode(NodeView.all(in: state)), as: UTF8.self)
    #expect(
      nodes == """
        [{"addresses":[{"adrfam":"ipv4","traddr":"127.0.0.1","trsvcid":"4420"}],"cordoned":false,"draining":false,\
        "labels":{},"name":"node-1","pid":42,"state":"ready"},\
        {"addresses":[],"cordoned":false,"draining":false,"labels":{},"name":"node-2","pid":null,"state":"down"}]
        """)
    #expect(PoolView.all(in: state).map(\.state) == ["ready", "unreachable"])
    #expect(PoolView.all(in: state).map(\.free) == [1 << 30, 1 << 30])
    #expect(ReplicaView.all(in: state).map(\.state) == [.inSync, .unreachable])
    #expect(ReplicaView.all(in: state).map(\.subnqn) == replicas.map { NQN.replica($0.id) })
  }
}
