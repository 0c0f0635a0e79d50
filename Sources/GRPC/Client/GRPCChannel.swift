/// A client's way to a service that several endpoints offer: one connection at a time, made when it is needed, moved to the next endpoint
/// when it fails. Calls wait for a connection for as long as they may, never longer. All methods are safe from any thread.
public final class GRPCChannel: @unchecked Sendable {
  public struct Options: Sendable {
    /// Nil speaks plain HTTP/2.
    public var tls: TLSConfiguration?
    /// For address, socket, TLS and the server's first words together, per endpoint.
    public var connectTimeoutNanoseconds: UInt64 = 2_000_000_000
    /// How long a server with calls may be silent before it is asked by a ping.
    public var keepAliveNanoseconds: UInt64 = 6_000_000_000
    /// The same while a call with a deadline waits for its answer.
    public var probeNanoseconds: UInt64 = 700_000_000
    /// How long a server may take to answer a ping.
    public var keepAliveTimeoutNanoseconds: UInt64 = 1_500_000_000
    /// The least time between pings: servers end connections that ask more often than they like (etcd: 5 s).
    public var pingSpacingNanoseconds: UInt64 = 5_100_000_000
    /// The pause after all endpoints failed doubles between these, less up to a half by chance.
    public var minimumBackoffNanoseconds: UInt64 = 50_000_000
    public var maximumBackoffNanoseconds: UInt64 = 2_000_000_000
    /// The longest wait for a connection of a call that has no deadline.
    public var connectWaitNanoseconds: UInt64 = 10_000_000_000
    /// One message, either way.
    public var maximumMessageBytes = 4 << 20
    public var userAgent = "keelson-grpc/1"

    public init() {}
  }

  public let endpoints: [GRPCEndpoint]
  public let options: Options
  private let loop: EventLoop
  private let pool: ConnectionPool

  /// Connects to nobody yet. Throws `failedPrecondition` if TLS files cannot be used; `endpoints` are tried from the first.
  public init(endpoints: [GRPCEndpoint], options: Options = Options()) throws(GRPCError) {
    if endpoints.isEmpty { throw GRPCError(.invalidArgument, "a channel needs an endpoint", fate: .unsent) }
    var context: TLSContext?
    if let configuration = options.tls { context = try TLSContext(configuration) }
    self.endpoints = endpoints
    self.options = options
    loop = try EventLoop()
    pool = ConnectionPool(loop: loop, endpoints: endpoints, options: options, tls: context)
  }

  deinit { close() }

  /// Begins a call of `/package.Service/Method`. Its failures, that of having no connection included, come from the call. Without a
  /// time-out it lasts until it is ended by either side or let go of.
  public func call(_ path: String, metadata: GRPCMetadata = GRPCMetadata(), timeoutNanoseconds: UInt64? = nil) -> GRPCCall {
    let deadline = timeoutNanoseconds.map { MonotonicClock.deadline(after: $0) }
    let connectDeadline = deadline ?? MonotonicClock.deadline(after: options.connectWaitNanoseconds)
    let request = ClientRequest(
      path: path, metadata: metadata, deadline: deadline, connectDeadline: connectDeadline,
      maximumMessageBytes: options.maximumMessageBytes)
    let call = GRPCCall(request: request, loop: loop)
    let (pool, stream) = (pool, call.stream)
    if !loop.perform({ pool.start(stream) }) {
      stream.connectionLost("the channel is closed", isUnprocessed: true)
    }
    return call
  }

  /// One request, one answer; blocks the thread for at most the time-out.
  public func unary(
    _ path: String, _ message: [UInt8], metadata: GRPCMetadata = GRPCMetadata(), timeoutNanoseconds: UInt64
  ) throws(GRPCError) -> [UInt8] {
    let call = call(path, metadata: metadata, timeoutNanoseconds: timeoutNanoseconds)
    try call.send(message)
    call.finishSending()
    // The loop ends the call at its deadline; a moment more, in case it is busy.
    let limit = MonotonicClock.deadline(after: timeoutNanoseconds + 500_000_000)
    guard case .message(let answer) = try call.next(deadline: limit) else {
      throw GRPCError(.internalError, "the call ended without an answer", fate: .unknown)
    }
    guard case .ended = try call.next(deadline: limit) else {
      throw GRPCError(.internalError, "the call was answered more than once", fate: .unknown)
    }
    return answer
  }

  /// One request, one answer; cancelling the task cancels the call.
  public func unary(
    _ path: String, _ message: [UInt8], metadata: GRPCMetadata = GRPCMetadata(), timeoutNanoseconds: UInt64
  ) async throws -> [UInt8] {
    let call = call(path, metadata: metadata, timeoutNanoseconds: timeoutNanoseconds)
    try call.send(message)
    call.finishSending()
    guard let answer = try await call.next() else {
      throw GRPCError(.internalError, "the call ended without an answer", fate: .unknown)
    }
    if try await call.next() != nil { throw GRPCError(.internalError, "the call was answered more than once", fate: .unknown) }
    return answer
  }

  /// Connections made so far. Who answered before it rose may not be who answers now.
  public var connectionCount: UInt64 { pool.connectionCount.load(ordering: .acquiring) }

  /// Says that the endpoint in use does not serve as it should, though it is connected: new calls go to the next one, and whether this one
  /// is still there is looked into. With one endpoint only the latter.
  public func moveOn() {
    let pool = pool
    loop.perform { pool.moveOn() }
  }

  /// Ends all calls with `unavailable` and lets go of connections and thread. Idempotent.
  public func close() {
    let pool = pool
    loop.perform { pool.close() }
    loop.stop()
  }
}
