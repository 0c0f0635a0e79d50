import Pool

/// One copy of the volume as its nexus sees it.
public struct NexusMember: Equatable, Sendable {
  public enum State: Equatable, Sendable {
    /// In the set, and holds every acknowledged write.
    case inSync
    /// In the set, but cannot be used now, and why.
    case unreached(reason: String)
    /// Failed; its removal from the in-sync set is being committed (R2).
    case leaving(reason: String)
    /// Not in the set: serves no reads, and what it misses is recorded (R6).
    case out(reason: String)
    /// Not in the set, is sent every change, and is made equal (R4).
    case syncing
    /// Equal; its way into the set is being committed (R4).
    case joining
  }

  /// Averages of what changes took, when it was found.
  public struct Slowness: Equatable, Sendable {
    public let nanoseconds: UInt64
    /// Of the quickest other one.
    public let peerNanoseconds: UInt64

    /// For people.
    public var reason: String {
      "it is slow: its changes took \(nanoseconds / 1_000_000) ms on average, those of the quickest other replica "
        + "\(Double(peerNanoseconds / 100_000) / 10) ms"
    }
  }

  public let replica: Identifier
  public var state: State
  /// It is sent changes and answers far later than its peers, and has for a while.
  public var slow: Slowness?

  public init(replica: Identifier, state: State, slow: Slowness? = nil) {
    self.replica = replica
    self.state = state
    self.slow = slow
  }
}

/// What a nexus knows of one replica, beside the masks that the data path looks at.
struct ReplicaEntry {
  let id: Identifier
  var door: ReplicaDoor?
  /// Which door that is, to tell late answers of former ones.
  var session = 0
  /// What it answered to the claim of this session.
  var claimed: ClaimedReplica?
  var isClaiming = false
  /// The latest generation it is known to have accepted (R3).
  var floorGeneration: UInt64 = 0
  /// Its part of what was known before was taken in.
  var isTakenIn = false
  /// Why it is not in use.
  var reason: String
  /// On the lease clock; 0 without one.
  var leaseEndNanoseconds: UInt64 = 0
  var isRenewing = false
  /// Snapshots that it was asked to delete in this session.
  var cleaning: [Identifier] = []
  /// It was found to be slow.
  var slowness: NexusMember.Slowness?
  /// How long it was left alone after it failed last.
  var returnDelayNanoseconds: UInt64 = 0
  /// It is of another lineage: no record of it from before counts (R6).
  var isForeign: Bool
  /// It is no longer a replica of the volume, and goes as soon as the set allows that.
  var isUnwanted = false
  /// It has gone: its place may be another's.
  var isForgotten = false

  init(id: Identifier, reason: String, floorGeneration: UInt64 = 0, isForeign: Bool = false) {
    self.id = id
    self.reason = reason
    self.floorGeneration = floorGeneration
    self.isForeign = isForeign
  }
}
