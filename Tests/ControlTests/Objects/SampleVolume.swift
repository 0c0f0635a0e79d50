import Foundation

@testable import Control

/// A volume with replicas on two nodes, and what nodes and controller say of it.
struct SampleVolume {
  let spec = VolumeSpec(
    id: VolumeID("0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, name: "db", sizeBytes: 1 << 30, replicaCount: 2,
    createdAt: Date(timeIntervalSince1970: 0))
  let replicas = [
    NexusAssignment.Replica(id: ReplicaID("1d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, node: "node-1", pool: "default"),
    NexusAssignment.Replica(id: ReplicaID("2d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!, node: "node-2", pool: "default"),
  ]

  /// A healthy volume on two nodes.
  func healthy() throws -> SimulatedStore {
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

  func put(
    _ state: NexusStatus.State, _ seen: [NexusStatus.Replica.State], message: String? = nil, rebuilds: [RebuildStatus] = [],
    _ store: inout SimulatedStore
  ) throws {
    let views = zip(replicas, seen).map { NexusStatus.Replica(id: $0.id, node: $0.node, state: $1) }
    try store.put(
      Keys.nexusStatus(node: "node-1", spec.id),
      NexusStatus(volumeID: spec.id, state: state, message: message, generation: 1, replicas: views, rebuilds: rebuilds))
  }

  func put(members: [Int], out: [Int], _ store: inout SimulatedStore) throws {
    try store.put(
      Keys.inSync(spec.id),
      InSyncRecord(
        generation: 1, setVersion: 1, nexusNode: "node-1", nexusIncarnation: "i", members: members.map { replicas[$0].id },
        out: out.map { .init(id: replicas[$0].id, reason: "connection lost", atGeneration: 1) }))
  }
}
