import Control
import Foundation
import GRPC

/// Making and deleting volumes.
extension ControllerService {
  func createVolume(_ request: CreateVolumeRequest) async throws -> CreateVolumeResponse {
    let wanted = try await check(request)
    let source = try await resolve(request.volumeContentSource)
    for _ in 0..<16 {
      let spec: VolumeSpec
      if let present = try await store.run({ try $0.object(VolumeSpec.self, at: Keys.volumeSpec(name: wanted.name))?.object }) {
        if let difference = wanted.difference(from: present, source: source?.csi) { throw difference }
        spec = present
      } else {
        let new = try wanted.specification(source: source)
        try await refuseIfTooLarge(new)
        do {
          spec = try await store.run { [source] store in try Self.create(new, source: source, in: store) }
        } catch VolumeRequests.Failure.exists {
          // Somebody was faster: theirs is looked at like any other.
          continue
        }
      }
      try await awaitService(of: spec)
      var response = CreateVolumeResponse()
      response.volume = describe(spec)
      response.volume?.accessibleTopology = wanted.accessibleTopology(of: spec)
      return response
    }
    throw GRPCError(.aborted, "volume \(wanted.name) is being made and deleted by others; try again")
  }

  private func check(_ request: CreateVolumeRequest) async throws -> WantedVolume {
    var wanted = try WantedVolume(request)
    wanted.preferredNode = try await node(ofTopology: wanted.preferredNode)
    return wanted
  }

  /// The node that a segment of a topology names.
  func node(ofTopology value: String?) async throws -> String? {
    // Only of names that are too long for a segment another one is made.
    guard let value, value.utf8.count == Names.maximumLength else { return value }
    let cluster = try await follower.current()
    return cluster.nodes.first { CSINames.topologyValue(ofNode: $0.object.name) == value }?.object.name ?? value
  }

  private static func create(_ spec: VolumeSpec, source: ContentSource?, in store: any StateStore) throws -> VolumeSpec {
    switch source?.csi {
    case .snapshot?: return try VolumeRequests.create(spec, fromSnapshot: source?.name ?? "", in: store)
    case .volume?: return try VolumeRequests.create(spec, fromVolume: source?.name ?? "", in: store)
    case nil:
      try VolumeRequests.create(spec, in: store)
      return spec
    }
  }

  /// What a new volume begins as.
  struct ContentSource: Sendable {
    var csi: CSIVolume.Source
    /// Its name in the store.
    var name: String
    var sizeBytes: UInt64
    var blockSizeBytes: UInt32
  }

  /// Says at once what waiting would not change: pools without room, whatever nodes come back.
  private func refuseIfTooLarge(_ spec: VolumeSpec) async throws {
    guard spec.isThick || spec.sizeBytes > 0 else { return }
    let cluster = try await follower.current()
    let reason = Placement.capacityRefusal(Placement.Request(spec), nodes: cluster.placementNodes(group: spec.group))
    if let reason { throw GRPCError(.resourceExhausted, "volume \(spec.name) cannot be placed: it \(reason)") }
  }

  /// Until hosts could use the volume.
  func awaitService(of spec: VolumeSpec) async throws {
    let id = spec.id
    let name = spec.name
    let isServed = try await follower.wait(nanoseconds: options.patienceNanoseconds) { cluster -> Bool? in
      guard let current = cluster.volume(name: name)?.object, current.id == id else {
        // The copy may not have come as far as the transaction.
        return nil
      }
      if current.deleting { throw GRPCError(.aborted, "volume \(name) was deleted while it was being made") }
      switch VolumeView(current, in: cluster).state {
      case .healthy, .degraded, .rebuilding: return true
      case .blocked, .faulted: return nil
      }
    }
    if isServed != nil { return }
    let view = follower.latest.map { VolumeView(spec, in: $0) }
    let isPlaced = view?.nexus != nil
    throw GRPCError(
      isPlaced ? .aborted : .resourceExhausted,
      "volume \(name) is asked for and not served yet: \(view?.message ?? "nothing was heard of it")")
  }

  func deleteVolume(_ request: DeleteVolumeRequest) async throws -> DeleteVolumeResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    // Whatever is not there is deleted, foreign ids included.
    guard let id = VolumeID(request.volumeID), let spec = try await find(id) else { return DeleteVolumeResponse() }
    if !spec.deleting {
      do {
        _ = try await store.run { try VolumeRequests.delete(name: spec.name, unlessPublished: true, in: $0) }
      } catch VolumeRequests.Failure.notFound {
        return DeleteVolumeResponse()
      }
    }
    // The wish is never taken back: a node that is down deletes its replica when it comes, and the volume is nobody's until then.
    let name = spec.name
    _ = try await follower.wait(nanoseconds: options.deletionNanoseconds) { cluster -> Bool? in
      cluster.volume(name: name)?.object.id == id ? nil : true
    }
    return DeleteVolumeResponse()
  }
}

/// A CreateVolume request, checked.
struct WantedVolume: Sendable {
  /// In the store.
  var name: String
  var csiName: String
  var size: RequestedSize
  var capabilities: [RequestedCapability]
  var parameters: VolumeParameters
  /// Where the first pod will probably run.
  var preferredNode: String?

  /// Throws INVALID_ARGUMENT or OUT_OF_RANGE.
  init(_ request: CreateVolumeRequest) throws(GRPCError) {
    csiName = request.name
    name = try ObjectNames.name(for: request.name)
    capabilities = try ControllerService.capabilities(request.volumeCapabilities)
    size = try RequestedSize(request.capacityRange)
    parameters = try VolumeParameters(request.parameters)
    if let key = request.mutableParameters.keys.min() {
      throw CSIRequests.invalid("mutable parameter \(key.prefix(80)): volumes have none")
    }
    let requirements = request.accessibilityRequirements
    for topology in (requirements?.requisite ?? []) + (requirements?.preferred ?? []) {
      for key in topology.segments.keys.sorted() where !CSINames.topologyKeys.contains(key) {
        throw CSIRequests.invalid("accessibility_requirements: topology key \(key.prefix(80)) is unknown")
      }
    }
    if parameters.locality != .none {
      preferredNode = (requirements?.preferred.first ?? requirements?.requisite.first)?.segments[CSINames.topologyNode]
      // A node whose name none of ours can have holds no replicas.
      if let name = preferredNode, (try? Names.validate(node: name)) == nil { preferredNode = nil }
      if parameters.locality == .strict, preferredNode == nil {
        throw CSIRequests.invalid(
          "parameter locality is strict, but accessibility_requirements name no node: use volumeBindingMode WaitForFirstConsumer")
      }
    }
  }

  /// What the filesystems asked for take at least.
  private var minimumBytes: UInt64 {
    capabilities.map { capability in
      if case .mount(let filesystem?, _) = capability.access, filesystem != .ext4 { filesystem.minimumBytes } else { 0 }
    }.max() ?? 0
  }

  /// The volume to be made.
  func specification(source: ControllerService.ContentSource?) throws(GRPCError) -> VolumeSpec {
    var bytes = try size.bytes(standard: source?.sizeBytes ?? RequestedSize.standardBytes, minimum: minimumBytes)
    if let source, bytes < source.sizeBytes {
      bytes = source.sizeBytes
      if !size.allows(bytes) {
        throw GRPCError(.outOfRange, "capacity_range: what the volume is made from has \(source.sizeBytes) bytes, more than is asked for")
      }
    }
    var spec = VolumeSpec(
      name: name, sizeBytes: bytes, replicaCount: parameters.replicaCount,
      blockSizeBytes: source?.blockSizeBytes ?? parameters.blockSizeBytes,
      minInSync: parameters.minInSync, isThick: parameters.isThick, createdAt: Date.now)
    spec.spread = parameters.spread.isEmpty ? nil : parameters.spread
    spec.group = parameters.group
    if let preferredNode {
      spec.locality = parameters.locality
      spec.preferredNode = preferredNode
    }
    // Nobody's until it is attached.
    spec.publications = []
    spec.csi = CSIVolume(name: csiName, parameters: parameters.given, source: source?.csi)
    return spec
  }

  /// Why the volume that is there under the name is not the one that is asked for: ALREADY_EXISTS, or ABORTED while it is deleted; nil if it is.
  ///
  /// No function that throws a `GRPCError` or gives the volume: the optimiser of Swift 6.3.1 takes its answer for an error that nobody threw.
  /// `deploy/csi-load.sh` asks twice for every volume, of a release build.
  func difference(from present: VolumeSpec, source: CSIVolume.Source?) -> GRPCError? {
    if present.deleting { return GRPCError(.aborted, "volume \(name) of before is still being deleted") }
    func differs(_ what: String) -> GRPCError { GRPCError(.alreadyExists, "there is a volume \(csiName.prefix(200)) already, \(what)") }
    guard let csi = present.csi, csi.name == csiName else { return differs("which was not made by CSI") }
    if !size.allows(present.sizeBytes) { return differs("of \(present.sizeBytes) bytes, which is not what is asked for") }
    if csi.parameters != parameters.given { return differs("with other parameters") }
    if csi.source != source { return differs("made from something else") }
    return nil
  }

  /// Any node reaches any volume; only strict locality binds it to its node.
  func accessibleTopology(of spec: VolumeSpec) -> [Topology] {
    guard parameters.locality == .strict, let preferredNode else { return [] }
    var topology = Topology()
    topology.segments = [CSINames.topologyNode: CSINames.topologyValue(ofNode: preferredNode)]
    return [topology]
  }
}
