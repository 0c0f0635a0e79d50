import CLinux
import Glibc

/// A socket address as the kernel takes it.
struct SocketAddress: Sendable {
  let family: Int32
  let bytes: [UInt8]

  /// The longest path of a unix socket: `sun_path` without its ending zero.
  static let maximumPathBytes = 107

  static func unix(path: String) throws(GRPCError) -> SocketAddress {
    let count = path.utf8.count
    if count > maximumPathBytes || path.utf8.contains(0) || count == 0 {
      throw GRPCError(
        .invalidArgument, "the socket path \(path) has \(count) bytes; a unix socket's has 1 to \(maximumPathBytes)", fate: .unsent)
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = unsafe withUnsafeBytes(of: &address) { unsafe Array($0) }
    let offset = bytes.count - MemoryLayout.size(ofValue: address.sun_path)
    bytes.replaceSubrange(offset..<offset + count, with: path.utf8)
    return SocketAddress(family: AF_UNIX, bytes: Array(bytes.prefix(offset + count + 1)))
  }

  /// Looks a name up, which may take as long as the system's resolver likes: not for a loop's thread unless `isNumeric`.
  static func resolve(host: String, port: UInt16, isNumeric: Bool) -> Result<[SocketAddress], GRPCError> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV | (isNumeric ? AI_NUMERICHOST : 0)
    var list: UnsafeMutablePointer<addrinfo>?
    let result = unsafe getaddrinfo(host, "\(port)", &hints, &list)
    if result != 0 {
      let reason = unsafe String(cString: gai_strerror(result))
      return .failure(GRPCError(.unavailable, "cannot find the address of \(host): \(reason)", fate: .unsent))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = unsafe list
    while let entry = unsafe next, addresses.count < 16 {
      let bytes = unsafe Array(UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen)))
      unsafe addresses.append(SocketAddress(family: entry.pointee.ai_family, bytes: bytes))
      unsafe next = entry.pointee.ai_next
    }
    return .success(addresses)
  }

  func withSockaddr<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
    unsafe bytes.withUnsafeBytes { unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)) }
  }
}

/// Calls on non-blocking sockets; failures are errno values.
enum Socket {
  static func open(family: Int32) -> Result<Int32, Errno> {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, type, 0)
    if descriptor < 0 { return .failure(Errno(errno)) }
    if family != AF_UNIX {
      var one: Int32 = 1
      _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
      noticeLoss(descriptor)
    }
    return .success(descriptor)
  }

  /// Has the kernel end a connection whose other machine says nothing any more, idle or not: a machine without power ends none itself, and
  /// gRPC's own pings are too seldom for that, as servers allow few of them. Nothing is lost where the kernel refuses.
  private static func noticeLoss(_ descriptor: Int32) {
    let tcp = Int32(IPPROTO_TCP)
    var (one, seconds, silence): (Int32, Int32, UInt32) = (1, 1, lossMilliseconds)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, 4)
    _ = unsafe setsockopt(descriptor, tcp, TCP_KEEPIDLE, &seconds, 4)
    _ = unsafe setsockopt(descriptor, tcp, TCP_KEEPINTVL, &seconds, 4)
    _ = unsafe setsockopt(descriptor, tcp, TCP_USER_TIMEOUT, &silence, 4)
  }

  /// How long another machine may leave what was sent, or the kernel's probe, unanswered.
  static let lossMilliseconds: UInt32 = 1_500

  /// Closes what this process holds. One that is not open was closed before, and the next time its number may be somebody else's file.
  static func close(_ descriptor: Int32) {
    let result = Glibc.close(descriptor)
    precondition(result == 0 || errno != EBADF, "descriptor \(descriptor) was closed twice")
  }

  struct Errno: Error, Equatable, CustomStringConvertible {
    let code: Int32
    init(_ code: Int32) { self.code = code }
    var description: String { unsafe String(cString: strerror(code)) }
  }

  /// Begins to connect; nil if it is done or under way.
  static func connect(_ descriptor: Int32, _ address: SocketAddress) -> Errno? {
    let result = unsafe address.withSockaddr { unsafe Glibc.connect(descriptor, $0, $1) }
    return result == 0 || errno == EINPROGRESS ? nil : Errno(errno)
  }

  /// How the connecting ended.
  static func connectResult(_ descriptor: Int32) -> Errno? {
    var code: Int32 = 0
    var count = socklen_t(4)
    if unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &count) != 0 { return Errno(errno) }
    return code == 0 ? nil : Errno(code)
  }

  enum Received {
    case bytes(ArraySlice<UInt8>)
    case nothing
    case end
    case failure(Errno)
  }

  static func receive(_ descriptor: Int32, into buffer: inout [UInt8]) -> Received {
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
    if count > 0 { return .bytes(buffer[..<count]) }
    if count == 0 { return .end }
    return errno == EAGAIN || errno == EINTR ? .nothing : .failure(Errno(errno))
  }

  /// How many bytes the kernel took; 0 if it takes none now.
  static func send(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Result<Int, Errno> {
    let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    if count >= 0 { return .success(count) }
    return errno == EAGAIN || errno == EINTR ? .success(0) : .failure(Errno(errno))
  }
}
