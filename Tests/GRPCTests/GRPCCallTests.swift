import Foundation
import Protobuf
import Testing

@testable import GRPC

/// Our client against our server, over unix sockets and TCP.
@Suite struct GRPCCallTests {
  private func echo(_ channel: GRPCChannel, _ parcel: Parcel, timeoutNanoseconds: UInt64 = patienceNanoseconds) async throws -> Parcel {
    try Parcel(decoding: try await channel.unary("/test.Parcels/Echo", parcel.encoded(), timeoutNanoseconds: timeoutNanoseconds))
  }

  private func failure(_ body: () async throws -> Void) async -> GRPCError? {
    do { try await body() } catch let error as GRPCError { return error } catch {}
    return nil
  }

  @Test func `one request and one answer`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    for count in [0, 1, 100, 70_000, 3 << 20] {
      let parcel = Parcel(bytes: [UInt8](repeating: 7, count: count), number: -1)
      #expect(try await echo(channel, parcel) == parcel)
    }
    // The form that blocks its thread.
    let answer: [UInt8] = try await onThread {
      try channel.unary("/test.Parcels/Echo", [0x10, 5], timeoutNanoseconds: patienceNanoseconds)
    }
    #expect(answer == [0x10, 5])
    await server.server.shutDown(graceNanoseconds: secondNanoseconds)
  }

  @Test func `on TCP as well`() async throws {
    let server = try TestServer()
    for port in 42_000...42_050 {
      guard (try? server.server.listen(on: .tcp(host: "127.0.0.1", port: UInt16(port)))) != nil else { continue }
      let channel = try GRPCChannel(endpoints: [.tcp(host: "localhost", port: UInt16(port))])
      #expect(try await echo(channel, Parcel(number: 9)).number == 9)
      return
    }
    Issue.record("no port was free")
  }

  @Test(arguments: GRPCCode.allCases.dropFirst()) func `statuses and their messages arrive`(_ code: GRPCCode) async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let error = await failure {
      _ = try await channel.unary(
        "/test.Parcels/Fail", Parcel(number: Int64(code.rawValue)).encoded(), timeoutNanoseconds: patienceNanoseconds)
    }
    #expect(error == GRPCError(code, "kaputt: 100 % größer\n"))
  }

  @Test func `limits hold on both sides`() async throws {
    let server = try TestServer()
    let wide = try server.channel { $0.maximumMessageBytes = 64 << 20 }
    let large = Parcel(bytes: [UInt8](repeating: 1, count: 5 << 20))
    var error = await failure { _ = try await echo(wide, large) }
    #expect(error?.code == .resourceExhausted && error?.fate == .answered)
    let narrow = try server.channel { $0.maximumMessageBytes = 1_000 }
    error = await failure { _ = try await echo(narrow, Parcel(bytes: [UInt8](repeating: 1, count: 1_001))) }
    #expect(error?.code == .resourceExhausted && error?.fate == .unsent)
    let request = Parcel(bytes: [UInt8](repeating: 1, count: 990), number: 1_000_000_000_000)
    error = await failure {
      _ = try await narrow.unary("/test.Parcels/Count", request.encoded(), timeoutNanoseconds: patienceNanoseconds)
    }
    #expect(error != nil)
    #expect(try await echo(narrow, Parcel(number: 1)).number == 1)
    error = await failure { _ = try await wide.unary("/test.Parcels/None", [], timeoutNanoseconds: patienceNanoseconds) }
    #expect(error?.code == .unimplemented)
    error = await failure { _ = try await wide.unary("/test.Parcels/Echo", [0xFF], timeoutNanoseconds: patienceNanoseconds) }
    #expect(error?.code == .internalError && error?.fate == .answered)
  }

  @Test func `deadlines end calls on both sides`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    _ = try await onThread {
      #expect {
        _ = try { () throws -> [UInt8] in try channel.unary("/test.Parcels/Hang", [], timeoutNanoseconds: 300_000_000) }()
      } throws: {
        ($0 as? GRPCError)?.code == .deadlineExceeded
      }
    }
    #expect(try await eventually { server.hanging.withLock { $0.cancelled } == 1 })
  }

  @Test func `cancelling ends the handler`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let task = Task { try await channel.unary("/test.Parcels/Hang", [], timeoutNanoseconds: patienceNanoseconds) }
    #expect(try await eventually { server.hanging.withLock { $0.begun } == 1 })
    task.cancel()
    let error = await failure { _ = try await task.value }
    #expect(error?.code == .cancelled)
    #expect(try await eventually { server.hanging.withLock { $0.cancelled } == 1 })
    // A client that vanishes is the same.
    let other = try server.channel()
    let call = other.call("/test.Parcels/Hang")
    try call.send([])
    call.finishSending()
    #expect(try await eventually { server.hanging.withLock { $0.begun } == 2 })
    other.close()
    #expect(try await eventually { server.hanging.withLock { $0.cancelled } == 2 })
  }

  @Test func `a stream that nobody reads waits`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let call = channel.call("/test.Parcels/Count")
    try call.send(Parcel(bytes: [UInt8](repeating: 3, count: 10_000), number: 2_000).encoded())
    call.finishSending()
    #expect(try await eventually { server.counted.withLock { $0 } > 10 })
    try await Task.sleep(for: .milliseconds(300))
    // 20 MB are due; windows and queue hold less than 1 MB.
    let sent = server.counted.withLock { $0 }
    #expect(sent < 150)
    var numbers: [Int64] = []
    while let message = try await call.next() { numbers.append(try Parcel(decoding: message).number) }
    #expect(numbers == Array(0..<2_000))
  }

  /// Each message is larger than the windows, and the next begins to arrive before its reader took it.
  @Test func `large messages follow one another to a slow reader`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let call = channel.call("/test.Parcels/Count", timeoutNanoseconds: patienceNanoseconds)
    try call.send(Parcel(bytes: [UInt8](repeating: 3, count: 2 << 20), number: 6).encoded())
    call.finishSending()
    var numbers: [Int64] = []
    for _ in 0..<6 {
      try await Task.sleep(for: .milliseconds(200))
      if let message = try await call.next() { numbers.append(try Parcel(decoding: message).number) }
    }
    #expect(numbers == Array(0..<6))
    #expect(try await call.next() == nil)
  }

  @Test func `both sides talk in turns`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let call = channel.call("/test.Parcels/Chat", timeoutNanoseconds: patienceNanoseconds)
    try await onThread {
      for number in 0..<100 {
        let message = [UInt8](repeating: UInt8(number), count: number * 997)
        try call.send(message)
        #expect(try call.next(timeoutNanoseconds: patienceNanoseconds) == .message(message))
      }
      #expect(try call.next(timeoutNanoseconds: 10_000_000) == .timedOut)
      call.finishSending()
      #expect(try call.next(timeoutNanoseconds: patienceNanoseconds) == .ended)
    }
  }

  @Test func `a thousand calls at once`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    let numbers = try await withThrowingTaskGroup(of: Int64.self) { group in
      for number in 0..<1_000 {
        group.addTask {
          let answer = try await channel.unary(
            "/test.Parcels/Echo", Parcel(number: Int64(number)).encoded(), metadata: GRPCMetadata([("x-pause", "0.2")]),
            timeoutNanoseconds: patienceNanoseconds)
          return try Parcel(decoding: answer).number
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(numbers.sorted() == Array(0..<1_000))
  }

  @Test func `shutting down lets calls end and a new server takes over`() async throws {
    let first = try TestServer()
    let channel = try first.channel()
    async let slow = channel.unary(
      "/test.Parcels/Echo", Parcel(number: 4).encoded(), metadata: GRPCMetadata([("x-pause", "0.4")]),
      timeoutNanoseconds: patienceNanoseconds)
    try await Task.sleep(for: .milliseconds(150))
    await first.server.shutDown(graceNanoseconds: 5 * secondNanoseconds)
    #expect(try Parcel(decoding: try await slow).number == 4)
    #expect(!FileManager.default.fileExists(atPath: first.path))
    async let waiting = echo(channel, Parcel(number: 5))
    try await Task.sleep(for: .milliseconds(200))
    let second = try TestServer(path: first.path)
    #expect(try await waiting.number == 5)
    // Without grace, what runs is cut off, and its fate is unknown.
    let hanging = Task { try await channel.unary("/test.Parcels/Hang", [], timeoutNanoseconds: patienceNanoseconds) }
    #expect(try await eventually { second.hanging.withLock { $0.begun } == 1 })
    await second.server.shutDown(graceNanoseconds: 1_000_000)
    let error = await failure { _ = try await hanging.value }
    #expect(error?.fate != .unsent && error != nil)
    let unsent = await failure { _ = try await echo(channel, Parcel(), timeoutNanoseconds: 300_000_000) }
    #expect(unsent?.fate == .unsent && unsent?.code == .unavailable)
    channel.close()
    let closed = await failure { _ = try await echo(channel, Parcel()) }
    #expect(closed?.code == .unavailable && closed?.fate == .unsent)
  }

  @Test func `another endpoint serves when one does not`() async throws {
    let server = try TestServer()
    let channel = try GRPCChannel(endpoints: [
      .unix(path: server.path + ".absent"), .tcp(host: "127.0.0.1", port: 1), .unix(path: server.path),
    ])
    #expect(try await echo(channel, Parcel(number: 1)).number == 1)
  }

  @Test func `sockets are private, replaced when stale, and never stolen`() async throws {
    let server = try TestServer()
    let mode = try FileManager.default.attributesOfItem(atPath: server.path)[.posixPermissions] as? Int
    #expect(mode == 0o600)
    #expect { try TestServer(path: server.path) } throws: { ($0 as? GRPCError)?.code == .alreadyExists }
    // One that outlived its listener, as after kill -9.
    let stale = server.path + ".stale"
    let descriptor = try Socket.open(family: AF_UNIX).get()
    let address = try SocketAddress.unix(path: stale)
    #expect(unsafe address.withSockaddr { unsafe bind(descriptor, $0, $1) } == 0)
    close(descriptor)
    let second = try TestServer(path: stale)
    #expect(try await echo(try second.channel(), Parcel(number: 2)).number == 2)
    let file = server.path + ".file"
    try "mine".write(toFile: file, atomically: true, encoding: .utf8)
    #expect { try TestServer(path: file) } throws: { ($0 as? GRPCError)?.code == .alreadyExists }
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "mine")
    let long = "/tmp/" + String(repeating: "x", count: 103)
    #expect { try TestServer(path: long) } throws: { "\($0)".contains("108 bytes") }
  }

  @Test func `health is told and followed`() async throws {
    let server = try TestServer()
    let channel = try server.channel()
    func check(_ service: String) async throws -> GRPCHealth.Status {
      var request = HealthCheckRequest()
      request.service = service
      let answer = try await channel.unary("/grpc.health.v1.Health/Check", request.encoded(), timeoutNanoseconds: patienceNanoseconds)
      return try HealthCheckResponse(decoding: answer).status
    }
    #expect(try await check("") == .serving)
    let error = await failure { _ = try await check("csi") }
    #expect(error?.code == .notFound)
    let watch = channel.call("/grpc.health.v1.Health/Watch")
    try watch.send([0x0A, 3] + Array("csi".utf8))
    watch.finishSending()
    func next() async throws -> GRPCHealth.Status? { try await watch.next().map { try HealthCheckResponse(decoding: $0).status } }
    #expect(try await next() == .serviceUnknown)
    server.health.set("csi", .notServing)
    #expect(try await next() == .notServing)
    server.health.set("csi", .serving)
    #expect(try await next() == .serving)
    #expect(try await check("csi") == .serving)
    watch.cancel()
  }
}
