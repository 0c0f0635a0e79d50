import CLinux
import Glibc

/// Opens sockets to listen on.
enum ListeningSocket {
  /// The descriptor and, of a TCP socket, the port.
  static func open(_ endpoint: GRPCEndpoint, mode: UInt32) throws(GRPCError) -> (descriptor: Int32, port: UInt16) {
    switch endpoint {
    case .unix(let path):
      let address = try SocketAddress.unix(path: path)
      try removeStale(path, address)
      let descriptor = try bound(endpoint, address)
      // Nobody can connect before the listening begins.
      if unsafe chmod(path, mode_t(mode)) != 0 || Glibc.listen(descriptor, 128) != 0 { throw failure(endpoint, descriptor) }
      return (descriptor, 0)
    case .tcp(let host, let port):
      let addresses = try SocketAddress.resolve(host: host, port: port, isNumeric: true).get()
      guard let address = addresses.first else { throw GRPCError(.invalidArgument, "\(host) is no address", fate: .unsent) }
      let descriptor = try bound(endpoint, address)
      if Glibc.listen(descriptor, 128) != 0 { throw failure(endpoint, descriptor) }
      return (descriptor, port)
    }
  }

  private static func bound(_ endpoint: GRPCEndpoint, _ address: SocketAddress) throws(GRPCError) -> Int32 {
    guard case .success(let descriptor) = Socket.open(family: address.family) else {
      throw GRPCError(.unavailable, "no socket for \(endpoint): \(Socket.Errno(errno))", fate: .unsent)
    }
    var one: Int32 = 1
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    if unsafe address.withSockaddr({ unsafe bind(descriptor, $0, $1) }) != 0 { throw failure(endpoint, descriptor) }
    return descriptor
  }

  private static func failure(_ endpoint: GRPCEndpoint, _ descriptor: Int32) -> GRPCError {
    let reason = Socket.Errno(errno)
    Socket.close(descriptor)
    return GRPCError(.unavailable, "cannot listen on \(endpoint): \(reason)", fate: .unsent)
  }

  /// A socket that outlived its listener is removed; anything else is left as it is.
  private static func removeStale(_ path: String, _ address: SocketAddress) throws(GRPCError) {
    var status = stat()
    if unsafe lstat(path, &status) != 0 { return }
    if status.st_mode & S_IFMT != S_IFSOCK {
      throw GRPCError(.alreadyExists, "\(path) is there and is no socket; it was left as it is", fate: .unsent)
    }
    guard case .success(let probe) = Socket.open(family: AF_UNIX) else { return }
    defer { Socket.close(probe) }
    if Socket.connect(probe, address) == nil {
      throw GRPCError(.alreadyExists, "another process listens on \(path)", fate: .unsent)
    }
    unsafe unlink(path)
  }
}
