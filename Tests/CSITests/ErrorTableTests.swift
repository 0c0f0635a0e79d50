import Control
import Foundation
import GRPC
import Testing

@testable import CSI

/// Rules of the CSI 1.12 error tables that are about what is under way, and the rarer ones; the others are in `ControllerServiceTests`,
/// `SnapshotTests` and `NodeServiceTests`.
@Suite(.timeLimit(.minutes(5))) struct ErrorTableTests {
  private func with(_ cluster: FakeCluster, _ body: (FakeCluster) async throws -> Void) async throws {
    defer { cluster.stop() }
    try await body(cluster)
  }

  /// "Operation pending for volume": ABORTED, and the operation goes on.
  @Test func `what takes long is ABORTED, and found done later`() async throws {
    try await with(FakeCluster(patienceSeconds: 1)) { cluster in
      let service = cluster.service
      let patient = ControllerService(store: cluster.store)
      defer { patient.stop() }
      func snapshotRequest(_ volume: String) -> CreateSnapshotRequest {
        var request = CreateSnapshotRequest()
        request.name = "s"
        request.sourceVolumeID = volume
        return request
      }
      cluster.nodesSleep = true
      let request = cluster.createRequest("pvc-1")
      for _ in 0..<2 { #expect(await code { _ = try await service.createVolume(request) } == .aborted) }
      cluster.nodesSleep = false
      let id = try #require(try await patient.createVolume(request).volume).volumeID
      #expect(try cluster.store.listAll(prefix: Keys.volumeSpecs).entries.count == 1)

      cluster.nodesSleep = true
      #expect(await code { _ = try await service.publishVolume(cluster.publishRequest(id)) } == .aborted)
      cluster.nodesSleep = false
      _ = try await patient.publishVolume(cluster.publishRequest(id))

      cluster.nodesSleep = true
      #expect(await code { _ = try await service.createSnapshot(snapshotRequest(id)) } == .aborted)
      cluster.nodesSleep = false
      let snapshot = try #require(try await patient.createSnapshot(snapshotRequest(id)).snapshot)
      #expect(snapshot.isReadyToUse)

      cluster.nodesSleep = true
      var expand = ControllerExpandVolumeRequest()
      expand.volumeID = id
      expand.capacityRange = CapacityRange()
      expand.capacityRange?.requiredBytes = 128 << 20
      let larger = expand
      #expect(await code { _ = try await service.expandVolume(larger) } == .aborted)
      cluster.nodesSleep = false
      #expect(try await patient.expandVolume(larger).capacityBytes == 128 << 20)

      cluster.nodesSleep = true
      // The host is not out before the nodes say so: this one must not be answered early (R13).
      #expect(await code { try await cluster.unpublish(id) } == .aborted)
      cluster.nodesSleep = false
      var unpublish = ControllerUnpublishVolumeRequest()
      unpublish.volumeID = id
      unpublish.nodeID = "\(FakeCluster.node)"
      _ = try await patient.unpublishVolume(unpublish)
    }
  }

  /// A name whose volume or snapshot is on its way out is not given to another one, and the id is nobody's.
  @Test func `what is being deleted is no longer there, and its name is not free yet`() async throws {
    let cluster = try FakeCluster(patienceSeconds: 1)
    defer { cluster.stop() }
    let request = cluster.createRequest("pvc-1")
    let id = try await cluster.create(request)
    cluster.nodesSleep = true
    var options = ControllerService.Options()
    options.patienceNanoseconds = 1_000_000_000
    options.deletionNanoseconds = 200_000_000
    let service = ControllerService(store: cluster.store, options: options)
    defer { service.stop() }
    var deletion = DeleteVolumeRequest()
    deletion.volumeID = id
    for _ in 0..<2 { _ = try await service.deleteVolume(deletion) }
    #expect(await code { _ = try await service.createVolume(request) } == .aborted)
    #expect(await code { _ = try await service.publishVolume(cluster.publishRequest(id)) } == .notFound)
    var get = ControllerGetVolumeRequest()
    get.volumeID = id
    let wanted = get
    #expect(await code { _ = try await service.getVolume(wanted) } == .notFound)
    #expect(try await service.listVolumes(ListVolumesRequest()).entries.isEmpty)
    cluster.nodesSleep = false
    for _ in 0..<600 where try !cluster.store.listAll(prefix: Keys.volumeSpecs).entries.isEmpty {
      try await Task.sleep(for: .milliseconds(50))
    }
    let patient = ControllerService(store: cluster.store)
    defer { patient.stop() }
    let next = try #require(try await patient.createVolume(request).volume).volumeID
    #expect(next != id)
  }

  @Test func `CreateVolume: another source under the same name, and a place that nobody has`() async throws {
    try await with(FakeCluster(nodes: ["a", "b"], patienceSeconds: 2)) { cluster in
      let first = try await cluster.create(cluster.createRequest("pvc-1"))
      _ = try await cluster.create(cluster.createRequest("pvc-2"))
      var request = cluster.createRequest("pvc-2")
      request.volumeContentSource = VolumeContentSource()
      request.volumeContentSource?.volume = VolumeContentSource.VolumeSource()
      request.volumeContentSource?.volume?.volumeID = first
      let copy = request
      #expect(await code { _ = try await cluster.service.createVolume(copy) } == .alreadyExists)
      // "Unable to provision in accessible_topology"
      request = cluster.createRequest("pvc-3", parameters: ["locality": "strict"])
      var topology = Topology()
      topology.segments = [CSINames.topologyNode: "nowhere"]
      request.accessibilityRequirements = TopologyRequirement()
      request.accessibilityRequirements?.requisite = [topology]
      let unreachable = request
      #expect(await code { _ = try await cluster.service.createVolume(unreachable) } == .resourceExhausted)
      topology.segments = ["somebody.example/zone": "a"]
      request.accessibilityRequirements?.requisite = [topology]
      let foreign = request
      #expect(await code { _ = try await cluster.service.createVolume(foreign) } == .invalidArgument)
      // Replicas on three nodes, of which there are two.
      let wide = cluster.createRequest("pvc-4", parameters: ["replicas": "3"])
      #expect(await code { _ = try await cluster.service.createVolume(wide) } == .resourceExhausted)
    }
  }

  @Test func `ControllerPublishVolume: more hosts than a volume can have`() async throws {
    try await with(FakeCluster()) { cluster in
      let shared = FakeCluster.capability(nil, .multiNodeMultiWriter)
      let id = try await cluster.create(cluster.createRequest("vm", capability: shared))
      let spec = try #require(try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "vm"))?.object)
      for number in 0..<Publication.maximumCount {
        let hex = String(number, radix: 16)
        let node = try #require(
          NodeIdentity(name: "worker-\(number)", hostID: "bbbbbbbb-0000-4000-8000-\(String(repeating: "0", count: 12 - hex.count) + hex)"))
        let publication = Publication(hostNQN: node.hostNQN, nodeName: node.name, mode: .multiWriter)
        _ = try VolumeRequests.publish(name: spec.name, publication, onConflict: .refuse, in: cluster.store)
      }
      #expect(
        await code { _ = try await cluster.service.publishVolume(cluster.publishRequest(id, FakeCluster.node, shared)) }
          == .resourceExhausted)
      // A writer of its own, where others are.
      let single = FakeCluster.capability(nil, .singleNodeWriter)
      #expect(
        await code { _ = try await cluster.service.publishVolume(cluster.publishRequest(id, FakeCluster.node, single)) }
          == .failedPrecondition)
    }
  }

  @Test func `requests without what they must have`() async throws {
    try await with(FakeCluster()) { cluster in
      let service = cluster.service
      #expect(await code { _ = try await service.getVolume(ControllerGetVolumeRequest()) } == .invalidArgument)
      var list = ListSnapshotsRequest()
      list.maxEntries = -1
      let negative = list
      #expect(await code { _ = try await service.listSnapshots(negative) } == .invalidArgument)
      let id = try await cluster.create(cluster.createRequest("pvc-1"))
      var expand = ControllerExpandVolumeRequest()
      expand.volumeID = id
      for (required, limit, expected) in [
        (-1, 0, GRPCCode.invalidArgument), (2 << 20, 1 << 20, .outOfRange), ((64 << 40) + 1, 0, .outOfRange),
      ] {
        expand.capacityRange = CapacityRange()
        expand.capacityRange?.requiredBytes = Int64(required)
        expand.capacityRange?.limitBytes = Int64(limit)
        let asked = expand
        #expect(await code { _ = try await service.expandVolume(asked) } == expected)
      }
      expand.capacityRange?.requiredBytes = 128 << 20
      expand.volumeCapability = FakeCluster.capability("ext4", .multiNodeMultiWriter)
      let impossible = expand
      #expect(await code { _ = try await service.expandVolume(impossible) } == .invalidArgument)
      var validate = ValidateVolumeCapabilitiesRequest()
      validate.volumeID = id
      validate.volumeCapabilities = [FakeCluster.capability()]
      validate.volumeContext = ["name": "another"]
      #expect(try await service.validateVolumeCapabilities(validate).confirmed == nil)
    }
  }
}
