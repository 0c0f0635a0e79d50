import Control
import Foundation
import GRPC
import Testing

@testable import CSI

/// The process that answers a call is killed before and after every one of its calls to the store. The same call, asked of another process,
/// ends as if nothing had happened, and in the end there is no more in the store than there was.
@Suite(.timeLimit(.minutes(10))) struct CrashTests {
  /// A call under test. `prepare` and `check` are made by processes that live.
  private struct Call: Sendable {
    var name: String
    /// Fewer calls to the store would mean that nothing was tested.
    var leastCalls: Int
    var prepare: @Sendable (FakeCluster, String) async throws -> [String]
    var make: @Sendable (ControllerService, FakeCluster, String, [String]) async throws -> String
    var check: @Sendable (FakeCluster, String, [String], String) async throws -> Void
  }

  private static func spec(_ id: String, _ cluster: FakeCluster) throws -> VolumeSpec? {
    let state = ClusterState(try cluster.store.listAll(prefix: "").entries)
    return state.volumes.map(\.object).first { "\($0.id)" == id }
  }

  private static func snapshotRequest(_ name: String, _ volume: String) -> CreateSnapshotRequest {
    var request = CreateSnapshotRequest()
    request.name = name
    request.sourceVolumeID = volume
    return request
  }

  private static func copyRequest(_ cluster: FakeCluster, _ name: String, snapshot: String? = nil, volume: String? = nil)
    -> CreateVolumeRequest
  {
    var request = cluster.createRequest(name)
    request.volumeContentSource = VolumeContentSource()
    if let snapshot {
      request.volumeContentSource?.snapshot = VolumeContentSource.SnapshotSource()
      request.volumeContentSource?.snapshot?.snapshotID = snapshot
    }
    if let volume {
      request.volumeContentSource?.volume = VolumeContentSource.VolumeSource()
      request.volumeContentSource?.volume?.volumeID = volume
    }
    return request
  }

  /// That the volume is one, whole, and another process gives the same for it.
  private static func isWhole(_ id: String, named name: String, _ cluster: FakeCluster) throws {
    let state = ClusterState(try cluster.store.listAll(prefix: "").entries)
    #expect(state.volumes.filter { $0.object.csi?.name == name }.map { "\($0.object.id)" } == [id])
    let volume = try #require(VolumeID(id))
    #expect(state.replicaAssignments(of: volume).count == 2)
    #expect(state.nexusAssignments(of: volume).count == 1)
  }

  private static let calls: [Call] = [
    Call(name: "CreateVolume", leastCalls: 3, prepare: { _, _ in [] }) { service, cluster, name, _ in
      try #require(try await service.createVolume(cluster.createRequest(name)).volume).volumeID
    } check: { cluster, name, _, id in
      try isWhole(id, named: name, cluster)
    },
    Call(name: "CreateVolume from a snapshot", leastCalls: 5) { cluster, name in
      let volume = try await cluster.create(cluster.createRequest(name + "-source"))
      return [volume, try await snapshot(of: volume, name + "-s", cluster)]
    } make: { service, cluster, name, made in
      try #require(try await service.createVolume(copyRequest(cluster, name, snapshot: made[1])).volume).volumeID
    } check: { cluster, name, _, id in
      try isWhole(id, named: name, cluster)
    },
    Call(name: "CreateVolume from a volume", leastCalls: 5) { cluster, name in
      [try await cluster.create(cluster.createRequest(name + "-source"))]
    } make: { service, cluster, name, made in
      try #require(try await service.createVolume(copyRequest(cluster, name, volume: made[0])).volume).volumeID
    } check: { cluster, name, _, id in
      try isWhole(id, named: name, cluster)
    },
    Call(name: "CreateSnapshot", leastCalls: 4) { cluster, name in
      [try await cluster.create(cluster.createRequest(name))]
    } make: { service, _, name, made in
      let response = try await service.createSnapshot(snapshotRequest(name + "-s", made[0]))
      return try #require(response.snapshot).snapshotID
    } check: { cluster, name, made, id in
      let entries = try await cluster.service.listSnapshots(ListSnapshotsRequest()).entries.compactMap(\.snapshot)
      #expect(entries.filter { $0.sourceVolumeID == made[0] }.map(\.snapshotID) == [id])
      #expect(entries.first { $0.snapshotID == id }?.isReadyToUse == true)
    },
    Call(name: "DeleteSnapshot", leastCalls: 3) { cluster, name in
      let volume = try await cluster.create(cluster.createRequest(name))
      return [volume, try await snapshot(of: volume, name + "-s", cluster)]
    } make: { service, _, _, made in
      var request = DeleteSnapshotRequest()
      request.snapshotID = made[1]
      _ = try await service.deleteSnapshot(request)
      return ""
    } check: { cluster, _, made, _ in
      let entries = try await cluster.service.listSnapshots(ListSnapshotsRequest()).entries.compactMap(\.snapshot)
      #expect(!entries.contains { $0.snapshotID == made[1] })
    },
    Call(name: "ControllerPublishVolume", leastCalls: 4) { cluster, name in
      [try await cluster.create(cluster.createRequest(name))]
    } make: { service, cluster, _, made in
      try await service.publishVolume(cluster.publishRequest(made[0])).publishContext["subnqn"] ?? ""
    } check: { cluster, _, made, nqn in
      let spec = try #require(try spec(made[0], cluster))
      #expect(nqn == NQN.volume(spec.id))
      #expect(spec.publications?.map(\.hostNQN) == [FakeCluster.node.hostNQN])
    },
    Call(name: "ControllerUnpublishVolume", leastCalls: 4) { cluster, name in
      let id = try await cluster.create(cluster.createRequest(name))
      _ = try await cluster.service.publishVolume(cluster.publishRequest(id))
      return [id]
    } make: { service, _, _, made in
      var request = ControllerUnpublishVolumeRequest()
      request.volumeID = made[0]
      request.nodeID = "\(FakeCluster.node)"
      _ = try await service.unpublishVolume(request)
      return ""
    } check: { cluster, _, made, _ in
      let left = try spec(made[0], cluster)?.publications
      #expect(left == [])
    },
    Call(name: "ControllerExpandVolume", leastCalls: 3) { cluster, name in
      [try await cluster.create(cluster.createRequest(name))]
    } make: { service, _, _, made in
      var request = ControllerExpandVolumeRequest()
      request.volumeID = made[0]
      request.capacityRange = CapacityRange()
      request.capacityRange?.requiredBytes = 128 << 20
      return "\(try await service.expandVolume(request).capacityBytes)"
    } check: { cluster, _, made, bytes in
      #expect(bytes == "\(128 << 20)")
      let size = try spec(made[0], cluster)?.sizeBytes
      #expect(size == 128 << 20)
    },
    Call(name: "DeleteVolume", leastCalls: 3) { cluster, name in
      [try await cluster.create(cluster.createRequest(name))]
    } make: { service, _, _, made in
      var request = DeleteVolumeRequest()
      request.volumeID = made[0]
      _ = try await service.deleteVolume(request)
      return ""
    } check: { cluster, _, made, _ in
      let left = try spec(made[0], cluster)
      #expect(left == nil)
    },
  ]

  private static func snapshot(of volume: String, _ name: String, _ cluster: FakeCluster) async throws -> String {
    try #require(try await cluster.service.createSnapshot(snapshotRequest(name, volume)).snapshot).snapshotID
  }

  /// Everything but what is said of what happened.
  private func keys(_ cluster: FakeCluster) throws -> [String] {
    try cluster.store.listAll(prefix: "").entries.map(\.key).filter { !$0.hasPrefix(Keys.events) && !$0.hasPrefix("lease/") }
  }

  private func deleteAll(_ cluster: FakeCluster) async throws {
    let state = ClusterState(try cluster.store.listAll(prefix: "").entries)
    for snapshot in state.snapshots where !snapshot.object.deleting && snapshot.object.cloneID == nil {
      var request = DeleteSnapshotRequest()
      request.snapshotID = "\(snapshot.object.id)"
      _ = try await cluster.service.deleteSnapshot(request)
    }
    // Copies first: what they were made from is needed until they are there.
    for volume in state.volumes.map(\.object).sorted(by: { ($0.source == nil ? 1 : 0, $0.name) < ($1.source == nil ? 1 : 0, $1.name) }) {
      try await cluster.unpublish("\(volume.id)", "")
      for attempt in 0... {
        do {
          try await cluster.delete("\(volume.id)")
          break
        } catch VolumeRequests.Failure.failedPrecondition where attempt < 600 {
          // The snapshot that a copy was made from goes a moment after the copy is there.
          try await Task.sleep(for: .milliseconds(50))
        }
      }
    }
  }

  @Test(arguments: calls.indices) func `killed between any two steps`(_ position: Int) async throws {
    let call = Self.calls[position]
    let cluster = try FakeCluster()
    defer { cluster.stop() }
    _ = try await cluster.service.listVolumes(ListVolumesRequest())
    let before = try keys(cluster)
    for end in MortalStore.End.allCases {
      var steps = 0
      while true {
        let name = "pvc-\(end)-\(steps)"
        let made = try await call.prepare(cluster, name)
        let store = MortalStore(cluster.store)
        var options = ControllerService.Options()
        options.patienceNanoseconds = 60_000_000_000
        let service = ControllerService(store: store, options: options)
        // Not a step of the call.
        while !service.isReady { try await Task.sleep(for: .milliseconds(2)) }
        store.arm(calls: steps, end)
        let answer = try? await call.make(service, cluster, name, made)
        service.stop()
        let isCutOff = store.isOver
        #expect(isCutOff || answer != nil, "\(call.name), \(steps) steps")
        let again = try await call.make(cluster.service, cluster, name, made)
        if let answer { #expect(again == answer, "\(call.name), \(steps) steps") }
        try await call.check(cluster, name, made, again)
        // Once more: what is done stays done.
        let third = try await call.make(cluster.service, cluster, name, made)
        #expect(third == again, "\(call.name), \(steps) steps")
        try await deleteAll(cluster)
        if !isCutOff { break }
        steps += 1
        try #require(steps < 100)
      }
      #expect(steps >= call.leastCalls, "\(call.name): \(steps) steps")
    }
    // The nodes take back what they said of things that are gone.
    for _ in 0..<600 where try keys(cluster) != before { try await Task.sleep(for: .milliseconds(100)) }
    #expect(try keys(cluster) == before)
  }

  /// A caller that never asks again leaves a wish, not a part of one: what was asked for is there whole, or not at all.
  @Test func `nothing half-made stays when nobody asks again`() async throws {
    let cluster = try FakeCluster()
    defer { cluster.stop() }
    for steps in 0..<8 {
      for end in MortalStore.End.allCases {
        let name = "pvc-\(end)-\(steps)"
        let store = MortalStore(cluster.store)
        let service = ControllerService(store: store)
        while !service.isReady { try await Task.sleep(for: .milliseconds(2)) }
        store.arm(calls: steps, end)
        _ = try? await service.createVolume(cluster.createRequest(name))
        service.stop()
        let spec = try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name))?.object
        guard let spec else { continue }
        for _ in 0..<600 {
          let state = ClusterState(try cluster.store.listAll(prefix: "").entries)
          if VolumeView(spec, in: state).state == .healthy { break }
          try await Task.sleep(for: .milliseconds(50))
        }
        try Self.isWhole("\(spec.id)", named: name, cluster)
        let listed = try await cluster.service.listVolumes(ListVolumesRequest()).entries.compactMap(\.volume?.volumeID)
        #expect(listed.contains("\(spec.id)"))
      }
    }
  }
}
