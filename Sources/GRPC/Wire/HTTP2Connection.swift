import CLinux
import Glibc

/// An HTTP/2 session on a connected socket, with or without TLS. Lives on its loop; either side of a call uses it.
///
/// Memory is bounded: what waits to be sent is taken from the session only while the socket takes it, and what was received is bounded by
/// the session's windows.
final class HTTP2Connection {
  let loop: EventLoop
  let session: HTTP2Session
  private let descriptor: Int32
  private let tls: TLSSession?
  private var outgoing: [UInt8] = []
  private var outgoingStart = 0
  private var wantsWrite = false
  private var isFlushScheduled = false
  private(set) var isClosed = false
  /// When the peer was last heard.
  private(set) var lastReceived = MonotonicClock.nanoseconds()
  /// Called with what the session saw, in order.
  var onEvent: (HTTP2Session.Event) -> Void = { _ in }
  /// Called once, when the connection has ended by itself, with the reason.
  var onClose: (String) -> Void = { _ in }
  /// Called when the socket took what it would.
  var onFlush: () -> Void = {}

  private static let chunkBytes = 64 << 10

  /// Takes over the socket and closes it in the end.
  init(loop: EventLoop, descriptor: Int32, session: HTTP2Session, tls: TLSSession?) {
    self.loop = loop
    self.descriptor = descriptor
    self.session = session
    self.tls = tls
  }

  /// Begins to receive, and sends what the session wants to say first.
  func start() {
    // Held by the loop until it is closed: a socket that nobody closes would wake the loop for ever.
    loop.register(descriptor, .read) { self.ready($0) }
    if tls != nil { receive([]) }
    flush()
  }

  /// Sends soon what the session has: once for all that is queued in this round of the loop.
  func setNeedsFlush() {
    if isFlushScheduled || isClosed { return }
    isFlushScheduled = true
    loop.schedule(at: 0) { [weak self] in
      self?.isFlushScheduled = false
      self?.flush()
    }
  }

  /// Ends the connection without telling `onClose`; what has not been sent is lost.
  func close() {
    if isClosed { return }
    isClosed = true
    loop.unregister(descriptor)
    Socket.close(descriptor)
    onEvent = { _ in }
    onClose = { _ in }
    onFlush = {}
  }

  private func fail(_ reason: String) {
    let onClose = onClose
    close()
    onClose(reason)
  }

  private func ready(_ readiness: EventLoop.Readiness) {
    if !readiness.isDisjoint(with: [.read, .hangUp]) { readSocket() }
    if readiness.contains(.write) || !isClosed { flush() }
  }

  private func readSocket() {
    var buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
    // A few chunks, then the others' turn.
    for _ in 0..<4 where !isClosed {
      switch Socket.receive(descriptor, into: &buffer) {
      case .bytes(let bytes):
        lastReceived = MonotonicClock.nanoseconds()
        receive(bytes)
        if bytes.count < buffer.count { return }
      case .nothing: return
      case .end: fail("the peer closed the connection")
      case .failure(let error): fail("\(error)")
      }
    }
  }

  private func receive(_ bytes: ArraySlice<UInt8>) {
    do {
      let plain = try tls.map { try $0.receive(bytes)[...] } ?? bytes
      if plain.isEmpty { return }
      try session.receive(plain)
      deliverEvents()
    } catch let failure as TLSSession.Failure {
      flushLastWords()
      fail(failure.message)
    } catch let failure as HTTP2Session.Failure {
      flushLastWords()
      fail("not HTTP/2: \(failure.message)")
    } catch {
      fail("\(error)")
    }
  }

  private func deliverEvents() { for event in session.takeEvents() where !isClosed { onEvent(event) } }

  /// An alert or a GOAWAY that says why, if the socket takes it.
  private func flushLastWords() {
    if let bytes = try? takeOutput(), !bytes.isEmpty { _ = Socket.send(descriptor, bytes[...]) }
  }

  private func takeOutput() throws -> [UInt8] {
    guard let tls else { return try session.output(limit: Self.chunkBytes) }
    if tls.isEstablished {
      let bytes = try session.output(limit: Self.chunkBytes)
      if !bytes.isEmpty { try tls.send(bytes) }
    }
    return tls.output()
  }

  private func flush() {
    sendOutput()
    deliverEvents()
    if !isClosed { onFlush() }
  }

  private func sendOutput() {
    // Bounded, so that one connection does not keep the loop.
    for _ in 0..<64 {
      if isClosed { return }
      if outgoingStart == outgoing.count {
        do {
          outgoing = try takeOutput()
          outgoingStart = 0
        } catch {
          fail("\((error as? TLSSession.Failure)?.message ?? (error as? HTTP2Session.Failure)?.message ?? "\(error)")")
          return
        }
        if outgoing.isEmpty { break }
      }
      switch Socket.send(descriptor, outgoing[outgoingStart...]) {
      case .success(0):
        setWantsWrite(true)
        return
      case .success(let count): outgoingStart += count
      case .failure(let error):
        fail("\(error)")
        return
      }
    }
    if outgoingStart < outgoing.count {
      setWantsWrite(true)
      return
    }
    setWantsWrite(false)
    if session.isOver { fail("the connection is over") }
  }

  private func setWantsWrite(_ wants: Bool) {
    if wants == wantsWrite { return }
    wantsWrite = wants
    loop.setInterest(descriptor, wants ? [.read, .write] : .read)
  }
}
