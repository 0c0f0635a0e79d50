import CNGHTTP2
import Glibc

/// One side of an HTTP/2 connection (RFC 9113) without its socket: bytes in, events out; calls in, bytes out. Framing, HPACK and the
/// peer's flow control are nghttp2's; ours is manual: what a stream received counts against its window until `consume`.
@safe final class HTTP2Session {
  enum Role { case client, server }

  enum Event: Equatable {
    /// A whole header block; the second of a stream are its trailers.
    case headers(stream: Int32, fields: [HeaderField], endsStream: Bool)
    case data(stream: Int32, bytes: [UInt8])
    /// The peer sends no more on this stream (told apart from `headers` with `endsStream`).
    case end(stream: Int32)
    /// The stream is over, orderly if the code is 0.
    case closed(stream: Int32, errorCode: UInt32)
    /// The peer takes no streams above `lastStream`.
    case goAway(lastStream: Int32, errorCode: UInt32)
    case settings
    case pingAnswered
  }

  struct Failure: Error, Equatable { var message: String }

  struct Settings {
    var streamWindowBytes: Int32 = 512 << 10
    var connectionWindowBytes: Int32 = 32 << 20
    var maximumConcurrentStreams: UInt32 = 1_000
    var maximumHeaderBytes: Int = 32 << 10
  }

  /// What a stream has yet to send.
  struct Outbound {
    var bytes: [UInt8] = []
    var start = 0
    var isFinished = false
    var trailers: [HeaderField]?
    /// nghttp2 asked and there was nothing: it has to be told when there is.
    var isDeferred = false
  }

  let role: Role
  let settings: Settings
  private(set) var session: OpaquePointer?
  var outbound: [Int32: Outbound] = [:]
  var events: [Event] = []
  var headerFields: [Int32: (fields: [HeaderField], byteCount: Int)] = [:]

  init(role: Role, settings: Settings = Settings()) throws(Failure) {
    self.role = role
    self.settings = settings
    var callbacks: OpaquePointer?
    var option: OpaquePointer?
    guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0, unsafe nghttp2_option_new(&option) == 0 else {
      throw Failure(message: "out of memory")
    }
    defer {
      unsafe nghttp2_session_callbacks_del(callbacks)
      unsafe nghttp2_option_del(option)
    }
    unsafe HTTP2Callbacks.install(in: callbacks)
    unsafe nghttp2_option_set_no_auto_window_update(option, 1)
    let me = unsafe Unmanaged.passUnretained(self).toOpaque()
    var session: OpaquePointer?
    let result =
      switch role {
      case .client: unsafe nghttp2_session_client_new2(&session, callbacks, me, option)
      case .server: unsafe nghttp2_session_server_new2(&session, callbacks, me, option)
      }
    if result != 0 { throw Failure(message: Self.text(result)) }
    unsafe self.session = session
    var entries = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: UInt32(settings.streamWindowBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: settings.maximumConcurrentStreams),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(settings.maximumHeaderBytes)),
    ]
    if role == .client {
      entries.append(nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0))
    }
    _ = unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), entries, entries.count)
    _ = unsafe nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, settings.connectionWindowBytes)
  }

  deinit { unsafe nghttp2_session_del(session) }

  // MARK: Bytes

  /// Takes bytes of the peer. Throws if they are not HTTP/2: what `output` has left then (a GOAWAY) is to be sent, and the connection closed.
  func receive(_ bytes: ArraySlice<UInt8>) throws(Failure) {
    let result = unsafe bytes.withUnsafeBufferPointer { unsafe nghttp2_session_mem_recv(session, $0.baseAddress, $0.count) }
    if result < 0 { throw Failure(message: Self.text(Int32(result))) }
    if result != bytes.count { throw Failure(message: "the peer's bytes were not all taken") }
  }

  /// What was seen since the last time, in order. Sending has events too: streams that end by it.
  func takeEvents() -> [Event] {
    defer { events = [] }
    return events
  }

  /// Up to about `limit` bytes to send; empty if there is nothing to send now.
  func output(limit: Int) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < limit {
      var data: UnsafePointer<UInt8>?
      let count = unsafe nghttp2_session_mem_send(session, &data)
      if count < 0 { throw Failure(message: Self.text(Int32(count))) }
      guard count > 0, let data = unsafe data else { break }
      unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: data, count: count))
    }
    return bytes
  }

  /// Neither side has anything more to say.
  var isOver: Bool { unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

  // MARK: Streams

  /// Opens a stream with a request whose body follows by `send`.
  func open(_ fields: [HeaderField]) throws(Failure) -> Int32 {
    var provider = unsafe HTTP2Callbacks.dataProvider
    let stream = unsafe HTTP2Callbacks.withFields(fields) { pointer, count in
      unsafe nghttp2_submit_request(session, nil, pointer, count, &provider, nil)
    }
    if stream < 0 { throw Failure(message: Self.text(stream)) }
    outbound[stream] = Outbound()
    return stream
  }

  /// Answers a stream with headers; its body follows by `send`.
  func respond(_ stream: Int32, _ fields: [HeaderField]) {
    var provider = unsafe HTTP2Callbacks.dataProvider
    outbound[stream] = Outbound()
    let result = unsafe HTTP2Callbacks.withFields(fields) { pointer, count in
      unsafe nghttp2_submit_response(session, stream, pointer, count, &provider)
    }
    if result != 0 { outbound[stream] = nil }
  }

  /// Answers a stream with headers alone and ends it.
  func respondOnly(_ stream: Int32, _ fields: [HeaderField]) {
    _ = unsafe HTTP2Callbacks.withFields(fields) { pointer, count in
      unsafe nghttp2_submit_response(session, stream, pointer, count, nil)
    }
  }

  /// Queues bytes of a stream's body. A stream that is over takes nothing.
  func send(_ stream: Int32, _ bytes: [UInt8]) {
    guard outbound[stream] != nil else { return }
    outbound[stream]?.bytes.append(contentsOf: bytes)
    resume(stream)
  }

  /// Ends our half of a stream after what is queued, with trailers if given.
  func finish(_ stream: Int32, trailers: [HeaderField]? = nil) {
    guard outbound[stream] != nil else { return }
    outbound[stream]?.isFinished = true
    outbound[stream]?.trailers = trailers
    resume(stream)
  }

  /// Bytes of a stream that wait for the peer to take them.
  func queuedBytes(_ stream: Int32) -> Int { outbound[stream].map { $0.bytes.count - $0.start } ?? 0 }

  func reset(_ stream: Int32, errorCode: UInt32) {
    _ = unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, errorCode)
  }

  /// Gives the peer back the room for `count` received bytes of a stream.
  func consume(_ stream: Int32, _ count: Int) {
    if count > 0 { _ = unsafe nghttp2_session_consume_stream(session, stream, count) }
  }

  func ping() { _ = unsafe nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }

  /// Tells the peer that no new streams are taken; those that run go on.
  func goAway() {
    let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
    _ = unsafe nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, 0, nil, 0)
  }

  private func resume(_ stream: Int32) {
    if outbound[stream]?.isDeferred == true {
      outbound[stream]?.isDeferred = false
      _ = unsafe nghttp2_session_resume_data(session, stream)
    }
  }

  static func text(_ code: Int32) -> String { unsafe String(cString: nghttp2_strerror(code)) }
}

/// Error codes of RST_STREAM and GOAWAY (RFC 9113, section 7) that gRPC gives a meaning.
enum HTTP2ErrorCode {
  static let noError: UInt32 = 0x0
  static let internalError: UInt32 = 0x2
  static let refusedStream: UInt32 = 0x7
  static let cancel: UInt32 = 0x8
  static let enhanceYourCalm: UInt32 = 0xB
  static let inadequateSecurity: UInt32 = 0xC
}
