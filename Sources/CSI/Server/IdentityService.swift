import GRPC
import Protobuf

/// The Identity service of CSI 1.12, the same on every socket.
struct IdentityService: Sendable {
  let version: String
  let isReady: @Sendable () -> Bool

  var handlers: [String: GRPCHandler] {
    [
      "/csi.v1.Identity/GetPluginInfo": GRPCServer.unary { (_: GetPluginInfoRequest, _) in
        var response = GetPluginInfoResponse()
        response.name = CSINames.driver
        response.vendorVersion = version
        return response
      },
      "/csi.v1.Identity/GetPluginCapabilities": GRPCServer.unary { (_: GetPluginCapabilitiesRequest, _) in Self.capabilities },
      "/csi.v1.Identity/Probe": GRPCServer.unary { (_: ProbeRequest, _) in
        var response = ProbeResponse()
        response.ready = ProtobufBoolValue(isReady())
        return response
      },
    ]
  }

  static let capabilities: GetPluginCapabilitiesResponse = {
    var response = GetPluginCapabilitiesResponse()
    for type in [PluginCapability.Service.Kind.controllerService, .volumeAccessibilityConstraints] {
      var service = PluginCapability.Service()
      service.type = type
      var capability = PluginCapability()
      capability.service = service
      response.capabilities.append(capability)
    }
    var expansion = PluginCapability.VolumeExpansion()
    expansion.type = .online
    var capability = PluginCapability()
    capability.volumeExpansion = expansion
    response.capabilities.append(capability)
    return response
  }()
}
