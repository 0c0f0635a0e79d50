import Pool
import Reactor

/// A nexus's session with one replica, local or remote: the one door through which everything goes (R3).
///
/// Data go through `submit`, as to any block device, and are refused before a claim was accepted and after a higher one was. All
/// else is a question. Bound to one reactor like every block device; answers arrive there, later, never from inside `ask`.
open class ReplicaDoor: BlockDevice {
  /// Asks, and tells the answer once. The questions of one door are taken in order; their answers may come in any.
  open func ask(_ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    preconditionFailure("ask is not implemented")
  }

  /// Called once, on the reactor, when the session is over: the connection was lost, or a higher claim was accepted. Requests and
  /// questions under way still end, with `.connectionLost` or what became of them.
  public final var sessionEnded: ((ReplicaRefusal) -> Void)?
}

/// What a nexus asks a replica.
public enum ReplicaQuestion: Equatable, Sendable {
  /// To be the one that does I/O from now on (R3). Answered with `claimed` when the claim is durable, everything of older claims is
  /// settled and the lease last granted is over.
  case claim(ReplicaClaim)
  /// The same, of a replica that is known to have accepted `floorGeneration` once. One that holds an older claim has lost its data, or
  /// is an old copy (R3): it stores nothing and refuses with `rolledBack`.
  case claimFrom(ReplicaClaim, floorGeneration: UInt64)
  /// To store another in-sync set under the claim held (R2).
  case storeSet(ReplicaClaim)
  /// For another lease (R3b), answered with `leased`.
  case renewLease
  /// To end claim and lease now: a stop in order.
  case release
  /// To take regions into the activity log or a peer's missed regions, or out of them, durably (R5, R6). An empty list creates the
  /// record about a peer.
  case setRegions(RegionSetName, [Range<Int>], isMember: Bool)
  /// To forget what a peer missed.
  case forgetPeer(Identifier)
  /// To take note that what its cache lost was made good (R7).
  case clearLostCache
  /// For the checksums of whole 4 KiB blocks, at most `ReplicaQuestion.maximumChecksummedBytes` of them; answered with `checksums`.
  case checksums(offsetBytes: UInt64, byteCount: UInt64)
  /// For the ranges that hold data, ascending, from an offset on; answered with `ranges`.
  case allocatedRanges(fromOffsetBytes: UInt64)
  /// For the activity log and missed regions as they are now; answered with `metadata`.
  case metadata
  /// To freeze its data under a new name, up to a size (R15).
  case createSnapshot(Identifier, sizeBytes: UInt64)
  case deleteSnapshot(Identifier)
  /// For the checksums of blocks of a snapshot, as `checksums`.
  case snapshotChecksums(Identifier, offsetBytes: UInt64, byteCount: UInt64)
  /// For bytes of a snapshot, at most `ReplicaQuestion.maximumDataBytes`; answered with `data`.
  case readSnapshot(Identifier, offsetBytes: UInt64, byteCount: UInt64)
  /// For the ranges in which a state may differ from an earlier one, ascending, from an offset on; answered with `ranges`. States are
  /// snapshots; none stands for the data as they are now, and as the earlier one for nothing at all.
  case changedRanges(of: Identifier?, since: Identifier?, fromOffsetBytes: UInt64)
  /// To become larger (R15).
  case grow(toSizeBytes: UInt64)

  public static let maximumChecksummedBytes: UInt64 = 4 << 20
  public static let maximumDataBytes: UInt64 = 256 << 10
}

public enum ReplicaAnswer: Equatable, Sendable {
  case done
  case claimed(ClaimedReplica)
  /// The lease runs this long from when the question was sent.
  case leased(nanoseconds: UInt64)
  /// CRC-32C of each block, in order. A hole has the checksum of zeros.
  case checksums([UInt32])
  /// In bytes, ascending; the next offset to ask from, or nil at the end.
  case ranges([Range<UInt64>], nextOffsetBytes: UInt64?)
  case metadata(ReplicaMetadata)
  case data([UInt8])
}

/// What a replica tells the nexus whose claim it accepted.
public struct ClaimedReplica: Equatable, Sendable {
  /// As it was before this claim: the claim accepted last, activity log, missed regions, whether its cache may be lost (R7).
  public var before: ReplicaMetadata
  /// Another one for every run of the process that holds the replica (R2).
  public var incarnation: Identifier
  public var sizeBytes: UInt64
  /// The unit of activity log and missed regions, and how many regions the log holds at most.
  public var regionBytes: UInt64
  public var maximumHotRegions: Int
  /// What was written is durable: flushes can be spared.
  public var isWriteThrough: Bool
  public var leaseNanoseconds: UInt64
  /// Oldest first.
  public var snapshots: [Identifier]

  public init(
    before: ReplicaMetadata, incarnation: Identifier, sizeBytes: UInt64, regionBytes: UInt64, maximumHotRegions: Int,
    isWriteThrough: Bool, leaseNanoseconds: UInt64, snapshots: [Identifier]
  ) {
    self.before = before
    self.incarnation = incarnation
    self.sizeBytes = sizeBytes
    self.regionBytes = regionBytes
    self.maximumHotRegions = maximumHotRegions
    self.isWriteThrough = isWriteThrough
    self.leaseNanoseconds = leaseNanoseconds
    self.snapshots = snapshots
  }
}

/// Why a replica did not do what it was asked.
public enum ReplicaRefusal: Error, Equatable, Sendable {
  /// Another nexus holds the replica with this generation, or held it with a higher one.
  case claimed(generation: UInt64)
  /// The replica holds a claim of this generation only, lower than it is known to have accepted; 0 when it is new.
  case rolledBack(generation: UInt64)
  /// The question needs a claim, and this session holds none.
  case unclaimed
  /// The session is over; whether it was done is not known.
  case lost
  /// No memory or slot now; nothing happened.
  case busy
  case noSpace
  /// The device failed; in words.
  case faulted(String)
  /// The question makes no sense here: a range outside the replica, an unknown snapshot; in words.
  case invalid(String)
}
