import NVMe
import Reactor
import Synchronization
import Target
import Testing

/// A target on reactors of its own, listening on loopback.
final class TestTarget {
  let reactors: [ReactorReference]
  let server: TargetServer
  let address: SocketAddress
  private(set) var volumes: [TestVolume] = []
  private let lines = Lines()

  final class Lines: Sendable {
    private let list = Mutex<[String]>([])
    func append(_ line: String) { list.withLock { $0.append(line) } }
    var all: [String] { list.withLock { $0 } }
  }

  init(
    _ engine: IOEngineChoice = .auto, reactorCount: Int = 1, arenaBytes: Int = 16 << 20, limits: TargetLimits = TargetLimits()
  ) throws {
    reactors = try (0..<reactorCount).map { index in
      try Reactor.start(index: index, configuration: .init(engine: engine, arenaBytes: arenaBytes))
    }
    let lines = lines
    server = TargetServer(
      reactors: reactors, serialNumber: "KEELSONTEST", registry: TargetRegistry(limits: limits), log: TargetLog { lines.append($0) })
    address = try server.listen(on: SocketAddress("127.0.0.1:0")!, portID: 1)
    server.announce([TargetPortal(address: address, portID: 1)])
  }

  var log: [String] { lines.all }

  /// Serves a new volume in memory.
  @discardableResult
  func addVolume(
    _ number: Int = 1, sizeBytes: UInt64 = 16 << 20, blockBytes: UInt32 = 512, onReactor index: Int = 0, isDiscoverable: Bool = true,
    usesReplicaArena: Bool = false, allowedHosts: HostFilter = .any
  ) -> TestVolume {
    let volume = TestVolume(
      number: number, reactor: reactors[index], sizeBytes: sizeBytes, blockBytes: blockBytes, usesReplicaArena: usesReplicaArena)
    let description = SubsystemDescription(
      name: volume.name, kind: .nvm, serialNumber: "V\(number)", namespace: volume.namespace, allowedHosts: allowedHosts)
    server.add(
      description, device: volume.device, onReactor: index, isDiscoverable: isDiscoverable, usesReplicaArena: usesReplicaArena)
    volumes.append(volume)
    return volume
  }

  /// Ends everything. Devices let go of what they hold first.
  func stop() {
    for volume in volumes { volume.set(.direct) }
    for volume in volumes { volume.release() }
    server.stop()
    for reactor in reactors { reactor.stop() }
  }

  /// Payload memory in use, of all reactors.
  var usedBytes: Int { reactors.reduce(0) { sum, reactor in sum + reactor.call { $0.arena.usedBytes + $0.replicaArena.usedBytes } } }

  /// Whether `condition` becomes true within five seconds.
  static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let start = Clock.monotonicNanoseconds()
    while Clock.monotonicNanoseconds() &- start < 5_000_000_000 {
      if try condition() { return true }
      pause(milliseconds: 5)
    }
    return try condition()
  }

  /// Whether no connection and no payload buffer is left, soon.
  func isQuietSoon() -> Bool { Self.eventually { server.registry.connectionCount == 0 && usedBytes == 0 } }
}

/// A volume of a test: a device in memory and what its subsystem is called.
final class TestVolume {
  let name: QualifiedName
  let namespace: NamespaceDescription
  let device: ReactorBound<BlockDevice>
  private let memory: ReactorBound<TestDevice>
  private let reactor: ReactorReference

  init(number: Int, reactor: ReactorReference, sizeBytes: UInt64, blockBytes: UInt32, usesReplicaArena: Bool) {
    self.reactor = reactor
    name = QualifiedName("nqn.2026-01.io.keelson:test:\(number)")!
    namespace = NamespaceDescription(
      sizeBytes: sizeBytes, blockBytes: blockBytes, uuid: Identifier128(high: 0x1111, low: UInt64(number)),
      guid: Identifier128(high: 0x2222, low: UInt64(number)))
    let memory = reactor.call { reactor in
      ReactorBound(TestDevice(reactor: reactor, sizeBytes: sizeBytes, blockSizeBytes: blockBytes))
    }
    self.memory = memory
    device = ReactorBound(memory.value)
  }

  func with<Value: Sendable>(_ body: @escaping @Sendable (TestDevice) -> Value) -> Value {
    let memory = memory
    return reactor.call { _ in body(memory.value) }
  }

  func set(_ mode: TestDevice.Mode) { with { $0.mode = mode } }
  func setAnswer(_ status: BlockStatus) { with { $0.answer = status } }
  func release(_ count: Int = .max) { with { $0.release(count) } }
  func bytes(offsetBytes: Int, count: Int) -> [UInt8] { with { $0.bytes(offsetBytes: offsetBytes, count: count) } }
  func fill(offsetBytes: Int, _ bytes: [UInt8]) { with { $0.fill(offsetBytes: offsetBytes, bytes) } }
  var submissions: [TestDevice.Submission] { with { $0.submissions } }
  var executed: [TestDevice.Submission] { with { $0.executed } }
  var begunCount: Int { with { $0.begunCount } }
  var parkedCount: Int { with { $0.parkedCount } }
  var discardCount: Int { with { $0.discardCount } }
}
