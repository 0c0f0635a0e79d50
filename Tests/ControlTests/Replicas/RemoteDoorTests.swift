import Nexus
import Pool
import Reactor
import Testing

@testable import Control

/// Doors over real connections to a target with a gate.
@Suite(.serialized) struct RemoteDoorTests {
  private let one = PoolIdentifier.random()
  private let other = PoolIdentifier.random()

  @Test func `claims, writes, reads and asks from afar`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let door = try stand.connect(one)
    #expect(stand.perform(door, .read, at: 0) == .refused, "no claim, no data")
    #expect(stand.ask(door, .metadata) == .failure(.unclaimed))
    guard case .success(.claimed(let claimed)) = stand.ask(door, stand.claim(1, one)) else { return #expect(Bool(false)) }
    #expect(claimed.before.claim == .none && claimed.sizeBytes == ReplicaStand.sizeBytes && claimed.regionBytes == 64 << 10)
    #expect(claimed.maximumHotRegions == 4096 && claimed.leaseNanoseconds == ReplicaStand.lease && claimed.isWriteThrough)
    #expect(stand.perform(door, .write, at: 1 << 20, count: 64 << 10, byte: 7) == .success)
    #expect(stand.perform(door, .flush, at: 0, count: 0) == .success)
    #expect(stand.readByte(door, at: 1 << 20) == 7 && stand.readByte(door, at: 4 << 20) == 0)
    #expect(stand.ask(door, .renewLease) == .success(.leased(nanoseconds: ReplicaStand.lease)))
    #expect(stand.ask(door, .setRegions(.activity, [16..<17, 20..<22], isMember: true)) == .success(.done))
    #expect(stand.ask(door, .setRegions(.missed(peer: other), [1..<3], isMember: true)) == .success(.done))
    guard case .success(.metadata(let metadata)) = stand.ask(door, .metadata) else { return #expect(Bool(false)) }
    #expect(metadata.hotRegions == [16, 20, 21] && metadata.missed.map(\.peer) == [other] && metadata.claim.generation == 1)
    #expect(
      stand.ask(door, .allocatedRanges(fromOffsetBytes: 0))
        == .success(.ranges([1 << 20..<1 << 20 | 64 << 10], nextOffsetBytes: nil)))
    guard case .success(.checksums(let checksums)) = stand.ask(door, .checksums(offsetBytes: 0, byteCount: 4 << 20)) else {
      return #expect(Bool(false))
    }
    #expect(checksums.count == 1024 && Set(checksums).count == 2 && checksums[256] == checksums[271] && checksums[256] != checksums[0])
    #expect(stand.ask(door, .forgetPeer(other)) == .success(.done) && stand.ask(door, .clearLostCache) == .success(.done))
    guard case .failure(.invalid) = stand.ask(door, .deleteSnapshot(other)) else { return #expect(Bool(false)) }
    #expect(stand.ask(door, .release) == .success(.done))
    #expect(stand.perform(door, .read, at: 0) == .refused)
  }

  @Test func `more regions than a question takes, and a reply in many pieces`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let door = try stand.claimed(1, one)
    guard case .success = stand.ask(door, .grow(toSizeBytes: 64 << 30)) else { return #expect(Bool(false)) }
    #expect(door.sizeBytes == 64 << 30)
    #expect(stand.perform(door, .write, at: 63 << 30, byte: 3) == .success)
    let regions = (0..<2500).map { $0 * 2..<$0 * 2 + 1 }
    #expect(stand.ask(door, .setRegions(.activity, regions, isMember: true)) == .success(.done))
    // Far apart, so that they travel as ranges: 160,000 bytes in pieces of 64 KiB.
    var missed: [Range<Int>] = []
    for index in 0..<20_000 { missed.append(index * 50..<index * 50 + 1) }
    #expect(stand.ask(door, .setRegions(.missed(peer: other), missed, isMember: true)) == .success(.done))
    guard case .success(.metadata(let metadata)) = stand.ask(door, .metadata) else { return #expect(Bool(false)) }
    #expect(metadata.hotRegions == regions.map(\.lowerBound) && metadata.missed[0].regions == missed.map(\.lowerBound))
  }

  @Test func `many questions at once keep their order`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let door = try stand.claimed(1, one)
    var ended = 0
    for round in 0..<200 {
      door.ask(.setRegions(.activity, [5..<6], isMember: round % 2 == 0)) { result in
        #expect(result == .success(.done))
        ended += 1
      }
    }
    #expect(stand.wait { ended == 200 })
    guard case .success(.metadata(let metadata)) = stand.ask(door, .metadata) else { return #expect(Bool(false)) }
    #expect(metadata.hotRegions.isEmpty, "the last one took it out")
  }

  @Test func `a higher claim ends the session of an older nexus, and waits for its writes`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let old = try stand.claimed(1, one)
    var ended: [ReplicaRefusal] = []
    old.sessionEnded = { ended.append($0) }
    let storage = stand.storage
    stand.far.call { _ in storage.value.isHolding = true }
    let late = stand.submit(old, .write, at: 0, byte: 1)
    stand.wait { stand.far.call { _ in storage.value.heldCount } == 1 }
    let door = try stand.connect(other)
    #expect(ended.isEmpty, "a connection alone ends nobody")
    let reply = stand.begin(door, stand.claim(2, other))
    #expect(stand.wait { !ended.isEmpty && late.status != nil })
    stand.wait(3 * ReplicaStand.lease) { false }
    #expect(ended == [.lost] && late.status == .connectionLost)
    #expect(reply.result == nil, "a write of the older nexus is in the storage")
    #expect(stand.perform(old, .read, at: 0) == .connectionLost && stand.ask(old, .metadata) == .failure(.lost))
    stand.far.call { _ in storage.value.release() }
    stand.wait { reply.result != nil }
    guard case .success(.claimed(let claimed)) = reply.result else { return #expect(Bool(false)) }
    #expect(claimed.before.claim.nexusID == one)
    #expect(stand.readByte(door, at: 0) == 1, "it happened before the answer")
    let back = try stand.connect(one)
    #expect(stand.ask(back, stand.claim(1, one)) == .failure(.claimed(generation: 2)))
    #expect(stand.perform(back, .write, at: 0, byte: 9) == .refused && stand.readByte(door, at: 0) == 1)
  }

  @Test func `a session of this node and one from afar meet at the same gate`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let gate = stand.service.gate
    let nexus = other
    let outcome = stand.far.callAsynchronously {
      (_, done: @escaping @Sendable (ReactorBound<(ReplicaSession, Result<ReplicaAnswer, ReplicaRefusal>)>) -> Void) in
      let session = gate.value.makeSession()
      session.ask(.claim(ReplicaClaim(generation: 4, setVersion: 1, nexusID: nexus, inSync: [], storeRevision: 0))) {
        done(ReactorBound((session, $0)))
      }
    }
    guard case .success(.claimed) = outcome.value.1 else { return #expect(Bool(false)) }
    let door = try stand.connect(one)
    #expect(stand.ask(door, stand.claim(3, one)) == .failure(.claimed(generation: 4)))
    #expect(stand.ask(door, stand.claim(4, one)) == .failure(.claimed(generation: 4)))
    guard case .success(.claimed) = stand.ask(door, stand.claim(5, one)) else { return #expect(Bool(false)) }
    #expect(stand.far.call { _ in outcome.value.0.isOver })
    stand.far.call { _ in outcome.value.0.close() }
  }

  @Test func `a connection that is cut ends the session and everything on it`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let door = try stand.claimed(1, one)
    var ended: [ReplicaRefusal] = []
    door.sessionEnded = { ended.append($0) }
    let storage = stand.storage
    stand.far.call { _ in storage.value.isHolding = true }
    let write = stand.submit(door, .write, at: 0, byte: 1)
    stand.wait { stand.far.call { _ in storage.value.heldCount } == 1 }
    // Settled after a moment only: `stop` waits for it.
    stand.far.post { reactor in Delay.run(after: 50_000_000, on: reactor) { storage.value.release() } }
    stand.stopService()
    #expect(stand.wait { !ended.isEmpty && write.status != nil })
    #expect(ended == [.lost] && write.status == .connectionLost)
    let late = stand.begin(door, .metadata)
    #expect(stand.wait { late.result != nil } && late.result == .failure(.lost))
    #expect(stand.perform(door, .read, at: 0) == .connectionLost)
  }

  @Test func `a nexus that comes again goes on under its claim`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let first = try stand.claimed(1, one)
    #expect(stand.perform(first, .write, at: 8192, byte: 5) == .success)
    var ended = 0
    first.sessionEnded = { _ in ended += 1 }
    // The same host identifier: the connection alone ends the older one.
    let second = try stand.claimed(1, one)
    #expect(stand.wait { ended == 1 } && stand.readByte(second, at: 8192) == 5)
  }
}

/// Does something once, later.
private final class Delay: EventHandler {
  private let reactor: Reactor
  private let body: () -> Void

  private init(_ reactor: Reactor, _ body: @escaping () -> Void) {
    self.reactor = reactor
    self.body = body
  }

  static func run(after nanoseconds: UInt64, on reactor: Reactor, _ body: @escaping () -> Void) {
    let delay = Delay(reactor, body)
    reactor.schedule(afterNanoseconds: nanoseconds, reactor.register(delay), token: 0)
  }

  override func completed(token: UInt64, result: Int32) {
    reactor.unregister(self)
    body()
  }
}
