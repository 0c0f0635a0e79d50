import Synchronization

/// Which connection a channel's calls go to. Lives on the loop.
final class ConnectionPool: @unchecked Sendable {
  private let loop: EventLoop
  private let endpoints: [GRPCEndpoint]
  private let options: GRPCChannel.Options
  private let tls: TLSContext?
  private var current: ClientConnection?
  /// Connections that take no more calls but have some.
  private var draining: [ClientConnection] = []
  /// Calls without a connection, oldest first.
  private var waiting: [ClientStream] = []
  /// Calls with their timers.
  private var timers: [ObjectIdentifier: (stream: ClientStream, timer: EventLoop.TimerID)] = [:]
  private var position = 0
  private var failuresInRow = 0
  private var retryTimer: EventLoop.TimerID?
  private var lastFailure: String?
  private var isClosed = false
  /// Read by any thread.
  let connectionCount = Atomic<UInt64>(0)

  init(loop: EventLoop, endpoints: [GRPCEndpoint], options: GRPCChannel.Options, tls: TLSContext?) {
    self.loop = loop
    self.endpoints = endpoints
    self.options = options
    self.tls = tls
  }

  func start(_ stream: ClientStream) {
    if stream.isOver { return }
    if isClosed { return stream.connectionLost("the channel is closed", isUnprocessed: true) }
    let key = ObjectIdentifier(stream)
    stream.onOver = { [weak self] in self?.forget(key) }
    let deadline = stream.request.deadline ?? stream.request.connectDeadline
    let timer = loop.schedule(at: deadline) { [weak self, weak stream] in
      guard let self, let stream else { return }
      stream.expire(lastFailure)
    }
    timers[key] = (stream, timer)
    place(stream)
  }

  private func place(_ stream: ClientStream) {
    if let current, current.canCall, current.begin(stream) {
      // A call without a deadline was timed only until it found a connection.
      if stream.request.deadline == nil, let entry = timers[ObjectIdentifier(stream)] { loop.cancel(entry.timer) }
      return
    }
    if let current, current.isDraining { retire(current) }
    waiting.append(stream)
    connect()
  }

  private func forget(_ key: ObjectIdentifier) {
    if let entry = timers.removeValue(forKey: key) { loop.cancel(entry.timer) }
    waiting.removeAll { ObjectIdentifier($0) == key }
  }

  private func connect() {
    if current != nil || retryTimer != nil || isClosed { return }
    let connection = ClientConnection(endpoint: endpoints[position % endpoints.count], loop: loop, options: options, tls: tls)
    current = connection
    connection.onReady = { [weak self] in self?.connected() }
    connection.onDraining = { [weak self, weak connection] in
      if let connection { self?.retire(connection) }
    }
    connection.onOver = { [weak self, weak connection] reason in
      if let connection { self?.ended(connection, reason) }
    }
    connection.start()
  }

  private func connected() {
    connectionCount.add(1, ordering: .releasing)
    failuresInRow = 0
    lastFailure = nil
    let streams = waiting
    waiting = []
    for stream in streams { place(stream) }
  }

  private func retire(_ connection: ClientConnection) {
    guard connection === current else { return }
    current = nil
    draining.append(connection)
    if !waiting.isEmpty { connect() }
  }

  private func ended(_ connection: ClientConnection, _ reason: String) {
    draining.removeAll { $0 === connection }
    guard connection === current else { return }
    current = nil
    lastFailure = reason
    position += 1
    failuresInRow += 1
    if waiting.isEmpty { return }
    if failuresInRow % endpoints.count != 0 { return connect() }
    let rounds = min(failuresInRow / endpoints.count - 1, 16)
    let pause = min(options.maximumBackoffNanoseconds, options.minimumBackoffNanoseconds << UInt64(rounds))
    retryTimer = loop.schedule(after: pause - UInt64.random(in: 0...pause / 2)) { [weak self] in
      self?.retryTimer = nil
      if self?.waiting.isEmpty == false { self?.connect() }
    }
  }

  func moveOn() {
    guard let connection = current, connection.phase == .ready else { return }
    connection.probe()
    if endpoints.count == 1 { return }
    position += 1
    current = nil
    draining.append(connection)
    connection.drain()
  }

  func close() {
    isClosed = true
    if let retryTimer { loop.cancel(retryTimer) }
    let connections = draining + [current].compactMap { $0 }
    (current, draining) = (nil, [])
    for connection in connections { connection.end("the channel is closed") }
    for stream in waiting { stream.connectionLost("the channel is closed", isUnprocessed: true) }
  }
}
