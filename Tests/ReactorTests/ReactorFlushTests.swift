import Reactor
import Testing

@Suite struct ReactorFlushTests {
  /// Asks for a flush in each of its flushes, until a timer tells it to stop.
  private final class Insistent: EventHandler {
    let reactor: Reactor
    var flushes = 0
    var isTold = false

    init(_ reactor: Reactor) { self.reactor = reactor }

    override func flush() {
      flushes += 1
      if !isTold, flushes < 10_000_000 { reactor.requestFlush(self) }
    }

    override func completed(token: UInt64, result: Int32) { isTold = true }
  }

  @Test func `a handler that asks for flush after flush leaves room for events`() throws {
    let reactor = try Reactor(configuration: .init(arenaBytes: 2 << 20))
    let handler = Insistent(reactor)
    let id = reactor.register(handler)
    reactor.schedule(afterNanoseconds: 5_000_000, id, token: 1)
    reactor.requestFlush(handler)
    #expect(reactor.run(until: { handler.isTold }, timeoutNanoseconds: 5_000_000_000))
    #expect(handler.flushes < 10_000_000)
  }

  /// Two that ask for each other, as a connection and the memory it waits for do.
  private final class Partner: EventHandler {
    let reactor: Reactor
    weak var other: Partner?
    var left: Int

    init(_ reactor: Reactor, left: Int) {
      self.reactor = reactor
      self.left = left
    }

    override func flush() {
      left -= 1
      if left > 0, let other { reactor.requestFlush(other) }
    }
  }

  @Test func `no request for a flush is lost`() throws {
    let reactor = try Reactor(configuration: .init(arenaBytes: 2 << 20))
    let first = Partner(reactor, left: 50)
    let second = Partner(reactor, left: 50)
    first.other = second
    second.other = first
    reactor.register(first)
    reactor.register(second)
    reactor.requestFlush(first)
    #expect(reactor.run(until: { first.left == 0 }, timeoutNanoseconds: 1_000_000_000))
    #expect(second.left == 1)
  }
}
