import Glibc
import NVMe
import Reactor
import Testing

@testable import Transport

/// A controller's side of a connection that remembers the commands it hears of.
@safe private final class Listener: PDUStream {
  var commands: [UInt16] = []
  var ends: [CloseReason] = []
  /// How many headers are told to wait, before they are taken.
  var waits = 0
  var stored: [UInt8] = []
  private let memory = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 4096)
  private var expected = 0

  deinit { unsafe memory.deallocate() }

  override func receivedHeader(_ header: PDUCommonHeader, _ bytes: RawSpan) -> PayloadPlan {
    if waits > 0 {
      waits -= 1
      return .wait
    }
    guard let capsule = try? CapsuleCommandHeader(decoding: bytes) else { return .discard }
    commands.append(capsule.entry.commandIdentifier)
    expected = Int(header.dataLength)
    return unsafe expected > 0 ? .store(memory) : .discard
  }

  override func payloadReceived(isIntact: Bool) {
    #expect(isIntact)
    unsafe stored += UnsafeRawBufferPointer(start: memory, count: expected)
  }

  override func closed(_ reason: CloseReason) { ends.append(reason) }

  /// Queues `count` bytes of answers.
  func answer(byteCount: Int) {
    for _ in 0..<byteCount / 64 { unsafe appendHeader(byteCount: 64).initializeMemory(as: UInt8.self, repeating: 0, count: 64) }
  }
}

@Suite(.serialized) struct PDUStreamTests {
  private struct Pair {
    let reactor: Reactor
    let context: TransportContext
    let stream: Listener
    let peer: Int32

    init(headerDigest: Bool = false, dataDigest: Bool = false) throws {
      reactor = try Reactor(configuration: .init(arenaBytes: 2 << 20))
      context = TransportContext(reactor: reactor)
      let listener = try Socket.listen(on: SocketAddress("127.0.0.1:0")!)
      peer = try Socket.connect(to: try #require(Socket.localAddress(listener)))
      stream = Listener(context: context, descriptor: try #require(Socket.accept(listener)))
      stream.usesHeaderDigest = headerDigest
      stream.usesDataDigest = dataDigest
      Glibc.close(listener)
      stream.open()
    }

    /// Sends bytes in pieces, a pass of the reactor after each.
    func send(_ bytes: [UInt8], pieceBytes: Int = .max) {
      var position = 0
      while position < bytes.count {
        let count = min(pieceBytes, bytes.count - position)
        let sent = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(peer, $0.baseAddress! + position, count, Int32(MSG_NOSIGNAL)) }
        #expect(sent == count)
        position += count
        // A few passes and no sleep: pieces are many.
        var passes = 0
        reactor.run(until: {
          passes += 1
          reactor.post { _ in }
          return passes > 4
        })
      }
      settle()
    }

    func settle() { reactor.run(until: { false }, timeoutNanoseconds: 2_000_000) }

    func end() {
      Glibc.close(peer)
      stream.close(.bySelf)
      settle()
    }

    /// A command capsule with as many bytes of data, the number of each its place.
    func capsule(_ identifier: UInt16, dataByteCount: Int = 0) -> [UInt8] {
      let header = CapsuleCommandHeader(
        .flush(commandIdentifier: identifier, namespaceIdentifier: 1), inCapsuleLength: UInt32(dataByteCount),
        headerDigest: stream.usesHeaderDigest, dataDigest: stream.usesDataDigest)
      var bytes = [UInt8](repeating: 0, count: Int(header.common.totalLength))
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      header.encode(into: &raw)
      let length = CapsuleCommandHeader.byteCount
      if stream.usesHeaderDigest {
        let checksum = unsafe CRC32C.checksum(bytes.span.extracting(0..<length).bytes)
        put(checksum, &bytes, at: length)
      }
      let start = Int(header.common.dataOffset)
      for index in 0..<dataByteCount { bytes[start + index] = UInt8(truncatingIfNeeded: index) }
      if dataByteCount > 0, stream.usesDataDigest {
        let checksum = unsafe CRC32C.checksum(bytes.span.extracting(start..<start + dataByteCount).bytes)
        put(checksum, &bytes, at: start + dataByteCount)
      }
      return bytes
    }

    private func put(_ value: UInt32, _ bytes: inout [UInt8], at offset: Int) {
      for byte in 0..<4 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte)) }
    }
  }

  @Test(arguments: [1, 7, 71, 72, 73, 5000]) func `headers are found however the bytes are cut`(pieceBytes: Int) throws {
    let pair = try Pair(headerDigest: true, dataDigest: true)
    let bytes = pair.capsule(1) + pair.capsule(2, dataByteCount: 300) + pair.capsule(3)
    pair.send(bytes, pieceBytes: pieceBytes)
    #expect(pair.stream.commands == [1, 2, 3])
    #expect(pair.stream.stored == (0..<300).map { UInt8(truncatingIfNeeded: $0) })
    pair.end()
  }

  @Test(arguments: [false, true]) func `what waited is parsed again, with its digests`(digests: Bool) throws {
    let pair = try Pair(headerDigest: digests, dataDigest: digests)
    pair.stream.waits = 2
    pair.send(pair.capsule(1, dataByteCount: 300) + pair.capsule(2))
    #expect(pair.stream.isWaiting)
    #expect(pair.context.waitingCount == 1)
    pair.stream.resumeReceiving()
    #expect(pair.stream.isWaiting, "it was told to wait twice")
    pair.stream.resumeReceiving()
    #expect(pair.stream.commands == [1, 2])
    #expect(pair.context.waitingCount == 0)
    pair.send(pair.capsule(3))
    #expect(pair.stream.commands == [1, 2, 3])
    pair.end()
  }

  @Test func `a stream that ends while it waits does not hold the others back`() throws {
    for isDrained in [false, true] {
      let pair = try Pair()
      pair.stream.waits = 1
      pair.send(pair.capsule(1))
      #expect(pair.context.waitingCount == 1)
      if isDrained { pair.stream.drain() } else { pair.stream.close(.bySelf) }
      #expect(pair.context.waitingCount == 0)
      pair.stream.resumeReceiving()
      #expect(pair.stream.commands.isEmpty)
      pair.end()
      #expect(pair.context.waitingCount == 0)
      #expect(pair.stream.ends.count == 1)
    }
  }

  /// A controller stops listening to a host that does not take its answers. A host must not do that to a controller: each would
  /// wait for the other to read.
  @Test(arguments: [false, true]) func `a peer that takes nothing is listened to only where that is bounded`(isBounded: Bool) throws {
    let pair = try Pair()
    pair.stream.boundsWhatIsSent = isBounded
    pair.stream.answer(byteCount: 16 << 20)
    pair.settle()
    #expect(pair.stream.pendingSendBytes > 1 << 20)
    pair.send(pair.capsule(1))
    #expect(pair.stream.commands == (isBounded ? [1] : []))
    pair.end()
  }

  @Test func `all that was queued arrives, and what comes meanwhile is not lost`() throws {
    let pair = try Pair()
    pair.stream.answer(byteCount: 16 << 20)
    pair.settle()
    pair.send(pair.capsule(1))
    var received = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    let deadline = Clock.monotonicNanoseconds() + 10_000_000_000
    while received < 16 << 20, Clock.monotonicNanoseconds() < deadline {
      let count = unsafe recv(pair.peer, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 { received += count }
      pair.reactor.run(until: { true })
      if count <= 0 { pair.settle() }
    }
    #expect(received == 16 << 20)
    pair.settle()
    #expect(pair.stream.commands == [1])
    pair.end()
  }
}
