import CSI
import Console
import Control
import Foundation
import GRPC

/// Where commands with CSI services listen: `--csi`, else `CSI_ENDPOINT`, and `--csi-tcp` beside it.
struct CSISockets {
  static let options =
    [
      OptionDeclaration("csi", .text("unix:///PATH"), help: "serve CSI on this socket, alone in its folder; default $CSI_ENDPOINT"),
      OptionDeclaration("csi-mode", .text("MODE"), defaultText: "0600", help: "who may use the socket, in octal"),
    ] + tcpOptions

  static let tcpOptions = [
    OptionDeclaration("csi-tcp", .text("ADDR:PORT"), help: "serve CSI there too; on loopback unless --csi-allow-tcp is given"),
    OptionDeclaration("csi-allow-tcp", .flag, help: "let --csi-tcp be reached from other machines; there is no authentication"),
  ]

  let endpoints: [CSIEndpoint]
  let mode: UInt32

  /// Throws unless what is given is well formed. No endpoint at all is left to the caller.
  init(_ arguments: ParsedArguments) throws(CommandError) {
    var endpoints: [CSIEndpoint] = []
    if let text = arguments.text("csi") ?? environmentText("CSI_ENDPOINT") {
      do throws(CSIEndpoint.Refusal) { endpoints.append(try CSIEndpoint(unix: text)) } catch { throw .usage("\(error)") }
    }
    if let endpoint = try Self.tcp(arguments) { endpoints.append(endpoint) }
    let text = arguments.text("csi-mode") ?? "0600"
    guard let mode = UInt32(text, radix: 8), mode <= 0o777 else {
      throw .usage("--csi-mode '\(text)' is no file mode", hint: "Write it in octal: 0600 or 0660.")
    }
    self.endpoints = endpoints
    self.mode = mode
  }

  /// Of `--csi-tcp`; nil if it is not given.
  static func tcp(_ arguments: ParsedArguments) throws(CommandError) -> CSIEndpoint? {
    guard let text = arguments.text("csi-tcp") else { return nil }
    do throws(CSIEndpoint.Refusal) {
      return try CSIEndpoint(tcp: text, allowsEverywhere: arguments.flag("csi-allow-tcp"))
    } catch {
      throw .usage("\(error)")
    }
  }

  /// Listens everywhere, or throws with what is in the way.
  func open(_ server: CSIServer) throws(CommandError) {
    for endpoint in endpoints {
      do throws(GRPCError) {
        try server.listen(on: endpoint, mode: mode)
      } catch {
        throw CommandError("csi_not_served", "could not serve CSI on \(endpoint.endpoint): \(error.message)")
      }
    }
  }
}

extension Command {
  static let csiNode = Command(
    CommandDeclaration(
      ["csi-node"], summary: "serve CSI's Identity and Node services: volumes for the pods of this machine",
      details: """
        Connects volumes by the kernel's NVMe/TCP host, formats and mounts them. It needs root, the kernel module nvme_tcp, and
        the programs of the filesystems in use; it knows no state store. Runs until SIGTERM or Ctrl-C.
        """,
      options: [
        OptionDeclaration("node-name", .text("NAME"), isRequired: true, help: "the node's name in Kubernetes"),
        OptionDeclaration(
          "host-id", .text("UUID"), help: "the NVMe host identifier of this machine; default /etc/nvme/hostid, else /etc/machine-id"),
        OptionDeclaration(
          "topology", .text("KEY=VALUE"), isRepeated: true,
          help: "where the node is: zone=a, rack=7; several with commas or several options"),
      ] + CSISockets.options,
      examples: [
        .init("keelson csi-node --node-name worker-1 --csi unix:///csi/csi.sock", "beside kubelet's node-driver-registrar")
      ])
  ) { arguments, _ in
    let sockets = try CSISockets(arguments)
    if sockets.endpoints.isEmpty {
      throw CommandError.usage("no socket is named", hint: "Give --csi unix:///csi/csi.sock, or set CSI_ENDPOINT.")
    }
    guard let hostID = HostIdentifier.find(given: arguments.text("host-id")) else {
      throw CommandError.usage("this machine has no host identifier that is a UUID", hint: "Give --host-id UUID, the same at every start.")
    }
    let name = arguments.text("node-name") ?? ""
    guard let identity = NodeIdentity(name: name, hostID: hostID) else {
      throw CommandError.usage("--node-name '\(name)' is no name of a Kubernetes node")
    }
    let ended = DispatchSemaphore(value: 0)
    Interruptions.watch { _ in ended.signal() }
    let log: @Sendable (String) -> Void = { Terminal.standardError.write("keelson csi-node: \($0)\n") }
    let service = NodeService(
      NodeService.Options(identity: identity, topology: try topology(arguments.texts("topology"))), system: LinuxSystem(), log: log)
    let server = try CSIServer(handlers: service.handlers, version: Program.version) { true }
    try sockets.open(server)
    let follower = PathFollower(service)
    follower.start()
    log("\(identity) serves on \(sockets.endpoints.map { "\($0.endpoint)" }.joined(separator: ", "))")
    ended.wait()
    follower.stop()
    let isDown = DispatchSemaphore(value: 0)
    Task {
      await server.shutDown()
      isDown.signal()
    }
    isDown.wait()
    return .success
  }

  /// `zone=a` stands for `topology.csi.keelson.io/zone=a`.
  private static func topology(_ texts: [String]) throws(CommandError) -> [String: String] {
    var segments: [String: String] = [:]
    for text in texts.flatMap({ $0.split(separator: ",").map(String.init) }) {
      let pair = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let keys = ["zone": CSINames.topologyZone, "rack": CSINames.topologyRack]
      guard pair.count == 2, let key = keys[pair[0]] ?? keys.values.first(where: { $0 == pair[0] }), !pair[1].isEmpty else {
        throw .usage("--topology '\(text)' is no segment", hint: "Write zone=NAME or rack=NAME.")
      }
      segments[key] = pair[1]
    }
    return segments
  }
}
