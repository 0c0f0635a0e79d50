import Glibc
import NVMe
import Reactor
import Testing

/// What a test host did not expect.
enum HostFailure: Error, Equatable {
  case connect(Int32)
  case timeout
  /// The target closed the connection.
  case closed
  case unexpected(String)
}

/// One connection of a host that does as it is told, right or wrong: a blocking socket and the codecs.
final class TestHost {
  /// A PDU from the target.
  enum Received: Equatable {
    case initialization(InitializeConnectionResponse)
    case response(CompletionEntry)
    case data(DataHeader, [UInt8])
    case readyToTransfer(ReadyToTransfer)
    /// FES and FEI.
    case termination(UInt16, UInt32)
  }

  let descriptor: Int32
  private(set) var isOpen = true
  var headerDigest = false
  var dataDigest = false
  var alignment: UInt32 = 4
  private var nextIdentifier: UInt16 = 1
  /// A connection that must stay open as long as this one is in use: the admin queue of an I/O queue.
  var companion: TestHost?

  init(_ address: SocketAddress, timeoutSeconds: Int = 5, receiveBufferBytes: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if var size = receiveBufferBytes {
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var system = sockaddr_in()
    system.sin_family = sa_family_t(AF_INET)
    system.sin_port = address.port.bigEndian
    unsafe inet_pton(AF_INET, address.host, &system.sin_addr)
    let status = unsafe withUnsafeBytes(of: &system) { bytes in
      unsafe Glibc.connect(
        descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
    }
    guard status == 0 else {
      let code = errno
      Glibc.close(descriptor)
      throw HostFailure.connect(code)
    }
    setTimeout(seconds: timeoutSeconds)
    var one: Int32 = 1
    unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
  }

  deinit { close() }

  func setTimeout(seconds: Int = 0, milliseconds: Int = 0) {
    var limit = timeval(tv_sec: seconds, tv_usec: milliseconds * 1000)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  func close() {
    if isOpen { Glibc.close(descriptor) }
    isOpen = false
  }

  /// Command identifiers in turn.
  func identifier() -> UInt16 {
    defer { nextIdentifier = nextIdentifier == 0x7FFF ? 1 : nextIdentifier + 1 }
    return nextIdentifier
  }

  // MARK: Bytes

  func send(_ bytes: [UInt8]) throws { try Self.send(bytes, to: descriptor) }

  static func send(_ bytes: [UInt8], to descriptor: Int32) throws {
    var sent = 0
    while sent < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { raw in
        unsafe Glibc.send(descriptor, raw.baseAddress! + sent, raw.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { throw errno == EAGAIN ? HostFailure.timeout : HostFailure.closed }
      sent += count
    }
  }

  func receive(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let received = unsafe bytes.withUnsafeMutableBytes { raw in
        unsafe recv(descriptor, raw.baseAddress! + filled, count - filled, 0)
      }
      if received == 0 { throw HostFailure.closed }
      if received < 0 {
        if errno == EINTR { continue }
        throw errno == EAGAIN ? HostFailure.timeout : HostFailure.closed
      }
      filled += received
    }
    return bytes
  }

  /// Whether the target closes the connection; what it still sends is passed over.
  func isClosedByTarget() -> Bool {
    while true {
      do { _ = try receive(1) } catch { return error as? HostFailure == .closed }
    }
  }

  // MARK: PDUs

  /// The next PDU, its digests checked.
  func receivePDU() throws -> Received {
    var bytes = try receive(PDUCommonHeader.byteCount)
    let common = try decoded(bytes) { try PDUCommonHeader(decoding: $0) }
    guard let type = common.type, common.headerLength == type.headerLength, common.totalLength < 4 << 20 else {
      throw HostFailure.unexpected("header \(common)")
    }
    bytes += try receive(Int(common.totalLength) - bytes.count)
    let length = Int(common.headerLength)
    if common.hasHeaderDigest {
      let digest: UInt32 = unsafe bytes.span.bytes.littleEndian(at: length)
      if unsafe CRC32C.checksum(bytes.span.bytes.extracting(first: length)) != digest { throw HostFailure.unexpected("header digest") }
    }
    switch type {
    case .initializeConnectionResponse: return .initialization(try decoded(bytes) { try InitializeConnectionResponse(decoding: $0) })
    case .capsuleResponse:
      try expectDigests(common)
      return .response(try decoded(bytes) { try CapsuleResponse(decoding: $0).entry })
    case .readyToTransfer:
      try expectDigests(common)
      return .readyToTransfer(try decoded(bytes) { try ReadyToTransfer(decoding: $0) })
    case .controllerToHostTermination:
      let request = try decoded(bytes) { try TerminationRequest(decoding: $0) }
      return .termination(request.statusCode, request.information)
    case .controllerToHostData:
      if let fault = common.validate(
        direction: .controllerToHost, headerDigest: headerDigest, dataDigest: dataDigest, maximumDataLength: 4 << 20,
        alignment: alignment)
      {
        throw HostFailure.unexpected("\(fault) in \(common)")
      }
      let start = Int(common.dataOffset)
      let data = [UInt8](bytes[start..<start + Int(common.dataLength)])
      if dataDigest {
        let digest: UInt32 = unsafe bytes.span.bytes.littleEndian(at: start + data.count)
        if unsafe CRC32C.checksum(data.span.bytes) != digest { throw HostFailure.unexpected("data digest") }
      }
      return unsafe .data(try decoded(bytes) { try DataHeader(decoding: $0) }, data)
    default: throw HostFailure.unexpected("type \(type)")
    }
  }

  private func expectDigests(_ common: PDUCommonHeader) throws {
    if common.hasHeaderDigest != headerDigest { throw HostFailure.unexpected("digest flags of \(common)") }
  }

  /// What is wrong with a PDU on purpose.
  struct Faults: OptionSet {
    let rawValue: Int
    static let headerDigest = Faults(rawValue: 1)
    static let dataDigest = Faults(rawValue: 2)
  }

  /// Header digest, data and data digest behind a header that says so.
  func pdu(_ header: [UInt8], data: [UInt8] = [], faults: Faults = []) -> [UInt8] {
    var bytes = header
    if headerDigest { unsafe append(CRC32C.checksum(header.span.bytes) ^ (faults.contains(.headerDigest) ? 1 : 0), to: &bytes) }
    if !data.isEmpty {
      bytes += data
      if dataDigest { unsafe append(CRC32C.checksum(data.span.bytes) ^ (faults.contains(.dataDigest) ? 1 : 0), to: &bytes) }
    }
    return bytes
  }

  private func append(_ value: UInt32, to bytes: inout [UInt8]) {
    for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
  }

  /// A command capsule, with `data` in it.
  func capsule(_ entry: SubmissionEntry, data: [UInt8] = [], faults: Faults = []) -> [UInt8] {
    let header = CapsuleCommandHeader(entry, inCapsuleLength: UInt32(data.count), headerDigest: headerDigest, dataDigest: dataDigest)
    return pdu(encoded(CapsuleCommandHeader.byteCount) { header.encode(into: &$0) }, data: data, faults: faults)
  }

  /// A data PDU in answer to an R2T.
  func dataPDU(_ request: ReadyToTransfer, offset: Int, _ data: [UInt8], isLast: Bool, faults: Faults = []) -> [UInt8] {
    let header = DataHeader.hostToController(
      commandIdentifier: request.commandIdentifier, transferTag: request.transferTag, dataOffset: UInt32(offset),
      dataLength: UInt32(data.count), isLast: isLast, headerDigest: headerDigest, dataDigest: dataDigest)
    return pdu(encoded(DataHeader.byteCount) { header.encode(into: &$0) }, data: data, faults: faults)
  }
}

/// `count` bytes, zeros before `body`.
func encoded(_ count: Int, _ body: (inout MutableRawSpan) -> Void) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: count)
  var span = bytes.mutableSpan
  var raw = unsafe span.mutableBytes
  body(&raw)
  return bytes
}

/// A structure out of bytes.
func decoded<Value>(_ bytes: [UInt8], _ body: (RawSpan) throws -> Value) rethrows -> Value { unsafe try body(bytes.span.bytes) }

/// Sleeps.
func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// Bytes that tell their place and `seed`.
func pattern(_ count: Int, seed: Int = 0) -> [UInt8] {
  var word = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 &+ 0x0123_4567_89AB_CDEF
  return unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, filled in
    let base = UnsafeMutableRawPointer(bytes.baseAddress)
    while filled &+ 8 <= count {
      unsafe base!.storeBytes(of: word, toByteOffset: filled, as: UInt64.self)
      word = word &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
      filled &+= 8
    }
    while filled < count {
      unsafe bytes[filled] = UInt8(truncatingIfNeeded: word)
      filled &+= 1
    }
  }
}
