import Pool
import Reactor

/// A claim on its way: durable first, then alone, then answered.
struct PendingClaim {
  let number: UInt64
  let claim: ReplicaClaim
  let session: ReplicaSession
  /// The claim accepted before it.
  let before: ReplicaClaim
  let answer: ReplicaSession.Answer
  var isStored = false
}

/// Claims (R3), in the order that keeps two nexuses apart: (i) older sessions do nothing new, (ii) the claim is durable, (iii) older
/// sessions end and what they had in the storage is over, (iv) the lease of another nexus has run out, (v) the answer.
extension ReplicaGate {
  func take(_ claim: ReplicaClaim, from session: ReplicaSession, then answer: @escaping ReplicaSession.Answer) {
    guard claim.generation > 0, claim.nexusID != .none, claim.inSync.count <= ReplicaClaim.maximumMembers else {
      return later {
        answer(.failure(.invalid("a claim needs a generation, a nexus and at most \(ReplicaClaim.maximumMembers) members")))
      }
    }
    guard isAcceptable(claim) else {
      let generation = accepted.generation
      return later { answer(.failure(.claimed(generation: generation))) }
    }
    if let pending {
      later { pending.answer(.failure(.claimed(generation: claim.generation))) }
    }
    claimCount += 1
    let number = claimCount
    pending = PendingClaim(number: number, claim: claim, session: session, before: accepted, answer: answer)
    accepted = claim
    holder = nil
    for other in sessions { unsafe other.isServing = false }
    session.claim = claim
    session.questionsInFlight += 1
    storage.storeClaim(claim) { [self] error in
      session.questionsInFlight -= 1
      stored(number, error)
      session.checkSettled()
    }
  }

  /// A lower generation is refused, and so is an equal one of another nexus; a nexus may come again, knowing of no older set.
  private func isAcceptable(_ claim: ReplicaClaim) -> Bool {
    if claim.generation != accepted.generation {
      return claim.generation > accepted.generation || plantedErrors.contains(.acceptsOldGenerations)
    }
    return claim.nexusID == accepted.nexusID && claim.setVersion >= accepted.setVersion
  }

  private func stored(_ number: UInt64, _ error: ReplicaRefusal?) {
    guard let pending, pending.number == number else { return }
    self.pending!.isStored = true
    endOlderSessions(than: pending.session)
    if let error {
      self.pending = nil
      pending.session.claim = nil
      return later { pending.answer(.failure(error)) }
    }
    for session in sessions { unsafe session.isWatched = true }
    advanceClaim()
  }

  /// Those that never claimed have nothing here, and may be about to.
  func endOlderSessions(than session: ReplicaSession) {
    for other in sessions where other !== session && other.claim != nil { end(other, .claimed(generation: accepted.generation)) }
  }

  /// Goes on with a claim as far as it goes.
  func advanceClaim() {
    guard let pending, pending.isStored else { return }
    guard sessions.allSatisfy(\.isSettled) || plantedErrors.contains(.answersBeforeSettled) else { return }
    let now = now
    if lease.nexusID != pending.claim.nexusID, now < lease.endNanoseconds, !plantedErrors.contains(.forgetsLeases) {
      return setLeaseTimer(afterNanoseconds: lease.endNanoseconds - now)
    }
    self.pending = nil
    for session in sessions where session.end == nil { unsafe session.isWatched = false }
    holder = pending.session
    unsafe pending.session.isServing = true
    grantLease()
    let metadata = storage.metadata
    let options = storage.options
    let claimed = ClaimedReplica(
      before: ReplicaMetadata(
        claim: pending.before, bootID: metadata.bootID, mayHaveLostCache: metadata.mayHaveLostCache, hotRegions: metadata.hotRegions,
        missed: metadata.missed),
      incarnation: incarnation, sizeBytes: storage.sizeBytes, regionBytes: options.regionBytes,
      maximumHotRegions: Int(options.maximumHotRegions), isWriteThrough: storage.isWriteThrough, leaseNanoseconds: leaseNanoseconds,
      snapshots: storage.snapshots)
    later { pending.answer(.success(.claimed(claimed))) }
  }

  /// Ours counts from now, the nexus's from when it asked: it is over there before it is over here.
  func grantLease() { lease = Lease(nexusID: accepted.nexusID, endNanoseconds: now &+ Self.withMargin(leaseNanoseconds)) }
}
