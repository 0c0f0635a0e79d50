import CLinux
import GRPC
import Glibc

/// A gRPC server with CSI services on it, Identity and health included.
public final class CSIServer: Sendable {
  private let server: GRPCServer
  public let health = GRPCHealth()

  /// `handlers` are those of the Controller or the Node service, or of both; `isReady` answers Probe.
  public init(handlers: [String: GRPCHandler], version: String, isReady: @escaping @Sendable () -> Bool) throws(GRPCError) {
    var all = handlers
    all.merge(IdentityService(version: version, isReady: isReady).handlers) { first, _ in first }
    all.merge(health.handlers) { first, _ in first }
    server = try GRPCServer(handlers: all)
  }

  /// Listens; the folder of a unix socket is made if it is missing, for its owner alone. Throws with what is in the way.
  public func listen(on endpoint: CSIEndpoint, mode: UInt32 = 0o600) throws(GRPCError) {
    if case .unix(let path) = endpoint.endpoint { try Self.makeFolder(of: path) }
    try server.listen(on: endpoint.endpoint, mode: mode)
  }

  /// Takes no more calls and lets those that run end, for some time.
  public func shutDown(graceNanoseconds: UInt64 = 5_000_000_000) async { await server.shutDown(graceNanoseconds: graceNanoseconds) }

  private static func makeFolder(of path: String) throws(GRPCError) {
    guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
    let folder = String(path[..<slash])
    var end = folder.startIndex
    while end < folder.endIndex {
      end = folder[folder.index(after: end)...].firstIndex(of: "/") ?? folder.endIndex
      let part = String(folder[..<end])
      if unsafe mkdir(part, 0o700) != 0, errno != EEXIST {
        throw GRPCError(.unavailable, "could not create the folder \(part): \(ErrorText.of(errno))", fate: .unsent)
      }
    }
  }
}
