import Pool
import Reactor

/// What the holder of the claim may ask. Questions have no share in the slots and buffers of data (R14).
extension ReplicaGate {
  /// At most so many ranges in one answer.
  static let maximumRanges = 1024

  func take(_ question: ReplicaQuestion, from session: ReplicaSession, then answer: @escaping ReplicaSession.Answer) {
    if let reason = session.end { return later { answer(.failure(reason)) } }
    if case .claim(let claim) = question { return take(claim, from: session, then: answer) }
    if case .claimFrom(let claim, let floor) = question {
      // What was accepted last is gone, and the data with it, whatever else is there (R3).
      let held = accepted.generation
      return held < floor ? later { answer(.failure(.rolledBack(generation: held))) } : take(claim, from: session, then: answer)
    }
    guard holder === session else {
      let isSuperseded = session.claim != nil && session !== pending?.session
      let refusal = isSuperseded ? ReplicaRefusal.claimed(generation: accepted.generation) : .unclaimed
      return later { answer(.failure(refusal)) }
    }
    if case .release = question { return release(session, answer) }
    session.questionsInFlight += 1
    let finish: ReplicaSession.Answer = { [self] result in
      later {
        session.questionsInFlight -= 1
        answer(result)
        session.checkSettled()
      }
    }
    execute(question, for: session, finish)
  }

  private func execute(_ question: ReplicaQuestion, for session: ReplicaSession, _ finish: @escaping ReplicaSession.Answer) {
    let done: ReplicaStorage.Done = { finish($0.map { .failure($0) } ?? .success(.done)) }
    switch question {
    case .claim, .claimFrom, .release: preconditionFailure("handled before")
    case .storeSet(let claim): storeSet(claim, for: session, done)
    case .renewLease:
      grantLease()
      finish(.success(.leased(nanoseconds: leaseNanoseconds)))
    case .setRegions(let set, let regions, let isMember):
      if let refusal = refusal(of: set, regions, isMember) { return finish(.failure(refusal)) }
      storage.setRegions(set, regions, isMember: isMember, done: done)
    case .forgetPeer(let peer):
      peers.remove(peer)
      storage.forgetPeer(peer, done: done)
    case .clearLostCache: storage.clearLostCache(done: done)
    case .checksums(let offset, let count):
      guard let range = blockRange(offset, count, of: storage, limit: ReplicaQuestion.maximumChecksummedBytes) else {
        return finish(.failure(.invalid("checksums are of whole blocks of 4096 bytes inside the replica, at most 4 MiB of them")))
      }
      readBlocks(of: storage, range, wantsData: false, for: session, done: finish)
    case .snapshotChecksums(let id, let offset, let count):
      readSnapshot(id, offset, count, limit: ReplicaQuestion.maximumChecksummedBytes, wantsData: false, for: session, finish)
    case .readSnapshot(let id, let offset, let count):
      readSnapshot(id, offset, count, limit: ReplicaQuestion.maximumDataBytes, wantsData: true, for: session, finish)
    case .changedRanges(let later, let earlier, let offset):
      guard let list = storage.changedRanges(of: later, since: earlier, fromOffsetBytes: offset, limit: Self.maximumRanges) else {
        return finish(.failure(.invalid("the replica has no such snapshot")))
      }
      finish(.success(.ranges(list.ranges, nextOffsetBytes: list.next)))
    case .allocatedRanges(let offset):
      guard offset <= storage.sizeBytes else { return finish(.failure(.invalid("the offset is beyond the end of the replica"))) }
      let (ranges, next) = storage.allocatedRanges(fromOffsetBytes: offset, limit: Self.maximumRanges)
      finish(.success(.ranges(ranges, nextOffsetBytes: next)))
    case .metadata: finish(.success(.metadata(storage.metadata)))
    case .createSnapshot(let id, let size): storage.createSnapshot(id, sizeBytes: size, done: done)
    case .deleteSnapshot(let id): storage.deleteSnapshot(id, done: done)
    case .grow(let size):
      storage.grow(toSizeBytes: size) { [self] refusal in
        for session in sessions where storage.sizeBytes > session.sizeBytes { session.grow(toSizeBytes: storage.sizeBytes) }
        if refusal == nil { sizeChanged?(storage.sizeBytes) }
        done(refusal)
      }
    }
  }

  /// The set may change under the claim held, and only forwards.
  private func storeSet(_ claim: ReplicaClaim, for session: ReplicaSession, _ done: @escaping ReplicaStorage.Done) {
    guard claim.generation == accepted.generation, claim.nexusID == accepted.nexusID, claim.setVersion >= accepted.setVersion,
      claim.inSync.count <= ReplicaClaim.maximumMembers
    else {
      return done(.invalid("a set belongs to the claim held and has no older version; \(accepted.setVersion) is stored"))
    }
    accepted = claim
    session.claim = claim
    storage.storeClaim(claim, done: done)
  }

  /// The claim ends when nothing of it is under way; the lease now, as the nexus answers no more reads. Both are written down, as a claim of
  /// the same generation by nobody, so that a later run of this process waits for no lease. If that fails, it waits.
  private func release(_ session: ReplicaSession, _ answer: @escaping ReplicaSession.Answer) {
    let released = accepted
    holder = nil
    unsafe session.isServing = false
    session.claim = nil
    lease.endNanoseconds = 0
    session.whenSettled { [self] in
      // A higher claim is stored already, or will be: it must not be covered.
      guard accepted == released, pending == nil else { return later { answer(.success(.done)) } }
      accepted.nexusID = .none
      session.questionsInFlight += 1
      storage.storeClaim(accepted) { [self] _ in
        later {
          session.questionsInFlight -= 1
          answer(.success(.done))
          session.checkSettled()
        }
      }
    }
  }

  private func refusal(of set: RegionSetName, _ regions: [Range<Int>], _ isMember: Bool) -> ReplicaRefusal? {
    let regionBytes = storage.options.regionBytes
    let count = Int((storage.sizeBytes &+ regionBytes &- 1) / regionBytes)
    guard regions.allSatisfy({ $0.lowerBound >= 0 && $0.upperBound <= count }) else {
      return .invalid("the replica has \(count) regions")
    }
    guard case .missed(let peer) = set else { return nil }
    guard peer != .none, peer != storage.id else { return .invalid("a peer is another replica") }
    guard peers.contains(peer) || peers.count < Self.maximumPeers else {
      return .invalid("the missed regions of \(peers.count) peers are kept already")
    }
    peers.insert(peer)
    return nil
  }

  private func readSnapshot(
    _ id: Identifier, _ offset: UInt64, _ count: UInt64, limit: UInt64, wantsData: Bool, for session: ReplicaSession,
    _ finish: @escaping ReplicaSession.Answer
  ) {
    guard let snapshot = storage.openSnapshot(id) else { return finish(.failure(.invalid("the replica has no such snapshot"))) }
    guard let range = blockRange(offset, count, of: snapshot, limit: limit) else {
      storage.closeSnapshot(snapshot)
      return finish(.failure(.invalid("of a snapshot, whole blocks of 4096 bytes inside of it are read, at most \(limit) bytes")))
    }
    readBlocks(of: snapshot, range, wantsData: wantsData, for: session) { [self] result in
      storage.closeSnapshot(snapshot)
      finish(result)
    }
  }

  private func blockRange(_ offset: UInt64, _ count: UInt64, of device: BlockDevice, limit: UInt64) -> Range<UInt64>? {
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, count > 0, count <= limit, offset % 4096 == 0, end <= device.sizeBytes,
      end % 4096 == 0 || end == device.sizeBytes
    else { return nil }
    return offset..<end
  }
}
