import Control
import GRPC
import Protobuf

/// The Node service of CSI 1.12: brings volumes to the pods of one machine. It remembers nothing: what is connected, mounted and formatted
/// is read back from the system at every call, so it may be killed at any time. It knows no store.
public final class NodeService: Sendable {
  public struct Options: Sendable {
    public var identity: NodeIdentity
    /// Segments beside the node's own, by full key.
    public var topology: [String: String]
    /// Until a connected volume's device is there.
    public var deviceSeconds = 30

    public init(identity: NodeIdentity, topology: [String: String] = [:]) {
      self.identity = identity
      self.topology = topology
    }
  }

  let options: Options
  let system: any NodeSystem
  let log: @Sendable (String) -> Void
  let operations = ExclusiveOperations()

  public init(_ options: Options, system: any NodeSystem, log: @escaping @Sendable (String) -> Void) {
    self.options = options
    self.system = system
    self.log = log
  }

  /// To be given to a server.
  public var handlers: [String: GRPCHandler] {
    [
      "/csi.v1.Node/NodeGetCapabilities": GRPCServer.unary { (_: NodeGetCapabilitiesRequest, _) in Self.capabilities },
      "/csi.v1.Node/NodeGetInfo": GRPCServer.unary { (_: NodeGetInfoRequest, _) in self.info },
      "/csi.v1.Node/NodeStageVolume": exclusive(\NodeStageVolumeRequest.volumeID) { try $0.stage($1) },
      "/csi.v1.Node/NodeUnstageVolume": exclusive(\NodeUnstageVolumeRequest.volumeID) { try $0.unstage($1) },
      "/csi.v1.Node/NodePublishVolume": exclusive(\NodePublishVolumeRequest.volumeID) { try $0.publish($1) },
      "/csi.v1.Node/NodeUnpublishVolume": exclusive(\NodeUnpublishVolumeRequest.volumeID) { try $0.unpublish($1) },
      "/csi.v1.Node/NodeExpandVolume": exclusive(\NodeExpandVolumeRequest.volumeID) { try $0.expand($1) },
      // Asking how full a volume is does not stand in the way of using it.
      "/csi.v1.Node/NodeGetVolumeStats": exclusive(\NodeGetVolumeStatsRequest.volumeID, suffix: " (its statistics)") {
        try $0.statistics($1)
      },
    ]
  }

  /// A call that blocks, one of a volume at a time.
  private func exclusive<Request: ProtobufReadable, Response: ProtobufWritable>(
    _ volumeID: @escaping @Sendable (Request) -> String, suffix: String = "",
    _ body: @escaping @Sendable (NodeService, Request) throws -> Response
  ) -> GRPCHandler {
    GRPCServer.unary { (request: Request, _) in
      let key = Self.key(volumeID(request)) + suffix
      return try await self.operations.run(key) { try body(self, request) }
    }
  }

  /// What operations on a volume exclude each other by.
  static func key(_ volumeID: String) -> String { "volume \(volumeID.prefix(80).lowercased())" }

  static let capabilities: NodeGetCapabilitiesResponse = {
    var response = NodeGetCapabilitiesResponse()
    let types: [NodeServiceCapability.RPC.Kind] = [
      .stageUnstageVolume, .getVolumeStats, .expandVolume, .volumeCondition, .singleNodeMultiWriter,
    ]
    response.capabilities = types.map { type in
      var rpc = NodeServiceCapability.RPC()
      rpc.type = type
      var capability = NodeServiceCapability()
      capability.rpc = rpc
      return capability
    }
    return response
  }()

  var info: NodeGetInfoResponse {
    var response = NodeGetInfoResponse()
    response.nodeID = "\(options.identity)"
    var topology = Topology()
    topology.segments = options.topology
    topology.segments[CSINames.topologyNode] = CSINames.topologyValue(ofNode: options.identity.name)
    response.accessibleTopology = topology
    return response
  }
}
