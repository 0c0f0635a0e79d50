import Control
import GRPC
import Protobuf

/// Telling of volumes and of room for more.
extension ControllerService {
  /// At least one capability, all of them possible.
  static func capabilities(_ capabilities: [VolumeCapability]) throws(GRPCError) -> [RequestedCapability] {
    if capabilities.isEmpty { throw CSIRequests.invalid("volume_capabilities are missing") }
    var result: [RequestedCapability] = []
    for capability in capabilities { result.append(try RequestedCapability(capability, name: "volume_capabilities")) }
    return result
  }

  func validateVolumeCapabilities(
    _ request: ValidateVolumeCapabilitiesRequest
  ) async throws -> ValidateVolumeCapabilitiesResponse {
    try CSIRequests.require(request.volumeID, "volume_id")
    if request.volumeCapabilities.isEmpty { throw CSIRequests.invalid("volume_capabilities are missing") }
    for capability in request.volumeCapabilities where capability.accessMode == nil || (capability.block == nil && capability.mount == nil)
    {
      throw CSIRequests.invalid("volume_capabilities: access_mode, block or mount is missing")
    }
    let spec = try await volume(request.volumeID)
    var response = ValidateVolumeCapabilitiesResponse()
    do throws(GRPCError) {
      _ = try Self.capabilities(request.volumeCapabilities)
      if !request.parameters.isEmpty, try VolumeParameters(request.parameters).given != spec.csi?.parameters ?? [:] {
        throw CSIRequests.invalid("the volume was made with other parameters")
      }
      for (key, value) in request.volumeContext.sorted(by: { $0.key < $1.key }) where Self.context(of: spec)[key] ?? value != value {
        throw CSIRequests.invalid("volume_context: \(key) is not the volume's")
      }
      if !request.mutableParameters.isEmpty { throw CSIRequests.invalid("volumes have no mutable parameters") }
    } catch {
      response.message = error.message
      return response
    }
    var confirmed = ValidateVolumeCapabilitiesResponse.Confirmed()
    confirmed.volumeCapabilities = request.volumeCapabilities
    confirmed.volumeContext = request.volumeContext
    confirmed.parameters = request.parameters
    response.confirmed = confirmed
    return response
  }

  func listVolumes(_ request: ListVolumesRequest) async throws -> ListVolumesResponse {
    let page = try ListPage(maximumEntries: request.maxEntries, token: request.startingToken)
    let cluster = try await follower.current()
    let (volumes, next) = page.cut(cluster.volumes.map(\.object).filter { !$0.deleting }, by: \.name)
    var response = ListVolumesResponse()
    response.nextToken = next
    response.entries = volumes.map { spec in
      var entry = ListVolumesResponse.Entry()
      entry.volume = describe(spec)
      var status = ListVolumesResponse.VolumeStatus()
      status.publishedNodeIDs = Self.publishedNodes(of: spec)
      status.volumeCondition = Self.condition(of: VolumeView(spec, in: cluster))
      entry.status = status
      return entry
    }
    return response
  }

  func getVolume(_ request: ControllerGetVolumeRequest) async throws -> ControllerGetVolumeResponse {
    let spec = try await volume(request.volumeID)
    let cluster = try await follower.current()
    var response = ControllerGetVolumeResponse()
    response.volume = describe(spec)
    var status = ControllerGetVolumeResponse.VolumeStatus()
    status.publishedNodeIDs = Self.publishedNodes(of: spec)
    status.volumeCondition = Self.condition(of: VolumeView(spec, in: cluster))
    response.status = status
    return response
  }

  /// Nodes as CSI names them; hosts that are no Kubernetes nodes have no such name.
  static func publishedNodes(of spec: VolumeSpec) -> [String] {
    (spec.publications ?? []).compactMap { publication in
      guard let name = publication.nodeName, let id = NodeIdentity.hostID(ofNQN: publication.hostNQN) else { return nil }
      return NodeIdentity(name: name, hostID: id)?.description
    }
  }

  func getCapacity(_ request: GetCapacityRequest) async throws -> GetCapacityResponse {
    let parameters = try VolumeParameters(request.parameters)
    if !request.volumeCapabilities.isEmpty { _ = try Self.capabilities(request.volumeCapabilities) }
    let cluster = try await follower.current()
    let wanted = Placement.Request(
      sizeBytes: 0, replicaCount: parameters.replicaCount, isThick: parameters.isThick, spread: parameters.spread,
      locality: parameters.locality,
      preferredNode: try await node(ofTopology: request.accessibleTopology?.segments[CSINames.topologyNode]))
    let largest = Placement.largestVolume(wanted, nodes: cluster.placementNodes(group: parameters.group))
    var response = GetCapacityResponse()
    response.availableCapacity = Int64(clamping: largest)
    response.maximumVolumeSize = ProtobufInt64Value(response.availableCapacity)
    response.minimumVolumeSize = ProtobufInt64Value(Int64(VolumeSpec.sizeStepBytes))
    return response
  }
}

/// A part of a listing. Tokens name the last entry that was given, so they hold while others are made and deleted.
struct ListPage: Equatable, Sendable {
  private static let prefix = "after:"

  private let maximumEntries: Int
  private let after: String

  /// Throws INVALID_ARGUMENT for a negative number, ABORTED for a token that none of ours is.
  init(maximumEntries: Int32, token: String) throws(GRPCError) {
    if maximumEntries < 0 { throw CSIRequests.invalid("max_entries is negative") }
    self.maximumEntries = maximumEntries == 0 ? .max : Int(maximumEntries)
    if token.isEmpty {
      after = ""
      return
    }
    let name = String(token.dropFirst(Self.prefix.count))
    guard token.hasPrefix(Self.prefix), (try? Names.validate(name, kind: "token")) != nil else {
      throw GRPCError(.aborted, "starting_token \(token.prefix(80)) is not valid; begin again without one")
    }
    after = name
  }

  /// `all` ascending by name.
  func cut<Entry>(_ all: [Entry], by name: KeyPath<Entry, String>) -> (entries: [Entry], next: String) {
    let rest = all.filter { after.isEmpty || after.utf8.lexicographicallyPrecedes($0[keyPath: name].utf8) }
    let entries = Array(rest.prefix(maximumEntries))
    let next = entries.count < rest.count ? entries.last.map { Self.prefix + $0[keyPath: name] } : nil
    return (entries, next ?? "")
  }
}
