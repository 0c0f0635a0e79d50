import Pool

/// Replicas that are taken from a volume while it runs, and those that take their place.
extension Nexus {
  /// A replica is no longer one of the volume. A member leaves as soon as the set may shrink without it (R1, R2), which may be when another
  /// one has joined; then nothing is kept of it, and `members` has it no more. Its door need not be there.
  public func removeReplica(_ id: Identifier) {
    guard let index = replicas.firstIndex(where: { $0.id == id }), !replicas[index].isUnwanted, !isOver else { return }
    replicas[index].isUnwanted = true
    letGoOfUnwanted()
  }

  /// The volume is to have more or fewer replicas. A larger number holds only once so many are in sync, which is why it is to be said again: replicas
  /// that are still to come are no reason to stop serving.
  public func setMinInSync(_ count: Int) {
    precondition((1...Self.maximumMembers).contains(count))
    if count == minInSync || (count > minInSync && setMask.nonzeroBitCount < count) { return }
    minInSync = count
    serveIfPossible()
  }

  /// Lets go of those that are not wanted any more, as far as the set allows.
  func letGoOfUnwanted() {
    for index in replicas.indices where replicas[index].isUnwanted && !replicas[index].isForgotten && !isOver { letGo(index) }
  }

  private func letGo(_ index: Int) {
    let bit = Self.bit(index)
    // Its way in or out comes to its end first.
    guard phase == .prepared, (leavingMask | joiningMask) & bit == 0 else { return }
    guard setMask & bit != 0 else {
      // What is being stored about the set may be about it.
      return membershipStep == nil ? forget(index) : ()
    }
    let rest = healthyMask & ~bit
    guard activeMask != 0, rest.nonzeroBitCount >= minInSync, rest & ~lostMask != 0 else { return }
    leave(index, "it was taken from the volume")
  }

  /// It is in no set, and its record need not be kept.
  private func forget(_ index: Int) {
    let id = replicas[index].id
    if resyncs[index] != nil { endResync(index, "it was taken from the volume") }
    closeDoor(index)
    let kept = ~Self.bit(index)
    recordedMask &= kept
    unrecordedMask &= kept
    rolledBackMask &= kept
    returnKnownMask &= kept
    returningMask &= kept
    writeThroughMask &= kept
    saidLostMask &= kept
    replicas[index].isForgotten = true
    replicas[index].reason = "taken from the volume"
    askAll(logMask, { _ in [.forgetPeer(id)] }, then: {})
    scheduleSnapshots(0)
    unsafe surroundings.nexusChanged()
  }

  /// Where a replica that was not known so far may stand: beside the others, or in the place of one that has gone, once nothing of that
  /// one can be taken for an answer of it; nil if there is none now.
  func placeForReplica() -> Int? {
    if let gone = replicas.indices.first(where: { replicas[$0].isForgotten && !isMentioned($0) }) { return gone }
    return replicas.count < Self.maximumMembers ? replicas.count : nil
  }

  private func isMentioned(_ index: Int) -> Bool {
    let bit = Self.bit(index)
    if copiers.contains(where: { $0.isBusy }) || scrubber?.isBusy == true || !restorers.isEmpty || membershipStep != nil {
      return true
    }
    return (0..<slots.capacity).contains { slots.isInUse($0) && (slots[$0].sentMask | slots[$0].failedMask) & bit != 0 }
  }

  func replace(_ index: Int, by entry: ReplicaEntry) {
    var entry = entry
    // Late answers of the old one are known by it.
    entry.session = replicas[index].session + 1
    replicas[index] = entry
    recordedMask &= ~Self.bit(index)
    unrecordedMask &= ~Self.bit(index)
    for id in cleanMasks.keys.sorted() { cleanMasks[id]! &= ~Self.bit(index) }
  }

  /// No record of it from before this lineage counts; one that was begun since does.
  func isOfAnotherLineage(_ index: Int) -> Bool { replicas[index].isForeign && recordedMask & Self.bit(index) == 0 }
}
