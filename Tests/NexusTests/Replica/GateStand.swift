import Pool
import Reactor
import Testing

@testable import Nexus

/// A gate over a fake storage and a clock that stands until it is told to move.
@safe final class GateStand {
  static let lease: UInt64 = 3_200_000

  let reactor: Reactor
  let storage: FakeStorage
  let client = StandClient()
  private(set) var gate: ReplicaGate
  private let clock = ClockBox()
  private var buffers: [UnsafeMutableRawPointer] = unsafe []
  private var nextToken: UInt64 = 0

  final class ClockBox { var now: UInt64 = 1_000_000_000 }

  init(sizeBytes: UInt64 = 1 << 20) throws {
    reactor = try Reactor(configuration: .init(arenaBytes: 4 << 20, spinNanoseconds: 0))
    storage = FakeStorage(reactor: reactor, sizeBytes: sizeBytes)
    gate = ReplicaGate(
      storage: storage, reactor: reactor, incarnation: .random(), leaseNanoseconds: Self.lease,
      bootNanoseconds: { [clock] in clock.now })
  }

  deinit { while let buffer = unsafe buffers.popLast() { unsafe buffer.deallocate() } }

  /// The process of the replica ends and begins anew.
  func restart() {
    reactor.unregister(gate)
    gate = ReplicaGate(
      storage: storage, reactor: reactor, incarnation: .random(), leaseNanoseconds: Self.lease,
      bootNanoseconds: { [clock] in clock.now })
  }

  func moveClock(_ nanoseconds: UInt64) { clock.now += nanoseconds }

  /// The lease with its margin is over, and the timers have come.
  func outlastLease() {
    moveClock(ReplicaGate.withMargin(Self.lease))
    pump(nanoseconds: 2 * Self.lease)
  }

  func pump(nanoseconds: UInt64 = 300_000) { reactor.run(until: { false }, timeoutNanoseconds: nanoseconds) }

  /// Remembers the answer.
  final class Reply {
    var result: Result<ReplicaAnswer, ReplicaRefusal>?
    var count = 0
    var answer: ReplicaAnswer? { if case .success(let answer) = result { answer } else { nil } }
    var refusal: ReplicaRefusal? { if case .failure(let refusal) = result { refusal } else { nil } }
    var claimed: ClaimedReplica? { if case .claimed(let claimed) = answer { claimed } else { nil } }
  }

  func ask(_ session: ReplicaSession, _ question: ReplicaQuestion) -> Reply {
    let reply = Reply()
    var isInside = true
    session.ask(question) { result in
      #expect(!isInside, "an answer from inside the question")
      reply.result = result
      reply.count += 1
      #expect(reply.count == 1)
    }
    isInside = false
    return reply
  }

  func submit(_ session: ReplicaSession, _ operation: BlockOperation, at offset: UInt64 = 0, byte: UInt8 = 0) -> UInt64 {
    nextToken += 1
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: byte, count: 4096)
    unsafe buffers.append(buffer)
    unsafe session.submit(BlockRequest(operation, offsetBytes: offset, byteCount: 4096, buffer: buffer, token: nextToken), for: client)
    #expect(client.endings[nextToken] == nil, "an answer from inside submit")
    return nextToken
  }

  /// A session whose claim was accepted at once.
  func claimed(_ claim: ReplicaClaim) throws -> ReplicaSession {
    let session = gate.makeSession()
    let reply = ask(session, .claim(claim))
    pump()
    _ = try #require(reply.claimed)
    return session
  }
}

func claim(_ generation: UInt64, _ nexus: Identifier, setVersion: UInt64 = 1) -> ReplicaClaim {
  ReplicaClaim(generation: generation, setVersion: setVersion, nexusID: nexus, inSync: [FakeStorage.name], storeRevision: 7)
}
