import CLinux
import Glibc
import Protobuf
import Synchronization

/// Answers one call. It may take as long as the client lets it; its task is cancelled when the client is gone or the deadline over. It throws
/// `GRPCError` for a status other than OK. Blocking work belongs on threads of its own.
public typealias GRPCHandler = @Sendable (GRPCServerCall) async throws -> Void

/// A gRPC server on unix and TCP sockets. Handlers run as tasks on threads of their own; sockets, framing and deadlines live on one
/// loop thread.
public final class GRPCServer: @unchecked Sendable {
  public struct Options: Sendable {
    /// One message, either way.
    public var maximumMessageBytes = 4 << 20
    public var maximumHeaderBytes = 32 << 10
    public var maximumCallsPerConnection = 2_000
    public var maximumConnections = 256
    /// Answers that may wait for a client that takes none, per call.
    public var queueBytes = 256 << 10
    /// Threads for handlers. They run the handlers' own code; what they await may run elsewhere.
    public var handlerThreads = 4
    /// From accepting a connection to its first words.
    public var handshakeNanoseconds: UInt64 = 10_000_000_000
    /// How long a client may be silent before it is asked, and how long it may take to answer.
    public var keepAliveNanoseconds: UInt64 = 60_000_000_000
    public var keepAliveTimeoutNanoseconds: UInt64 = 20_000_000_000

    public init() {}
  }

  private let options: Options
  private let handlers: [String: GRPCHandler]
  private let loop: EventLoop
  private let executor: HandlerExecutor
  // On the loop:
  private var listeners: [Listener] = []
  private var connections: [ObjectIdentifier: ServerConnection] = [:]
  private var onIdle: (@Sendable () -> Void)?

  private struct Listener {
    var descriptor: Int32
    /// Of a unix socket.
    var path: String?

    /// On the loop.
    func close(_ loop: EventLoop) {
      loop.unregister(descriptor)
      Socket.close(descriptor)
      if let path { unsafe unlink(path) }
    }
  }

  /// What a server that is let go of leaves to its loop.
  private struct Remains: @unchecked Sendable {
    var listeners: [Listener]
    var connections: [ServerConnection]
  }

  /// `handlers` by `/package.Service/Method`.
  public init(handlers: [String: GRPCHandler], options: Options = Options()) throws(GRPCError) {
    self.handlers = handlers
    self.options = options
    executor = HandlerExecutor(maximumThreads: options.handlerThreads)
    loop = try EventLoop()
  }

  /// Ends what is open. The loop's thread does it: nobody else looks after it any more, and it would wake for these sockets for ever.
  deinit {
    let remains = Remains(listeners: listeners, connections: Array(connections.values))
    loop.perform { [loop] in
      for listener in remains.listeners { listener.close(loop) }
      for connection in remains.connections { connection.end() }
    }
    loop.stop()
  }

  /// Listens at `endpoint` and returns the port (0: a unix socket). A unix socket gets `mode`; one that nobody listens on any more is
  /// replaced. Throws `unavailable` or `alreadyExists` with what is in the way.
  @discardableResult
  public func listen(on endpoint: GRPCEndpoint, mode: UInt32 = 0o600) throws(GRPCError) -> UInt16 {
    let (descriptor, port) = try ListeningSocket.open(endpoint, mode: mode)
    let path: String? = if case .unix(let path) = endpoint { path } else { nil }
    let isTaken = loop.perform { [self] in
      listeners.append(Listener(descriptor: descriptor, path: path))
      loop.register(descriptor, .read) { [weak self] _ in self?.accept(descriptor) }
    }
    if !isTaken {
      Socket.close(descriptor)
      throw GRPCError(.unavailable, "the server was shut down", fate: .unsent)
    }
    return port
  }

  /// Takes no more connections and calls, lets those that run be answered for at most `graceNanoseconds`, ends what is left, and removes
  /// unix sockets. Returns when all is over; idempotent.
  public func shutDown(graceNanoseconds: UInt64) async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isTaken = loop.perform { [self] in drain(graceNanoseconds) { continuation.resume() } }
      if !isTaken { continuation.resume() }
    }
    loop.stop()
  }

  private func drain(_ graceNanoseconds: UInt64, _ done: @escaping @Sendable () -> Void) {
    for listener in listeners { listener.close(loop) }
    listeners = []
    let earlier = onIdle
    onIdle = {
      earlier?()
      done()
    }
    let open = Array(connections.values)
    for connection in open { connection.drain() }
    loop.schedule(after: graceNanoseconds) { [weak self] in
      guard let self else { return }
      for connection in Array(connections.values) { connection.end() }
      finishIfIdle()
    }
    finishIfIdle()
  }

  private func finishIfIdle() {
    guard connections.isEmpty, let onIdle else { return }
    self.onIdle = nil
    onIdle()
  }

  private func accept(_ listener: Int32) {
    for _ in 0..<64 {
      let descriptor = keelson_accept(listener)
      if descriptor < 0 { return }
      if connections.count >= options.maximumConnections {
        Socket.close(descriptor)
        continue
      }
      guard
        let connection = try? ServerConnection(loop: loop, descriptor: descriptor, options: options, handlers: handlers, executor: executor)
      else {
        Socket.close(descriptor)
        continue
      }
      let key = ObjectIdentifier(connection)
      connections[key] = connection
      connection.onOver = { [weak self] in
        guard let server = self else { return }
        // Let go of only after it has returned from its own event.
        server.loop.perform {
          server.connections[key] = nil
          server.finishIfIdle()
        }
      }
      connection.start()
    }
  }
}

extension GRPCServer {
  /// A handler of one request and one answer.
  public static func unary<Request: ProtobufReadable, Response: ProtobufWritable>(
    limits: ProtobufLimits = ProtobufLimits(maximumFields: 1 << 16),
    _ body: @escaping @Sendable (Request, GRPCServerCall) async throws -> Response
  ) -> GRPCHandler {
    { call in
      let request: Request = try await onlyRequest(of: call, limits)
      try await call.send(try await body(request, call).encoded())
    }
  }

  /// A handler of one request and any number of answers.
  public static func serverStreaming<Request: ProtobufReadable, Response: ProtobufWritable>(
    limits: ProtobufLimits = ProtobufLimits(maximumFields: 1 << 16),
    _ body: @escaping @Sendable (Request, GRPCServerCall, _ send: @Sendable (Response) async throws -> Void) async throws -> Void
  ) -> GRPCHandler {
    { call in
      let request: Request = try await onlyRequest(of: call, limits)
      try await body(request, call) { try await call.send($0.encoded()) }
    }
  }

  private static func onlyRequest<Request: ProtobufReadable>(
    of call: GRPCServerCall, _ limits: ProtobufLimits
  ) async throws -> Request {
    guard let bytes = try await call.next() else { throw GRPCError(.internalError, "the call came without a request") }
    if try await call.next() != nil { throw GRPCError(.internalError, "the call came with more than one request") }
    do {
      return try Request(decoding: bytes, limits: limits)
    } catch {
      throw GRPCError(.internalError, "the request cannot be read: \(error)")
    }
  }
}
