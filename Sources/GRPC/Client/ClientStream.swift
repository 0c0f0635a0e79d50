/// A call's half that lives on the loop: waits for a connection, then is one HTTP/2 stream of it.
final class ClientStream: @unchecked Sendable {
  enum Event {
    case message([UInt8])
    case ended(Result<Void, GRPCError>, GRPCMetadata)
  }

  let request: ClientRequest
  /// Where events go; they may come from the loop only.
  var deliver: (Event) -> Void = { _ in }
  /// Called once, when the stream is over, for its channel to forget it.
  var onOver: () -> Void = {}
  private(set) var isOver = false
  private var connection: HTTP2Connection?
  private var streamID: Int32 = 0
  private var queued: [UInt8] = []
  private var isFinishedSending = false
  private var deframer: MessageDeframer
  private var hasHeaders = false

  init(request: ClientRequest) {
    self.request = request
    deframer = MessageDeframer(maximumBytes: request.maximumMessageBytes)
  }

  // MARK: From the call

  func send(_ bytes: [UInt8]) {
    if isOver { return }
    if let connection {
      connection.session.send(streamID, bytes)
      connection.setNeedsFlush()
    } else {
      queued += bytes
    }
  }

  func finishSending() {
    isFinishedSending = true
    if isOver { return }
    if let connection {
      connection.session.finish(streamID)
      connection.setNeedsFlush()
    }
  }

  /// The reader took a message of `count` bytes.
  func consume(_ count: Int) {
    let room = deframer.release(count)
    if isOver || room == 0 { return }
    connection?.session.consume(streamID, room)
    connection?.setNeedsFlush()
  }

  /// Nobody wants the answer any more.
  func abandon() {
    if isOver { return }
    resetStream()
    finish(.failure(GRPCError(.cancelled, "the call was cancelled", fate: connection == nil ? .unsent : .unknown)))
  }

  /// The call's time is over, or no connection was found in time; `reason` says more if there is more.
  func expire(_ reason: String?) {
    if isOver { return }
    let isSent = connection != nil
    resetStream()
    if let reason, !isSent {
      finish(.failure(GRPCError(.unavailable, reason, fate: .unsent)))
    } else {
      finish(.failure(GRPCError(.deadlineExceeded, "no answer in time", fate: isSent ? .unknown : .unsent)))
    }
  }

  // MARK: From the connection

  /// Begins the stream on a connection. Returns its id, nil if the connection takes none.
  func begin(on connection: HTTP2Connection, scheme: String, authority: String, userAgent: String) -> Int32? {
    var fields = [
      HeaderField(":method", "POST"), HeaderField(":scheme", scheme), HeaderField(":path", request.path),
      HeaderField(":authority", authority), HeaderField("te", "trailers"),
    ]
    if let deadline = request.deadline {
      let now = MonotonicClock.nanoseconds()
      fields.append(HeaderField("grpc-timeout", CallTimeout.text(nanoseconds: deadline > now ? deadline - now : 1)))
    }
    fields += [HeaderField("content-type", "application/grpc"), HeaderField("user-agent", userAgent)]
    fields += request.metadata.fields
    guard let id = try? connection.session.open(fields) else { return nil }
    streamID = id
    self.connection = connection
    if !queued.isEmpty { connection.session.send(id, queued) }
    queued = []
    if isFinishedSending { connection.session.finish(id) }
    connection.setNeedsFlush()
    return id
  }

  func receive(headers fields: [HeaderField], endsStream: Bool) {
    if isOver { return }
    let metadata = GRPCMetadata(fields: fields)
    if !hasHeaders {
      guard let status = metadata[":status"] else { return fail(.internalError, "the response has no status") }
      if status.hasPrefix("1") { return }
      hasHeaders = true
      if status != "200" { return fail(Self.code(forHTTP: status), "the server answered with HTTP status \(status)") }
      let type = metadata["content-type"] ?? ""
      if !type.hasPrefix("application/grpc") { return fail(.unknown, "the response is \(type.prefix(80)), not gRPC") }
    }
    guard let text = metadata["grpc-status"] else {
      if endsStream { fail(.internalError, "the response ended without a gRPC status") }
      return
    }
    let message = PercentEncoding.decode(metadata["grpc-message"] ?? "")
    if text == "0" {
      if deframer.pendingBytes > 0 { return fail(.internalError, "the response ended inside a message") }
      return finish(.success(()), metadata)
    }
    finish(.failure(GRPCError(Int(text).flatMap { GRPCCode(rawValue: $0) } ?? .unknown, message)), metadata)
  }

  func receive(data bytes: [UInt8]) {
    if isOver { return }
    if !hasHeaders { return fail(.internalError, "data came before headers") }
    deframer.append(bytes)
    do {
      while let message = try deframer.next() { deliver(.message(message)) }
    } catch {
      switch error {
      case .compressed: return fail(.internalError, "the server sent a compressed message, which was not offered")
      case .tooLarge(let byteCount):
        let limit = request.maximumMessageBytes
        return fail(.resourceExhausted, "the server's message of \(byteCount) bytes is over the limit of \(limit)")
      }
    }
    let room = deframer.advance()
    if room > 0 {
      connection?.session.consume(streamID, room)
      connection?.setNeedsFlush()
    }
  }

  func receiveEnd() { if !isOver { fail(.internalError, "the response ended without a gRPC status") } }

  func streamClosed(errorCode: UInt32) {
    if isOver { return }
    let text = "the server reset the call (HTTP/2 error \(errorCode))"
    switch errorCode {
    case HTTP2ErrorCode.refusedStream: finish(.failure(GRPCError(.unavailable, text, fate: .unsent)))
    case HTTP2ErrorCode.cancel: finish(.failure(GRPCError(.cancelled, text, fate: .unknown)))
    case HTTP2ErrorCode.enhanceYourCalm: finish(.failure(GRPCError(.resourceExhausted, text, fate: .unknown)))
    case HTTP2ErrorCode.inadequateSecurity: finish(.failure(GRPCError(.permissionDenied, text, fate: .unknown)))
    default: finish(.failure(GRPCError(.internalError, text, fate: .unknown)))
    }
  }

  /// The connection is gone. `isUnprocessed` if the server said that it never began with this stream.
  func connectionLost(_ reason: String, isUnprocessed: Bool) {
    if isOver { return }
    finish(.failure(GRPCError(.unavailable, reason, fate: isUnprocessed ? .unsent : .unknown)))
  }

  private func fail(_ code: GRPCCode, _ message: String) {
    resetStream()
    finish(.failure(GRPCError(code, message, fate: .unknown)))
  }

  private func resetStream() {
    guard let connection else { return }
    connection.session.reset(streamID, errorCode: HTTP2ErrorCode.cancel)
    connection.setNeedsFlush()
  }

  private func finish(_ result: Result<Void, GRPCError>, _ trailers: GRPCMetadata = GRPCMetadata()) {
    isOver = true
    connection = nil
    queued = []
    deliver(.ended(result, trailers))
    deliver = { _ in }
    let onOver = onOver
    self.onOver = {}
    onOver()
  }

  /// What an HTTP status means where gRPC's own is missing (grpc/doc/http-grpc-status-mapping.md).
  private static func code(forHTTP status: String) -> GRPCCode {
    switch status {
    case "400": .internalError
    case "401": .unauthenticated
    case "403": .permissionDenied
    case "404": .unimplemented
    case "429", "502", "503", "504": .unavailable
    default: .unknown
    }
  }
}
