import Pool

/// A snapshot of the volume as the store has it (R15).
public struct VolumeSnapshot: Equatable, Sendable {
  public enum State: Equatable, Sendable {
    /// It is being taken, or a nexus died over it: the next one deletes it and has another taken.
    case preparing
    /// Every member has it, with the same content, and every replica has it before it joins.
    case ready
    /// It goes, from every replica that has it; then from the store.
    case deleting
  }

  /// What it is called on the replicas: another one for each try, so that nothing that was begun for one can become part of another.
  public let id: Identifier
  /// What it was asked for as.
  public let request: Identifier
  public var state: State
  /// Of the volume when it was taken.
  public let sizeBytes: UInt64

  public init(id: Identifier, request: Identifier, state: State, sizeBytes: UInt64) {
    self.id = id
    self.request = request
    self.state = state
    self.sizeBytes = sizeBytes
  }
}

/// What the store says of the volume beside its members.
struct VolumeRecord: Equatable {
  /// Every member has at least so many bytes.
  var sizeBytes: UInt64
  /// Oldest first.
  var snapshots: [VolumeSnapshot]

  var ready: [VolumeSnapshot] { snapshots.filter { $0.state == .ready } }
}

/// Why a snapshot was not taken, or a volume is no larger; in words.
public struct SnapshotFailure: Error, Equatable, Sendable {
  public let reason: String

  public init(_ reason: String) { self.reason = reason }
}

extension Nexus {
  /// What the store will say when all that is on its way has been committed.
  var plannedRecord: VolumeRecord { dueRecord ?? membershipStep?.record ?? record }

  /// Has a change committed, with the next change of members if there is one.
  func changeRecord(_ change: (inout VolumeRecord) -> Void) {
    var next = plannedRecord
    change(&next)
    dueRecord = next
    after { [self] in commitIfNeeded() }
  }

  /// Snapshots as the store has them, oldest first.
  public var snapshots: [VolumeSnapshot] { record.snapshots }

  /// The store has another record, and the replicas have stored the set that came with it.
  func recordSettled() {
    growIfCommitted()
    stepSnapshots()
  }
}
