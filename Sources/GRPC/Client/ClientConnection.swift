import CLinux
import Glibc

/// A channel's connection to one endpoint: found, secured, kept alive, and given up when the server does not answer. Lives on the loop.
final class ClientConnection {
  enum Phase { case connecting, ready, over }

  let endpoint: GRPCEndpoint
  private let loop: EventLoop
  private let options: GRPCChannel.Options
  private let tls: TLSContext?
  private(set) var phase = Phase.connecting
  private var connection: HTTP2Connection?
  private var streams: [Int32: ClientStream] = [:]
  private var addresses: [SocketAddress] = []
  private var lastReason = ""
  private var connectTimer: EventLoop.TimerID?
  private var keepAliveTimer: EventLoop.TimerID?
  private var pingSentAt: UInt64?
  /// When the last ping went out, answered or not, and the last call began.
  private var lastPing: UInt64 = 0
  private var lastCall: UInt64 = 0
  /// Calls with a deadline: somebody waits for an answer.
  private var urgentCount = 0
  /// The server takes no new calls; those that run go on.
  private(set) var isDraining = false

  var onReady: () -> Void = {}
  /// The connection failed or ended; called once.
  var onOver: (String) -> Void = { _ in }
  /// The server asked for no more calls here.
  var onDraining: () -> Void = {}

  init(endpoint: GRPCEndpoint, loop: EventLoop, options: GRPCChannel.Options, tls: TLSContext?) {
    self.endpoint = endpoint
    self.loop = loop
    self.options = options
    self.tls = tls
  }

  var canCall: Bool { phase == .ready && !isDraining }
  var isIdle: Bool { streams.isEmpty }

  func start() {
    connectTimer = loop.schedule(after: options.connectTimeoutNanoseconds) { [weak self] in
      self?.end("no connection within \((self?.options.connectTimeoutNanoseconds ?? 0) / 1_000_000) ms")
    }
    switch endpoint {
    case .unix(let path):
      do {
        tryAddresses([try SocketAddress.unix(path: path)])
      } catch {
        end(error.message)
      }
    case .tcp(let host, let port):
      if case .success(let found) = SocketAddress.resolve(host: host, port: port, isNumeric: true) { return tryAddresses(found) }
      // The system's resolver may take its time: on a thread of its own, given up by the timer above.
      let (loop, box) = (loop, WeakConnection(self))
      let isStarted = DetachedThread.start(name: "keelson-resolve") {
        let result = SocketAddress.resolve(host: host, port: port, isNumeric: false)
        loop.perform {
          switch result {
          case .success(let found): box.connection?.tryAddresses(found)
          case .failure(let error): box.connection?.end(error.message)
          }
        }
      }
      if !isStarted { end("no threads left to look up \(host)") }
    }
  }

  private func tryAddresses(_ found: [SocketAddress]) {
    if phase != .connecting { return }
    addresses = found
    tryNextAddress()
  }

  private func tryNextAddress() {
    if addresses.isEmpty { return end(lastReason.isEmpty ? "no address" : lastReason) }
    let address = addresses.removeFirst()
    switch Socket.open(family: address.family) {
    case .failure(let error): end("no socket: \(error)")
    case .success(let descriptor):
      if let error = Socket.connect(descriptor, address) {
        Socket.close(descriptor)
        lastReason = "\(error)"
        return tryNextAddress()
      }
      pendingDescriptor = descriptor
      loop.register(descriptor, .write) { [weak self, loop] _ in
        loop.unregister(descriptor)
        guard let self, phase == .connecting else {
          Socket.close(descriptor)
          return
        }
        // From here on nobody else closes it: a number that is closed twice may be another's by then.
        pendingDescriptor = nil
        if let error = Socket.connectResult(descriptor) {
          Socket.close(descriptor)
          lastReason = "\(error)"
          tryNextAddress()
        } else {
          establish(descriptor)
        }
      }
    }
  }

  /// The socket whose connecting has not ended.
  private var pendingDescriptor: Int32?

  private func establish(_ descriptor: Int32) {
    do {
      let session = try HTTP2Session(role: .client)
      let security = try tls.map { try TLSSession($0, host: endpoint.serverName) }
      let connection = HTTP2Connection(loop: loop, descriptor: descriptor, session: session, tls: security)
      self.connection = connection
      connection.onEvent = { [weak self] in self?.take($0) }
      connection.onClose = { [weak self] in self?.end($0) }
      connection.start()
    } catch {
      if connection == nil { Socket.close(descriptor) }
      end("\((error as? TLSSession.Failure)?.message ?? "\(error)")")
    }
  }

  /// Begins a call here. False if no stream can be had.
  func begin(_ stream: ClientStream) -> Bool {
    guard canCall, let connection else { return false }
    let scheme = tls == nil ? "http" : "https"
    guard let id = stream.begin(on: connection, scheme: scheme, authority: endpoint.authority, userAgent: options.userAgent) else {
      isDraining = true
      return false
    }
    streams[id] = stream
    lastCall = MonotonicClock.nanoseconds()
    if stream.request.deadline != nil {
      urgentCount += 1
      // A check that was to come late comes in time.
      if urgentCount == 1, let keepAliveTimer {
        loop.cancel(keepAliveTimer)
        self.keepAliveTimer = nil
      }
    }
    armKeepAlive()
    return true
  }

  /// Takes no more calls; ends when those that run have ended.
  func drain() {
    isDraining = true
    if isIdle { end("no longer used") }
  }

  /// Finds out soon whether the server is still there.
  func probe() {
    guard phase == .ready, pingSentAt == nil else { return }
    if MonotonicClock.nanoseconds() - lastPing < options.pingSpacingNanoseconds { return }
    sendPing()
    armKeepAlive()
  }

  /// Ends the connection and all its calls.
  func end(_ reason: String) {
    if phase == .over { return }
    let wasReady = phase == .ready
    phase = .over
    if let connectTimer { loop.cancel(connectTimer) }
    if let keepAliveTimer { loop.cancel(keepAliveTimer) }
    if let pendingDescriptor {
      loop.unregister(pendingDescriptor)
      Socket.close(pendingDescriptor)
    }
    connection?.close()
    let text = wasReady ? "the connection to \(endpoint) was lost: \(reason)" : "cannot connect to \(endpoint): \(reason)"
    for (_, stream) in streams.sorted(by: { $0.key < $1.key }) { stream.connectionLost(text, isUnprocessed: false) }
    streams = [:]
    let onOver = onOver
    (self.onOver, onReady, onDraining) = ({ _ in }, {}, {})
    onOver(text)
  }

  private func take(_ event: HTTP2Session.Event) {
    pingSentAt = nil
    switch event {
    case .settings:
      if phase == .connecting {
        phase = .ready
        if let connectTimer { loop.cancel(connectTimer) }
        onReady()
      }
    case .headers(let id, let fields, let endsStream): streams[id]?.receive(headers: fields, endsStream: endsStream)
    case .data(let id, let bytes): streams[id]?.receive(data: bytes)
    case .end(let id): streams[id]?.receiveEnd()
    case .closed(let id, let errorCode):
      if let stream = streams.removeValue(forKey: id) {
        if stream.request.deadline != nil { urgentCount -= 1 }
        stream.streamClosed(errorCode: errorCode)
      }
      if isDraining, isIdle { end("no longer used") }
    case .goAway(let lastStream, _):
      isDraining = true
      for (id, stream) in streams.sorted(by: { $0.key < $1.key }) where id > lastStream {
        streams[id] = nil
        if stream.request.deadline != nil { urgentCount -= 1 }
        stream.connectionLost("the server at \(endpoint) is going away", isUnprocessed: true)
      }
      onDraining()
      if isIdle { end("the server is going away") }
    case .pingAnswered: break
    }
  }

  // MARK: Keep-alive

  /// While there are calls, a silent server is asked, sooner if somebody waits; one that does not answer is given up.
  private func armKeepAlive() {
    if keepAliveTimer != nil || phase != .ready { return }
    let patience =
      pingSentAt != nil
      ? options.keepAliveTimeoutNanoseconds : urgentCount > 0 ? options.probeNanoseconds : options.keepAliveNanoseconds
    keepAliveTimer = loop.schedule(after: patience / 4) { [weak self] in self?.checkKeepAlive() }
  }

  private func checkKeepAlive() {
    keepAliveTimer = nil
    guard phase == .ready, let connection else { return }
    let now = MonotonicClock.nanoseconds()
    if let pingSentAt {
      if now - pingSentAt >= options.keepAliveTimeoutNanoseconds { return end("the server does not answer") }
    } else if isIdle {
      return
    } else {
      let silence = now - max(connection.lastReceived, urgentCount > 0 ? lastCall : 0)
      let patience = urgentCount > 0 ? options.probeNanoseconds : options.keepAliveNanoseconds
      if silence >= patience, now - lastPing >= options.pingSpacingNanoseconds { sendPing() }
    }
    armKeepAlive()
  }

  private func sendPing() {
    guard let connection else { return }
    lastPing = MonotonicClock.nanoseconds()
    pingSentAt = lastPing
    connection.session.ping()
    connection.setNeedsFlush()
  }
}

/// Carries a connection through another thread, which does not touch it.
private final class WeakConnection: @unchecked Sendable {
  weak var connection: ClientConnection?
  init(_ connection: ClientConnection) { self.connection = connection }
}
