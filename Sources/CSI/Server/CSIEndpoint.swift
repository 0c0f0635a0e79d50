import GRPC

/// Where a CSI service listens, and with which rights.
public struct CSIEndpoint: Equatable, Sendable {
  public enum Refusal: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(String)
    case pathTooLong(path: String, byteCount: Int)
    case notLoopback(String)

    public var description: String {
      switch self {
      case .malformed(let text): "'\(text)' is no place for a CSI socket; write unix:///FOLDER/csi.sock"
      case .pathTooLong(let path, let byteCount):
        "the socket path \(path) has \(byteCount) bytes; a unix socket's has at most \(maximumPathBytes): choose a shorter folder"
      case .notLoopback(let text):
        "\(text) can be reached from other machines, and whoever reaches it controls all volumes; use a loopback address or add --csi-allow-tcp"
      }
    }
  }

  /// `sun_path` without its ending zero (unix(7)).
  public static let maximumPathBytes = 107

  public let endpoint: GRPCEndpoint

  /// A unix socket: `unix:///FOLDER/csi.sock`, `unix:/FOLDER/csi.sock` or, as `CSI_ENDPOINT` often has it, the path alone.
  public init(unix text: String) throws(Refusal) {
    let path: String
    if text.hasPrefix("/") {
      path = text
    } else if case .unix(let given)? = GRPCEndpoint(text), given.hasPrefix("/") {
      path = given
    } else {
      throw .malformed(text)
    }
    if path.utf8.contains(0) || path.hasSuffix("/") { throw .malformed(text) }
    let byteCount = path.utf8.count
    if byteCount > Self.maximumPathBytes { throw .pathTooLong(path: path, byteCount: byteCount) }
    endpoint = .unix(path: path)
  }

  /// A TCP socket, beyond loopback only if `allowsEverywhere`.
  public init(tcp text: String, allowsEverywhere: Bool) throws(Refusal) {
    guard case .tcp(let host, let port)? = GRPCEndpoint(text) else { throw .malformed(text) }
    let isLoopback = host == "::1" || host == "localhost" || host.hasPrefix("127.")
    if !isLoopback, !allowsEverywhere { throw .notLoopback(text) }
    endpoint = .tcp(host: host == "localhost" ? "127.0.0.1" : host, port: port)
  }
}
