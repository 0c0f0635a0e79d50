import Control
import Foundation
import GRPC
import Protobuf

/// The Controller service of CSI 1.12. Any process may serve it, leader or not: a call writes what is wanted into the store, in one transaction,
/// and waits for what nodes and the leading controller say of it. So a call that is repeated, here or at another process, finds what the
/// first one did, and what is killed in the middle leaves only the wish.
public final class ControllerService: Sendable {
  public struct Options: Sendable {
    /// How long a call waits for nodes before it says ABORTED: what was asked for stays asked for.
    public var patienceNanoseconds: UInt64 = 50_000_000_000
    /// How long a deletion waits; afterwards it goes on by itself.
    public var deletionNanoseconds: UInt64 = 8_000_000_000

    public init() {}
  }

  let store: any StateStore
  let options: Options
  let follower: ClusterFollower

  public init(store: any StateStore, options: Options = Options()) {
    self.store = store
    self.options = options
    follower = ClusterFollower(store: store)
  }

  /// Ends what waits. The store stays open.
  public func stop() { follower.stop() }

  /// Whether the store was read.
  public var isReady: Bool { follower.latest != nil }

  /// To be given to a server.
  public var handlers: [String: GRPCHandler] {
    let all: [String: GRPCHandler] = [
      "CreateVolume": call { try await $0.createVolume($1) },
      "DeleteVolume": call { try await $0.deleteVolume($1) },
      "ControllerPublishVolume": call { try await $0.publishVolume($1) },
      "ControllerUnpublishVolume": call { try await $0.unpublishVolume($1) },
      "ValidateVolumeCapabilities": call { try await $0.validateVolumeCapabilities($1) },
      "CreateSnapshot": call { try await $0.createSnapshot($1) },
      "DeleteSnapshot": call { try await $0.deleteSnapshot($1) },
      "ListSnapshots": call { try await $0.listSnapshots($1) },
      "ControllerExpandVolume": call { try await $0.expandVolume($1) },
      "ListVolumes": call { try await $0.listVolumes($1) },
      "ControllerGetVolume": call { try await $0.getVolume($1) },
      "GetCapacity": call { try await $0.getCapacity($1) },
      "ControllerGetCapabilities": call { (_, _: ControllerGetCapabilitiesRequest) in Self.capabilities },
    ]
    return Dictionary(uniqueKeysWithValues: all.map { ("/csi.v1.Controller/\($0.key)", $0.value) })
  }

  func call<Request: ProtobufReadable, Response: ProtobufWritable>(
    _ body: @escaping @Sendable (ControllerService, Request) async throws -> Response
  ) -> GRPCHandler {
    GRPCServer.unary { (request: Request, _) in
      do {
        return try await body(self, request)
      } catch {
        throw Self.status(of: error)
      }
    }
  }

  /// Errors of the modules below as statuses of a call. What the store cannot do now is worth another try.
  static func status(of error: any Error) -> GRPCError {
    switch error {
    case let error as GRPCError: error
    case let error as StoreError: GRPCError(.unavailable, error.description)
    case let error as ObjectError:
      if case .invalid = error { GRPCError(.invalidArgument, error.description) } else { GRPCError(.internalError, error.description) }
    case let error as VolumeRequests.Failure: status(of: error)
    case let error as VolumeRequests.PublishingFailure: status(of: error)
    case let error as SnapshotRequests.Failure: status(of: error)
    case is CancellationError: GRPCError(.cancelled, "the call ended")
    default: GRPCError(.internalError, "\(error)")
    }
  }

  private static func status(of failure: VolumeRequests.Failure) -> GRPCError {
    switch failure {
    case .exists: GRPCError(.alreadyExists, failure.description)
    case .notFound: GRPCError(.notFound, failure.description)
    case .contended: GRPCError(.aborted, failure.description)
    case .failedPrecondition: GRPCError(.failedPrecondition, failure.description)
    }
  }

  static let capabilities: ControllerGetCapabilitiesResponse = {
    let types: [ControllerServiceCapability.RPC.Kind] = [
      .createDeleteVolume, .publishUnpublishVolume, .publishReadonly, .listVolumes, .listVolumesPublishedNodes, .getCapacity,
      .createDeleteSnapshot, .listSnapshots, .cloneVolume, .expandVolume,
      .volumeCondition, .getVolume, .singleNodeMultiWriter,
    ]
    var response = ControllerGetCapabilitiesResponse()
    response.capabilities = types.map { type in
      var rpc = ControllerServiceCapability.RPC()
      rpc.type = type
      var capability = ControllerServiceCapability()
      capability.rpc = rpc
      return capability
    }
    return response
  }()

  // MARK: Finding

  /// The volume of an id, as the store has it now. Throws NOT_FOUND, also for one that is being deleted.
  func volume(_ text: String) async throws -> VolumeSpec {
    let id = try CSIRequests.volumeID(text)
    guard let spec = try await find(id), !spec.deleting else { throw GRPCError(.notFound, "there is no volume \(id)") }
    return spec
  }

  /// The specification of an id, nil if there is none. The copy says under which name to look; what counts is the store.
  func find(_ id: VolumeID) async throws -> VolumeSpec? {
    if let name = follower.latest?.volumes.first(where: { $0.object.id == id })?.object.name {
      let spec = try await store.run { try $0.object(VolumeSpec.self, at: Keys.volumeSpec(name: name))?.object }
      if let spec, spec.id == id { return spec }
    }
    return try await store.run { store in
      for entry in try store.listAll(prefix: Keys.volumeSpecs).entries {
        if let stored = try? Stored<VolumeSpec>(entry), stored.object.id == id { return stored.object }
      }
      return nil
    }
  }

  /// What a volume is to CSI.
  func describe(_ spec: VolumeSpec, in cluster: ClusterState? = nil) -> Volume {
    var volume = Volume()
    volume.volumeID = "\(spec.id)"
    volume.capacityBytes = Int64(clamping: spec.sizeBytes)
    volume.volumeContext = Self.context(of: spec)
    switch spec.csi?.source {
    case .snapshot(let id)?:
      var source = VolumeContentSource.SnapshotSource()
      source.snapshotID = id
      volume.contentSource = VolumeContentSource()
      volume.contentSource?.snapshot = source
    case .volume(let id)?:
      var source = VolumeContentSource.VolumeSource()
      source.volumeID = id
      volume.contentSource = VolumeContentSource()
      volume.contentSource?.volume = source
    case nil: break
    }
    return volume
  }

  /// What a node has to know before it mounts: the same at every call.
  static func context(of spec: VolumeSpec) -> [String: String] {
    var context = ["name": spec.name]
    context["formatOptions"] = spec.csi?.parameters["formatOptions"]
    switch spec.csi?.source {
    case .snapshot?: context["source"] = "snapshot"
    case .volume?: context["source"] = "volume"
    case nil: break
    }
    return context
  }

  /// How the volume is, for Kubernetes' volume health.
  static func condition(of view: VolumeView) -> VolumeCondition {
    var condition = VolumeCondition()
    condition.isAbnormal = view.state != .healthy
    condition.message = view.state == .healthy ? "healthy: all \(view.replicas.count) replicas are in sync" : view.state.rawValue
    if let message = view.message { condition.message += ": \(message)" }
    return condition
  }
}
