import Pool
import Reactor
import Testing

@testable import Nexus

@Suite struct ReplicaQuestionTests {
  private let nexus = Identifier.random()

  @Test func `a set goes forwards only, under the claim held`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(2, nexus, setVersion: 4))
    var newer = claim(2, nexus, setVersion: 5)
    newer.inSync = [nexus]
    let good = stand.ask(session, .storeSet(newer))
    let older = stand.ask(session, .storeSet(claim(2, nexus, setVersion: 4)))
    let foreign = stand.ask(session, .storeSet(claim(2, .random(), setVersion: 9)))
    let generation = stand.ask(session, .storeSet(claim(3, nexus, setVersion: 9)))
    stand.pump()
    #expect(good.answer == .done && stand.storage.facts.claim == newer)
    for reply in [older, foreign, generation] {
      guard case .invalid = reply.refusal else { return #expect(Bool(false), "\(String(describing: reply.result))") }
    }
  }

  @Test func `checksums of blocks, holes as zeros, the last block as long as it is`() throws {
    let stand = try GateStand(sizeBytes: 1 << 20 | 512)
    let session = try stand.claimed(claim(1, nexus))
    stand.storage.fill(4096..<8192, 7)
    stand.storage.fill(1 << 20..<(1 << 20 + 512), 9)
    stand.storage.busyReads = 2
    let reply = stand.ask(session, .checksums(offsetBytes: 0, byteCount: 1 << 20 | 512))
    stand.pump(nanoseconds: 50_000_000)
    guard case .checksums(let checksums) = reply.answer else { return #expect(Bool(false), "\(String(describing: reply.result))") }
    #expect(checksums.count == 257)
    #expect(checksums[0] == checksum(of: 0, count: 4096))
    #expect(checksums[1] == checksum(of: 7, count: 4096))
    #expect(checksums[256] == checksum(of: 9, count: 512))
    #expect(stand.reactor.replicaArena.usedBytes == 0 && session.inFlight == 0)
  }

  @Test(arguments: [(512, 4096), (0, 0), (0, 512), (0, 8 << 20), (1 << 20, 4096), (.max - 4095, 4096)] as [(UInt64, UInt64)])
  func `checksums of what is no range are refused`(offset: UInt64, count: UInt64) throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    let reply = stand.ask(session, .checksums(offsetBytes: offset, byteCount: count))
    stand.pump()
    guard case .invalid = reply.refusal else { return #expect(Bool(false)) }
  }

  @Test func `checksums that fail say so, and those of an ended session are given up`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    stand.storage.isFast = false
    let failing = stand.ask(session, .checksums(offsetBytes: 0, byteCount: 4096))
    stand.storage.finishRequests(.readFault)
    let long = stand.ask(session, .checksums(offsetBytes: 0, byteCount: 1 << 20))
    let next = stand.ask(stand.gate.makeSession(), .claim(claim(2, nexus)))
    stand.pump()
    guard case .faulted = failing.refusal else { return #expect(Bool(false)) }
    #expect(next.result == nil)
    stand.storage.finishRequests()
    stand.pump()
    #expect(long.refusal == .claimed(generation: 2) && next.claimed != nil && stand.reactor.replicaArena.usedBytes == 0)
  }

  @Test func `regions outside the replica, and peers that are none, are refused`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    let replies = [
      stand.ask(session, .setRegions(.activity, [15..<17], isMember: true)),
      stand.ask(session, .setRegions(.activity, [-1..<2], isMember: true)),
      stand.ask(session, .setRegions(.missed(peer: .none), [0..<1], isMember: true)),
      stand.ask(session, .setRegions(.missed(peer: FakeStorage.name), [0..<1], isMember: true)),
    ]
    let good = stand.ask(session, .setRegions(.activity, [15..<16], isMember: true))
    stand.pump()
    for reply in replies { guard case .invalid = reply.refusal else { return #expect(Bool(false)) } }
    #expect(good.answer == .done && stand.storage.facts.hotRegions == [15])
  }

  @Test func `the missed regions of only so many peers are kept`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    let peers = (0..<ReplicaGate.maximumPeers).map { _ in Identifier.random() }
    for peer in peers {
      let reply = stand.ask(session, .setRegions(.missed(peer: peer), [], isMember: true))
      stand.pump()
      #expect(reply.answer == .done)
    }
    let beyond = stand.ask(session, .setRegions(.missed(peer: .random()), [], isMember: true))
    let known = stand.ask(session, .setRegions(.missed(peer: peers[3]), [1..<2], isMember: true))
    let forgotten = stand.ask(session, .forgetPeer(peers[0]))
    let now = stand.ask(session, .setRegions(.missed(peer: .random()), [], isMember: true))
    stand.pump()
    guard case .invalid = beyond.refusal else { return #expect(Bool(false)) }
    #expect(known.answer == .done && forgotten.answer == .done && now.answer == .done)
  }

  @Test func `ranges come in pages`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    stand.storage.ranges = (0..<1030).map { UInt64($0) * 512..<UInt64($0) * 512 + 256 }
    let first = stand.ask(session, .allocatedRanges(fromOffsetBytes: 0))
    let second = stand.ask(session, .allocatedRanges(fromOffsetBytes: 1024 * 512))
    let beyond = stand.ask(session, .allocatedRanges(fromOffsetBytes: 2 << 20))
    stand.pump()
    #expect(first.answer == .ranges(Array(stand.storage.ranges.prefix(1024)), nextOffsetBytes: 1024 * 512))
    #expect(second.answer == .ranges(Array(stand.storage.ranges.suffix(6)), nextOffsetBytes: nil))
    guard case .invalid = beyond.refusal else { return #expect(Bool(false)) }
  }

  @Test func `all sessions grow with the replica`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, nexus))
    let reply = stand.ask(session, .grow(toSizeBytes: 2 << 20))
    stand.pump()
    #expect(reply.answer == .done && session.sizeBytes == 2 << 20)
    let write = stand.submit(session, .write, at: 1 << 20, byte: 5)
    stand.pump()
    #expect(stand.client.endings[write] == .success && stand.storage.contents[1 << 20] == 5)
  }

  private func checksum(of byte: UInt8, count: Int) -> UInt32 {
    let bytes = [UInt8](repeating: byte, count: count)
    return unsafe bytes.withUnsafeBytes { unsafe CRC32C.checksum($0.baseAddress!, byteCount: count) }
  }
}
