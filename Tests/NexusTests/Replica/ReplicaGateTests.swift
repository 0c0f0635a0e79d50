import Pool
import Reactor
import Testing

@testable import Nexus

@Suite struct ReplicaGateTests {
  private let one = Identifier.random()
  private let other = Identifier.random()

  @Test func `without a claim nothing is done`() throws {
    let stand = try GateStand()
    let session = stand.gate.makeSession()
    let read = stand.submit(session, .read)
    let write = stand.submit(session, .write, byte: 1)
    let metadata = stand.ask(session, .metadata)
    let lease = stand.ask(session, .renewLease)
    stand.pump()
    #expect(stand.client.endings[read] == .refused && stand.client.endings[write] == .refused)
    #expect(metadata.refusal == .unclaimed && lease.refusal == .unclaimed)
    #expect(stand.storage.contents.allSatisfy { $0 == 0 })
  }

  @Test func `a claim says how things were and lets the nexus in`() throws {
    let stand = try GateStand()
    let peer = Identifier.random()
    stand.storage.facts = ReplicaMetadata(
      claim: claim(3, other), bootID: peer, mayHaveLostCache: true, hotRegions: [1, 4], missed: [(peer, [2])])
    stand.restart()
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(4, one)))
    stand.outlastLease()
    let claimed = try #require(reply.claimed)
    #expect(claimed.before == stand.storage.facts.with(claim(3, other)))
    #expect(stand.storage.facts.claim == claim(4, one))
    #expect(claimed.incarnation == stand.gate.incarnation && claimed.sizeBytes == 1 << 20 && claimed.regionBytes == 64 << 10)
    #expect(claimed.maximumHotRegions == 8 && !claimed.isWriteThrough && claimed.leaseNanoseconds == GateStand.lease)
    #expect(claimed.snapshots == stand.storage.snapshots)
    let write = stand.submit(session, .write, at: 8192, byte: 7)
    stand.pump()
    #expect(stand.client.endings[write] == .success && stand.storage.contents[8192] == 7)
  }

  @Test func `a lower generation is refused`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(5, one))
    let late = stand.gate.makeSession()
    let reply = stand.ask(late, .claim(claim(4, other)))
    stand.pump()
    #expect(reply.refusal == .claimed(generation: 5))
    #expect(session.isClaimed && stand.storage.facts.claim.generation == 5)
    let read = stand.submit(late, .read)
    stand.pump()
    #expect(stand.client.endings[read] == .refused)
  }

  @Test func `R3: one that lost its data, or is an old copy, is refused from the floor, and stores nothing`() throws {
    let stand = try GateStand()
    let session = stand.gate.makeSession()
    let gone = stand.ask(session, .claimFrom(claim(9, one), floorGeneration: 1))
    stand.pump()
    #expect(gone.refusal == .rolledBack(generation: 0) && stand.storage.facts.claim.generation == 0)
    _ = try stand.claimed(claim(3, other))
    let old = stand.gate.makeSession()
    let copy = stand.ask(old, .claimFrom(claim(9, one), floorGeneration: 4))
    stand.pump()
    #expect(copy.refusal == .rolledBack(generation: 3) && stand.storage.facts.claim == claim(3, other))
    let whole = stand.ask(old, .claimFrom(claim(9, one), floorGeneration: 3))
    stand.outlastLease()
    #expect(whole.claimed?.before.claim.generation == 3 && stand.storage.facts.claim == claim(9, one))
  }

  @Test func `twin-claims`() throws {
    let stand = try GateStand()
    stand.storage.isPrompt = false
    let (first, second) = (stand.gate.makeSession(), stand.gate.makeSession())
    let firstReply = stand.ask(first, .claim(claim(5, one)))
    let secondReply = stand.ask(second, .claim(claim(5, other)))
    stand.pump()
    #expect(secondReply.refusal == .claimed(generation: 5) && firstReply.result == nil)
    stand.storage.finishStep()
    stand.pump()
    #expect(firstReply.claimed != nil && !second.isClaimed)
  }

  @Test func `a claim is not answered before it is stored, and nothing older begins meanwhile`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isPrompt = false
    let session = stand.gate.makeSession()
    var ended: ReplicaRefusal?
    old.sessionEnded = { ended = $0 }
    let reply = stand.ask(session, .claim(claim(2, other)))
    let write = stand.submit(old, .write, byte: 9)
    let question = stand.ask(old, .metadata)
    stand.outlastLease()
    #expect(reply.result == nil && ended == nil)
    #expect(stand.client.endings[write] == .refused && question.refusal == .claimed(generation: 2))
    stand.storage.finishStep()
    stand.pump()
    #expect(reply.claimed?.before.claim == claim(1, one))
    #expect(ended == .claimed(generation: 2) && old.isOver)
    #expect(stand.ask(old, .renewLease).result == nil)
    #expect(stand.storage.contents[0] == 0)
  }

  @Test func `what older sessions have in the storage is over before the answer`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isFast = false
    let write = stand.submit(old, .write, byte: 3)
    stand.storage.isPrompt = false
    let hot = stand.ask(old, .setRegions(.activity, [2..<3], isMember: true))
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(2, other)))
    stand.storage.finishStep()
    stand.storage.finishStep()
    stand.outlastLease()
    #expect(hot.answer == .done && old.isOver && stand.storage.discarded > 0)
    #expect(reply.result == nil, "a write of the older nexus is in the disk")
    stand.storage.finishRequests()
    stand.pump()
    #expect(stand.client.endings[write] == .success)
    #expect(reply.claimed?.before.hotRegions == [2])
  }

  @Test func `a question of an older session that is in the storage holds the answer`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isPrompt = false
    let hot = stand.ask(old, .setRegions(.activity, [2..<3], isMember: true))
    old.close()
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(1, one)))
    stand.pump()
    #expect(reply.result == nil)
    stand.storage.finishStep()
    stand.storage.finishStep()
    stand.pump()
    #expect(hot.answer == .done && reply.claimed?.before.hotRegions == [2])
  }

  @Test func `the lease of another nexus is waited out`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    let renewed = stand.ask(old, .renewLease)
    stand.pump()
    #expect(renewed.answer == .leased(nanoseconds: GateStand.lease))
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(2, other)))
    stand.pump(nanoseconds: 3 * GateStand.lease)
    #expect(reply.result == nil)
    stand.moveClock(GateStand.lease)
    stand.pump(nanoseconds: 3 * GateStand.lease)
    #expect(reply.result == nil, "the margin is not over")
    stand.outlastLease()
    #expect(reply.claimed != nil)
  }

  @Test func `a lease granted before a restart is waited out after it`() throws {
    let stand = try GateStand()
    _ = try stand.claimed(claim(1, one))
    stand.restart()
    let reply = stand.ask(stand.gate.makeSession(), .claim(claim(2, other)))
    stand.pump(nanoseconds: 2 * GateStand.lease)
    #expect(reply.result == nil)
    stand.outlastLease()
    #expect(reply.claimed != nil)
  }

  @Test func `a nexus that comes again waits for its own commands and for no lease`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isFast = false
    let write = stand.submit(old, .write, byte: 3)
    var ended: ReplicaRefusal?
    old.sessionEnded = { ended = $0 }
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(1, one, setVersion: 2)))
    stand.pump()
    #expect(ended == .claimed(generation: 1) && reply.result == nil)
    stand.storage.finishRequests()
    stand.storage.isFast = true
    stand.pump()
    #expect(stand.client.endings[write] == .success && reply.claimed?.before.claim == claim(1, one))
    let stale = stand.ask(stand.gate.makeSession(), .claim(claim(1, one)))
    stand.pump()
    #expect(stale.refusal == .claimed(generation: 1), "it knows an older set")
    #expect(session.isClaimed)
  }

  @Test func `a claim that is superseded while it waits is refused`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isFast = false
    _ = stand.submit(old, .write, byte: 3)
    let second = stand.gate.makeSession()
    let secondReply = stand.ask(second, .claim(claim(2, other)))
    let third = stand.gate.makeSession()
    let thirdReply = stand.ask(third, .claim(claim(3, Identifier.random())))
    stand.outlastLease()
    #expect(secondReply.refusal == .claimed(generation: 3) && second.isOver && thirdReply.result == nil)
    stand.storage.finishRequests()
    stand.pump()
    #expect(thirdReply.claimed?.before.claim == claim(2, other))
  }

  @Test func `a claim that cannot be stored lets nobody in`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    stand.storage.isPrompt = false
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(2, other)))
    stand.storage.finishStep(.faulted("the disk is gone"))
    stand.outlastLease()
    #expect(reply.refusal == .faulted("the disk is gone") && old.isOver && !session.isClaimed)
    stand.storage.isPrompt = true
    let again = stand.ask(session, .claim(claim(2, other)))
    stand.pump()
    #expect(again.claimed != nil)
  }

  @Test func `release ends claim and lease when nothing is under way`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, one))
    stand.storage.isFast = false
    _ = stand.submit(session, .write, byte: 3)
    let released = stand.ask(session, .release)
    stand.pump()
    #expect(released.result == nil && !session.isClaimed)
    stand.storage.finishRequests()
    stand.pump()
    #expect(released.answer == .done && !session.isOver)
    let next = stand.ask(stand.gate.makeSession(), .claim(claim(2, other)))
    stand.pump()
    #expect(next.claimed != nil, "no lease is left to wait for")
  }

  @Test func `a claim that was given back is waited for by nobody, also after a restart`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(3, one))
    let released = stand.ask(session, .release)
    stand.pump()
    #expect(released.answer == .done)
    #expect(stand.storage.metadata.claim.generation == 3 && stand.storage.metadata.claim.nexusID == .none)
    stand.restart()
    let old = stand.ask(stand.gate.makeSession(), .claim(claim(3, other)))
    let next = stand.ask(stand.gate.makeSession(), .claim(claim(4, other)))
    stand.pump()
    // The generation stays the highest.
    #expect(old.refusal == .claimed(generation: 3))
    #expect(next.claimed != nil, "no lease is left to wait for")
  }

  @Test func `giving back does not cover a higher claim that came meanwhile`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(3, one))
    stand.storage.isFast = false
    _ = stand.submit(session, .write)
    let released = stand.ask(session, .release)
    let next = stand.ask(stand.gate.makeSession(), .claim(claim(4, other)))
    stand.pump()
    #expect(released.result == nil && next.result == nil)
    stand.storage.finishRequests()
    stand.pump()
    #expect(released.result != nil && next.claimed != nil)
    #expect(stand.storage.metadata.claim.generation == 4 && stand.storage.metadata.claim.nexusID == other)
  }

  @Test func `a session that is closed leaves claim and lease behind`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    var told = false
    old.sessionEnded = { _ in told = true }
    old.close()
    let read = stand.submit(old, .read)
    let question = stand.ask(old, .metadata)
    let reply = stand.ask(stand.gate.makeSession(), .claim(claim(2, other)))
    stand.pump()
    #expect(!told && stand.client.endings[read] == .refused && question.refusal == .lost && reply.result == nil)
    stand.outlastLease()
    #expect(reply.claimed != nil)
  }

  @Test func `a claimant that goes away while it is stored takes the older sessions with it`() throws {
    let stand = try GateStand()
    let old = try stand.claimed(claim(1, one))
    var ended: ReplicaRefusal?
    old.sessionEnded = { ended = $0 }
    stand.storage.isPrompt = false
    let session = stand.gate.makeSession()
    let reply = stand.ask(session, .claim(claim(2, other)))
    session.close()
    stand.pump()
    #expect(reply.refusal == .lost && ended == .claimed(generation: 2))
    stand.storage.finishStep()
    stand.storage.isPrompt = true
    let late = stand.ask(stand.gate.makeSession(), .claim(claim(1, one)))
    stand.pump()
    #expect(late.refusal == .claimed(generation: 2))
  }

  @Test func `a closing gate ends everybody and waits for what is under way`() throws {
    let stand = try GateStand()
    let session = try stand.claimed(claim(1, one))
    stand.storage.isFast = false
    let write = stand.submit(session, .write, byte: 3)
    var ended: ReplicaRefusal?
    session.sessionEnded = { ended = $0 }
    var isClosed = false
    stand.gate.close { isClosed = true }
    stand.pump()
    #expect(ended == .lost && !isClosed)
    stand.storage.finishRequests()
    stand.pump()
    #expect(isClosed && stand.client.endings[write] == .success && stand.gate.makeSession().isOver)
    let late = stand.submit(session, .read)
    let question = stand.ask(session, .metadata)
    stand.pump()
    #expect(stand.client.endings[late] == .refused && question.refusal == .lost)
  }

  @Test(arguments: [
    ReplicaGate.PlantedErrors.acceptsOldGenerations, .answersBeforeSettled, .forgetsLeases,
  ]) func `planted errors break what they say`(planted: ReplicaGate.PlantedErrors) throws {
    let stand = try GateStand()
    stand.gate.plantedErrors = planted
    let old = try stand.claimed(claim(5, one))
    stand.storage.isFast = false
    if planted == .answersBeforeSettled { _ = stand.submit(old, .write, byte: 1) }
    let reply = stand.ask(stand.gate.makeSession(), .claim(claim(planted == .acceptsOldGenerations ? 4 : 6, other)))
    stand.pump()
    if planted != .forgetsLeases { stand.outlastLease() }
    #expect(reply.claimed != nil)
    stand.storage.finishRequests()
    stand.pump()
  }
}

extension ReplicaMetadata {
  func with(_ claim: ReplicaClaim) -> ReplicaMetadata {
    ReplicaMetadata(claim: claim, bootID: bootID, mayHaveLostCache: mayHaveLostCache, hotRegions: hotRegions, missed: missed)
  }
}
