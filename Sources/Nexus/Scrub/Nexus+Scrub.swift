import Pool
import Reactor

/// Scrubs (R20): everything that is allocated on any member is compared on all of them, piece by piece, as fast as hosts can bear.
extension Nexus {
  private static let scrubWaitNanoseconds: UInt64 = 100_000_000

  /// Begins one. False if one is under way, or nothing is served. `trusted` is the replica whose bytes are taken where the others do not
  /// agree against it; without it such blocks are told of and left alone.
  @discardableResult
  public func startScrub(trusting trusted: Identifier? = nil) -> Bool {
    guard scrub?.state != .running, activeMask != 0, !isOver else { return false }
    if let trusted, !replicas.contains(where: { $0.id == trusted }) { return false }
    scrub = Scrub(trusted: trusted, beganNanoseconds: reactor.now)
    scrubCount += 1
    scrubTries = 0
    unsafe surroundings.nexusChanged()
    listForScrub([], found: [], scrubCount)
    return true
  }

  public func stopScrub() { endScrub(.stopped) }

  private func isCurrent(_ number: Int) -> Bool { number == scrubCount && scrub?.state == .running && !isOver }

  /// All members of the set are there and should be equal, and are those it was begun with.
  func mayScrub(_ members: UInt8, _ epoch: Int) -> Bool {
    !isOver && scrub?.state == .running && epoch == serviceEpoch && activeMask == members && setMask == members && leavingMask == 0
      && log.awaitingCount == 0 && lostMask == 0 && syncMask == 0 && !isPaused
  }

  // MARK: What there is to do

  private func listForScrub(_ listed: [Int], found: Set<Int>, _ number: Int) {
    guard isCurrent(number) else { return }
    guard mayScrub(activeMask, serviceEpoch), activeMask != 0 else {
      return after(nanoseconds: Self.scrubWaitNanoseconds) { [self] in listForScrub([], found: [], number) }
    }
    guard let index = replicas.indices.first(where: { activeMask & Self.bit($0) != 0 && !listed.contains($0) }) else {
      scrubQueue = found.sorted().reversed()
      scrub?.bytesToDo = found.reduce(0) { $0 + UInt64(bytes(ofRegion: $1).count) }
      unsafe surroundings.nexusChanged()
      return nextScrubRegion(number)
    }
    list(index, from: 0, found, number) { [self] found in listForScrub(listed + [index], found: found, number) }
  }

  private func list(_ index: Int, from offset: UInt64, _ found: Set<Int>, _ number: Int, then done: @escaping (Set<Int>) -> Void) {
    ask(index, .allocatedRanges(fromOffsetBytes: offset)) { [self] result in
      guard isCurrent(number) else { return }
      guard case .success(.ranges(let ranges, let next)) = result, next == nil || next! > offset else {
        if case .failure(.lost) = result {
          return after(nanoseconds: Self.scrubWaitNanoseconds) { [self] in listForScrub([], found: [], number) }
        }
        return endScrub(.failed(reason: "replica \(replicas[index].id) did not tell what it holds"))
      }
      var found = found
      for range in ranges where !range.isEmpty && range.upperBound <= sizeBytes {
        found.formUnion(Int(range.lowerBound >> UInt64(regionShift))...Int((range.upperBound - 1) >> UInt64(regionShift)))
      }
      if let next, next < sizeBytes { list(index, from: next, found, number, then: done) } else { done(found) }
    }
  }

  // MARK: Pieces

  private func nextScrubRegion(_ number: Int) {
    guard isCurrent(number) else { return }
    guard let region = scrubQueue.popLast() else { return endScrub(.done) }
    let range = bytes(ofRegion: region)
    scrubPiece(range.lowerBound..<min(range.lowerBound + Scrubber.pieceBytes, range.upperBound), number)
  }

  private func scrubPiece(_ piece: Range<UInt64>, _ number: Int) {
    let due = reactor.now + bandwidthDelay(UInt64(piece.count))
    scrubPiece(piece, due: due, number)
  }

  /// As soon as that is due, does not burden the hosts, and nothing else is being copied.
  private func scrubPiece(_ piece: Range<UInt64>, due: UInt64, _ number: Int) {
    guard isCurrent(number) else { return }
    let now = reactor.now
    var wait = due > now ? min(due - now, Self.scrubWaitNanoseconds) : 0
    if !mayScrub(activeMask, serviceEpoch) || activeMask == 0 || resyncs.contains(where: { $0 != nil }) || scrubber?.isBusy == true {
      wait = max(wait, Self.scrubWaitNanoseconds)
    }
    if wait == 0 { wait = budget.begin(for: self, now: now) ?? 0 }
    if wait > 0 { return after(nanoseconds: wait) { [self] in scrubPiece(piece, due: due, number) } }
    let scrubber = self.scrubber ?? Scrubber(nexus: self)
    self.scrubber = scrubber
    let trusted = scrub?.trusted.flatMap { id in replicas.firstIndex { $0.id == id } }
    scrubber.start(piece, members: activeMask, trusted: trusted, epoch: serviceEpoch, now: now)
  }

  func scrubbed(_ piece: Range<UInt64>, _ outcome: Scrubber.Outcome, _ scrubber: Scrubber) {
    letGoIfQuiet()
    guard !isOver, scrub?.state == .running else { return }
    let number = scrubCount
    switch outcome {
    case .again:
      scrubTries += 1
      if scrubTries > 1000 { return endScrub(.failed(reason: "the members at byte \(piece.lowerBound) could not be compared")) }
      after(nanoseconds: Self.scrubWaitNanoseconds) { [self] in scrubPiece(piece, number) }
    case .done:
      scrubTries = 0
      scrub?.bytesDone += UInt64(piece.count)
      scrub?.differingBlocks += scrubber.differing
      scrub?.repairedBlocks += scrubber.repaired
      let room = Scrub.maximumFindings - (scrub?.unresolved.count ?? 0)
      scrub?.unresolved += scrubber.unresolved.prefix(max(room, 0))
      if scrubber.differing > 0 { unsafe surroundings.nexusChanged() }
      let region = Int(piece.lowerBound >> UInt64(regionShift))
      let end = bytes(ofRegion: region).upperBound
      // From a fresh stack.
      after { [self] in
        guard isCurrent(number) else { return }
        if piece.upperBound == end { return nextScrubRegion(number) }
        scrubPiece(piece.upperBound..<min(piece.upperBound + Scrubber.pieceBytes, end), number)
      }
    }
  }

  private func endScrub(_ state: Scrub.State) {
    guard scrub?.state == .running else { return }
    scrub?.state = state
    scrub?.endedNanoseconds = reactor.now
    scrubQueue = []
    unsafe surroundings.nexusChanged()
  }
}
