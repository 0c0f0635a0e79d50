import Foundation

/// How replicas of a volume are made equal, beside giving way to hosts.
public struct RebuildPolicy: Codable, Equatable, Sendable {
  private var paused: Bool?
  /// Of all rebuilds and scrubs of the volume together; nil for no limit.
  public var bytesPerSecond: UInt64?

  public init(isPaused: Bool = false, bytesPerSecond: UInt64? = nil) {
    paused = isPaused ? true : nil
    self.bytesPerSecond = bytesPerSecond
  }

  public var isPaused: Bool {
    get { paused ?? false }
    set { paused = newValue ? true : nil }
  }
}

/// What becomes of a replica that is far slower than its peers.
public enum SlowReplicaPolicy: String, Codable, Sendable, CaseIterable {
  /// People are told.
  case report
  /// It leaves the in-sync set, where the set allows that.
  case drop
}

/// A scrub that somebody asked for (R20).
public struct ScrubRequest: Codable, Equatable, Sendable {
  /// Another one for every request: it is done once.
  public var id: UUID
  public var requestedAt: Date
  /// The replica whose bytes count where no majority says which copy is right.
  public var trusted: ReplicaID?
  private var stopped: Bool?

  public init(id: UUID = UUID(), requestedAt: Date, trusted: ReplicaID? = nil) {
    self.id = id
    self.requestedAt = Date(timeIntervalSince1970: requestedAt.timeIntervalSince1970.rounded(.down))
    self.trusted = trusted
  }

  /// It shall go no further.
  public var isStopped: Bool {
    get { stopped ?? false }
    set { stopped = newValue ? true : nil }
  }
}

/// An operator's word that a volume goes on from a replica that lacks acknowledged writes (R6, R7).
///
/// It holds for the moment it was given for: where the in-sync record has changed since, or it is old, nothing is done.
public struct ForceRequest: Codable, Equatable, Sendable {
  public static let validSeconds = 600.0

  /// Another one for every request: it is decided once.
  public var id: UUID
  public var requestedAt: Date
  /// The replica to go on from.
  public var replica: ReplicaID
  /// What the operator saw of the in-sync record: the set, and the generation that served last.
  public var servedGeneration: UInt64
  public var setVersion: UInt64

  public init(id: UUID = UUID(), requestedAt: Date, replica: ReplicaID, record: InSyncRecord) {
    self.id = id
    self.requestedAt = Date(timeIntervalSince1970: requestedAt.timeIntervalSince1970.rounded(.down))
    self.replica = replica
    servedGeneration = record.confirmedGeneration ?? 0
    setVersion = record.setVersion
  }
}

/// What became of a `ForceRequest`.
public struct ForceOutcome: Codable, Equatable, Sendable {
  public var id: UUID
  /// Why nothing was done; nil if the volume goes on from the replica that was named.
  public var refusal: String?

  public init(id: UUID, refusal: String? = nil) {
    self.id = id
    self.refusal = refusal
  }
}

/// An operator gives up the content of a replica that a force left behind.
public struct DiscardRequest: Codable, Equatable, Sendable {
  public var replica: ReplicaID
  /// The force it is meant for; another one may leave it behind again.
  public var force: UUID

  public init(replica: ReplicaID, force: UUID) {
    self.replica = replica
    self.force = force
  }
}

/// What a volume's specification says that its nexus has to know while it runs. The controller carries it into the assignment.
public struct VolumeOrders: Codable, Equatable, Sendable {
  public var rebuild: RebuildPolicy?
  public var slowReplicas: SlowReplicaPolicy?
  public var scrub: ScrubRequest?
  public var force: ForceRequest?
  public var discarded: [DiscardRequest]?

  public init(_ spec: VolumeSpec) {
    rebuild = spec.rebuild
    slowReplicas = spec.slowReplicas
    scrub = spec.scrub
    force = spec.force
    discarded = spec.discarded
  }

  public var isEmpty: Bool { rebuild == nil && slowReplicas == nil && scrub == nil && force == nil && discarded == nil }
}
