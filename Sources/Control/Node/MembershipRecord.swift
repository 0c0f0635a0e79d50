import Foundation
import Nexus
import Synchronization

/// A nexus's hold on its volume's in-sync record: claims it, and changes it while nobody else has (R2, R3).
///
/// Every change is one compare-and-swap that checks generation and incarnation. A lost reply is read back: the record's own
/// content says whether the change is in it.
final class MembershipRecord: Sendable {
  private let node: NodeContext
  private let volume: VolumeID
  /// The record as the claim left it, and the store's revision with it.
  let claimed: InSyncRecord
  let storeRevision: UInt64
  /// The revision of the last version of the record that is known to be this nexus's.
  private let knownRevision: Atomic<UInt64>
  private let isAbandoned = Atomic(false)

  private init(node: NodeContext, volume: VolumeID, claimed: InSyncRecord, storeRevision: UInt64) {
    self.node = node
    self.volume = volume
    self.claimed = claimed
    self.storeRevision = storeRevision
    knownRevision = Atomic(storeRevision)
  }

  var generation: UInt64 { claimed.generation }

  /// Takes the volume over with the next generation, its members unchanged; nil when the record changed meanwhile, or this node is no longer
  /// the assigned one (`assignment` holds no more).
  static func claim(
    node: NodeContext, volume: VolumeID, record: Stored<InSyncRecord>, assignment: StoreCompare
  ) throws -> MembershipRecord? {
    var next = record
    next.object.generation += 1
    next.object.nexusNode = node.name
    next.object.nexusIncarnation = node.incarnation
    // Nobody begins by a store that went back in time (R18).
    let isTrusted = StoreCompare.absent(key: Keys.storeDoubt(of: Keys.controllerName))
    let outcome = try node.commits.transact(
      StoreTransaction(compares: [record.isUnchanged, assignment, isTrusted], operations: [next.replacement]))
    guard let revision = outcome.committedRevision else { return nil }
    return MembershipRecord(node: node, volume: volume, claimed: next.object, storeRevision: UInt64(revision))
  }

  /// Commits a change and returns when its outcome is known. Waits while the store is away: until then nothing that depends on
  /// the change may be acknowledged.
  func commit(_ change: MembershipChange) -> MembershipOutcome {
    var delay: useconds_t = 20_000
    while !isAbandoned.load(ordering: .relaxed) {
      do {
        let known = knownRevision.load(ordering: .relaxed)
        guard let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(volume)) else { return .fenced }
        if isBehind(record, known) {
          usleep(delay)
          delay = min(delay * 2, 1_000_000)
          continue
        }
        guard record.object.generation == generation, record.object.nexusIncarnation == node.incarnation else { return .fenced }
        var next = record
        apply(change, to: &next.object)
        // Already there: the reply of an earlier try was lost.
        if next.object == record.object {
          return .committed(setVersion: record.object.setVersion, storeRevision: UInt64(record.modRevision))
        }
        let outcome = try node.commits.transact(
          StoreTransaction(compares: [record.isUnchanged], operations: [next.replacement]))
        if let revision = outcome.committedRevision {
          knownRevision.store(revision, ordering: .relaxed)
          return .committed(setVersion: next.object.setVersion, storeRevision: UInt64(revision))
        }
      } catch {
        node.log.write("volume \(volume): a membership change waits for the state store: \(error)")
        usleep(delay)
        delay = min(delay * 2, 1_000_000)
      }
    }
    return .fenced
  }

  /// Changes what is no matter of membership, as long as the record is this nexus's; waits while the store is away. False if it is not any
  /// more, or it was abandoned.
  func amend(_ change: (inout InSyncRecord) -> Void) -> Bool {
    var delay: useconds_t = 20_000
    while !isAbandoned.load(ordering: .relaxed) {
      do {
        let known = knownRevision.load(ordering: .relaxed)
        guard var record = try node.store.object(InSyncRecord.self, at: Keys.inSync(volume)) else { return false }
        if isBehind(record, known) {
          usleep(delay)
          delay = min(delay * 2, 1_000_000)
          continue
        }
        guard record.object.generation == generation, record.object.nexusIncarnation == node.incarnation else { return false }
        let old = record.object
        change(&record.object)
        if record.object == old { return true }
        let transaction = StoreTransaction(compares: [record.isUnchanged], operations: [record.replacement])
        if let revision = try node.commits.transact(transaction).committedRevision {
          knownRevision.store(revision, ordering: .relaxed)
          return true
        }
      } catch {
        node.log.write("volume \(volume): a note beside its membership waits for the state store: \(error)")
        usleep(delay)
        delay = min(delay * 2, 1_000_000)
      }
    }
    return false
  }

  /// Whether the store went back to before this nexus's last change: what it says of the members is not true any more, so nothing is changed by it,
  /// and what waits for a change goes on waiting (R18).
  private func isBehind(_ record: Stored<InSyncRecord>, _ known: UInt64) -> Bool {
    if record.modRevision >= known { return false }
    node.log.write("volume \(volume): the state store went back in time; its membership is not changed by it")
    return true
  }

  /// The same change twice is the same as once.
  private func apply(_ change: MembershipChange, to record: inout InSyncRecord) {
    let members = change.members.map(ReplicaID.init)
    if members != record.members { record.setVersion += 1 }
    record.members = members
    if change.isConfirming { record.confirmedGeneration = generation }
    record.sizeBytes = change.sizeBytes
    record.take(change.snapshots, now: Date.now)
    record.out.removeAll { members.contains($0.id) }
    for absence in change.leaving {
      let id = ReplicaID(absence.replica)
      if record.out.contains(where: { $0.id == id && $0.atGeneration == generation }) { continue }
      record.out.removeAll { $0.id == id }
      record.out.append(
        .init(
          id: id, reason: absence.reason, atGeneration: generation, acceptedGeneration: absence.generation == 0 ? nil : absence.generation))
      record.out[record.out.count - 1].leftAt = Date(timeIntervalSince1970: Date.now.timeIntervalSince1970.rounded(.down))
    }
    for id in change.returning.map(ReplicaID.init) {
      for index in record.out.indices where record.out[index].id == id { record.out[index].acceptedGeneration = generation }
    }
  }

  /// Ends a commit that waits for the store: the nexus stops without it.
  func abandon() { isAbandoned.store(true, ordering: .relaxed) }
}
