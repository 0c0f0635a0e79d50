import Pool

/// What a nexus needs beside doors of replicas: a state store to commit its membership in, and ears for its news. All methods are
/// called on the nexus's reactor, and answers are given there.
///
/// The other direction is a handful of calls on the `Nexus`: `replicaAppeared` whenever there is a new door to one of its
/// replicas (the first time, after a lost connection, after a restart of its process; whether member or absent),
/// `membershipCommitted` when the outcome of a commit is known, and `shutDown` before it is let go.
///
/// Time comes from two places only: `Reactor.now` and the reactor's timers for everything that waits, and `bootNanoseconds` for
/// read leases.
public protocol NexusSurroundings: AnyObject {
  /// Commits a change of the in-sync set by compare-and-swap of generation and set version (R2), and answers with
  /// `Nexus.membershipCommitted` once the outcome is *known*; tries until then. One change at a time, never answered from inside
  /// this call.
  func commit(_ change: MembershipChange)
  /// State, members or rebuilds changed; for status and logs. Look at the nexus's properties.
  func nexusChanged()
  /// CLOCK_BOOTTIME now, or a simulated one, read at every use. Nil for the machine's own. Asked for once, at the start.
  var bootNanoseconds: (() -> UInt64)? { get }
}

/// What a nexus asks to have committed in the state store: the members, and with them all else that it decides of the volume.
/// Where `NexusConfiguration.confirmedGeneration` is given, the store also remembers with every change that says so (`isConfirming`) that this generation serves (`confirmedGeneration`), and of the replicas in `returning`, which are
/// absent still, that they accepted it (`Absence.generation`).
public struct MembershipChange: Equatable, Sendable {
  /// Replicas in the set after the change, in the nexus's order.
  public var members: [Identifier]
  /// Replicas that leave with it, and why.
  public var leaving: [Absence]
  /// Replicas that were not in the set and are now.
  public var joining: [Identifier]
  /// Absent replicas that have accepted this generation and are about to be made equal.
  public var returning: [Identifier]
  /// The volume's size from then on (R15).
  public var sizeBytes: UInt64
  /// All its snapshots from then on (R15).
  public var snapshots: [VolumeSnapshot]
  /// Every member has accepted this generation: a copy of one that has not is an old one from then on (R3). A change that is made while
  /// members are not reached says nothing of the kind; they may hold all there is.
  public var isConfirming: Bool

  public init(
    members: [Identifier], leaving: [Absence], joining: [Identifier], returning: [Identifier] = [], sizeBytes: UInt64,
    snapshots: [VolumeSnapshot] = [], isConfirming: Bool = true
  ) {
    self.isConfirming = isConfirming
    self.sizeBytes = sizeBytes
    self.snapshots = snapshots
    self.members = members
    self.leaving = leaving
    self.joining = joining
    self.returning = returning
  }
}

/// A replica of the volume that is not in the in-sync set.
public struct Absence: Equatable, Sendable {
  public var replica: Identifier
  public var reason: String
  /// The latest generation it is known to have accepted; 0 where that is not known.
  public var generation: UInt64
  /// It belongs to what the volume was before an operator's force (R6): it may hold what the volume never had since, and what anybody
  /// recorded of it does not count. All of it is compared.
  public var isForeign: Bool

  public init(_ replica: Identifier, reason: String, generation: UInt64 = 0, isForeign: Bool = false) {
    self.replica = replica
    self.reason = reason
    self.generation = generation
    self.isForeign = isForeign
  }
}

/// How a commit ended, once that is known.
public enum MembershipOutcome: Equatable, Sendable {
  /// With the set version and the store's revision from then on.
  case committed(setVersion: UInt64, storeRevision: UInt64)
  /// Another nexus has taken over, or this one is no longer assigned: it must stop.
  case fenced
}

/// What a nexus starts from: what the store said in the transaction that gave it its generation (R3).
public struct NexusConfiguration: Sendable {
  public enum SlowReplicas: Sendable {
    case report
    /// It leaves, if enough others stay.
    case drop
  }

  /// Whole units of 4096 bytes; as committed last.
  public var sizeBytes: UInt64
  /// As committed last.
  public var snapshots: [VolumeSnapshot] = []
  /// How long changes may wait for a snapshot; one that takes longer is given up.
  public var pauseNanoseconds: UInt64 = 5_000_000_000
  public var blockSizeBytes: UInt32
  /// Generation, nexus, and the in-sync set; its order is the order of members.
  public var claim: ReplicaClaim
  /// The volume's other replicas. One that is not mentioned here, nor in the set, is new when its door appears.
  public var absent: [Absence]
  /// The latest generation that served, according to the store: every member has accepted it. A member that says otherwise has lost its
  /// data or is an old copy (R3). Where this is given, nothing is served before a commit under this generation. Nil: members are
  /// taken at their word.
  public var confirmedGeneration: UInt64?
  /// The replica to read from first (the one on this node).
  public var nearest: Identifier?
  /// The set never shrinks below this many members; with fewer nothing is served (R1).
  public var minInSync: Int
  /// How long a start waits for members that do not appear before it goes on without them.
  public var graceNanoseconds: UInt64 = 20_000_000_000
  /// How long a command may wait inside before its host is told to look elsewhere (R12).
  public var patienceNanoseconds: UInt64 = 18_000_000_000
  /// What becomes of a replica that is far slower than its peers (`STATES.md`), and after how long.
  public var slowReplicas = SlowReplicas.report
  public var slowNanoseconds: UInt64 = 10_000_000_000
  /// Regions leave the activity log when nothing changed in them for so long.
  public var idleNanoseconds: UInt64 = 2_000_000_000
  /// Ranges of regions in one question to a replica, at most.
  public var rangesPerQuestion = ReplicaQuestion.maximumMessageRanges

  public init(
    sizeBytes: UInt64, blockSizeBytes: UInt32, claim: ReplicaClaim, absent: [Absence] = [], nearest: Identifier? = nil,
    minInSync: Int = 1
  ) {
    self.sizeBytes = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    self.claim = claim
    self.absent = absent
    self.nearest = nearest
    self.minInSync = minInSync
  }
}
