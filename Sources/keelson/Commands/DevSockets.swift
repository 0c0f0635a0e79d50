import CSI
import Control
import Foundation
import GRPC

/// CSI beside `keelson dev`: `DIR/csi/controller/csi.sock` and `DIR/csi/node/csi.sock`, the controller's also at `--csi-tcp`.
///
/// Without them everything else goes on: where they cannot be served, that is told and no more.
final class DevSockets {
  private let store: any StateStore
  private let controller: ControllerService
  private var servers: [CSIServer] = []

  /// Nil, and a word about it, if the store cannot be opened.
  init?(_ directory: DevDirectory, also endpoint: CSIEndpoint?, log: @escaping @Sendable (String) -> Void) {
    do {
      store = try StoreLocation.sqlite(path: directory.storePath).open()
    } catch {
      log("CSI is not served: \(error)")
      return nil
    }
    controller = ControllerService(store: store)
    let hostID = HostIdentifier.find(given: nil) ?? Self.keptHostID(directory)
    do {
      let service = controller
      try serve(directory.path + "/csi/controller/csi.sock", service.handlers) { service.isReady }
      if let endpoint { try servers[0].listen(on: endpoint) }
      if let identity = NodeIdentity(name: "dev", hostID: hostID) {
        let node = NodeService(NodeService.Options(identity: identity), system: LinuxSystem(), log: log)
        try serve(directory.path + "/csi/node/csi.sock", node.handlers) { true }
      }
    } catch {
      log("CSI is not served: \((error as? GRPCError)?.message ?? "\(error)")")
    }
  }

  private func serve(_ path: String, _ handlers: [String: GRPCHandler], _ isReady: @escaping @Sendable () -> Bool) throws {
    let endpoint = try CSIEndpoint(unix: path)
    let server = try CSIServer(handlers: handlers, version: Program.version, isReady: isReady)
    try server.listen(on: endpoint)
    servers.append(server)
  }

  /// For a machine without any identifier: one that is made once and kept in the folder.
  private static func keptHostID(_ directory: DevDirectory) -> String {
    let path = directory.path + "/host-id"
    if let text = try? String(contentsOfFile: path, encoding: .utf8) { return text.trimmingCharacters(in: .whitespacesAndNewlines) }
    let text = UUID().uuidString.lowercased()
    try? (text + "\n").write(toFile: path, atomically: true, encoding: .utf8)
    return text
  }

  func close() {
    controller.stop()
    for server in servers {
      let isDown = DispatchSemaphore(value: 0)
      Task {
        await server.shutDown(graceNanoseconds: 1_000_000_000)
        isDown.signal()
      }
      isDown.wait()
    }
    servers = []
    store.close()
  }
}
