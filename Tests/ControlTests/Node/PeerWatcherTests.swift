import Foundation
import Glibc
import Reactor
import Target
import Testing

@testable import Control

/// A node that looks after another one, whose target comes and goes; over TCP on loopback and a store in a file.
@Suite(.serialized) struct PeerWatcherTests {
  /// Long enough for a busy machine.
  private static let patienceSeconds = 120.0

  private final class Stand {
    let directory: TemporaryDirectory
    let store: SQLiteStore
    let reactors: [ReactorReference]
    let ownTarget: TargetServer
    let node: NodeContext
    let watcher: PeerWatcher
    private var peer: TargetServer?
    private var address = SocketAddress("127.0.0.1:0")!

    init() throws {
      directory = try TemporaryDirectory()
      store = try SQLiteStore(path: directory.path + "/state.db")
      reactors = try (0..<2).map { try Reactor.start(index: $0, configuration: .init(arenaBytes: 8 << 20, spinNanoseconds: 0)) }
      ownTarget = TargetServer(reactors: [reactors[0]], serialNumber: "A", log: TargetLog { _ in })
      node = NodeContext(
        name: "a", incarnation: "process of a", store: store, target: ownTarget, reactors: [reactors[0]], log: NodeLog(name: "a"),
        controllerIdentifiers: 1...100)
      watcher = PeerWatcher(node: node)
    }

    /// Node b runs, as this process.
    func start(_ incarnation: String) throws {
      let server = TargetServer(reactors: [reactors[1]], serialNumber: "B", log: TargetLog { _ in })
      address = try server.listen(on: address, portID: 1)
      peer = server
      try tell(incarnation)
    }

    func tell(_ incarnation: String) throws {
      let status = NodeStatus(
        name: "b", pid: 1, incarnation: incarnation,
        addresses: [.init(adrfam: "ipv4", traddr: address.host, trsvcid: "\(address.port)")], ioEngine: "io_uring", state: .ready,
        startedAt: .now)
      _ = try store.transact(StoreTransaction(operations: [.put(key: Keys.nodeStatus("b"), value: status.encoded())]))
    }

    /// Its process ends; what it said stays until its lease runs out.
    func kill() {
      peer?.stop()
      peer = nil
    }

    var told: PeerStatus? { try? store.object(PeerStatus.self, at: Keys.peerStatus(node: "a"))?.object }

    func eventually(_ condition: () -> Bool) -> Bool {
      let end = Date(timeIntervalSinceNow: PeerWatcherTests.patienceSeconds)
      while Date() < end {
        if condition() { return true }
        usleep(5_000)
      }
      return condition()
    }

    func stop() {
      watcher.stop()
      // What was posted to the reactor before this is done when it answers.
      for reactor in reactors { reactor.call { _ in } }
      kill()
      ownTarget.stop()
      for reactor in reactors { reactor.stop() }
      store.close()
    }
  }

  @Test func `a peer whose process goes is told of as lost, and one that is back is not`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    try stand.start("first")
    stand.watcher.follow(["a", "b"])
    #expect(stand.eventually { stand.watcher.connected == ["b"] })
    #expect(stand.told == nil, "nothing is said while nothing is wrong")
    stand.kill()
    #expect(stand.eventually { stand.told?.lost == [.init(node: "b", incarnation: "first")] })
    #expect(stand.told?.incarnation == "process of a", "so that nobody believes what an earlier process said")
    try stand.start("second")
    #expect(stand.eventually { stand.told?.lost == [] })
    stand.kill()
    #expect(stand.eventually { stand.told?.lost == [.init(node: "b", incarnation: "second")] }, "as the process that it is now")
  }

  @Test func `a peer that shares nothing any more is nobody's business`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    try stand.start("first")
    stand.watcher.follow(["b"])
    #expect(stand.eventually { stand.watcher.connected == ["b"] })
    stand.kill()
    #expect(stand.eventually { stand.told?.lost.map(\.node) == ["b"] })
    stand.watcher.follow([])
    #expect(stand.eventually { stand.told?.lost == [] })
  }

  @Test func `a peer that was never reached is not called lost`() throws {
    let stand = try Stand()
    defer { stand.stop() }
    // It says that it runs, and nobody listens there.
    try stand.start("first")
    stand.kill()
    stand.watcher.follow(["b"])
    usleep(500_000)
    #expect(stand.told == nil)
    try stand.start("first")
    #expect(stand.eventually { stand.watcher.connected == ["b"] })
    #expect(stand.told == nil)
  }
}
