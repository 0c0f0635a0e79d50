import Foundation
import GRPC
import Protobuf
import Synchronization
import Testing

@testable import CSI
@testable import Control

/// A store, the real controller, and nodes that do at once whatever is assigned to them; and the Controller service over them.
final class FakeCluster: Sendable {
  let folder: String
  let store: SQLiteStore
  let service: ControllerService
  private let controller: Controller
  private let isStopped = Atomic(false)
  private let isAsleep = Atomic(false)
  private let watch: any StoreWatch
  private let nodeStore: SQLiteStore

  static let node = NodeIdentity(name: "worker-1", hostID: "aaaaaaaa-0000-4000-8000-000000000001")!
  static let otherNode = NodeIdentity(name: "worker-2", hostID: "aaaaaaaa-0000-4000-8000-000000000002")!

  /// While it is set, nodes do nothing of what is assigned to them.
  var nodesSleep: Bool {
    get { isAsleep.load(ordering: .relaxed) }
    set { isAsleep.store(newValue, ordering: .relaxed) }
  }

  init(nodes: [String] = ["a", "b", "c"], poolBytes: UInt64 = 1 << 40, patienceSeconds: UInt64 = 20) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "keelson-csi-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = try SQLiteStore(path: folder + "/state.db")
    nodeStore = try SQLiteStore(path: folder + "/state.db")
    for (index, name) in nodes.enumerated() {
      let address = TransportAddress(adrfam: "ipv4", traddr: "10.0.0.\(index + 1)", trsvcid: "4420")
      let status = NodeStatus(
        name: name, pid: 1, incarnation: "1", addresses: [address], ioEngine: "io_uring", state: .ready, startedAt: Date())
      let pool = PoolStatus(
        name: "disk", uuid: "u", kind: .file, path: "/p", sizeBytes: poolBytes, freeBytes: poolBytes, promisedBytes: 0,
        clusterBytes: 1 << 20, state: .ready)
      _ = try store.transact(
        StoreTransaction(operations: [
          .put(key: Keys.nodeStatus(name), value: status.encoded()),
          .put(key: Keys.poolStatus(node: name, "disk"), value: pool.encoded()),
        ]))
    }
    var options = ControllerService.Options()
    options.patienceNanoseconds = patienceSeconds * 1_000_000_000
    service = ControllerService(store: store, options: options)
    controller = Controller(store: store, name: "test")
    controller.start()
    watch = try nodeStore.watch(prefix: "", fromRevision: 1)
    let thread = Thread { [self] in act() }
    thread.start()
  }

  func stop() {
    isStopped.store(true, ordering: .relaxed)
    watch.cancel()
    controller.stop()
    service.stop()
    store.close()
    nodeStore.close()
    try? FileManager.default.removeItem(atPath: folder)
  }

  private func act() {
    var mirror: StoreMirror?
    while !isStopped.load(ordering: .relaxed) {
      do {
        if mirror == nil { mirror = StoreMirror(try nodeStore.listAll(prefix: "")) }
        if let batch = try watch.next(timeoutNanoseconds: 200_000_000) { mirror?.apply(batch) }
        guard let mirror, !nodesSleep else { continue }
        let operations = Self.work(ClusterState(mirror.entries), mirror)
        for start in stride(from: 0, to: operations.count, by: 50) {
          _ = try nodeStore.transact(StoreTransaction(operations: Array(operations[start..<min(start + 50, operations.count)])))
        }
      } catch {
        return
      }
    }
  }

  /// What all nodes have to say now.
  private static func work(_ cluster: ClusterState, _ mirror: StoreMirror) -> [StoreOperation] {
    var wanted: [String: Data] = [:]
    var operations: [StoreOperation] = []
    for placed in cluster.replicaAssignments {
      let replica = placed.object
      let status = ReplicaStatus(
        id: replica.id, volumeID: replica.volumeID, pool: replica.pool, state: replica.deleting ? .deleted : .ready)
      wanted[Keys.replicaStatus(node: placed.node, replica.id)] = status.encoded()
    }
    for placed in cluster.nexusAssignments where !placed.object.deleting {
      let nexus = placed.object
      var status = NexusStatus(
        volumeID: nexus.volumeID, state: .healthy, generation: cluster.inSync(nexus.volumeID)?.object.generation ?? 0,
        replicas: nexus.replicas.map { NexusStatus.Replica(id: $0.id, node: $0.node, state: .inSync) })
      status.hosts = nexus.publications
      if var stored = cluster.inSync(nexus.volumeID) {
        let old = stored.object
        stored.object.generation = max(old.generation, 1)
        stored.object.sizeBytes = nexus.wantedSizeBytes ?? old.sizeBytes
        stored.object.snapshots = nexus.snapshots.filter { !$0.deleting }.map { snapshot in
          old.snapshots.first { $0.id == snapshot.id }
            ?? InSyncRecord.Snapshot(
              id: snapshot.id, replicaSnapshot: "\(snapshot.id)", state: .ready, sizeBytes: old.sizeBytes ?? nexus.sizeBytes,
              takenAt: Date())
        }
        status.deletedSnapshots = nexus.snapshots.filter(\.deleting).map(\.id)
        if stored.object != old { operations.append(stored.replacement) }
      }
      wanted[Keys.nexusStatus(node: placed.node, nexus.volumeID)] = status.encoded()
    }
    for placed in cluster.pathAssignments {
      let status = PathStatus(volumeID: placed.object.volumeID, hosts: placed.object.publications)
      wanted[Keys.pathStatus(node: placed.node, placed.object.volumeID)] = status.encoded()
    }
    for (key, value) in wanted.sorted(by: { $0.key < $1.key }) where mirror[key]?.value != value {
      operations.append(.put(key: key, value: value))
    }
    for entry in mirror.entries where entry.key.hasPrefix("status/") && wanted[entry.key] == nil {
      let parts = entry.key.split(separator: "/")
      if parts.count == 4, ["replica", "nexus", "path"].contains(parts[2]) { operations.append(.delete(key: entry.key)) }
    }
    return operations
  }
}

extension FakeCluster {
  func createRequest(
    _ name: String, bytes: Int64 = 64 << 20, limit: Int64 = 0, parameters: [String: String] = [:], capability: VolumeCapability? = nil
  ) -> CreateVolumeRequest {
    var request = CreateVolumeRequest()
    request.name = name
    var range = CapacityRange()
    range.requiredBytes = bytes
    range.limitBytes = limit
    request.capacityRange = range
    request.volumeCapabilities = [capability ?? Self.capability()]
    request.parameters = parameters
    return request
  }

  static func capability(
    _ filesystem: String? = "ext4", _ mode: VolumeCapability.AccessMode.Mode = .singleNodeWriter
  ) -> VolumeCapability {
    var capability = VolumeCapability()
    var access = VolumeCapability.AccessMode()
    access.mode = mode
    capability.accessMode = access
    if let filesystem {
      var mount = VolumeCapability.MountVolume()
      mount.fsType = filesystem
      capability.mount = mount
    } else {
      capability.block = VolumeCapability.BlockVolume()
    }
    return capability
  }

  /// A new volume's id.
  func create(_ request: CreateVolumeRequest) async throws -> String {
    try #require(try await service.createVolume(request).volume).volumeID
  }

  func publishRequest(
    _ id: String, _ node: NodeIdentity = FakeCluster.node, _ capability: VolumeCapability = FakeCluster.capability(),
    isReadOnly: Bool = false
  ) -> ControllerPublishVolumeRequest {
    var request = ControllerPublishVolumeRequest()
    request.volumeID = id
    request.nodeID = "\(node)"
    request.volumeCapability = capability
    request.isReadOnly = isReadOnly
    return request
  }

  func unpublish(_ id: String, _ node: String = "\(FakeCluster.node)") async throws {
    var request = ControllerUnpublishVolumeRequest()
    request.volumeID = id
    request.nodeID = node
    _ = try await service.unpublishVolume(request)
  }

  func delete(_ id: String) async throws {
    var request = DeleteVolumeRequest()
    request.volumeID = id
    _ = try await service.deleteVolume(request)
  }
}

/// The status that a call ends with.
func code(_ body: () async throws -> Void) async -> GRPCCode {
  do {
    try await body()
    return .ok
  } catch {
    return ControllerService.status(of: error).code
  }
}
