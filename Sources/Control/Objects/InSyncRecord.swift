import Foundation

/// The replicas that hold every acknowledged write (R2, R3). At `insync/<volumeID>`, written by compare-and-swap only: by the controller when
/// it creates the volume, then by the volume's nexus.
public struct InSyncRecord: StoredObject {
  public static let kind = "in-sync record"

  /// A replica that left the set.
  public struct Absent: Codable, Equatable, Sendable {
    public var id: ReplicaID
    public var reason: String
    /// The generation in which it left.
    public var atGeneration: UInt64
    /// The latest that it is known to have accepted (R3); absent where that is not known.
    public var acceptedGeneration: UInt64?
    /// When it left; absent where that was not written down.
    public var leftAt: Date?
    /// The force that left it behind: nobody touches it until it is discarded (R6).
    public var keptBy: UUID?
    private var foreign: Bool?

    /// A force came between it and the set: what others recorded of it does not count, and all of it is compared (R6).
    public var isForeign: Bool {
      get { foreign ?? false }
      set { foreign = newValue ? true : nil }
    }

    public init(id: ReplicaID, reason: String, atGeneration: UInt64, acceptedGeneration: UInt64? = nil) {
      self.id = id
      self.reason = reason
      self.atGeneration = atGeneration
      self.acceptedGeneration = acceptedGeneration
    }
  }

  /// What the nexus did about a snapshot of the volume (R15).
  public struct Snapshot: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable {
      /// It is being taken. A nexus that finds it so has another taken instead.
      case preparing
      /// All members have it, with the same content, and every replica gets it before it becomes a member.
      case ready
      /// It is being deleted wherever it is; it leaves the record when no replica has it any more.
      case deleting
    }

    /// The `SnapshotSpec`'s.
    public var id: SnapshotID
    /// What it is called in the pools, a UUID: another one for each time that taking it was tried.
    public var replicaSnapshot: String
    public var state: State
    /// Of the volume when it was taken.
    public var sizeBytes: UInt64
    /// When it was ready.
    public var takenAt: Date?

    public init(id: SnapshotID, replicaSnapshot: String, state: State, sizeBytes: UInt64, takenAt: Date? = nil) {
      self.id = id
      self.replicaSnapshot = replicaSnapshot
      self.state = state
      self.sizeBytes = sizeBytes
      self.takenAt = takenAt.map { Date(timeIntervalSince1970: $0.timeIntervalSince1970.rounded(.down)) }
    }
  }

  /// 0 until the first nexus starts; each start takes a number never used before.
  public var generation: UInt64
  /// Raised by every change of the members.
  public var setVersion: UInt64
  public var nexusNode: String
  /// The incarnation of the nexus's process; empty at generation 0.
  public var nexusIncarnation: String
  public var members: [ReplicaID]
  public var out: [Absent]
  /// The latest generation that served: every member has accepted it (R3). Absent before the first.
  public var confirmedGeneration: UInt64?
  /// What every member's size is at least, and the volume's for hosts (R15). Absent for that of the assignment.
  public var sizeBytes: UInt64?
  /// Oldest first. Absent for none.
  private var snapshotList: [Snapshot]?
  /// Snapshots that were ready and are not any more, the latest: none is ever taken again under the same id. Absent for none.
  public var endedSnapshots: [SnapshotID]?

  enum CodingKeys: String, CodingKey {
    case generation, setVersion, nexusNode, nexusIncarnation, members, out, confirmedGeneration, sizeBytes, lastScrub, endedSnapshots
    case lastForce
    case snapshotList = "snapshots"
  }

  public var snapshots: [Snapshot] {
    get { snapshotList ?? [] }
    set { snapshotList = newValue.isEmpty ? nil : newValue }
  }
  /// The last scrub that ended, whichever node ran it.
  public var lastScrub: ScrubStatus?
  /// What became of the last force that was asked for.
  public var lastForce: ForceOutcome?

  public init(
    generation: UInt64, setVersion: UInt64, nexusNode: String, nexusIncarnation: String, members: [ReplicaID], out: [Absent] = [],
    confirmedGeneration: UInt64? = nil, sizeBytes: UInt64? = nil
  ) {
    self.generation = generation
    self.setVersion = setVersion
    self.nexusNode = nexusNode
    self.nexusIncarnation = nexusIncarnation
    self.members = members
    self.out = out
    self.confirmedGeneration = confirmedGeneration
    self.sizeBytes = sizeBytes
  }
}
