/// A call's half that lives on the server's loop: one HTTP/2 stream, from its request's headers to its trailers.
final class ServerStream: @unchecked Sendable {
  let id: Int32
  private let connection: HTTP2Connection
  private let loop: EventLoop
  private let options: GRPCServer.Options
  private var call: GRPCServerCall?
  private var task: Task<Void, Never>?
  private var timer: EventLoop.TimerID?
  private var deframer: MessageDeframer
  private var hasSentHeaders = false
  private(set) var isOver = false
  /// Handlers that wait for room.
  private var senders: [CheckedContinuation<Void, any Error>] = []
  /// Called once, when the answer is complete or the stream is gone.
  var onOver: () -> Void = {}

  init(id: Int32, connection: HTTP2Connection, loop: EventLoop, options: GRPCServer.Options) {
    self.id = id
    self.connection = connection
    self.loop = loop
    self.options = options
    deframer = MessageDeframer(maximumBytes: options.maximumMessageBytes)
  }

  /// Begins the call that the headers ask for, or answers why not.
  func begin(_ fields: [HeaderField], handlers: [String: GRPCHandler], executor: HandlerExecutor) {
    let metadata = GRPCMetadata(fields: fields.filter { !$0.name.hasPrefix(":") })
    func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    if value(":method") != "POST" || value("content-type")?.hasPrefix("application/grpc") != true {
      // gRPC over HTTP/2, "Requests": not gRPC at all, so not answered in gRPC.
      isOver = true
      connection.session.respondOnly(id, [HeaderField(":status", value(":method") != "POST" ? "405" : "415")])
      connection.setNeedsFlush()
      return onOver()
    }
    let path = value(":path") ?? ""
    guard let handler = handlers[path] else { return finish(GRPCError(.unimplemented, "there is no method \(path.prefix(200))")) }
    if let text = value("grpc-timeout") {
      guard let timeout = CallTimeout.nanoseconds(text) else {
        return finish(GRPCError(.invalidArgument, "grpc-timeout is not a time: \(text.prefix(20))"))
      }
      timer = loop.schedule(after: timeout) { [weak self] in
        self?.finish(GRPCError(.deadlineExceeded, "the call's time is over"))
      }
    }
    let call = GRPCServerCall(path: path, metadata: metadata, loop: loop, stream: self)
    self.call = call
    let loop = loop
    task = Task(executorPreference: executor) {
      let failure: GRPCError?
      do {
        try await handler(call)
        failure = nil
      } catch let error as GRPCError {
        failure = error
      } catch is CancellationError {
        failure = GRPCError(.cancelled, "the call was cancelled")
      } catch {
        failure = GRPCError(.unknown, "\(error)")
      }
      loop.perform { [self] in finish(failure) }
    }
  }

  func receive(data bytes: [UInt8]) {
    guard !isOver, let call else {
      // Nobody reads it: the window opens again, or the client could not come to its end.
      return connection.session.consume(id, bytes.count)
    }
    deframer.append(bytes)
    do {
      while let message = try deframer.next() { call.take(message) }
    } catch {
      switch error {
      case .compressed: return finish(GRPCError(.unimplemented, "compressed messages are not taken"))
      case .tooLarge(let byteCount):
        let limit = options.maximumMessageBytes
        return finish(GRPCError(.resourceExhausted, "the message of \(byteCount) bytes is over the limit of \(limit)"))
      }
    }
    let room = deframer.advance()
    if room > 0 {
      connection.session.consume(id, room)
      connection.setNeedsFlush()
    }
  }

  func receiveEnd() {
    if isOver { return }
    if deframer.pendingBytes > 0 { return finish(GRPCError(.internalError, "the request ended inside a message")) }
    call?.end()
  }

  /// The reader took a message of `count` bytes.
  func consume(_ count: Int) {
    let room = deframer.release(count)
    if isOver || room == 0 { return }
    connection.session.consume(id, room)
    connection.setNeedsFlush()
  }

  /// Queues an answer; `sender` goes on when there is room for the next.
  func send(_ bytes: [UInt8], _ sender: CheckedContinuation<Void, any Error>) {
    if isOver { return sender.resume(throwing: GRPCServerCall.over) }
    sendHeaders()
    connection.session.send(id, bytes)
    connection.setNeedsFlush()
    senders.append(sender)
    resumeSenders()
  }

  /// After the socket took something.
  func resumeSenders() {
    if senders.isEmpty || connection.session.queuedBytes(id) > options.queueBytes { return }
    let ready = senders
    senders = []
    for sender in ready { sender.resume() }
  }

  /// The stream is gone: reset by the client, or its connection lost.
  func closed() { end(GRPCError(.cancelled, "the client ended the call")) }

  /// Answers with a status; nil is OK.
  func finish(_ failure: GRPCError?) {
    if isOver { return }
    let status = [
      HeaderField("grpc-status", "\((failure?.code ?? .ok).rawValue)"),
      HeaderField("grpc-message", PercentEncoding.encode(String(failure?.message.prefix(4_096) ?? ""))),
    ].filter { !$0.value.isEmpty }
    if hasSentHeaders {
      connection.session.finish(id, trailers: status)
    } else {
      connection.session.respondOnly(id, Self.headers + status)
    }
    connection.setNeedsFlush()
    end(failure ?? GRPCServerCall.over)
  }

  private func end(_ failure: GRPCError) {
    if isOver { return }
    isOver = true
    if let timer { loop.cancel(timer) }
    call?.end(failure)
    task?.cancel()
    for sender in senders { sender.resume(throwing: failure) }
    senders = []
    (call, task) = (nil, nil)
    let onOver = onOver
    self.onOver = {}
    onOver()
  }

  private static let headers = [HeaderField(":status", "200"), HeaderField("content-type", "application/grpc")]

  private func sendHeaders() {
    if hasSentHeaders { return }
    hasSentHeaders = true
    connection.session.respond(id, Self.headers)
  }
}
