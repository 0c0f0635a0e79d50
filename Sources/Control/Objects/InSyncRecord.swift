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
  /// The last scrub that ended, whichever node ran it.
  public var lastScrub: ScrubStatus?
  /// What became of the last force that was asked for.
  public var lastForce: ForceOutcome?

  public init(
    generation: UInt64, setVersion: UInt64, nexusNode: String, nexusIncarnation: String, members: [ReplicaID], out: [Absent] = [],
    confirmedGeneration: UInt64? = nil
  ) {
    self.generation = generation
    self.setVersion = setVersion
    self.nexusNode = nexusNode
    self.nexusIncarnation = nexusIncarnation
    self.members = members
    self.out = out
    self.confirmedGeneration = confirmedGeneration
  }
}
