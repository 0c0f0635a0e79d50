import Nexus
import Pool

/// The way of one nexus to the store: commits its changes and tries until the outcome is known (R2).
final class SimulatedSurroundings: NexusSurroundings {
  private let world: World
  private let store: SimulatedStore
  private let process: NodeProcess
  private let generation: UInt64
  private let nexusID: Identifier
  private var known: StoreRecord
  private let minInSync: Int
  private var isCommitting = false
  /// Tells the nexus how its commit ended.
  var committed: (MembershipOutcome) -> Void = { _ in }
  var newsCount = 0
  var changed: () -> Void = {}

  init(world: World, store: SimulatedStore, process: NodeProcess, record: StoreRecord, minInSync: Int) {
    self.world = world
    self.store = store
    self.process = process
    generation = record.generation
    nexusID = record.nexusID
    known = record
    self.minInSync = minInSync
  }

  var bootNanoseconds: (() -> UInt64)? { { [process] in process.bootNanoseconds } }

  func nexusChanged() {
    newsCount += 1
    changed()
  }

  func commit(_ change: MembershipChange) {
    check(change)
    isCommitting = true
    attempt(change, known.setVersion)
  }

  /// What a nexus must never ask for.
  private func check(_ change: MembershipChange) {
    if isCommitting { world.fail("a commit was asked for before the one before it was known") }
    if change.members.count < minInSync {
      world.fail("a set of \(change.members.count) was to be committed, below the least of \(minInSync)")
    }
    let expected = Set(known.members).subtracting(change.leaving.map(\.replica)).union(change.joining)
    if Set(change.members) != expected || change.members.count != expected.count {
      world.fail("a change does not fit the set it starts from")
    }
    if !Set(change.returning).isDisjoint(with: change.members) { world.fail("a replica was to return that is in the set") }
    if change.sizeBytes < known.sizeBytes { world.fail("the volume was to become smaller") }
    for snapshot in known.snapshots where snapshot.state == .ready {
      if change.snapshots.first(where: { $0.id == snapshot.id })?.state ?? .preparing == .preparing {
        world.fail("a snapshot that was ready was to be forgotten")
      }
    }
    if change.joining.contains(where: { known.members.contains($0) }) { world.fail("a member was to join the set it is in") }
  }

  private func attempt(_ change: MembershipChange, _ version: UInt64) {
    let (generation, nexusID) = (generation, nexusID)
    store.transact(from: process) { record in
      guard record.generation == generation, record.nexusID == nexusID, record.setVersion == version else { return false }
      record.setVersion += 1
      if change.isConfirming { record.confirmedGeneration = generation }
      record.sizeBytes = change.sizeBytes
      record.snapshots = change.snapshots
      var absent = record.absent + change.leaving.map { StoreRecord.Absent(id: $0.replica, generation: $0.generation) }
      for index in absent.indices where change.returning.contains(absent[index].id) { absent[index].generation = generation }
      record.members = change.members
      record.absent = absent.filter { !change.members.contains($0.id) }
      return true
    } then: { [self] reply in
      switch reply {
      case .lost:
        world.after(world.generator.within(50_000_000...500_000_000), in: process) { [self] in attempt(change, version) }
      case .answered(_, let record):
        // Only the nexus of a generation changes its set: a newer version under it is this change.
        let isOurs = record.generation == generation && record.nexusID == nexusID
        conclude(isOurs ? .committed(setVersion: record.setVersion, storeRevision: record.revision) : .fenced, record)
      }
    }
  }

  private func conclude(_ outcome: MembershipOutcome, _ record: StoreRecord) {
    isCommitting = false
    if case .committed = outcome { known = record }
    committed(outcome)
  }
}
