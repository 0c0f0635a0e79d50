import Synchronization

/// One call at the server: the requests that came, and where the answers go. A handler has it for as long as it runs; when the client is
/// gone, or its deadline over, the handler's task is cancelled.
public final class GRPCServerCall: Sendable {
  /// `/package.Service/Method`.
  public let path: String
  public let metadata: GRPCMetadata

  private struct State {
    var requests: [[UInt8]] = []
    var isEnded = false
    var failure: GRPCError?
    var waiter: CheckedContinuation<[UInt8]?, any Error>?
  }

  private let state = Mutex(State())
  private let loop: EventLoop
  /// On the loop.
  private let stream: WeakServerStream

  init(path: String, metadata: GRPCMetadata, loop: EventLoop, stream: ServerStream) {
    self.path = path
    self.metadata = metadata
    self.loop = loop
    self.stream = WeakServerStream(stream)
  }

  /// The next request, nil after the client's last. One receiver at a time.
  public func next() async throws -> [UInt8]? {
    let message = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<[UInt8]?, any Error>) in
      let result: Result<[UInt8]?, GRPCError>? = state.withLock { state in
        if let failure = state.failure { return .failure(failure) }
        if !state.requests.isEmpty { return .success(state.requests.removeFirst()) }
        if state.isEnded { return .success(nil) }
        precondition(state.waiter == nil, "a call has one receiver at a time")
        state.waiter = continuation
        return nil
      }
      if let result { continuation.resume(with: result) }
    }
    if let message {
      let (stream, count) = (stream, message.count)
      loop.perform { stream.stream?.consume(count) }
    }
    return message
  }

  /// Sends an answer, waiting while the client takes none. Throws when the call is over.
  public func send(_ message: [UInt8]) async throws {
    let (stream, bytes) = (stream, MessageFraming.frame(message))
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let isTaken = loop.perform {
        guard let stream = stream.stream else { return continuation.resume(throwing: Self.over) }
        stream.send(bytes, continuation)
      }
      if !isTaken { continuation.resume(throwing: Self.over) }
    }
  }

  static let over = GRPCError(.cancelled, "the call is over", fate: .unknown)

  // MARK: On the loop

  func take(_ message: [UInt8]) {
    let waiter = state.withLock { state in
      let waiter = state.waiter
      if waiter == nil { state.requests.append(message) }
      state.waiter = nil
      return waiter
    }
    waiter?.resume(returning: message)
  }

  /// No more requests follow; with an error, none that wait are to be had either.
  func end(_ failure: GRPCError? = nil) {
    let waiter = state.withLock { state in
      let waiter = state.waiter
      state.isEnded = true
      state.failure = state.failure ?? failure
      state.waiter = nil
      return waiter
    }
    if let failure { waiter?.resume(throwing: failure) } else { waiter?.resume(returning: nil) }
  }
}

/// Carries a stream through other threads, which do not touch it.
private final class WeakServerStream: @unchecked Sendable {
  weak var stream: ServerStream?
  init(_ stream: ServerStream) { self.stream = stream }
}
