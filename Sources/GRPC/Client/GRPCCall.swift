/// One call of a client: messages out, messages in, and how it ended. Made by `GRPCChannel.call`; usable from any thread, by plain threads
/// (`next(deadline:)`) and tasks (`next()`), with one receiver at a time.
public final class GRPCCall: @unchecked Sendable {
  /// What a receiver was given.
  public enum Received: Equatable, Sendable {
    case message([UInt8])
    /// The call ended well.
    case ended
    /// Nothing came in the time given.
    case timedOut
  }

  private struct State {
    var messages: [[UInt8]] = []
    /// Set once: nil error means status OK.
    var result: Result<Void, GRPCError>?
    var trailers = GRPCMetadata()
    var waiter: CheckedContinuation<[UInt8]?, any Error>?
    var isFinishedSending = false
  }

  let request: ClientRequest
  private let loop: EventLoop
  private let monitor = Monitor()
  private var state = State()
  /// On the loop: carries the call's actions to its connection, or keeps them until it has one.
  let stream: ClientStream

  init(request: ClientRequest, loop: EventLoop) {
    self.request = request
    self.loop = loop
    stream = ClientStream(request: request)
    stream.deliver = { [weak self] event in self?.take(event) }
  }

  deinit {
    let stream = stream
    loop.perform { stream.abandon() }
  }

  /// Queues a message for the server. Throws `resourceExhausted` for one over the channel's limit, or what ended the call.
  public func send(_ message: [UInt8]) throws(GRPCError) {
    if message.count > request.maximumMessageBytes {
      throw GRPCError(
        .resourceExhausted, "a message of \(message.count) bytes is over the limit of \(request.maximumMessageBytes)", fate: .unsent)
    }
    try monitor.withLock { () throws(GRPCError) in
      if case .failure(let error) = state.result { throw error }
      if state.isFinishedSending { throw GRPCError(.failedPrecondition, "the call's sending half is finished", fate: .unsent) }
    }
    let bytes = MessageFraming.frame(message)
    let stream = stream
    loop.perform { stream.send(bytes) }
  }

  /// Says that no more messages follow.
  public func finishSending() {
    monitor.withLock { state.isFinishedSending = true }
    let stream = stream
    loop.perform { stream.finishSending() }
  }

  /// Ends the call with `cancelled`, here at once and at the server soon.
  public func cancel() {
    take(.ended(.failure(GRPCError(.cancelled, "the call was cancelled", fate: .unknown)), GRPCMetadata()))
    let stream = stream
    loop.perform { stream.abandon() }
  }

  /// What the server sent last of all; empty until the call ended.
  public var trailers: GRPCMetadata { monitor.withLock { state.trailers } }

  /// The next message, `ended` after the last one, `timedOut` at the deadline (monotonic nanoseconds; nil waits for as long as the call
  /// lives). Blocks the thread. Throws how the call ended if not well.
  func next(deadline: UInt64?) throws(GRPCError) -> Received {
    let received: Received = try monitor.withLock { () throws(GRPCError) in
      while true {
        if !state.messages.isEmpty { return .message(state.messages.removeFirst()) }
        switch state.result {
        case .success?: return .ended
        case .failure(let error)?: throw error
        case nil: break
        }
        if let deadline, MonotonicClock.nanoseconds() >= deadline { return .timedOut }
        monitor.wait(deadline: deadline)
      }
    }
    if case .message(let message) = received { giveBack(message) }
    return received
  }

  /// As `next(deadline:)`, with the time counted from now.
  public func next(timeoutNanoseconds: UInt64?) throws(GRPCError) -> Received {
    try next(deadline: timeoutNanoseconds.map { MonotonicClock.deadline(after: $0) })
  }

  /// The next message, nil after the last one. Cancelling the task cancels the call.
  public func next() async throws -> [UInt8]? {
    let message = try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<[UInt8]?, any Error>) in
        let result: Result<[UInt8]?, GRPCError>? = monitor.withLock {
          if !state.messages.isEmpty { return .success(state.messages.removeFirst()) }
          if let result = state.result { return result.map { nil } }
          precondition(state.waiter == nil, "a call has one receiver at a time")
          state.waiter = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      cancel()
    }
    if let message { giveBack(message) }
    return message
  }

  /// Gives the server back the room that a taken message had.
  private func giveBack(_ message: [UInt8]) {
    let (stream, count) = (stream, message.count)
    loop.perform { stream.consume(count) }
  }

  private func take(_ event: ClientStream.Event) {
    var resumption: (() -> Void)?
    monitor.withLock {
      if state.result != nil { return }
      let waiter = state.waiter
      switch event {
      case .message(let message):
        if let waiter { resumption = { waiter.resume(returning: message) } } else { state.messages.append(message) }
      case .ended(let result, let trailers):
        state.result = result
        state.trailers = trailers
        if let waiter { resumption = { waiter.resume(with: result.map { nil }) } }
      }
      if waiter != nil { state.waiter = nil }
      monitor.broadcast()
    }
    resumption?()
  }
}

/// What a call asks for.
struct ClientRequest: Sendable {
  /// `/package.Service/Method`.
  var path: String
  var metadata: GRPCMetadata
  /// Monotonic; nil if the call may last for ever.
  var deadline: UInt64?
  /// Until when a connection must have been found.
  var connectDeadline: UInt64
  var maximumMessageBytes: Int
}
