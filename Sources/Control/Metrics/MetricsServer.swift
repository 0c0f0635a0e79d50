import CLinux
import Glibc
import Metrics
import Reactor
import Synchronization

/// Serves one page, `/metrics`, over HTTP: one thread, a bounded number of connections with a bounded time each, one request on each.
///
/// Whoever reaches the address reads the page: it holds names and figures, and nothing can be changed through it.
final class MetricsServer: Sendable {
  struct Options: Sendable {
    var maximumConnections = 32
    /// From its first moment to its last.
    var connectionNanoseconds: UInt64 = 10_000_000_000
    /// A page is not made anew before it is that old, however many ask.
    var pageNanoseconds: UInt64 = 100_000_000
  }

  /// Where it listens: with the port that was free, if none was named.
  let address: SocketAddress
  private let options: Options
  private let page: @Sendable () -> String
  private let listener: Int32
  private let bell: Int32
  private let isStopping = Atomic(false)
  private let end = Rendezvous<Bool>()

  /// Listens, and serves until `stop`. `page` is called on a thread of the server's.
  init(on address: SocketAddress, options: Options = Options(), page: @escaping @Sendable () -> String) throws(SystemError) {
    listener = try Socket.listen(on: address, backlog: 64)
    self.address = Socket.localAddress(listener) ?? address
    bell = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    precondition(bell >= 0, "no descriptor left for an eventfd")
    self.options = options
    self.page = page
    PlainThread.start(name: "keelson-metrics") { self.serve() }
  }

  /// Ends it. When this returns, `page` is not called any more. Once.
  func stop() {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    eventfd_write(bell, 1)
    _ = end.wait()
    close(bell)
  }

  private struct Connection {
    enum Stage {
      case reading
      case writing(sent: Int)
      /// All is said: what the peer still says is thrown away, so that its system does not throw away our answer.
      case draining
    }

    let descriptor: Int32
    let deadline: UInt64
    var stage = Stage.reading
    var head: [UInt8] = []
    var response: [UInt8] = []
  }

  private func serve() {
    var connections: [Connection] = []
    var last: (text: String, madeAt: UInt64)?
    while !isStopping.load(ordering: .sequentiallyConsistent) {
      let now = Clock.monotonicNanoseconds()
      for connection in connections where connection.deadline <= now { close(connection.descriptor) }
      connections.removeAll { $0.deadline <= now }
      let isFull = connections.count >= options.maximumConnections
      var watched = [
        pollfd(fd: bell, events: Int16(POLLIN), revents: 0), pollfd(fd: isFull ? -1 : listener, events: Int16(POLLIN), revents: 0),
      ]
      for connection in connections {
        let events = if case .writing = connection.stage { POLLOUT } else { POLLIN }
        watched.append(pollfd(fd: connection.descriptor, events: Int16(events), revents: 0))
      }
      let next = connections.map(\.deadline).min().map { Int32(clamping: ($0 - now) / 1_000_000 + 1) } ?? -1
      guard unsafe poll(&watched, nfds_t(watched.count), next) > 0 else { continue }
      var open: [Connection] = []
      for (index, connection) in connections.enumerated() {
        var connection = connection
        let isReady = watched[index + 2].revents != 0
        if !isReady || step(&connection, &last) { open.append(connection) } else { close(connection.descriptor) }
      }
      connections = open
      if watched[1].revents != 0 { accept(&connections) }
    }
    for connection in connections { close(connection.descriptor) }
    close(listener)
    end.fulfil(true)
  }

  private func accept(_ connections: inout [Connection]) {
    while connections.count < options.maximumConnections {
      guard let descriptor = Socket.accept(listener) else {
        // Without a descriptor to spare the newcomer stays in the backlog: not to be asked about without pause.
        if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) { usleep(100_000) }
        return
      }
      connections.append(Connection(descriptor: descriptor, deadline: Clock.monotonicNanoseconds() + options.connectionNanoseconds))
    }
  }

  /// One step of a connection that is ready for one; false when it is over.
  private func step(_ connection: inout Connection, _ last: inout (text: String, madeAt: UInt64)?) -> Bool {
    switch connection.stage {
    case .reading:
      guard let bytes = Self.receive(connection.descriptor) else { return false }
      connection.head += bytes
      if let request = HTTPRequest(head: Array(connection.head.prefix(HTTPRequest.maximumHeadBytes))) {
        connection.response = respond(to: request, &last)
      } else if connection.head.count >= HTTPRequest.maximumHeadBytes {
        connection.response = HTTPResponse.headTooLarge.bytes()
      } else {
        return true
      }
      connection.head = []
      connection.stage = .writing(sent: 0)
      return true
    case .writing(let sent):
      let count = unsafe connection.response.withUnsafeBytes { bytes in
        unsafe send(connection.descriptor, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0 { return errno == EAGAIN || errno == EINTR }
      if sent + count < connection.response.count {
        connection.stage = .writing(sent: sent + count)
      } else {
        connection.response = []
        shutdown(connection.descriptor, Int32(SHUT_WR))
        connection.stage = .draining
      }
      return true
    case .draining: return Self.receive(connection.descriptor) != nil
    }
  }

  private func respond(to request: HTTPRequest, _ last: inout (text: String, madeAt: UInt64)?) -> [UInt8] {
    guard case .get(let path, let isHead) = request else {
      return (request == .otherMethod ? HTTPResponse.methodNotAllowed : .badRequest).bytes()
    }
    if path != "/metrics" { return HTTPResponse.notFound.bytes(withoutBody: isHead) }
    let now = Clock.monotonicNanoseconds()
    if last.map({ now - $0.madeAt >= options.pageNanoseconds }) ?? true { last = (page(), Clock.monotonicNanoseconds()) }
    let response = HTTPResponse(status: 200, reason: "OK", contentType: PrometheusText.contentType, body: last?.text ?? "")
    return response.bytes(withoutBody: isHead)
  }

  /// What has come, possibly nothing; nil when the peer will say no more.
  private static func receive(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress!, $0.count, 0) }
    if count < 0 { return errno == EAGAIN || errno == EINTR ? [] : nil }
    return count == 0 ? nil : Array(buffer.prefix(count))
  }
}
