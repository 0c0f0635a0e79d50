import Foundation
import GRPC

/// Where an etcd cluster is and how to be let in.
public struct EtcdOptions: Equatable, Sendable {
  public var endpoints: [GRPCEndpoint]
  /// Nil speaks plain HTTP/2.
  public var tls: TLSConfiguration?
  public var user: String?
  /// A file whose first line is the user's password.
  public var passwordPath: String?
  /// One call, its repetitions included.
  public var callTimeoutNanoseconds: UInt64 = 5_000_000_000
  /// The first attempt of a call that may be repeated at another member; later ones have twice as long each time.
  public var attemptTimeoutNanoseconds: UInt64 = 1_000_000_000

  /// The largest answer taken; a listing that would be larger is asked for in smaller parts.
  var maximumMessageBytes = 64 << 20

  public init(endpoints: [GRPCEndpoint], tls: TLSConfiguration? = nil, user: String? = nil, passwordPath: String? = nil) {
    self.endpoints = endpoints
    self.tls = tls
    self.user = user
    self.passwordPath = passwordPath
  }

  /// `HOST:PORT,HOST:PORT[?NAME=VALUE&NAME=VALUE]` with the names `ca`, `cert`, `key`, `server-name` (each asks for TLS), `tls` (`true`),
  /// `user` and `password-file`. Values are taken as they are, so a path may hold anything but `&`. Nil for anything else.
  init?(_ text: Substring) {
    let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var endpoints: [GRPCEndpoint] = []
    for part in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
      guard let endpoint = GRPCEndpoint(String(part)), case .tcp = endpoint, !endpoints.contains(endpoint) else { return nil }
      endpoints.append(endpoint)
    }
    if endpoints.isEmpty || endpoints.count > Self.maximumEndpoints { return nil }
    self.init(endpoints: endpoints)
    guard parts.count == 2 else { return }
    var names: Set<Substring> = []
    for pair in parts[1].split(separator: "&", omittingEmptySubsequences: false) {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard sides.count == 2, !sides[1].isEmpty, names.insert(sides[0]).inserted else { return nil }
      let value = String(sides[1])
      switch sides[0] {
      case "ca": withTLS { $0.authorityPath = value }
      case "cert": withTLS { $0.certificatePath = value }
      case "key": withTLS { $0.keyPath = value }
      case "server-name": withTLS { $0.serverName = value }
      case "tls" where value == "true": withTLS { _ in }
      case "user": user = value
      case "password-file": passwordPath = value
      default: return nil
      }
    }
    if (user == nil) != (passwordPath == nil) || (tls?.keyPath != nil && tls?.certificatePath == nil) { return nil }
  }

  static let maximumEndpoints = 16

  /// What `init(_:)` reads.
  var text: String {
    var parameters: [(String, String?)] = [
      ("ca", tls?.authorityPath), ("cert", tls?.certificatePath), ("key", tls?.keyPath), ("server-name", tls?.serverName),
    ]
    if tls != nil, !parameters.contains(where: { $0.1 != nil }) { parameters.append(("tls", "true")) }
    parameters += [("user", user), ("password-file", passwordPath)]
    let pairs = parameters.compactMap { name, value in value.map { "\(name)=\($0)" } }
    return endpoints.map(\.description).joined(separator: ",") + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
  }

  private mutating func withTLS(_ change: (inout TLSConfiguration) -> Void) {
    var configuration = tls ?? TLSConfiguration()
    change(&configuration)
    tls = configuration
  }
}
