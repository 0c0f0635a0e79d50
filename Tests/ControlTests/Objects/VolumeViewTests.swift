import Foundation
import Testing

@testable import Control

@Suite struct VolumeViewTests {
  private let spec = VolumeSpec(
    id: VolumeID("0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, name: "db", sizeBytes: 1 << 30, replicaCount: 2,
    createdAt: Date(timeIntervalSince1970: 0))
  private let replicas = [
    NexusAssignment.Replica(id: ReplicaID("1d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, node: "node-1", pool: "default"),
    NexusAssignment.Replica(id: ReplicaID("2d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, node: "node-2", pool: "default"),
  ]

  /// A healthy volume on two nodes.
  private func healthy() throws -> SimulatedStore {
    var store = SimulatedStore()
    for (name, port) in [("node-1", "4420"), ("node-2", "4421")] {
      try store.put(
        Keys.nodeStatus(name),
        NodeStatus(
          name: name, pid: 42, incarnation: "i", addresses: [.init(adrfam: "ipv4", traddr: "127.0.0.1", trsvcid: port)],
          ioEngine: "io_uring", state: .ready, startedAt: Date(timeIntervalSince1970: 0)))
      try store.put(
        Keys.poolStatus(node: name, "default"),
        PoolStatus(
          name: "default", uuid: "u", kind: .file, path: "/p", sizeBytes: 2 << 30, freeBytes: 1 << 30, promisedBytes: 1 << 30,
          clusterBytes: 1 << 20,
          state: .ready))
    }
    try store.put(Keys.volumeSpec(name: "db"), spec)
    try store.put(
      Keys.nexusAssignment(node: "node-1", spec.id),
      NexusAssignment(volumeID: spec.id, volumeName: "db", sizeBytes: spec.sizeBytes, blockSizeBytes: 512, replicas: replicas))
    for replica in replicas {
      try store.put(
        Keys.replicaStatus(node: replica.node, replica.id),
        ReplicaStatus(id: replica.id, volumeID: spec.id, pool: "default", state: .ready))
    }
    try put(.healthy, [.inSync, .inSync], &store)
    try put(members: [0, 1], out: [], &store)
    return store
  }

  private func put(_ state: NexusStatus.State, _ seen: [NexusStatus.Replica.State], _ store: inout SimulatedStore) throws {
    let views = zip(replicas, seen).map { NexusStatus.Replica(id: $0.id, node: $0.node, state: $1) }
    try store.put(
      Keys.nexusStatus(node: "node-1", spec.id), NexusStatus(volumeID: spec.id, state: state, generation: 1, replicas: views))
  }

  private func put(members: [Int], out: [Int], _ store: inout SimulatedStore) throws {
    try store.put(
      Keys.inSync(spec.id),
      InSyncRecord(
        generation: 1, setVersion: 1, nexusNode: "node-1", nexusIncarnation: "i", members: members.map { replicas[$0].id },
        out: out.map { .init(id: replicas[$0].id, reason: "connection lost", atGeneration: 1) }))
  }

  private func view(_ store: SimulatedStore) -> VolumeView { VolumeView.all(in: store.state)[0] }

  @Test func printsExactly() throws {
    let text = String(decoding: try JSONForm.encoder().encode(view(healthy())), as: UTF8.self)
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
    var store = try healthy()
    try put(.degraded, [.inSync, .absent], &store)
    try put(members: [0], out: [1], &store)
    try store.remove(Keys.nodeStatus("node-2"))
    let view = view(store)
    #expect(view.state == .degraded)
    #expect(view.replicas.map(\.state) == [.inSync, .absent])
    #expect(view.message == "the replica on node-2 is absent: connection lost; the node is down")
    #expect(view.paths.map(\.anaState) == ["optimized"])
  }

  @Test func theRecordOutweighsALateStatus() throws {
    var store = try healthy()
    try put(members: [0], out: [1], &store)
    #expect(view(store).state == .degraded)
    #expect(view(store).replicas.map(\.state) == [.inSync, .absent])
  }

  @Test func aDeadReplicaNodeIsUnreachable() throws {
    var store = try healthy()
    try store.remove(Keys.nodeStatus("node-2"))
    #expect(view(store).state == .degraded)
    #expect(view(store).replicas.map(\.state) == [.inSync, .unreachable])
  }

  @Test func aDeadNexusNodeBlocks() throws {
    var store = try healthy()
    try store.remove(Keys.nodeStatus("node-1"))
    let view = view(store)
    #expect(view.state == .blocked && view.paths.isEmpty)
    #expect(view.message?.hasPrefix("node-1, which serves it, is not running") == true)
  }

  @Test func aStartingNexusBlocks() throws {
    var store = try healthy()
    try put(.starting, [], &store)
    #expect(view(store).state == .blocked)
    #expect(view(store).paths.map(\.anaState) == ["inaccessible"])
    try put(.faulted, [.absent, .absent], &store)
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
    var store = try healthy()
    try store.remove(Keys.nodeStatus("node-2"))
    let state = store.state
    let nodes = String(decoding: try JSONForm.encoder().encode(NodeView.all(in: state)), as: UTF8.self)
    #expect(
      nodes == """
        [{"addresses":[{"adrfam":"ipv4","traddr":"127.0.0.1","trsvcid":"4420"}],"name":"node-1","pid":42,"state":"ready"},\
        {"addresses":[],"name":"node-2","pid":null,"state":"down"}]
        """)
    #expect(PoolView.all(in: state).map(\.state) == ["ready", "unreachable"])
    #expect(PoolView.all(in: state).map(\.free) == [1 << 30, 1 << 30])
    #expect(ReplicaView.all(in: state).map(\.state) == [.inSync, .unreachable])
    #expect(ReplicaView.all(in: state).map(\.subnqn) == replicas.map { NQN.replica($0.id) })
  }
}
