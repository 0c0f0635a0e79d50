import Pool
import Reactor
import Testing

@testable import Nexus

@Suite struct PooledStorageTests {
  private let nexus = Identifier.random()

  private struct Stand {
    let reactor: Reactor
    let replica: PoolReplica
    let gate: ReplicaGate
    let session: ReplicaSession

    init(_ claim: ReplicaClaim) throws {
      reactor = try Reactor(configuration: .init(arenaBytes: 4 << 20, spinNanoseconds: 0))
      let pool = try Pool.inMemory(byteCount: 16 << 20, name: "p")
      try pool.setOptions(PoolOptions(overcommitPercent: 0, regionBytes: 64 << 10, maximumHotRegions: 4))
      let id = try pool.createReplica(id: .random(), volumeID: .random(), sizeBytes: 32 << 20).id
      replica = try pool.openReplica(id, on: reactor)
      gate = ReplicaGate(storage: PooledStorage(replica), reactor: reactor, incarnation: .random())
      session = gate.makeSession()
      _ = try ask(.claim(claim)).get()
    }

    func ask(_ question: ReplicaQuestion) -> Result<ReplicaAnswer, ReplicaRefusal> {
      var result: Result<ReplicaAnswer, ReplicaRefusal>?
      session.ask(question) { result = $0 }
      reactor.run(until: { result != nil }, timeoutNanoseconds: 5_000_000_000)
      return result ?? .failure(.lost)
    }

    func perform(_ operation: BlockOperation, at offset: UInt64, count: UInt64) -> BlockStatus? {
      let client = StandClient()
      let buffer = unsafe reactor.arena.allocate(byteCount: Int(min(count, 1 << 20)))!
      unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0x5A, count: Int(min(count, 1 << 20)))
      unsafe session.submit(BlockRequest(operation, offsetBytes: offset, byteCount: count, buffer: buffer, token: 1), for: client)
      reactor.run(until: { client.endings[1] != nil }, timeoutNanoseconds: 5_000_000_000)
      unsafe reactor.arena.release(buffer)
      return client.endings[1]
    }

    func metadata() throws -> ReplicaMetadata {
      guard case .metadata(let metadata) = try ask(.metadata).get() else { throw ReplicaRefusal.lost }
      return metadata
    }
  }

  @Test func `a pool's replica keeps what its nexus says`() throws {
    let stand = try Stand(claim(1, nexus))
    let peer = Identifier.random()
    #expect(stand.ask(.setRegions(.activity, [1..<3], isMember: true)) == .success(.done))
    #expect(stand.ask(.setRegions(.missed(peer: peer), [], isMember: true)) == .success(.done))
    var metadata = try stand.metadata()
    #expect(metadata.claim == claim(1, nexus) && metadata.hotRegions == [1, 2])
    #expect(metadata.missed.map(\.peer) == [peer] && metadata.missed[0].regions.isEmpty)
    #expect(stand.ask(.setRegions(.missed(peer: peer), [7..<8], isMember: true)) == .success(.done))
    #expect(stand.ask(.setRegions(.activity, [4..<7], isMember: true)) == .failure(.noSpace), "the log takes four")
    metadata = try stand.metadata()
    #expect(metadata.hotRegions == [1, 2] && metadata.missed[0].regions == [7])
    #expect(stand.ask(.forgetPeer(peer)) == .success(.done) && stand.ask(.clearLostCache) == .success(.done))
    #expect(try stand.metadata().missed.isEmpty)
  }

  @Test func `a region taken out and in again at once is in`() throws {
    let stand = try Stand(claim(1, nexus))
    #expect(stand.ask(.setRegions(.activity, [1..<2], isMember: true)) == .success(.done))
    var ended = 0
    stand.session.ask(.setRegions(.activity, [1..<2], isMember: false)) { _ in ended += 1 }
    stand.session.ask(.setRegions(.activity, [1..<2], isMember: true)) { _ in ended += 1 }
    stand.reactor.run(until: { ended == 2 }, timeoutNanoseconds: 5_000_000_000)
    #expect(try stand.metadata().hotRegions == [1])
  }

  @Test func `the ranges that hold data, those of snapshots below included`() throws {
    let stand = try Stand(claim(1, nexus))
    let snapshot = Identifier.random()
    #expect(stand.perform(.write, at: 8192, count: 8192) == .success)
    #expect(stand.ask(.createSnapshot(snapshot, sizeBytes: 1 << 40)) == .success(.done))
    #expect(stand.perform(.write, at: 20 << 20, count: 4096) == .success)
    #expect(
      stand.ask(.allocatedRanges(fromOffsetBytes: 0))
        == .success(.ranges([8192..<16384, 20 << 20..<20 << 20 | 4096], nextOffsetBytes: nil)))
    #expect(stand.perform(.deallocate, at: 8192, count: 4096) == .success)
    #expect(
      stand.ask(.allocatedRanges(fromOffsetBytes: 4096))
        == .success(.ranges([12288..<16384, 20 << 20..<20 << 20 | 4096], nextOffsetBytes: nil)))
    #expect(stand.gate.storage.snapshots == [snapshot])
    #expect(stand.ask(.deleteSnapshot(snapshot)) == .success(.done) && stand.gate.storage.snapshots.isEmpty)
    guard case .failure(.invalid) = stand.ask(.deleteSnapshot(snapshot)) else { return #expect(Bool(false)) }
  }

  @Test func `a snapshot is read, compared and told apart, and is not deleted meanwhile`() throws {
    let stand = try Stand(claim(1, nexus))
    let (one, two) = (Identifier.random(), Identifier.random())
    #expect(stand.perform(.write, at: 8192, count: 8192) == .success)
    #expect(stand.ask(.createSnapshot(one, sizeBytes: 16 << 20)) == .success(.done))
    guard case .success(.data(let bytes)) = stand.ask(.readSnapshot(one, offsetBytes: 4096, byteCount: 8192)),
      case .success(.checksums(let before)) = stand.ask(.snapshotChecksums(one, offsetBytes: 0, byteCount: 16384)),
      case .success(.checksums(let now)) = stand.ask(.checksums(offsetBytes: 0, byteCount: 16384))
    else { return #expect(Bool(false)) }
    #expect(bytes.count == 8192 && bytes[..<4096].allSatisfy { $0 == 0 } && before == now)
    #expect(stand.perform(.deallocate, at: 8192, count: 4096) == .success)
    #expect(stand.perform(.write, at: 4 << 20, count: 4096) == .success)
    #expect(
      stand.ask(.changedRanges(of: nil, since: one, fromOffsetBytes: 0))
        == .success(.ranges([8192..<12288, 4 << 20..<4 << 20 | 4096], nextOffsetBytes: nil)))
    #expect(stand.ask(.snapshotChecksums(one, offsetBytes: 0, byteCount: 16384)) == .success(.checksums(before)))
    #expect(stand.ask(.createSnapshot(two, sizeBytes: 32 << 20)) == .success(.done))
    #expect(
      stand.ask(.changedRanges(of: two, since: one, fromOffsetBytes: 12288))
        == .success(.ranges([4 << 20..<4 << 20 | 4096], nextOffsetBytes: nil)))
    // Its size is the one it was given.
    guard case .failure(.invalid) = stand.ask(.readSnapshot(one, offsetBytes: 16 << 20, byteCount: 4096)),
      case .failure(.invalid) = stand.ask(.readSnapshot(one, offsetBytes: 0, byteCount: 1 << 20)),
      case .failure(.invalid) = stand.ask(.readSnapshot(.random(), offsetBytes: 0, byteCount: 4096)),
      case .failure(.invalid) = stand.ask(.changedRanges(of: nil, since: .random(), fromOffsetBytes: 0))
    else { return #expect(Bool(false)) }
    var answers: [Result<ReplicaAnswer, ReplicaRefusal>] = []
    stand.session.ask(.snapshotChecksums(one, offsetBytes: 0, byteCount: 4 << 20)) { answers.append($0) }
    stand.session.ask(.deleteSnapshot(one)) { answers.append($0) }
    stand.reactor.run(until: { answers.count == 2 }, timeoutNanoseconds: 5_000_000_000)
    #expect(answers.contains(.failure(.busy)))
    #expect(stand.ask(.deleteSnapshot(one)) == .success(.done) && stand.gate.storage.snapshots == [two])
  }

  @Test func `grows and takes writes beyond its old end`() throws {
    let stand = try Stand(claim(1, nexus))
    #expect(stand.perform(.write, at: 32 << 20, count: 4096) == .outOfRange)
    #expect(stand.ask(.grow(toSizeBytes: 33 << 20)) == .success(.done))
    #expect(stand.session.sizeBytes == 33 << 20)
    #expect(stand.perform(.write, at: 32 << 20, count: 4096) == .success)
    guard case .failure(.invalid) = stand.ask(.grow(toSizeBytes: 1 << 20)) else { return #expect(Bool(false)) }
  }
}
