/// How a client proves the server and itself. Paths are of PEM files.
public struct TLSConfiguration: Equatable, Sendable {
  /// The authorities that may have signed the server's certificate; nil takes the system's.
  public var authorityPath: String?
  /// Our certificate chain and its key, for servers that ask for them.
  public var certificatePath: String?
  public var keyPath: String?
  /// The name the server's certificate must carry, if it is not the endpoint's host.
  public var serverName: String?

  public init(authorityPath: String? = nil, certificatePath: String? = nil, keyPath: String? = nil, serverName: String? = nil) {
    self.authorityPath = authorityPath
    self.certificatePath = certificatePath
    self.keyPath = keyPath
    self.serverName = serverName
  }
}
