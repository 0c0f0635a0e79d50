import Control
import GRPC
import Testing

@testable import CSI

/// The rules of the CSI 1.12 error tables for snapshots, copies and larger volumes.
@Suite(.timeLimit(.minutes(3))) struct SnapshotTests {
  private func with(_ body: (FakeCluster) async throws -> Void) async throws {
    let cluster = try FakeCluster()
    defer { cluster.stop() }
    try await body(cluster)
  }

  private func request(_ name: String, _ volume: String) -> CreateSnapshotRequest {
    var request = CreateSnapshotRequest()
    request.name = name
    request.sourceVolumeID = volume
    return request
  }

  private func delete(_ id: String, _ cluster: FakeCluster) async throws {
    var request = DeleteSnapshotRequest()
    request.snapshotID = id
    _ = try await cluster.service.deleteSnapshot(request)
  }

  @Test func `CreateSnapshot: what is missing, again, and otherwise`() async throws {
    try await with { cluster in
      let volume = try await cluster.create(cluster.createRequest("pvc-1"))
      let other = try await cluster.create(cluster.createRequest("pvc-2"))
      let service = cluster.service
      #expect(await code { _ = try await service.createSnapshot(self.request("", volume)) } == .invalidArgument)
      #expect(await code { _ = try await service.createSnapshot(self.request("s", "")) } == .invalidArgument)
      #expect(await code { _ = try await service.createSnapshot(self.request("s", "foreign")) } == .notFound)
      var odd = request("s", volume)
      odd.parameters = ["speed": "high"]
      let changed = odd
      #expect(await code { _ = try await service.createSnapshot(changed) } == .invalidArgument)
      let first = try await service.createSnapshot(request("A moment", volume))
      #expect(first.snapshot?.isReadyToUse == true)
      #expect(first.snapshot?.sizeBytes == 64 << 20)
      #expect(first.snapshot?.sourceVolumeID == volume)
      #expect(try await service.createSnapshot(request("A moment", volume)) == first)
      #expect(await code { _ = try await service.createSnapshot(self.request("A moment", other)) } == .alreadyExists)
    }
  }

  @Test func `DeleteSnapshot and what it stands in the way of`() async throws {
    try await with { cluster in
      #expect(await code { try await self.delete("", cluster) } == .invalidArgument)
      try await delete("foreign", cluster)
      let volume = try await cluster.create(cluster.createRequest("pvc-1"))
      let snapshot = try #require(try await cluster.service.createSnapshot(request("s", volume)).snapshot)
      #expect(await code { try await cluster.delete(volume) } == .failedPrecondition)
      for _ in 0..<2 { try await delete(snapshot.snapshotID, cluster) }
      try await cluster.delete(volume)
    }
  }

  @Test func `ListSnapshots: all, of a volume, one, and pages`() async throws {
    try await with { cluster in
      let first = try await cluster.create(cluster.createRequest("pvc-1"))
      let second = try await cluster.create(cluster.createRequest("pvc-2"))
      for name in ["s-1", "s-2"] { _ = try await cluster.service.createSnapshot(request(name, first)) }
      let last = try #require(try await cluster.service.createSnapshot(request("s-3", second)).snapshot)
      var list = ListSnapshotsRequest()
      func ids() async throws -> [String] {
        try await cluster.service.listSnapshots(list).entries.compactMap { $0.snapshot?.sourceVolumeID }
      }
      #expect(try await ids() == [first, first, second])
      list.sourceVolumeID = second
      #expect(try await ids() == [second])
      list.sourceVolumeID = ""
      list.snapshotID = last.snapshotID
      #expect(try await ids() == [second])
      list.snapshotID = "none-such"
      #expect(try await ids() == [])
      list.snapshotID = ""
      list.maxEntries = 2
      let page = try await cluster.service.listSnapshots(list)
      #expect(page.entries.count == 2)
      list.startingToken = page.nextToken
      #expect(try await ids() == [second])
      list.startingToken = "nonsense"
      #expect(await code { _ = try await cluster.service.listSnapshots(list) } == .aborted)
    }
  }

  @Test func `sources that are not there, and sizes below the source's`() async throws {
    try await with { cluster in
      let volume = try await cluster.create(cluster.createRequest("pvc-1"))
      let snapshot = try #require(try await cluster.service.createSnapshot(request("s", volume)).snapshot)
      func status(_ bytes: Int64, _ change: (inout VolumeContentSource) -> Void) async -> GRPCCode {
        var source = VolumeContentSource()
        change(&source)
        var request = cluster.createRequest("copy", bytes: bytes, limit: bytes)
        request.volumeContentSource = source
        let changed = request
        return await code { _ = try await cluster.service.createVolume(changed) }
      }
      func from(snapshot id: String) -> (inout VolumeContentSource) -> Void {
        {
          var source = VolumeContentSource.SnapshotSource()
          source.snapshotID = id
          $0.snapshot = source
        }
      }
      func from(volume id: String) -> (inout VolumeContentSource) -> Void {
        {
          var source = VolumeContentSource.VolumeSource()
          source.volumeID = id
          $0.volume = source
        }
      }
      #expect(await status(64 << 20) { _ in } == .invalidArgument)
      #expect(await status(64 << 20, from(snapshot: "11111111-2222-4333-8444-555555555555")) == .notFound)
      #expect(await status(64 << 20, from(volume: "foreign")) == .notFound)
      #expect(await status(32 << 20, from(snapshot: snapshot.snapshotID)) == .outOfRange)
      #expect(await status(32 << 20, from(volume: volume)) == .outOfRange)
    }
  }

  @Test func `ControllerExpandVolume`() async throws {
    try await with { cluster in
      let volume = try await cluster.create(cluster.createRequest("pvc-1"))
      var request = ControllerExpandVolumeRequest()
      func expand() async throws -> ControllerExpandVolumeResponse { try await cluster.service.expandVolume(request) }
      #expect(await code { _ = try await expand() } == .invalidArgument)
      request.volumeID = volume
      #expect(await code { _ = try await expand() } == .invalidArgument)
      var range = CapacityRange()
      range.requiredBytes = 65 << 20
      request.capacityRange = range
      for _ in 0..<2 {
        let response = try await expand()
        #expect(response.capacityBytes == 65 << 20)
        #expect(response.isNodeExpansionRequired)
      }
      request.volumeCapability = FakeCluster.capability(nil)
      request.capacityRange?.requiredBytes = 1 << 20
      let response = try await expand()
      #expect(response.capacityBytes == 65 << 20)
      #expect(!response.isNodeExpansionRequired)
      request.capacityRange?.limitBytes = 2 << 20
      #expect(await code { _ = try await expand() } == .outOfRange)
      request.volumeID = "11111111-2222-4333-8444-555555555555"
      #expect(await code { _ = try await expand() } == .notFound)
    }
  }
}
