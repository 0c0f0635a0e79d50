import Glibc
import Testing

@testable import GRPC

/// The texts and prefixes that gRPC puts on HTTP/2.
@Suite struct GRPCWireTests {
  @Test(arguments: [("", ""), ("plain text", "plain text"), ("100 %", "100 %25"), ("größe\n", "gr%C3%B6%C3%9Fe%0A"), ("~\u{7F}", "~%7F")])
  func `messages are percent-encoded`(text: String, encoded: String) {
    #expect(PercentEncoding.encode(text) == encoded)
    #expect(PercentEncoding.decode(encoded) == text)
  }

  @Test func `a connection to a machine that is gone is given up by the kernel`() throws {
    let descriptor = try Socket.open(family: AF_INET).get()
    defer { Socket.close(descriptor) }
    func option(_ level: Int32, _ name: Int32) -> Int32 {
      var (value, count): (Int32, socklen_t) = (-1, 4)
      return unsafe getsockopt(descriptor, level, name, &value, &count) == 0 ? value : -1
    }
    #expect(option(SOL_SOCKET, SO_KEEPALIVE) == 1)
    #expect(option(Int32(IPPROTO_TCP), TCP_KEEPIDLE) == 1 && option(Int32(IPPROTO_TCP), TCP_KEEPINTVL) == 1)
    #expect(option(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT) == Int32(Socket.lossMilliseconds))
  }

  @Test func `bad escapes stay as they are`() {
    for text in ["%", "%4", "%zz", "100%", "%%41"] { #expect(!PercentEncoding.decode(text).isEmpty) }
    #expect(PercentEncoding.decode("%zz%41") == "%zzA")
    #expect(PercentEncoding.decode("%FF") == "\u{FFFD}")
  }

  @Test(
    arguments: [
      (1, "1n"), (99_999_999, "99999999n"), (100_000_000, "100000u"), (2_000_000_000, "2000000u"), (3_600_000_000_000, "3600000m"),
      (100_000_001_000_000, "100000001m"),
    ] as [(UInt64, String)]) func `timeouts are whole in the finest unit`(nanoseconds: UInt64, text: String)
  {
    let written = CallTimeout.text(nanoseconds: nanoseconds)
    #expect(written.utf8.count <= 9)
    if text.utf8.count <= 9 { #expect(written == text) }
    #expect(CallTimeout.nanoseconds(written)! >= nanoseconds)
  }

  @Test func `timeouts are read strictly`() {
    #expect(CallTimeout.nanoseconds("3S") == 3_000_000_000)
    #expect(CallTimeout.nanoseconds("99999999H") == .max)
    for text in ["", "S", "3", "3x", "-3S", "123456789S", " 3S", "3 S", "٣S"] { #expect(CallTimeout.nanoseconds(text) == nil, "\(text)") }
  }

  @Test func `messages come back from any cutting`() throws {
    let messages: [[UInt8]] = [[], [1], Array(repeating: 7, count: 1_000), [2, 3]]
    let bytes = messages.flatMap { MessageFraming.frame($0) }
    for size in [1, 2, 3, 7, 100, bytes.count] {
      var deframer = MessageDeframer(maximumBytes: 1_000)
      var found: [[UInt8]] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        deframer.append(Array(bytes[start..<min(bytes.count, start + size)]))
        while let message = try deframer.next() { found.append(message) }
      }
      #expect(found == messages)
      #expect(deframer.pendingBytes == 0)
    }
  }

  @Test func `large and compressed messages are refused by their prefix`() {
    var deframer = MessageDeframer(maximumBytes: 10)
    deframer.append([0, 0xFF, 0xFF, 0xFF, 0xFF])
    #expect(throws: MessageDeframer.Failure.tooLarge(byteCount: 0xFFFF_FFFF)) { try deframer.next() }
    deframer = MessageDeframer(maximumBytes: 10)
    deframer.append([1, 0, 0, 0, 0])
    #expect(throws: MessageDeframer.Failure.compressed) { try deframer.next() }
  }

  @Test func `endpoints are read and written`() {
    for text in ["localhost:2379", "10.0.0.1:1", "[::1]:2379", "unix:/run/a.sock"] { #expect(GRPCEndpoint(text)?.description == text) }
    #expect(GRPCEndpoint("unix:///run/a.sock") == .unix(path: "/run/a.sock"))
    for text in ["", ":1", "host", "host:", "host:0", "host:65536", "host:-1", "::1:2", "a/b:1", "u@h:1", "unix:", "h:+1", "h :1"] {
      #expect(GRPCEndpoint(text) == nil, "\(text)")
    }
  }
}
