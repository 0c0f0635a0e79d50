import Control
import GRPC

/// Attaching volumes to nodes, and taking them away (R13).
extension ControllerService {
  func publishVolume(_ request: ControllerPublishVolumeRequest) async throws -> ControllerPublishVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    try CSIRequests.require(request.nodeID, "node_id")
    let capability = try RequestedCapability(request.volumeCapability)
    let spec = try await volume(request.volumeID)
    guard let node = NodeIdentity(request.nodeID) else {
      throw GRPCError(.notFound, "there is no node \(request.nodeID.prefix(200)); the id is not one of \(CSINames.driver)'s")
    }
    let publication = Publication(
      hostNQN: node.hostNQN, nodeName: node.name, readOnly: request.isReadOnly || capability.isReadOnly,
      mode: capability.isMultiNode ? .multiWriter : .singleWriter)
    // What one node has for writing, another one cannot have at all, unless both were told of each other.
    _ = try await store.run { try VolumeRequests.publish(name: spec.name, publication, onConflict: .refuse, in: $0) }
    let (id, name) = (spec.id, spec.name)
    // Not from a copy that shows an earlier publication, withdrawn since.
    let written = try await store.run { try $0.get(Keys.volumeSpec(name: name))?.modRevision } ?? 0
    let published = try await follower.wait(from: written, nanoseconds: options.patienceNanoseconds) { cluster -> PublishedVolume? in
      switch PublishedVolume.progress(of: publication, of: id, named: name, in: cluster) {
      case .inForce(let published): return published
      case .waiting: return nil
      case .gone:
        // The copy may not show the volume yet.
        if let current = cluster.volume(name: name)?.object, current.id == id { throw Self.deleted(id) }
        return nil
      }
    }
    guard let published else {
      var reason = "nothing was heard of it"
      if let cluster = follower.latest,
        case .waiting(let text) = PublishedVolume.progress(of: publication, of: id, named: name, in: cluster)
      {
        reason = text
      }
      throw GRPCError(.aborted, "volume \(id) is being attached to \(node.name): waiting for \(reason)")
    }
    var context = PublishContext(volume: id, paths: published.paths.map { .init(traddr: $0.address, trsvcid: $0.port) })
    let parameters = try VolumeParameters(spec.csi?.parameters ?? [:])
    context.isReadOnly = publication.readOnly
    context.ioQueues = parameters.ioQueues
    context.keepAliveSeconds = parameters.keepAliveSeconds
    context.controllerLossSeconds = parameters.controllerLossSeconds
    var response = ControllerPublishVolumeResponse()
    response.publishContext = context.fields
    return response
  }

  private static func deleted(_ id: VolumeID) -> GRPCError { GRPCError(.notFound, "volume \(id) is being deleted") }

  func unpublishVolume(_ request: ControllerUnpublishVolumeRequest) async throws -> ControllerUnpublishVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    // Where there is no volume, and on nodes that cannot have one, nothing is attached.
    guard let id = VolumeID(request.volumeID), let spec = try await find(id) else { return ControllerUnpublishVolumeResponse() }
    var host: String?
    if !request.nodeID.isEmpty {
      guard let node = NodeIdentity(request.nodeID) else { return ControllerUnpublishVolumeResponse() }
      host = node.hostNQN
      // What another node has under the same identity is not this one's to give back.
      let isAnothers = (spec.publications ?? []).contains { $0.hostNQN == node.hostNQN && $0.nodeName.map { $0 != node.name } == true }
      if isAnothers { return ControllerUnpublishVolumeResponse() }
    }
    let (name, hostNQN) = (spec.name, host)
    do {
      _ = try await store.run { try VolumeRequests.unpublish(name: name, hostNQN: hostNQN, in: $0) }
    } catch VolumeRequests.Failure.notFound {
      return ControllerUnpublishVolumeResponse()
    }
    // Not from a copy that shows the time before.
    let written = try await store.run { try $0.get(Keys.volumeSpec(name: name))?.modRevision } ?? 0
    let isOut = try await follower.wait(from: written, nanoseconds: options.patienceNanoseconds) { cluster -> Bool? in
      PublishedVolume.remainder(of: hostNQN, of: id, named: name, in: cluster) == nil ? true : nil
    }
    if isOut == nil {
      let reason = follower.latest.flatMap { PublishedVolume.remainder(of: hostNQN, of: id, named: name, in: $0) }
      throw GRPCError(.aborted, "volume \(id) is being detached: waiting for \(reason ?? "the store")")
    }
    return ControllerUnpublishVolumeResponse()
  }

  static func status(of failure: VolumeRequests.PublishingFailure) -> GRPCError {
    switch failure {
    case .publishedElsewhere(_, let hostNQN, let nodeName):
      let node = NodeIdentity.hostID(ofNQN: hostNQN).flatMap { id in nodeName.map { "\($0)@\(id)" } } ?? hostNQN
      return GRPCError(.failedPrecondition, "the volume is attached to node \(node)")
    case .sharedIdentity: return GRPCError(.failedPrecondition, failure.description)
    case .incompatible: return GRPCError(.alreadyExists, failure.description)
    case .tooMany: return GRPCError(.resourceExhausted, failure.description)
    case .deleting: return GRPCError(.notFound, failure.description)
    case .timeout: return GRPCError(.aborted, failure.description)
    }
  }
}
