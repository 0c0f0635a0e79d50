import Glibc
import NVMe
import Reactor
import Testing
import Transport

@testable import Host

/// Collects completions by token.
final class Recorder: BlockClient {
  var results: [UInt64: BlockStatus] = [:]
  var completions = 0
  var whenCompleted: ((UInt64, BlockStatus) -> Void)?
  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    results[token] = status
    completions += 1
    whenCompleted?(token, status)
  }
}

/// A reactor on the test's own thread, a fake controller, and a connection between them.
final class Harness {
  static let engines: [IOEngineChoice] = [.ioUring, .libaio]
  static let subsystem = QualifiedName("nqn.2024-01.org.keelson:fake")!
  static let host = HostIdentity(name: QualifiedName("nqn.2024-01.org.keelson:host")!, identifier: Identifier128(high: 9, low: 9))
  static let patience: UInt64 = 20_000_000_000

  let reactor: Reactor
  let context: TransportContext
  let fake: FakeController
  let controller: RemoteController
  let client = Recorder()
  var outcome: Result<RemoteNamespace, HostError>?
  var states: [RemoteController.State] = []
  var events: [RemoteController.Event] = []

  /// `before` are addresses to be tried before the fake controller's.
  init(
    _ script: Script = Script(), _ options: HostOptions = HostOptions(), engine: IOEngineChoice = .auto, before: [SocketAddress] = []
  ) throws {
    reactor = try Reactor(configuration: .init(engine: engine, arenaBytes: 16 << 20))
    context = TransportContext(reactor: reactor)
    fake = try FakeController(script)
    controller = RemoteController(
      context: context, addresses: before + [fake.address], subsystem: Self.subsystem, host: Self.host, options: options)
    controller.stateChanged = { [unowned self] in states.append($0) }
    controller.eventReceived = { [unowned self] in events.append($0) }
    controller.connect { [unowned self] in outcome = $0 }
  }

  /// Runs until `condition` or the test's patience is over; returns whether it held.
  @discardableResult
  func wait(_ condition: () -> Bool) -> Bool { reactor.run(until: condition, timeoutNanoseconds: Self.patience) }

  /// The namespace, connected.
  func connected() throws -> RemoteNamespace {
    wait { outcome != nil }
    #expect(fake.sightings.failures == [])
    return try #require(try outcome?.get())
  }

  /// Why connecting failed.
  func failure() throws -> HostError {
    wait { outcome != nil }
    guard case .failure(let error) = outcome else {
      Issue.record("the connection succeeded")
      throw FakeConnection.Ended()
    }
    return error
  }

  /// Memory of the arena, filled with a pattern.
  func buffer(_ byteCount: Int, seed: UInt8) throws -> UnsafeMutableRawPointer {
    let buffer = unsafe try #require(unsafe reactor.arena.allocate(byteCount: byteCount))
    for index in 0..<byteCount {
      unsafe buffer.storeBytes(of: UInt8(truncatingIfNeeded: index &* 7 &+ index >> 8) &+ seed, toByteOffset: index, as: UInt8.self)
    }
    return unsafe buffer
  }

  func bytes(_ buffer: UnsafeMutableRawPointer, _ byteCount: Int) -> [UInt8] {
    unsafe Array(UnsafeRawBufferPointer(start: buffer, count: byteCount))
  }

  /// Submits and waits for the end.
  func perform(_ request: BlockRequest, on device: BlockDevice) -> BlockStatus? {
    client.results[request.token] = nil
    device.submit(request, for: client)
    wait { client.results[request.token] != nil }
    return client.results[request.token]
  }

  /// Closes in good order; everything must be let go.
  func finish() {
    var isClosed = false
    controller.close { isClosed = true }
    #expect(wait { isClosed && controller.handlerID == .none })
    fake.stop()
  }
}
