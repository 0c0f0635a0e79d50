/// A client's connection at the server. Lives on the loop.
final class ServerConnection {
  private let loop: EventLoop
  private let options: GRPCServer.Options
  private let handlers: [String: GRPCHandler]
  private let executor: HandlerExecutor
  private let connection: HTTP2Connection
  private var streams: [Int32: ServerStream] = [:]
  private var keepAliveTimer: EventLoop.TimerID?
  private var hasSettings = false
  private var pingSentAt: UInt64?
  private var isDraining = false
  private(set) var isOver = false
  /// Called once, when the connection has ended.
  var onOver: () -> Void = {}

  init(
    loop: EventLoop, descriptor: Int32, options: GRPCServer.Options, handlers: [String: GRPCHandler], executor: HandlerExecutor
  ) throws {
    self.loop = loop
    self.options = options
    self.handlers = handlers
    self.executor = executor
    var settings = HTTP2Session.Settings()
    settings.maximumConcurrentStreams = UInt32(options.maximumCallsPerConnection)
    settings.maximumHeaderBytes = options.maximumHeaderBytes
    connection = HTTP2Connection(
      loop: loop, descriptor: descriptor, session: try HTTP2Session(role: .server, settings: settings), tls: nil)
  }

  func start() {
    connection.onEvent = { [weak self] in self?.take($0) }
    connection.onClose = { [weak self] _ in self?.end() }
    connection.onFlush = { [weak self] in self?.flushed() }
    connection.start()
    armKeepAlive(after: options.handshakeNanoseconds)
  }

  var isIdle: Bool { streams.isEmpty }

  /// Takes no new calls and ends when those that run are answered.
  func drain() {
    isDraining = true
    connection.session.goAway()
    connection.setNeedsFlush()
    // A moment for the last answers and the notice to leave.
    if isIdle { endSoon() }
  }

  func end() {
    if isOver { return }
    isOver = true
    if let keepAliveTimer { loop.cancel(keepAliveTimer) }
    connection.close()
    for (_, stream) in streams.sorted(by: { $0.key < $1.key }) { stream.closed() }
    streams = [:]
    let onOver = onOver
    self.onOver = {}
    onOver()
  }

  private func endSoon() { loop.schedule(after: 50_000_000) { [weak self] in if self?.isIdle == true { self?.end() } } }

  private func take(_ event: HTTP2Session.Event) {
    pingSentAt = nil
    switch event {
    case .headers(let id, let fields, let endsStream):
      if let stream = streams[id] {
        // Trailers of a request say nothing.
        if endsStream { stream.receiveEnd() }
        return
      }
      let stream = ServerStream(id: id, connection: connection, loop: loop, options: options)
      streams[id] = stream
      stream.begin(fields, handlers: handlers, executor: executor)
      if endsStream { stream.receiveEnd() }
    case .data(let id, let bytes):
      if let stream = streams[id] { stream.receive(data: bytes) } else { connection.session.consume(id, bytes.count) }
      connection.setNeedsFlush()
    case .end(let id): streams[id]?.receiveEnd()
    case .closed(let id, _):
      streams.removeValue(forKey: id)?.closed()
      if isDraining, isIdle { endSoon() }
    case .settings: hasSettings = true
    case .goAway, .pingAnswered: break
    }
  }

  private func flushed() { for stream in streams.values { stream.resumeSenders() } }

  /// A client that says nothing is asked; one that does not answer is let go, and so is one that never began.
  private func armKeepAlive(after nanoseconds: UInt64) {
    keepAliveTimer = loop.schedule(after: nanoseconds) { [weak self] in self?.checkKeepAlive() }
  }

  private func checkKeepAlive() {
    let now = MonotonicClock.nanoseconds()
    if !hasSettings { return end() }
    if let pingSentAt {
      if now - pingSentAt >= options.keepAliveTimeoutNanoseconds { return end() }
    } else if now - connection.lastReceived >= options.keepAliveNanoseconds {
      pingSentAt = now
      connection.session.ping()
      connection.setNeedsFlush()
    }
    armKeepAlive(after: (pingSentAt == nil ? options.keepAliveNanoseconds : options.keepAliveTimeoutNanoseconds) / 2)
  }
}
