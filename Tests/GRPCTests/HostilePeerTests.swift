import Foundation
import Protobuf
import Testing

@testable import GRPC

/// Peers that send nonsense, or nothing.
@Suite struct HostilePeerTests {
  /// What a client of ours sends for one call.
  private static func clientBytes() throws -> [UInt8] {
    let session = try HTTP2Session(role: .client)
    let stream = try session.open([
      HeaderField(":method", "POST"), HeaderField(":scheme", "http"), HeaderField(":path", "/test.Parcels/Echo"),
      HeaderField(":authority", "localhost"), HeaderField("content-type", "application/grpc"), HeaderField("grpc-timeout", "1S"),
    ])
    session.send(stream, MessageFraming.frame(Parcel(bytes: [1, 2, 3], number: 5).encoded()))
    session.finish(stream)
    return try session.output(limit: 1 << 20)
  }

  private static func damaged(_ bytes: [UInt8], _ random: inout SystemRandomNumberGenerator) -> [UInt8] {
    var bytes = bytes
    // The preface stays mostly whole, or nothing behind it is ever looked at.
    let first = Int.random(in: 0..<10, using: &random) == 0 ? 0 : 24
    for _ in 0..<Int.random(in: 1...6, using: &random) where bytes.count > first {
      let index = Int.random(in: first..<bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
      default: bytes.remove(at: index)
      }
    }
    return bytes
  }

  @Test func `damaged HTTP/2 ends a session and nothing else`() throws {
    var random = SystemRandomNumberGenerator()
    let original = try Self.clientBytes()
    var refusedCount = 0
    for _ in 0..<2_000 {
      let session = try HTTP2Session(role: .server)
      do {
        try session.receive(Self.damaged(original, &random)[...])
      } catch {
        refusedCount += 1
      }
      #expect(session.takeEvents().count < 100)
      _ = try? session.output(limit: 1 << 20)
    }
    #expect(refusedCount > 20)
    for _ in 0..<500 {
      let session = try HTTP2Session(role: .client)
      _ = try session.open([HeaderField(":method", "POST"), HeaderField(":path", "/"), HeaderField(":scheme", "http")])
      let noise = (0..<Int.random(in: 1...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      try? session.receive(noise[...])
      _ = session.takeEvents()
    }
  }

  @Test func `header blocks are bounded`() throws {
    let (client, server) = (try HTTP2Session(role: .client), try HTTP2Session(role: .server))
    var fields = [HeaderField(":method", "POST"), HeaderField(":path", "/"), HeaderField(":scheme", "http")]
    fields += (0..<400).map { HeaderField("x-\($0)", String(repeating: "v", count: 100)) }
    let stream = try client.open(fields)
    try server.receive(try client.output(limit: 1 << 20)[...])
    #expect(!server.takeEvents().contains { if case .headers = $0 { true } else { false } })
    try client.receive(try server.output(limit: 1 << 20)[...])
    _ = try client.output(limit: 1 << 20)
    #expect(client.takeEvents().contains { if case .closed(stream, let code) = $0 { code != 0 } else { false } })
  }

  @Test func `a server outlives nonsense on its socket`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let original = try Self.clientBytes()
    var random = SystemRandomNumberGenerator()
    let address = try SocketAddress.unix(path: server.path)
    for round in 0..<300 {
      let descriptor = try Socket.open(family: AF_UNIX).get()
      _ = Socket.connect(descriptor, address)
      let bytes =
        round % 3 == 0 ? (0..<100).map { _ in UInt8.random(in: 0...255, using: &random) } : Self.damaged(original, &random)
      _ = Socket.send(descriptor, bytes[...])
      close(descriptor)
    }
    let answer = try await channel.unary("/test.Parcels/Echo", [0x10, 9], timeoutNanoseconds: patienceNanoseconds)
    #expect(answer == [0x10, 9])
  }

  /// Its loop once woke for the ends of such connections for ever, as nobody was left to close them.
  @Test func `a server that is let go of ends its connections`() async throws {
    var server: TestServer? = try TestServer()
    let address = try SocketAddress.unix(path: #require(server).path)
    let channel = try #require(server).channel()
    let answer = try await channel.unary("/test.Parcels/Echo", [0x10, 9], timeoutNanoseconds: patienceNanoseconds)
    #expect(answer == [0x10, 9])
    let descriptor = try Socket.open(family: AF_UNIX).get()
    defer { close(descriptor) }
    #expect(Socket.connect(descriptor, address) == nil)
    server = nil
    var buffer = [UInt8](repeating: 0, count: 4096)
    #expect(
      try await eventually {
        switch Socket.receive(descriptor, into: &buffer) {
        // Ended, or refused before it was accepted.
        case .end, .failure: true
        case .bytes, .nothing: false
        }
      })
    #expect(Socket.connect(try Socket.open(family: AF_UNIX).get(), address) != nil)
  }

  @Test func `silent clients are let go`() async throws {
    var options = GRPCServer.Options()
    options.handshakeNanoseconds = 200_000_000
    options.maximumConnections = 2
    let server = try TestServer(options)
    let address = try SocketAddress.unix(path: server.path)
    let silent = try (0..<2).map { _ in
      let descriptor = try Socket.open(family: AF_UNIX).get()
      _ = Socket.connect(descriptor, address)
      return descriptor
    }
    defer { for descriptor in silent { close(descriptor) } }
    // Full at first; then the silent ones are gone.
    let channel = try server.channel()
    let answer = try await channel.unary("/test.Parcels/Echo", [0x10, 9], timeoutNanoseconds: patienceNanoseconds)
    #expect(answer == [0x10, 9])
  }

  /// A server that accepts and never speaks, one that speaks another language, and one that hangs up.
  @Test(arguments: [nil, "SSH-2.0-OpenSSH\r\n", ""]) func `servers that are none end calls in time`(_ words: String?) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/keelson-none-\(UUID().uuidString.prefix(8))"
    let (listener, _) = try ListeningSocket.open(.unix(path: path), mode: 0o600)
    // The thread closes it: a number closed here could be another test's listener before the thread looks at it again.
    defer {
      shutdown(listener, Int32(SHUT_RDWR))
      unsafe unlink(path)
    }
    Thread {
      var open: [Int32] = []
      // The listener is non-blocking: until it is shut down, there is nobody or somebody.
      for _ in 0..<2_000 {
        let client = accept(listener, nil, nil)
        if client >= 0 {
          if let words { _ = Socket.send(client, Array(words.utf8)[...]) }
          if words == "" { close(client) } else { open.append(client) }
        } else if errno != EAGAIN {
          break
        }
        usleep(2_000)
      }
      for descriptor in open + [listener] { close(descriptor) }
    }.start()
    var options = GRPCChannel.Options()
    options.connectTimeoutNanoseconds = 200_000_000
    let channel = try GRPCChannel(endpoints: [.unix(path: path)], options: options)
    await #expect {
      _ = try await channel.unary("/test.Parcels/Echo", [], timeoutNanoseconds: secondNanoseconds)
    } throws: { error in
      (error as? GRPCError)?.code == .unavailable && (error as? GRPCError)?.fate == .unsent
    }
  }

  /// A socket whose connecting failed was once closed twice; the second time it was whatever another thread had opened meanwhile, a file or
  /// the loop of another channel. `Socket.close` ends the process then.
  @Test func `a socket that cannot connect is closed once`() async throws {
    // A port that was given and is not listened on.
    let holder = try Socket.open(family: AF_INET).get()
    defer { close(holder) }
    let any = try #require(try SocketAddress.resolve(host: "127.0.0.1", port: 0, isNumeric: true).get().first)
    #expect(unsafe any.withSockaddr { unsafe bind(holder, $0, $1) } == 0)
    var bound = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isKnown = unsafe withUnsafeMutablePointer(to: &bound) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(holder, $0, &length) == 0 }
    }
    #expect(isKnown)
    let channel = try GRPCChannel(endpoints: [.tcp(host: "127.0.0.1", port: UInt16(bigEndian: bound.sin_port))])
    for _ in 0..<5 {
      await #expect {
        _ = try await channel.unary("/test.Parcels/Echo", [], timeoutNanoseconds: secondNanoseconds / 5)
      } throws: { error in
        (error as? GRPCError)?.fate == .unsent
      }
    }
  }
}
