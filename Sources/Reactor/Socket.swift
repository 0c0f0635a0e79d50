import CLinux
import Glibc

/// A failed system call: what was tried, on what, and why.
public struct SystemError: Error, Sendable, CustomStringConvertible {
  /// For example "bind 127.0.0.1:4420".
  public let operation: String
  /// A positive errno.
  public let code: Int32

  public init(_ operation: String, code: Int32) {
    self.operation = operation
    self.code = code
  }

  public var description: String { "\(operation): \(Self.message(code))" }

  /// The system's own sentence for an errno.
  public static func message(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}

/// An IPv4 or IPv6 address with a port.
public struct SocketAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
  public enum Family: Sendable { case ipv4, ipv6 }

  public let family: Family
  /// Numeric form without brackets: `127.0.0.1`, `fd00::1`.
  public let host: String
  public let port: UInt16

  /// A numeric address. Returns nil for anything that is not one.
  public init?(host: String, port: UInt16) {
    var v4 = in_addr()
    var v6 = in6_addr()
    if unsafe inet_pton(AF_INET, host, &v4) == 1 {
      family = .ipv4
    } else if unsafe inet_pton(AF_INET6, host, &v6) == 1 {
      family = .ipv6
    } else {
      return nil
    }
    self.host = host
    self.port = port
  }

  /// `127.0.0.1:4420`, `[::1]:4420`. Returns nil for anything else.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    self.init(host: String(host), port: port)
  }

  /// As `init(_:)`, and names are looked up (blocking; for command lines). The first address wins.
  public static func resolve(_ text: String) throws(SystemError) -> SocketAddress {
    if let address = SocketAddress(text) { return address }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw SystemError("read the address '\(text)' (wanted HOST:PORT or [IPv6]:PORT)", code: EINVAL)
    }
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(String(text[..<colon]), nil, &hints, &list) == 0, let first = unsafe list else {
      throw SystemError("look up the host '\(text[..<colon])'", code: ENOENT)
    }
    defer { unsafe freeaddrinfo(first) }
    var buffer = [CChar](repeating: 0, count: 64)
    guard
      unsafe getnameinfo(first.pointee.ai_addr, first.pointee.ai_addrlen, &buffer, 64, nil, 0, NI_NUMERICHOST) == 0,
      let address = SocketAddress(host: Self.string(buffer), port: port)
    else { throw SystemError("look up the host '\(text[..<colon])'", code: ENOENT) }
    return address
  }

  public var description: String { family == .ipv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  static func string(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Calls `body` with the system's form.
  func withSystemAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    switch family {
    case .ipv4:
      var system = sockaddr_in()
      system.sin_family = sa_family_t(AF_INET)
      system.sin_port = port.bigEndian
      unsafe inet_pton(AF_INET, host, &system.sin_addr)
      return unsafe withUnsafeBytes(of: &system) {
        unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
    case .ipv6:
      var system = sockaddr_in6()
      system.sin6_family = sa_family_t(AF_INET6)
      system.sin6_port = port.bigEndian
      unsafe inet_pton(AF_INET6, host, &system.sin6_addr)
      return unsafe withUnsafeBytes(of: &system) {
        unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
    }
  }

  /// From what `getpeername` and `getsockname` filled in.
  init?(system storage: sockaddr_storage) {
    var copy = storage
    var buffer = [CChar](repeating: 0, count: 64)
    let parsed: (String, UInt16)? = unsafe withUnsafeBytes(of: &copy) { raw in
      switch Int32(storage.ss_family) {
      case AF_INET:
        var system = unsafe raw.load(as: sockaddr_in.self)
        unsafe inet_ntop(AF_INET, &system.sin_addr, &buffer, 64)
        return (Self.string(buffer), UInt16(bigEndian: system.sin_port))
      case AF_INET6:
        var system = unsafe raw.load(as: sockaddr_in6.self)
        unsafe inet_ntop(AF_INET6, &system.sin6_addr, &buffer, 64)
        return (Self.string(buffer), UInt16(bigEndian: system.sin6_port))
      default: return nil
      }
    }
    guard let (host, port) = parsed else { return nil }
    self.init(host: host, port: port)
  }
}

/// TCP sockets, non-blocking and close-on-exec.
public enum Socket {
  private static func create(_ family: SocketAddress.Family, for operation: String) throws(SystemError) -> Int32 {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family == .ipv4 ? AF_INET : AF_INET6, type, 0)
    guard descriptor >= 0 else { throw SystemError(operation, code: errno) }
    return descriptor
  }

  /// A listening socket. An IPv6 address listens on IPv6 alone. Throws `EADDRINUSE` and friends.
  public static func listen(on address: SocketAddress, backlog: Int32 = 1024) throws(SystemError) -> Int32 {
    let operation = "listen on \(address)"
    let descriptor = try create(address.family, for: operation)
    set(descriptor, level: SOL_SOCKET, option: SO_REUSEADDR, value: 1)
    if address.family == .ipv6 { set(descriptor, level: Int32(IPPROTO_IPV6), option: IPV6_V6ONLY, value: 1) }
    let bound = unsafe address.withSystemAddress { unsafe bind(descriptor, $0, $1) }
    if bound != 0 || Glibc.listen(descriptor, backlog) != 0 {
      let code = errno
      close(descriptor)
      throw SystemError(operation, code: code)
    }
    return descriptor
  }

  /// Starts a connection; writable means established or failed (`pendingError`).
  public static func connect(to address: SocketAddress) throws(SystemError) -> Int32 {
    let operation = "connect to \(address)"
    let descriptor = try create(address.family, for: operation)
    tune(descriptor)
    if unsafe address.withSystemAddress({ unsafe Glibc.connect(descriptor, $0, $1) }) != 0, errno != EINPROGRESS {
      let code = errno
      close(descriptor)
      throw SystemError(operation, code: code)
    }
    return descriptor
  }

  /// The next waiting connection, tuned, or nil if none waits. Transient failures count as none.
  public static func accept(_ listener: Int32) -> Int32? {
    let descriptor = keelson_accept(listener)
    guard descriptor >= 0 else { return nil }
    tune(descriptor)
    return descriptor
  }

  /// The error of a finished connection attempt; 0 when established.
  public static func pendingError(_ descriptor: Int32) -> Int32 {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &value, &length) == 0 ? value : errno
  }

  /// The local end's address.
  public static func localAddress(_ descriptor: Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = unsafe withUnsafeMutablePointer(to: &storage) {
      unsafe getsockname(descriptor, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &length)
    }
    return status == 0 ? SocketAddress(system: storage) : nil
  }

  /// The far end's address.
  public static func peerAddress(_ descriptor: Int32) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = unsafe withUnsafeMutablePointer(to: &storage) {
      unsafe getpeername(descriptor, UnsafeMutableRawPointer($0).assumingMemoryBound(to: sockaddr.self), &length)
    }
    return status == 0 ? SocketAddress(system: storage) : nil
  }

  /// Small replies leave at once; unacknowledged data ends the connection after 20 s (R12), and so does the silence of a peer's
  /// machine when there is nothing to send: a host without a keep-alive time would otherwise hold its connections for ever.
  private static func tune(_ descriptor: Int32) {
    set(descriptor, level: Int32(IPPROTO_TCP), option: TCP_NODELAY, value: 1)
    set(descriptor, level: Int32(IPPROTO_TCP), option: Int32(KEELSON_TCP_USER_TIMEOUT), value: 20_000)
    set(descriptor, level: SOL_SOCKET, option: SO_KEEPALIVE, value: 1)
    set(descriptor, level: Int32(IPPROTO_TCP), option: TCP_KEEPIDLE, value: 20)
    set(descriptor, level: Int32(IPPROTO_TCP), option: TCP_KEEPINTVL, value: 5)
  }

  private static func set(_ descriptor: Int32, level: Int32, option: Int32, value: Int32) {
    var value = value
    unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
