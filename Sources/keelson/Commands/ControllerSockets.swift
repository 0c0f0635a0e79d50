import CSI
import Console
import Control
import Foundation

/// CSI's Identity and Controller services beside `keelson controller`: every such process answers, leader or not.
final class ControllerSockets {
  private let service: ControllerService
  private let server: CSIServer

  /// Serves where `sockets` says; nil if it says nowhere. Throws with what is in the way. The store stays the caller's.
  init?(store: any StateStore, _ sockets: CSISockets) throws {
    if sockets.endpoints.isEmpty { return nil }
    let service = ControllerService(store: store)
    self.service = service
    server = try CSIServer(handlers: service.handlers, version: Program.version) { service.isReady }
    try sockets.open(server)
  }

  /// Lets calls that run end, for a moment, and takes no more.
  func close() {
    service.stop()
    let isDown = DispatchSemaphore(value: 0)
    Task { [server] in
      await server.shutDown()
      isDown.signal()
    }
    isDown.wait()
  }
}
