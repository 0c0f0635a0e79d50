import Control
import GRPC
import Testing

@testable import CSI

/// The rules of the CSI 1.12 error tables, one by one, for what the Controller service does with volumes.
@Suite(.timeLimit(.minutes(3))) struct ControllerServiceTests {
  private func with(_ cluster: FakeCluster, _ body: (FakeCluster) async throws -> Void) async throws {
    defer { cluster.stop() }
    try await body(cluster)
  }

  @Test func `CreateVolume: what is missing or wrong`() async throws {
    try await with(FakeCluster()) { cluster in
      func status(_ change: (inout CreateVolumeRequest) -> Void) async -> GRPCCode {
        var request = cluster.createRequest("pvc-1")
        change(&request)
        let changed = request
        return await code { _ = try await cluster.service.createVolume(changed) }
      }
      #expect(await status { $0.name = "" } == .invalidArgument)
      #expect(await status { $0.name = String(repeating: "x", count: 1025) } == .invalidArgument)
      #expect(await status { $0.volumeCapabilities = [] } == .invalidArgument)
      #expect(await status { $0.volumeCapabilities = [VolumeCapability()] } == .invalidArgument)
      #expect(await status { $0.volumeCapabilities = [FakeCluster.capability("ext4", .multiNodeMultiWriter)] } == .invalidArgument)
      #expect(await status { $0.volumeCapabilities = [FakeCluster.capability("zfs")] } == .invalidArgument)
      #expect(await status { $0.capacityRange?.requiredBytes = -1 } == .invalidArgument)
      #expect(await status { $0.capacityRange?.limitBytes = 1 << 20 } == .outOfRange)
      #expect(await status { $0.capacityRange?.requiredBytes = (64 << 40) + 1 } == .outOfRange)
      #expect(await status { $0.parameters = ["replicas": "4"] } == .invalidArgument)
      #expect(await status { $0.mutableParameters = ["iops": "4"] } == .invalidArgument)
      #expect(await status { $0.parameters = ["locality": "strict"] } == .invalidArgument)
      let left = try cluster.store.listAll(prefix: "spec/").entries
      #expect(left.isEmpty)
    }
  }

  @Test func `CreateVolume: a parameter that is unknown or wrong is named`() async throws {
    let bad = [
      "replica": "2", "replicas": "two", "minInSync": "3", "thin": "yes", "blockSize": "1024", "integrity": "md5", "locality": "here",
      "group": "No Such", "ioQueues": "0", "keepAliveTmo": "0", "ctrlLossTmo": "-2", "formatOptions": "-b\u{7}",
    ]
    for (key, value) in bad {
      do throws(GRPCError) {
        _ = try VolumeParameters([key: value])
        Issue.record("\(key)=\(value) was taken")
      } catch {
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(key))
      }
    }
    let good = try VolumeParameters([
      "replicas": "3", "minInSync": "2", "thin": "false", "blockSize": "4096", "spread": "zone, rack", "ctrlLossTmo": "-1",
      "csi.storage.k8s.io/pvc/name": "anything",
    ])
    #expect(good.replicaCount == 3)
    #expect(good.isThick)
    #expect(good.spread == ["zone", "rack"])
    #expect(good.given["csi.storage.k8s.io/pvc/name"] == nil)
  }

  private static let sizes: [(required: Int64, limit: Int64, expected: UInt64)] = [
    (0, 0, 1_073_741_824), (1, 0, 1_048_576), (1_048_576, 1_048_576, 1_048_576), (1_048_577, 0, 2_097_152), (0, 5_242_880, 5_242_880),
    (0, 5_242_889, 5_242_880),
  ]

  @Test(arguments: sizes)
  func `sizes are whole MiB and never above the limit`(_ size: (required: Int64, limit: Int64, expected: UInt64)) throws {
    var range = CapacityRange()
    range.requiredBytes = size.required
    range.limitBytes = size.limit
    #expect(try RequestedSize(range).bytes() == size.expected)
    range.requiredBytes = (1 << 20) + 1
    range.limitBytes = (1 << 20) + 2
    #expect(throws: GRPCError.self) { try RequestedSize(range).bytes() }
  }

  @Test func `CreateVolume: again, and otherwise`() async throws {
    try await with(FakeCluster()) { cluster in
      let request = cluster.createRequest("A name, free as text is: ü", parameters: ["replicas": "2"])
      let first = try await cluster.service.createVolume(request)
      #expect(first.volume?.capacityBytes == 64 << 20)
      #expect(first.volume?.accessibleTopology.isEmpty == true)
      #expect(try await cluster.service.createVolume(request) == first)
      func status(_ change: (inout CreateVolumeRequest) -> Void) async -> GRPCCode {
        var other = request
        change(&other)
        let changed = other
        return await code { _ = try await cluster.service.createVolume(changed) }
      }
      #expect(await status { $0.capacityRange?.requiredBytes = 65 << 20 } == .alreadyExists)
      #expect(await status { $0.capacityRange = nil } == .ok)
      #expect(
        await status {
          $0.capacityRange?.requiredBytes = 0
          $0.capacityRange?.limitBytes = 63 << 20
        } == .alreadyExists)
      #expect(await status { $0.parameters = ["replicas": "3"] } == .alreadyExists)
      #expect(await status { $0.parameters["csi.storage.k8s.io/pv/name"] = "x" } == .ok)
      try VolumeRequests.create(
        VolumeSpec(name: "by-hand", sizeBytes: 1 << 20, replicaCount: 1, createdAt: .now), in: cluster.store)
      #expect(await status { $0.name = "by-hand" } == .alreadyExists)
      #expect(try cluster.store.listAll(prefix: Keys.volumeSpecs).entries.count == 2)
    }
  }

  @Test func `CreateVolume: no room is RESOURCE_EXHAUSTED, and nothing stays`() async throws {
    try await with(FakeCluster(nodes: ["a", "b"], poolBytes: 1 << 30)) { cluster in
      #expect(await code { _ = try await cluster.service.createVolume(cluster.createRequest("big", bytes: 2 << 30)) } == .resourceExhausted)
      #expect(try cluster.store.listAll(prefix: Keys.volumeSpecs).entries.isEmpty)
      _ = try await cluster.create(cluster.createRequest("small"))
    }
  }

  @Test func `DeleteVolume: twice, unknown, foreign, and while it is attached`() async throws {
    try await with(FakeCluster()) { cluster in
      #expect(await code { try await cluster.delete("") } == .invalidArgument)
      try await cluster.delete("somebody-elses")
      try await cluster.delete("11111111-2222-4333-8444-555555555555")
      let id = try await cluster.create(cluster.createRequest("pvc-1"))
      _ = try await cluster.service.publishVolume(cluster.publishRequest(id))
      #expect(await code { try await cluster.delete(id) } == .failedPrecondition)
      try await cluster.unpublish(id)
      try await cluster.delete(id)
      try await cluster.delete(id)
      #expect(try cluster.store.listAll(prefix: Keys.volumeSpecs).entries.isEmpty)
      #expect(try cluster.store.listAll(prefix: Keys.assignments).entries.isEmpty)
    }
  }

  @Test func `ControllerPublishVolume and its end`() async throws {
    try await with(FakeCluster()) { cluster in
      let service = cluster.service
      let id = try await cluster.create(cluster.createRequest("pvc-1", parameters: ["ioQueues": "3", "ctrlLossTmo": "60"]))
      func status(_ change: (inout ControllerPublishVolumeRequest) -> Void) async -> GRPCCode {
        var request = cluster.publishRequest(id)
        change(&request)
        let changed = request
        return await code { _ = try await service.publishVolume(changed) }
      }
      #expect(await status { $0.volumeID = "" } == .invalidArgument)
      #expect(await status { $0.nodeID = "" } == .invalidArgument)
      #expect(await status { $0.volumeCapability = nil } == .invalidArgument)
      #expect(await status { $0.volumeID = "11111111-2222-4333-8444-555555555555" } == .notFound)
      #expect(await status { $0.volumeID = "foreign" } == .notFound)
      #expect(await status { $0.nodeID = "foreign" } == .notFound)

      let response = try await service.publishVolume(cluster.publishRequest(id))
      let context = try PublishContext(response.publishContext, of: try #require(VolumeID(id)))
      #expect(context.paths.count == 2)
      #expect(context.ioQueues == 3)
      #expect(context.controllerLossSeconds == 60)
      #expect(!context.isReadOnly)
      #expect(try await service.publishVolume(cluster.publishRequest(id)) == response)
      #expect(await status { $0.isReadOnly = true } == .alreadyExists)
      do {
        _ = try await service.publishVolume(cluster.publishRequest(id, FakeCluster.otherNode))
        Issue.record("two nodes have a single writer's volume")
      } catch {
        let error = ControllerService.status(of: error)
        #expect(error.code == .failedPrecondition)
        #expect(error.message.contains("\(FakeCluster.node)"))
      }
      let listing = try await service.listVolumes(ListVolumesRequest())
      #expect(listing.entries.first?.status?.publishedNodeIDs == ["\(FakeCluster.node)"])
      var get = ControllerGetVolumeRequest()
      get.volumeID = id
      let got = try await service.getVolume(get)
      #expect(got.status?.publishedNodeIDs == ["\(FakeCluster.node)"])
      #expect(got.status?.volumeCondition?.isAbnormal == false)

      try await cluster.unpublish(id)
      try await cluster.unpublish(id)
      try await cluster.unpublish(id, "nobody")
      try await cluster.unpublish("foreign")
      #expect(await code { try await cluster.unpublish("") } == .invalidArgument)
      _ = try await service.publishVolume(cluster.publishRequest(id, FakeCluster.otherNode, isReadOnly: true))
      // Without a node it is taken from all.
      try await cluster.unpublish(id, "")
      #expect(try await service.listVolumes(ListVolumesRequest()).entries.first?.status?.publishedNodeIDs == [])
    }
  }

  @Test func `a block volume moves between two nodes that both have it for a while`() async throws {
    try await with(FakeCluster()) { cluster in
      let shared = FakeCluster.capability(nil, .multiNodeMultiWriter)
      let id = try await cluster.create(cluster.createRequest("vm", capability: shared))
      _ = try await cluster.service.publishVolume(cluster.publishRequest(id, FakeCluster.node, shared))
      _ = try await cluster.service.publishVolume(cluster.publishRequest(id, FakeCluster.otherNode, shared))
      let nodes = try await cluster.service.listVolumes(ListVolumesRequest()).entries.first?.status?.publishedNodeIDs
      #expect(nodes == ["\(FakeCluster.node)", "\(FakeCluster.otherNode)"])
    }
  }

  @Test func `ValidateVolumeCapabilities`() async throws {
    try await with(FakeCluster()) { cluster in
      let id = try await cluster.create(cluster.createRequest("pvc-1", parameters: ["replicas": "1"]))
      var request = ValidateVolumeCapabilitiesRequest()
      func ask() async throws -> ValidateVolumeCapabilitiesResponse { try await cluster.service.validateVolumeCapabilities(request) }
      #expect(await code { _ = try await ask() } == .invalidArgument)
      request.volumeID = id
      #expect(await code { _ = try await ask() } == .invalidArgument)
      request.volumeCapabilities = [FakeCluster.capability()]
      #expect(try await ask().confirmed?.volumeCapabilities == request.volumeCapabilities)
      request.volumeCapabilities.append(FakeCluster.capability("ext4", .multiNodeMultiWriter))
      #expect(try await ask().confirmed == nil)
      request.volumeCapabilities = [FakeCluster.capability(nil, .multiNodeMultiWriter)]
      request.parameters = ["replicas": "2"]
      #expect(try await ask().confirmed == nil)
      request.parameters = ["replicas": "1"]
      #expect(try await ask().confirmed != nil)
      request.volumeID = "11111111-2222-4333-8444-555555555555"
      #expect(await code { _ = try await ask() } == .notFound)
    }
  }

  @Test func `ListVolumes: pages that hold while volumes come and go`() async throws {
    try await with(FakeCluster()) { cluster in
      for name in ["v-1", "v-2", "v-4"] { _ = try await cluster.create(cluster.createRequest(name, parameters: ["replicas": "1"])) }
      var request = ListVolumesRequest()
      request.maxEntries = -1
      #expect(await code { _ = try await cluster.service.listVolumes(request) } == .invalidArgument)
      request.maxEntries = 0
      request.startingToken = "invalid-token"
      #expect(await code { _ = try await cluster.service.listVolumes(request) } == .aborted)
      request.startingToken = ""
      request.maxEntries = 2
      let first = try await cluster.service.listVolumes(request)
      #expect(first.entries.map { $0.volume?.volumeContext["name"] } == ["v-1", "v-2"])
      _ = try await cluster.create(cluster.createRequest("v-3", parameters: ["replicas": "1"]))
      try await cluster.delete(try #require(first.entries.last?.volume).volumeID)
      request.startingToken = first.nextToken
      let second = try await cluster.service.listVolumes(request)
      #expect(second.entries.map { $0.volume?.volumeContext["name"] } == ["v-3", "v-4"])
      #expect(second.nextToken.isEmpty)
    }
  }

  @Test func `GetCapacity is the largest volume that can be made`() async throws {
    try await with(FakeCluster(nodes: ["a", "b"], poolBytes: 10 << 30)) { cluster in
      var request = GetCapacityRequest()
      let capacity = try await cluster.service.getCapacity(request).availableCapacity
      #expect(capacity == 10 << 30)
      request.parameters = ["replicas": "3"]
      #expect(try await cluster.service.getCapacity(request).availableCapacity == 0)
      request.parameters = ["replica": "3"]
      #expect(await code { _ = try await cluster.service.getCapacity(request) } == .invalidArgument)
    }
  }

  /// Kubernetes' names of nodes are DNS subdomains, longer ones than its labels can be.
  @Test func `strict locality to nodes with dots in their names, and with long ones`() async throws {
    let long = "worker-1." + Array(repeating: "example", count: 12).joined(separator: ".")
    let names = ["worker-1.example.org", "worker-2.example.org", long]
    try await with(FakeCluster(nodes: names)) { cluster in
      for (index, name) in names.enumerated() {
        let value = CSINames.topologyValue(ofNode: name)
        #expect(value.utf8.count <= 63)
        #expect((value == name) == (name.utf8.count <= 63))
        var topology = Topology()
        topology.segments = [CSINames.topologyNode: value]
        var request = cluster.createRequest("pvc-\(index)", parameters: ["locality": "strict"])
        request.accessibilityRequirements = TopologyRequirement()
        request.accessibilityRequirements?.preferred = [topology]
        let volume = try #require(try await cluster.service.createVolume(request).volume)
        #expect(volume.accessibleTopology == [topology])
        let spec = try #require(try cluster.store.object(VolumeSpec.self, at: Keys.volumeSpec(name: "pvc-\(index)"))?.object)
        #expect(spec.preferredNode == name)
        let nexuses = ClusterState(try cluster.store.listAll(prefix: "").entries).nexusAssignments(of: spec.id)
        #expect(nexuses.map(\.node) == [name])
        #expect(try await cluster.service.createVolume(request).volume == volume)
        var capacity = GetCapacityRequest()
        capacity.accessibleTopology = topology
        capacity.parameters = ["locality": "strict"]
        #expect(try await cluster.service.getCapacity(capacity).availableCapacity > 0)
      }
    }
  }

  /// A caller that dies leaves a wish, and whoever asks again, at another process, gets what became of it.
  @Test func `a call that was cut off is found by the next`() async throws {
    try await with(FakeCluster()) { cluster in
      let request = cluster.createRequest("pvc-cut")
      let task = Task { try await cluster.service.createVolume(request) }
      task.cancel()
      _ = try? await task.value
      let other = ControllerService(store: cluster.store)
      defer { other.stop() }
      let found = try await other.createVolume(request)
      #expect(try await cluster.service.createVolume(request) == found)
      #expect(try cluster.store.listAll(prefix: Keys.volumeSpecs).entries.count == 1)
    }
  }

  @Test func `fifty at once: made, attached, listed, detached, deleted`() async throws {
    try await with(FakeCluster()) { cluster in
      let count = 50
      let ids = try await withThrowingTaskGroup(of: String.self) { group in
        for index in 0..<count {
          group.addTask {
            let id = try await cluster.create(cluster.createRequest("pvc-\(index)"))
            _ = try await cluster.service.publishVolume(cluster.publishRequest(id))
            return id
          }
        }
        return try await group.reduce(into: [String]()) { $0.append($1) }
      }
      #expect(Set(ids).count == count)
      #expect(try await cluster.service.listVolumes(ListVolumesRequest()).entries.count == count)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for id in ids {
          group.addTask {
            try await cluster.unpublish(id)
            try await cluster.delete(id)
          }
        }
        try await group.waitForAll()
      }
      #expect(try cluster.store.listAll(prefix: "spec/volume/").entries.isEmpty)
      #expect(try cluster.store.listAll(prefix: "insync/").entries.isEmpty)
    }
  }
}
