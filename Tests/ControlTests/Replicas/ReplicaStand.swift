import Host
import NVMe
import Nexus
import Pool
import Reactor
import Target
import Testing
import Transport

@testable import Control

/// A replica behind a target on a thread of its own, and a nexus's side on this one, over TCP on loopback.
@safe final class ReplicaStand {
  static let lease: UInt64 = 100_000_000
  static let sizeBytes: UInt64 = 32 << 20

  let near: Reactor
  let far: ReactorReference
  let target: TargetServer
  let service: ReplicaService
  let address: SocketAddress
  let name = QualifiedName("nqn.2026-11.io.keelson:replica:test")!
  let storage: ReactorBound<HeldStorage>
  private let replica: ReactorBound<PoolReplica>
  let context: TransportContext
  private var doors: [RemoteDoor] = []
  private let buffer: UnsafeMutableRawPointer
  private var isStopped = false

  init() throws {
    near = try Reactor(configuration: .init(arenaBytes: 4 << 20, spinNanoseconds: 0))
    far = try Reactor.start(configuration: .init(arenaBytes: 8 << 20, spinNanoseconds: 0))
    context = TransportContext(reactor: near)
    unsafe buffer = try #require(unsafe near.arena.allocate(byteCount: 1 << 20))
    let pool = try Pool.inMemory(byteCount: 48 << 20, name: "p")
    try pool.setOptions(PoolOptions(overcommitPercent: 0, regionBytes: 64 << 10, maximumHotRegions: 4096))
    let id = try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: Self.sizeBytes).id
    replica = try far.call { reactor in Result { ReactorBound(try pool.openReplica(id, on: reactor)) } }.get()
    let bound = replica
    storage = far.call { _ in ReactorBound(HeldStorage(PooledStorage(bound.value))) }
    target = TargetServer(reactors: [far], serialNumber: "KEELSONTEST", log: TargetLog { _ in })
    address = try target.listen(on: SocketAddress("127.0.0.1:0")!, portID: 1)
    let identifier = Identifier128(high: 1, low: 2)
    let (bare, server) = (storage, target)
    service = ReplicaService(
      storage: ReactorBound(bare.value),
      description: SubsystemDescription(
        name: name, kind: .nvm, serialNumber: "1",
        namespace: NamespaceDescription(sizeBytes: Self.sizeBytes, uuid: identifier, guid: identifier)),
      target: server, reactor: far, incarnation: .random(), leaseNanoseconds: Self.lease)
  }

  /// Ends what is left.
  func stop() {
    for door in doors {
      var isClosed = false
      door.close { isClosed = true }
      near.run(until: { isClosed }, timeoutNanoseconds: 5_000_000_000)
    }
    doors = []
    stopService()
    target.stop()
    let replica = replica
    far.call { _ in replica.value.close() }
    far.stop()
    near.run(until: { false }, timeoutNanoseconds: 1_000_000)
  }

  func stopService() {
    if isStopped { return }
    isStopped = true
    service.stop()
  }

  func connect(_ nexus: PoolIdentifier) throws -> RemoteDoor {
    var outcome: Result<RemoteDoor, HostError>?
    let host = HostIdentity(
      name: QualifiedName("nqn.2026-11.io.keelson:nexus:test")!, identifier: try #require(Identifier128(nexus.description)))
    RemoteDoor.connect(context: context, address: address, subsystem: name, host: host) { outcome = $0 }
    near.run(until: { outcome != nil }, timeoutNanoseconds: 10_000_000_000)
    let door = try #require(outcome).get()
    doors.append(door)
    return door
  }

  /// A bare connection, without a door.
  func controller(_ nexus: PoolIdentifier) throws -> RemoteController {
    let host = HostIdentity(
      name: QualifiedName("nqn.2026-11.io.keelson:nexus:test")!, identifier: try #require(Identifier128(nexus.description)))
    let remote = RemoteController(context: context, address: address, subsystem: name, host: host, options: RemoteDoor.options)
    var isDone = false
    remote.connect { _ in isDone = true }
    near.run(until: { isDone }, timeoutNanoseconds: 10_000_000_000)
    try #require(remote.state == .connected)
    return remote
  }

  /// An answer that may still come.
  final class Reply {
    var result: Result<ReplicaAnswer, ReplicaRefusal>?
  }

  func begin(_ door: ReplicaDoor, _ question: ReplicaQuestion) -> Reply {
    let reply = Reply()
    var isInside = true
    door.ask(question) { result in
      #expect(!isInside && reply.result == nil, "an answer from inside the question, or a second one")
      reply.result = result
    }
    isInside = false
    return reply
  }

  @discardableResult
  func wait(_ nanoseconds: UInt64 = 10_000_000_000, until condition: () -> Bool) -> Bool {
    near.run(until: condition, timeoutNanoseconds: nanoseconds)
  }

  func ask(_ door: ReplicaDoor, _ question: ReplicaQuestion) -> Result<ReplicaAnswer, ReplicaRefusal>? {
    let reply = begin(door, question)
    wait { reply.result != nil }
    return reply.result
  }

  func claim(_ generation: UInt64, _ nexus: PoolIdentifier) -> ReplicaQuestion {
    .claim(ReplicaClaim(generation: generation, setVersion: 1, nexusID: nexus, inSync: [nexus], storeRevision: 3))
  }

  /// A door whose claim was accepted.
  func claimed(_ generation: UInt64, _ nexus: PoolIdentifier) throws -> RemoteDoor {
    let door = try connect(nexus)
    guard case .success(.claimed) = ask(door, claim(generation, nexus)) else { throw ReplicaRefusal.unclaimed }
    return door
  }

  /// Starts a request; writes carry `byte`.
  func submit(_ door: ReplicaDoor, _ operation: BlockOperation, at offset: UInt64, count: UInt64 = 4096, byte: UInt8 = 0) -> Ending {
    let ending = Ending()
    if operation == .write { unsafe buffer.initializeMemory(as: UInt8.self, repeating: byte, count: Int(count)) }
    unsafe door.submit(BlockRequest(operation, offsetBytes: offset, byteCount: count, buffer: buffer, token: 7), for: ending)
    return ending
  }

  func perform(_ door: ReplicaDoor, _ operation: BlockOperation, at offset: UInt64, count: UInt64 = 4096, byte: UInt8 = 0) -> BlockStatus? {
    let ending = submit(door, operation, at: offset, count: count, byte: byte)
    wait { ending.status != nil }
    return ending.status
  }

  func readByte(_ door: ReplicaDoor, at offset: UInt64) -> UInt8? {
    guard perform(door, .read, at: offset) == .success else { return nil }
    return unsafe buffer.load(as: UInt8.self)
  }

  final class Ending: BlockClient {
    var status: BlockStatus?
    override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
      #expect(self.status == nil && token == 7)
      self.status = status
    }
  }
}

/// A replica's storage that keeps writes back when told to. On its reactor only.
final class HeldStorage: ReplicaStorage {
  private let inner: PooledStorage
  var isHolding = false
  private var held: [(BlockRequest, BlockClient)] = []

  init(_ inner: PooledStorage) {
    self.inner = inner
    super.init(sizeBytes: inner.sizeBytes, blockSizeBytes: inner.blockSizeBytes)
  }

  func release() {
    isHolding = false
    let due = held
    held = []
    for (request, client) in due { inner.submit(request, for: client) }
  }

  var heldCount: Int { held.count }

  override var id: PoolIdentifier { inner.id }
  override var metadata: ReplicaMetadata { inner.metadata }
  override var options: PoolOptions { inner.options }
  override var isWriteThrough: Bool { inner.isWriteThrough }
  override var snapshots: [PoolIdentifier] { inner.snapshots }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    if isHolding, request.operation == .write { held.append((request, client)) } else { inner.submit(request, for: client) }
  }
  override func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) { inner.storeClaim(claim, done: done) }
  override func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    inner.setRegions(set, regions, isMember: isMember, done: done)
  }
  override func forgetPeer(_ peer: PoolIdentifier, done: @escaping Done) { inner.forgetPeer(peer, done: done) }
  override func clearLostCache(done: @escaping Done) { inner.clearLostCache(done: done) }
  override func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    inner.allocatedRanges(fromOffsetBytes: fromOffsetBytes, limit: limit)
  }
  override func createSnapshot(_ id: PoolIdentifier, sizeBytes: UInt64, done: @escaping Done) {
    inner.createSnapshot(id, sizeBytes: sizeBytes, done: done)
  }
  override func changedRanges(
    of later: PoolIdentifier?, since earlier: PoolIdentifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    inner.changedRanges(of: later, since: earlier, fromOffsetBytes: fromOffsetBytes, limit: limit)
  }
  override func openSnapshot(_ id: PoolIdentifier) -> BlockDevice? { inner.openSnapshot(id) }
  override func closeSnapshot(_ snapshot: BlockDevice) { inner.closeSnapshot(snapshot) }
  override func deleteSnapshot(_ id: PoolIdentifier, done: @escaping Done) { inner.deleteSnapshot(id, done: done) }
  override func grow(toSizeBytes: UInt64, done: @escaping Done) {
    inner.grow(toSizeBytes: toSizeBytes) { [self] refusal in
      grow(toSizeBytes: inner.sizeBytes)
      done(refusal)
    }
  }
}
