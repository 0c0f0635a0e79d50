import CLinux
import Glibc
import Reactor
import Testing

/// Counts what it hears.
private final class Counter: EventHandler {
  var count = 0
  var failures = 0
  override func completed(token: UInt64, result: Int32) {
    count += 1
    if result != 4096 { failures += 1 }
  }
}

/// Takes another handler from the reactor when it ends.
private final class Owner: EventHandler {
  let reactor: Reactor
  let owned: EventHandler

  init(_ reactor: Reactor, _ owned: EventHandler) {
    self.reactor = reactor
    self.owned = owned
    super.init()
    reactor.register(owned)
    reactor.register(self)
  }

  deinit { reactor.unregister(owned) }
}

@Suite struct ReactorLifetimeTests {
  static let engines: [IOEngineChoice] = [.ioUring, .libaio]

  @Test func `who waits for an answer of a reactor that has ended traps instead of waiting for ever`() async {
    await #expect(processExitsWith: .failure) {
      let reactor = try Reactor.start(configuration: .init(arenaBytes: 4 << 20))
      reactor.stop()
      // Until it has; asking before that is fine.
      usleep(300_000)
      _ = reactor.call { $0.index }
    }
  }

  private func openScratchFile(_ name: String) throws -> Int32 {
    let path = "/tmp/keelson-lifetime-\(getpid())-\(name)"
    let file = unsafe keelson_open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    unsafe unlink(path)
    try #require(file >= 0)
    try #require(ftruncate(file, 1 << 20) == 0)
    return file
  }

  @Test func `the end of a handler may take others from the reactor`() throws {
    let reactor = try Reactor(configuration: .init(arenaBytes: 4 << 20))
    weak var gone: EventHandler?
    do {
      let owned = Counter()
      gone = owned
      reactor.unregister(Owner(reactor, owned))
    }
    reactor.run(until: { gone == nil }, timeoutNanoseconds: 1_000_000_000)
    #expect(gone == nil)
  }

  @Test(arguments: engines) func `more operations than the rings hold all end`(engine: IOEngineChoice) throws {
    let reactor = try Reactor(configuration: .init(engine: engine, arenaBytes: 4 << 20))
    let counter = Counter()
    let id = reactor.register(counter)
    let file = try openScratchFile("many-\(engine.rawValue)")
    defer { close(file) }
    let buffer = unsafe try #require(unsafe reactor.arena.allocate(byteCount: 4096))
    let total = 20_000
    for number in 0..<total {
      unsafe reactor.read(file, into: buffer, byteCount: 4096, offsetBytes: UInt64(number % 256) * 4096, id, token: UInt64(number))
    }
    #expect(reactor.run(until: { counter.count == total }, timeoutNanoseconds: 20_000_000_000))
    #expect(counter.failures == 0)
  }

  @Test func `a reactor may end while its helper is in a blocking call`() throws {
    for round in 0..<50 {
      let file = try openScratchFile("helper-\(round)")
      defer { close(file) }
      let reactor = try Reactor(configuration: .init(engine: .libaio, arenaBytes: 2 << 20))
      let id = reactor.register(Counter())
      for _ in 0..<8 { reactor.punchHole(file, offsetBytes: 0, byteCount: 1 << 20, id, token: 1) }
    }
  }
}
