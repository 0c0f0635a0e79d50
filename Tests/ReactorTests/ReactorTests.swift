import CLinux
import Glibc
import Reactor
import Testing

/// Collects what it hears, by token.
final class Recorder: EventHandler {
  var results: [UInt64: Int32] = [:]
  override func completed(token: UInt64, result: Int32) { results[token] = result }
}

@Suite struct ReactorTests {
  static let engines: [IOEngineChoice] = [.ioUring, .libaio]

  private func makeReactor(_ engine: IOEngineChoice) throws -> Reactor {
    try Reactor(configuration: .init(engine: engine, arenaBytes: 4 << 20))
  }

  @Test(arguments: engines) func `writes and reads a file directly`(engine: IOEngineChoice) throws {
    let reactor = try makeReactor(engine)
    let recorder = Recorder()
    let id = reactor.register(recorder)
    let path = "/tmp/keelson-reactor-\(getpid())-\(engine.rawValue)"
    let file = unsafe keelson_open(path, O_RDWR | O_CREAT | O_TRUNC | Int32(KEELSON_O_DIRECT), 0o600)
    try #require(file >= 0)
    defer {
      close(file)
      unsafe unlink(path)
    }
    let first = unsafe try #require(unsafe reactor.arena.allocate(byteCount: 8192))
    let second = unsafe try #require(unsafe reactor.arena.allocate(byteCount: 8192))
    unsafe memset(first, 0x5A, 8192)
    unsafe memset(second, 0, 8192)
    unsafe reactor.write(file, from: first, byteCount: 8192, offsetBytes: 4096, durably: true, id, token: 1)
    #expect(reactor.run(until: { recorder.results[1] != nil }, timeoutNanoseconds: 5_000_000_000))
    #expect(recorder.results[1] == 8192)
    reactor.sync(file, id, token: 2)
    unsafe reactor.read(file, into: second, byteCount: 8192, offsetBytes: 4096, id, token: 3)
    reactor.run(until: { recorder.results.count == 3 }, timeoutNanoseconds: 5_000_000_000)
    #expect(recorder.results[2] == 0)
    #expect(recorder.results[3] == 8192)
    #expect(unsafe memcmp(first, second, 8192) == 0)
    reactor.punchHole(file, offsetBytes: 4096, byteCount: 4096, id, token: 4)
    reactor.run(until: { recorder.results[4] != nil }, timeoutNanoseconds: 5_000_000_000)
    #expect(recorder.results[4] == 0)
    unsafe reactor.read(file, into: second, byteCount: 8192, offsetBytes: 4096, id, token: 5)
    reactor.run(until: { recorder.results[5] != nil }, timeoutNanoseconds: 5_000_000_000)
    #expect(unsafe second.load(as: UInt64.self) == 0)
    #expect(unsafe second.load(fromByteOffset: 4096, as: UInt8.self) == 0x5A)
  }

  @Test(arguments: engines) func `failed operations tell errno`(engine: IOEngineChoice) throws {
    let reactor = try makeReactor(engine)
    let recorder = Recorder()
    let id = reactor.register(recorder)
    let buffer = unsafe try #require(unsafe reactor.arena.allocate(byteCount: 4096))
    unsafe reactor.read(-1, into: buffer, byteCount: 4096, offsetBytes: 0, id, token: 1)
    reactor.run(until: { recorder.results[1] != nil }, timeoutNanoseconds: 5_000_000_000)
    #expect(recorder.results[1] == -EBADF)
  }

  @Test(arguments: engines) func `polls a socket once per arming`(engine: IOEngineChoice) throws {
    let reactor = try makeReactor(engine)
    let recorder = Recorder()
    let id = reactor.register(recorder)
    let listener = try Socket.listen(on: SocketAddress("127.0.0.1:0")!)
    let address = try #require(Socket.localAddress(listener))
    let near = try Socket.connect(to: address)
    reactor.armReadable(listener, id, token: 1)
    reactor.armWritable(near, id, token: 2)
    reactor.run(until: { recorder.results.count == 2 }, timeoutNanoseconds: 5_000_000_000)
    #expect(Socket.pendingError(near) == 0)
    let far = try #require(Socket.accept(listener))
    reactor.armReadable(far, id, token: 3)
    reactor.run(until: { recorder.results[3] != nil }, timeoutNanoseconds: 50_000_000)
    #expect(recorder.results[3] == nil, "nothing was sent yet")
    var byte: UInt8 = 7
    #expect(unsafe write(near, &byte, 1) == 1)
    reactor.run(until: { recorder.results[3] != nil }, timeoutNanoseconds: 5_000_000_000)
    #expect(try #require(recorder.results[3]) & Int32(POLLIN) != 0)
    for descriptor in [listener, near, far] { close(descriptor) }
  }

  @Test(arguments: engines) func `timers come in order and messages wake a sleeper`(engine: IOEngineChoice) throws {
    final class Ordered: EventHandler {
      var tokens: [UInt64] = []
      override func completed(token: UInt64, result: Int32) { tokens.append(token) }
    }
    let reactor = try Reactor.start(configuration: .init(engine: engine, arenaBytes: 4 << 20))
    let order = reactor.callAsynchronously { (reactor: Reactor, done: @escaping @Sendable ([UInt64]) -> Void) in
      let handler = Ordered()
      let id = reactor.register(handler)
      reactor.schedule(afterNanoseconds: 30_000_000, id, token: 3)
      reactor.schedule(afterNanoseconds: 10_000_000, id, token: 1)
      reactor.schedule(afterNanoseconds: 20_000_000, id, token: 2)
      let finish = ReactorBound(handler)
      let itself = ReactorReference(reactor)
      Thread.start(name: "later") {
        usleep(200_000)
        itself.post { _ in done(finish.value.tokens) }
      }
    }
    #expect(order == [1, 2, 3])
    reactor.stop()
  }

  @Test func `late events for an unregistered handler are dropped`() throws {
    let reactor = try makeReactor(.auto)
    let first = Recorder()
    let id = reactor.register(first)
    reactor.postpone(id, token: 1, result: 0)
    reactor.unregister(first)
    let second = Recorder()
    reactor.register(second)
    reactor.run(until: { false }, timeoutNanoseconds: 5_000_000)
    #expect(first.results.isEmpty)
    #expect(second.results.isEmpty)
  }
}
