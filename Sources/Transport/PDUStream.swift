import CLinux
import Glibc
import NVMe
import Reactor

/// Where the data of a PDU go. The header's own lengths say how many bytes there are.
@safe public enum PayloadPlan {
  /// The PDU has no data, or they are of no interest and are skipped.
  case discard
  /// Store the data here; `payloadReceived` tells of their end.
  case store(UnsafeMutableRawPointer)
  /// No room now: the same header comes again after `resumeReceiving`.
  case wait
  /// The stream was closed or is being terminated; what follows is skipped.
  case stop
}

/// One NVMe/TCP connection as a stream of PDUs, host or controller side: framing, digests, batched sends, orderly ends.
///
/// Receiving: bytes come into memory shared by all streams of the reactor; headers are read where they lie; data are copied
/// out of it if they came along, and received straight into their place if not. Sending: headers and payloads are queued and
/// leave with one system call at the end of the reactor's pass. Nothing is allocated per PDU.
@safe open class PDUStream: EventHandler {
  /// Where the bytes of the current PDU go.
  private enum Phase {
    case header
    /// Skip to the data (PDO), then `payload`.
    case padding
    case payload
    case dataDigest
    /// Waiting for `resumeReceiving`, the header of the PDU is first in the stash.
    case waiting
    /// The peer is being terminated: everything is skipped.
    case draining
    case closed
  }

  public final let context: TransportContext
  public final let reactor: Reactor
  public final let descriptor: Int32
  /// Negotiated at initialization; false before.
  public final var usesHeaderDigest: Bool {
    get { hasHeaderDigests }
    set { hasHeaderDigests = newValue }
  }
  public final var usesDataDigest: Bool {
    get { hasDataDigests }
    set { hasDataDigests = newValue }
  }
  // Stored apart, as reading a stored property of another module costs an exclusivity check.
  private final var hasHeaderDigests = false
  private final var hasDataDigests = false
  /// Set while data PDUs of more than a few KiB are expected, see `TransportContext.bulkScratchBytes`.
  public final var expectsBulkData = false

  /// Whether our own commands bound what can be queued here, as on a host. A controller stops receiving while a peer does not take
  /// its answers; if a host did so too, each could wait for the other to read (R14).
  public final var boundsWhatIsSent = false

  private final var phase = Phase.header
  private final var header: InlineArray<136, UInt8> = .init(repeating: 0)
  private final var headerFill = 0
  private final var current = PDUCommonHeader(typeByte: 0, flags: 0, headerLength: 0, dataOffset: 0, totalLength: 0)
  private final var skipBytes = 0
  private final var payload: UnsafeMutableRawPointer?
  private final var payloadRemaining = 0
  private final var payloadChecksum: UInt32 = 0
  private final var digest: UInt32 = 0
  private final var digestFill = 0
  /// Bytes received but not parsed, while waiting.
  private final var stash: [UInt8] = []

  private final let queue = Cell(SendQueue())
  private final var isReadArmed = false
  private final var isWriteArmed = false
  private final var isHot = false
  private final var isConnecting = false

  /// Answers that the peer does not take are kept up to this; then nothing more is read from it.
  private static let unsentHeaderLimit = 64 << 10
  private static let readToken: UInt64 = 1
  private static let writeToken: UInt64 = 2
  /// Tokens of subclasses for their own timers start here.
  public static let firstFreeToken: UInt64 = 16

  /// Takes over a connected (or connecting) non-blocking socket. Call `open` or `openWhenConnected` next.
  public init(context: TransportContext, descriptor: Int32) {
    self.context = context
    reactor = context.reactor
    self.descriptor = descriptor
    super.init()
  }

  // MARK: For subclasses

  /// The header of a PDU, complete, its header digest right, not yet validated otherwise. `bytes` is valid during the call.
  open func receivedHeader(_ header: PDUCommonHeader, _ bytes: RawSpan) -> PayloadPlan { preconditionFailure() }
  /// The data of the last header are complete. `isIntact` is false when the data digest was wrong.
  open func payloadReceived(isIntact: Bool) { preconditionFailure() }
  /// A payload given to `appendPayload` is with the kernel; its memory is free. Also told when the stream closes.
  open func payloadSent(token: UInt64) {}
  /// A received header's digest was wrong: the stream cannot be trusted any more.
  open func headerDigestFailed(received: UInt32, _ header: RawSpan) { close(.protocolError) }
  /// A header announced lengths that no PDU of its type has; framing is lost.
  open func framingFailed(_ fault: PDUFault, _ header: RawSpan) { close(.protocolError) }
  /// The connection attempt succeeded.
  open func connected() {}
  /// The stream is closed. Called once; nothing is received or sent afterwards.
  open func closed(_ reason: CloseReason) {}

  public enum CloseReason: Equatable, Sendable {
    case byPeer
    case bySelf
    case protocolError
    /// errno of the socket.
    case systemError(Int32)
  }

  public final var isClosed: Bool { if case .closed = phase { true } else { false } }
  /// Bytes queued but not yet taken by the kernel.
  public final var pendingSendBytes: Int { queue.value.pendingBytes }
  /// Bytes sent and received so far: whether the peer does anything.
  public private(set) final var transferredBytes: UInt64 = 0
  /// Whether what the peer has sent waits for memory (`PayloadPlan.wait`).
  public final var isWaiting: Bool { if case .waiting = phase { true } else { false } }

  // MARK: Opening and closing

  /// Registers with the reactor and starts receiving.
  public final func open() {
    reactor.register(self)
    awaitReadable()
  }

  /// Registers and waits for the connection attempt to end.
  public final func openWhenConnected() {
    reactor.register(self)
    isConnecting = true
    armWrite()
  }

  /// Ends the connection now. What is queued is dropped.
  public final func close(_ reason: CloseReason) {
    if case .closed = phase { return }
    if isWaiting { context.waitingCount -= 1 }
    phase = .closed
    if isReadArmed { reactor.disarm(descriptor, handlerID, token: Self.readToken) }
    if isWriteArmed { reactor.disarm(descriptor, handlerID, token: Self.writeToken) }
    shutdown(descriptor, Int32(SHUT_RDWR))
    Glibc.close(descriptor)
    stash = []
    queue.value.removeAll()
    tellSent()
    closed(reason)
  }

  /// Gives the socket away, open, for another stream to go on with; nil when what is queued to send does not leave at once.
  /// Bytes that came behind the PDU being handled are lost: a peer that waits for the answer has sent none.
  public final func detach() -> Int32? {
    flush()
    guard !isClosed, queue.value.isEmpty else { return nil }
    phase = .closed
    if isReadArmed { reactor.disarm(descriptor, handlerID, token: Self.readToken) }
    return descriptor
  }

  /// Stops parsing, sends what is queued, then half-closes; the peer is expected to close. The owner calls `close` when that
  /// takes too long.
  public final func drain() {
    if case .closed = phase { return }
    let wasWaiting = isWaiting
    if wasWaiting {
      context.waitingCount -= 1
      stash = []
    }
    phase = .draining
    if wasWaiting { awaitReadable() }
    reactor.requestFlush(self)
  }

  /// Leaves the reactor's table once the running callbacks are over. The stream must be closed and have nothing in flight.
  public final func retire() {
    precondition(isClosed)
    let bound = ReactorBound(self)
    reactor.post { reactor in
      if bound.value.handlerID != .none { reactor.unregister(bound.value) }
    }
  }

  // MARK: Sending

  /// Room for a header (with its digest) of `byteCount` bytes, to be filled in at once; it leaves at the end of the pass.
  @inline(__always)
  public final func appendHeader(byteCount: Int) -> UnsafeMutableRawPointer {
    reactor.requestFlush(self)
    return unsafe queue.value.appendHeader(byteCount: byteCount)
  }

  /// Queues data. They must stay in place until `payloadSent(token)`.
  @inline(__always)
  public final func appendPayload(_ bytes: UnsafeMutableRawPointer, byteCount: Int, token: UInt64) {
    unsafe queue.value.appendPayload(bytes, byteCount: byteCount, token: token)
  }

  /// The digest that ends a data PDU, if negotiated. `checksum` is over the data.
  @inline(__always)
  public final func appendDataDigest(_ bytes: UnsafeRawPointer, byteCount: Int) {
    guard usesDataDigest else { return }
    let checksum = unsafe CRC32C.checksum(bytes, byteCount: byteCount)
    let place = unsafe queue.value.appendHeader(byteCount: 4)
    unsafe place.storeBytes(of: checksum.littleEndian, as: UInt32.self)
  }

  /// Fills in the digest behind a header of `byteCount` bytes, if negotiated.
  @inline(__always)
  public final func sealHeader(_ header: UnsafeMutableRawPointer, byteCount: Int) {
    guard usesHeaderDigest else { return }
    let checksum = unsafe CRC32C.checksum(header, byteCount: byteCount)
    unsafe header.storeBytes(of: checksum.littleEndian, toByteOffset: byteCount, as: UInt32.self)
  }

  public final override func flush() {
    if case .closed = phase { return }
    if isWriteArmed || isConnecting { return }
    let wasChoked = isChoked
    let pending = queue.value.pendingBytes
    let isSound = unsafe queue.value.send(to: descriptor, vectors: context.vectors)
    let code = errno
    transferredBytes &+= UInt64(pending - queue.value.pendingBytes)
    tellSent()
    guard isSound else {
      close(.systemError(code))
      return
    }
    if case .closed = phase { return }
    if !queue.value.isEmpty {
      armWrite()
    } else if case .draining = phase {
      shutdown(descriptor, Int32(SHUT_WR))
    }
    if wasChoked { awaitReadable() }
  }

  private var isChoked: Bool { queue.value.headerBytes > Self.unsentHeaderLimit && !boundsWhatIsSent }

  /// Tells the subclass of payloads that are with the kernel. It may queue more at once, so the queue is not being used now.
  private func tellSent() {
    while let token = queue.value.nextSent() { payloadSent(token: token) }
  }

  private func armWrite() {
    isWriteArmed = true
    reactor.armWritable(descriptor, handlerID, token: Self.writeToken)
  }

  // MARK: Receiving

  open override func completed(token: UInt64, result: Int32) {
    switch token {
    case Self.readToken:
      isReadArmed = false
      _ = receive()
      awaitReadable()
    case Self.writeToken:
      isWriteArmed = false
      if isConnecting { finishConnecting() } else { flush() }
    default: break
    }
  }

  private func finishConnecting() {
    if case .closed = phase { return }
    isConnecting = false
    let code = Socket.pendingError(descriptor)
    guard code == 0 else {
      close(.systemError(code))
      return
    }
    connected()
    flush()
    awaitReadable()
  }

  public final override func poll() -> Bool {
    if case .closed = phase { return false }
    return receive()
  }

  public final override func prepareToSleep() {
    isHot = false
    armRead()
  }

  private func awaitReadable() {
    switch phase {
    case .closed, .waiting: return
    default: break
    }
    if isReadArmed || isHot || isChoked { return }
    if reactor.makeHot(self) { isHot = true } else { armRead() }
  }

  private func armRead() {
    switch phase {
    case .closed, .waiting: return
    default: break
    }
    if isReadArmed || isChoked { return }
    isReadArmed = true
    reactor.armReadable(descriptor, handlerID, token: Self.readToken)
  }

  /// After `PayloadPlan.wait`: parse on, from the header that had to wait.
  public final func resumeReceiving() {
    guard case .waiting = phase else { return }
    context.waitingCount -= 1
    phase = .header
    headerFill = 0
    let bytes = stash
    stash = []
    unsafe bytes.withUnsafeBytes { unsafe parse($0.baseAddress!, byteCount: $0.count) }
    awaitReadable()
  }

  /// Takes what the socket has; returns whether there was anything.
  private func receive() -> Bool {
    var hadWork = false
    var received = 0
    // Bounded, so that a fast peer does not keep the others waiting, nor itself: answers leave when this is over, and both sides
    // shall work at the same time.
    while received < TransportContext.scratchBytes {
      if isChoked { return hadWork }
      let limit = expectsBulkData || context.waitingCount > 0 ? TransportContext.bulkScratchBytes : TransportContext.scratchBytes
      var direct = 0
      switch phase {
      case .closed, .waiting: return hadWork
      case .payload: direct = unsafe payload == nil ? 0 : payloadRemaining
      default: break
      }
      let count: Int
      if direct > 0 {
        var vectors = unsafe (iovec(iov_base: payload, iov_len: direct), iovec(iov_base: context.scratch, iov_len: limit))
        count = unsafe withUnsafeMutableBytes(of: &vectors) {
          unsafe readv(descriptor, $0.baseAddress!.assumingMemoryBound(to: iovec.self), 2)
        }
      } else {
        count = unsafe recv(descriptor, context.scratch, limit, Int32(MSG_DONTWAIT))
      }
      if count <= 0 {
        if count == 0 {
          close(.byPeer)
        } else if errno == EINTR {
          continue
        } else if errno != EAGAIN && errno != EWOULDBLOCK {
          close(.systemError(errno))
        }
        return hadWork || count == 0
      }
      hadWork = true
      received += count
      transferredBytes &+= UInt64(count)
      let inPlace = min(count, direct)
      if inPlace > 0 { unsafe advancePayload(from: payload!, byteCount: inPlace, isInPlace: true) }
      if count > inPlace { unsafe parse(context.scratch, byteCount: count - inPlace) }
      if count < direct + limit { break }
    }
    return hadWork
  }

  private func parse(_ bytes: UnsafeRawPointer, byteCount: Int) {
    var cursor = 0
    while cursor < byteCount {
      switch phase {
      case .header:
        cursor = unsafe parseHeader(bytes, from: cursor, to: byteCount)
      case .padding:
        let count = min(skipBytes, byteCount - cursor)
        skipBytes -= count
        cursor += count
        if skipBytes == 0 { payloadStarts() }
      case .payload:
        let count = min(payloadRemaining, byteCount - cursor)
        unsafe advancePayload(from: bytes + cursor, byteCount: count, isInPlace: false)
        cursor += count
      case .dataDigest:
        let byte = unsafe bytes.load(fromByteOffset: cursor, as: UInt8.self)
        digest |= UInt32(byte) << UInt32(8 * digestFill)
        digestFill += 1
        cursor += 1
        if digestFill == 4 { payloadEnds(isIntact: unsafe payload == nil || digest == payloadChecksum) }
      case .waiting:
        unsafe stash.append(contentsOf: UnsafeRawBufferPointer(start: bytes + cursor, count: byteCount - cursor))
        return
      case .draining, .closed: return
      }
    }
  }

  /// Takes header bytes; once they are whole, asks where the data go. Returns the new cursor.
  private func parseHeader(_ bytes: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
    var cursor = start
    if headerFill == 0, end - cursor >= PDUCommonHeader.byteCount {
      let needed = unsafe headerByteCount(UnsafeRawBufferPointer(start: bytes + cursor, count: end - cursor).bytes)
      if needed < 0 { return end }
      if end - cursor >= needed {
        // The common case: the header lies whole in what was received.
        unsafe takeHeader(UnsafeRawBufferPointer(start: bytes + cursor, count: needed).bytes)
        return cursor + needed
      }
    }
    while cursor < end {
      var needed = PDUCommonHeader.byteCount
      if headerFill >= needed {
        needed = unsafe headerByteCount(header.span.bytes)
        if needed < 0 { return end }
      }
      if headerFill == needed { break }
      let count = min(needed - headerFill, end - cursor)
      for index in 0..<count { header[headerFill + index] = unsafe bytes.load(fromByteOffset: cursor + index, as: UInt8.self) }
      headerFill += count
      cursor += count
      if headerFill == needed, needed > PDUCommonHeader.byteCount {
        let copy = header
        headerFill = 0
        unsafe takeHeader(copy.span.extracting(0..<needed).bytes)
        return cursor
      }
    }
    return cursor
  }

  /// Bytes of the header with its digest, or -1 after the framing failed.
  private func headerByteCount(_ bytes: RawSpan) -> Int {
    guard let common = try? PDUCommonHeader(decoding: bytes) else { return -1 }
    guard let type = common.type, common.headerLength == type.headerLength else {
      let offset: UInt32 = common.type == nil ? 0 : 2
      framingFailed(.invalidField(at: offset), bytes.extracting(first: PDUCommonHeader.byteCount))
      return -1
    }
    let isInitialization = type == .initializeConnectionRequest || type == .initializeConnectionResponse
    let isTermination = type == .hostToControllerTermination || type == .controllerToHostTermination
    return Int(type.headerLength) + (usesHeaderDigest && !isInitialization && !isTermination ? 4 : 0)
  }

  private func takeHeader(_ bytes: RawSpan) {
    guard let common = try? PDUCommonHeader(decoding: bytes) else { return }
    let length = Int(common.headerLength)
    if bytes.byteCount > length {
      let received: UInt32 = bytes.littleEndian(at: length)
      if CRC32C.checksum(bytes.extracting(first: length)) != received {
        headerDigestFailed(received: received, bytes.extracting(first: length))
        return
      }
    }
    let plan = receivedHeader(common, bytes.extracting(first: length))
    if case .closed = phase { return }
    if case .draining = phase { return }
    current = common
    switch plan {
    case .stop: return
    case .wait:
      phase = .waiting
      context.waitingCount += 1
      for index in 0..<bytes.byteCount { stash.append(bytes.littleEndian(at: index)) }
      return
    case .discard: unsafe payload = nil
    case .store(let place): unsafe payload = unsafe place
    }
    payloadChecksum = 0
    payloadRemaining = Int(common.dataLength)
    // Termination requests carry part of a header as data, without offset and digest.
    let isTermination = common.type == .hostToControllerTermination || common.type == .controllerToHostTermination
    if isTermination { payloadRemaining = Int(common.totalLength) - length }
    if payloadRemaining == 0 { return }
    skipBytes = isTermination ? 0 : Int(common.dataOffset) - bytes.byteCount
    if skipBytes > 0 { phase = .padding } else { payloadStarts() }
  }

  private func payloadStarts() { phase = .payload }

  @inline(__always)
  private func advancePayload(from source: UnsafeRawPointer, byteCount: Int, isInPlace: Bool) {
    if let place = unsafe payload {
      if !isInPlace { unsafe memcpy(place, source, byteCount) }
      if usesDataDigest { payloadChecksum = unsafe CRC32C.checksum(place, byteCount: byteCount, continuing: payloadChecksum) }
      unsafe payload = unsafe place + byteCount
    }
    payloadRemaining -= byteCount
    if payloadRemaining > 0 { return }
    if current.hasDataDigest {
      phase = .dataDigest
      digest = 0
      digestFill = 0
    } else {
      payloadEnds(isIntact: true)
    }
  }

  private func payloadEnds(isIntact: Bool) {
    phase = .header
    let wasWanted = unsafe payload != nil
    unsafe payload = nil
    if wasWanted { payloadReceived(isIntact: isIntact) }
  }
}
