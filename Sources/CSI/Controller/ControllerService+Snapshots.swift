import Control
import Foundation
import GRPC
import Protobuf

/// Snapshots, and volumes that begin as others were.
extension ControllerService {
  func createSnapshot(_ request: CreateSnapshotRequest) async throws -> CreateSnapshotResponse {
    try CSIRequests.require(request.sourceVolumeID, "source_volume_id")
    let name = try ObjectNames.name(for: request.name)
    for key in request.parameters.keys.sorted() where !key.hasPrefix(VolumeParameters.kubernetesPrefix) {
      throw CSIRequests.invalid("parameter \(key.prefix(80)) is unknown; snapshots have none")
    }
    let present = try await store.run { try $0.object(SnapshotSpec.self, at: Keys.snapshotSpec(name: name))?.object }
    let snapshot: SnapshotSpec
    if let present {
      snapshot = present
    } else {
      let spec = try await volume(request.sourceVolumeID)
      do {
        snapshot = try await store.run { try SnapshotRequests.create(name: name, volume: spec.name, now: Date.now, in: $0) }
      } catch SnapshotRequests.Failure.exists {
        throw GRPCError(.aborted, "snapshot \(name) is being made by others; try again")
      }
    }
    if "\(snapshot.volumeID)" != request.sourceVolumeID.lowercased() || snapshot.cloneID != nil {
      throw GRPCError(.alreadyExists, "there is a snapshot \(request.name.prefix(200)) already, of another volume")
    }
    if snapshot.deleting { throw GRPCError(.aborted, "snapshot \(name) of before is still being deleted") }
    let id = snapshot.id
    let view = try await follower.wait(nanoseconds: options.patienceNanoseconds) { cluster -> SnapshotView? in
      guard let current = cluster.snapshots.first(where: { $0.object.id == id })?.object else { return nil }
      if current.deleting { throw GRPCError(.aborted, "snapshot \(name) was deleted while it was being taken") }
      let view = SnapshotView(current, in: cluster)
      return view.state == .ready ? view : nil
    }
    guard let view else {
      let reason = follower.latest.map { SnapshotView(snapshot, in: $0) }?.message
      throw GRPCError(.aborted, "snapshot \(name) is asked for and not taken yet\(reason.map { ": \($0)" } ?? "")")
    }
    var response = CreateSnapshotResponse()
    response.snapshot = Self.describe(view)
    return response
  }

  static func describe(_ view: SnapshotView) -> Snapshot {
    var snapshot = Snapshot()
    snapshot.snapshotID = "\(view.id)"
    snapshot.sourceVolumeID = "\(view.volumeID)"
    snapshot.sizeBytes = Int64(clamping: view.size ?? 0)
    snapshot.creationTime = ProtobufTimestamp(seconds: Int64((view.takenAt ?? view.createdAt).timeIntervalSince1970))
    snapshot.isReadyToUse = view.state == .ready
    return snapshot
  }

  func deleteSnapshot(_ request: DeleteSnapshotRequest) async throws -> DeleteSnapshotResponse {
    try CSIRequests.require(request.snapshotID, "snapshot_id")
    guard let id = SnapshotID(request.snapshotID), let spec = try await findSnapshot(id) else { return DeleteSnapshotResponse() }
    do {
      _ = try await store.run { try SnapshotRequests.delete(name: spec.name, in: $0) }
    } catch SnapshotRequests.Failure.notFound {
      return DeleteSnapshotResponse()
    }
    // As for volumes: the wish is never taken back.
    _ = try await follower.wait(nanoseconds: options.deletionNanoseconds) { cluster -> Bool? in
      cluster.snapshots.contains { $0.object.id == id } ? nil : true
    }
    return DeleteSnapshotResponse()
  }

  /// The snapshot of an id, as the store has it now; none of those that nobody sees.
  func findSnapshot(_ id: SnapshotID) async throws -> SnapshotSpec? {
    try await store.run { store in
      for entry in try store.listAll(prefix: Keys.snapshotSpecs).entries {
        if let stored = try? Stored<SnapshotSpec>(entry), stored.object.id == id, stored.object.cloneID == nil { return stored.object }
      }
      return nil
    }
  }

  func listSnapshots(_ request: ListSnapshotsRequest) async throws -> ListSnapshotsResponse {
    let page = try ListPage(maximumEntries: request.maxEntries, token: request.startingToken)
    let cluster = try await follower.current()
    let all = SnapshotView.all(in: cluster).filter { view in
      !view.isHidden && view.state != .deleting && view.takenAt != nil
        && (request.snapshotID.isEmpty || "\(view.id)" == request.snapshotID.lowercased())
        && (request.sourceVolumeID.isEmpty || "\(view.volumeID)" == request.sourceVolumeID.lowercased())
    }
    let (snapshots, next) = page.cut(all, by: \.name)
    var response = ListSnapshotsResponse()
    response.nextToken = next
    response.entries = snapshots.map { view in
      var entry = ListSnapshotsResponse.Entry()
      entry.snapshot = Self.describe(view)
      return entry
    }
    return response
  }

  /// What a new volume is to begin as. Throws NOT_FOUND for what is not there.
  func resolve(_ source: VolumeContentSource?) async throws -> ContentSource? {
    guard let source else { return nil }
    if let text = source.snapshot?.snapshotID {
      try CSIRequests.require(text, "volume_content_source: snapshot_id")
      guard let id = SnapshotID(text), let spec = try await findSnapshot(id), !spec.deleting else {
        throw GRPCError(.notFound, "there is no snapshot \(text.prefix(80))")
      }
      let cluster = try await follower.current()
      guard let volume = cluster.volumes.first(where: { $0.object.id == spec.volumeID })?.object,
        let size = SnapshotView(spec, in: cluster).size
      else { throw GRPCError(.aborted, "snapshot \(id) is not ready to be used yet") }
      return ContentSource(
        csi: .snapshot(id: "\(id)"), name: spec.name, sizeBytes: size, blockSizeBytes: volume.blockSizeBytes)
    }
    if let text = source.volume?.volumeID {
      try CSIRequests.require(text, "volume_content_source: volume_id")
      let spec = try await volume(text)
      return ContentSource(
        csi: .volume(id: "\(spec.id)"), name: spec.name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes)
    }
    throw CSIRequests.invalid("volume_content_source names neither a snapshot nor a volume")
  }

  func expandVolume(_ request: ControllerExpandVolumeRequest) async throws -> ControllerExpandVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    guard request.capacityRange != nil else { throw CSIRequests.invalid("capacity_range is missing") }
    let size = try RequestedSize(request.capacityRange)
    var isBlock = false
    if request.volumeCapability != nil { isBlock = try RequestedCapability(request.volumeCapability).access == .block }
    let spec = try await volume(request.volumeID)
    var bytes = spec.sizeBytes
    if !size.allows(bytes) {
      if size.isExceeded(by: bytes) {
        throw GRPCError(.outOfRange, "volume \(spec.id) has \(bytes) bytes already, more than limit_bytes, and volumes do not shrink")
      }
      let wanted = try size.bytes()
      let name = spec.name
      bytes = try await store.run { try VolumeRequests.resize(name: name, sizeBytes: wanted, in: $0).sizeBytes }
    }
    let (id, wanted) = (spec.id, bytes)
    let isGrown = try await follower.wait(nanoseconds: options.patienceNanoseconds) { cluster -> Bool? in
      Self.servedBytes(of: id, in: cluster) >= wanted ? true : nil
    }
    if isGrown == nil {
      throw GRPCError(.aborted, "volume \(id) is asked to grow to \(wanted) bytes, and its replicas have not all done so yet")
    }
    var response = ControllerExpandVolumeResponse()
    response.capacityBytes = Int64(clamping: wanted)
    response.isNodeExpansionRequired = !isBlock
    return response
  }

  /// How large hosts see the volume.
  private static func servedBytes(of id: VolumeID, in cluster: ClusterState) -> UInt64 {
    cluster.inSync(id)?.object.sizeBytes ?? cluster.nexusAssignments(of: id).first?.object.sizeBytes ?? 0
  }

  static func status(of failure: SnapshotRequests.Failure) -> GRPCError {
    switch failure {
    case .exists: GRPCError(.alreadyExists, failure.description)
    case .notFound, .volumeNotFound: GRPCError(.notFound, failure.description)
    case .tooMany: GRPCError(.resourceExhausted, failure.description)
    case .contended: GRPCError(.aborted, failure.description)
    }
  }
}
