import Pool
import Reactor

/// What a replica's gate keeps: its data, and what its pool remembers of it. A pool's replica, or a simulated one.
///
/// Everything asked is answered later on the same reactor, in the order of asking, when it is durable.
open class ReplicaStorage: BlockDevice {
  public typealias Done = (ReplicaRefusal?) -> Void

  open var id: Identifier { preconditionFailure("id is not implemented") }
  open var metadata: ReplicaMetadata { preconditionFailure("metadata is not implemented") }
  open var options: PoolOptions { preconditionFailure("options is not implemented") }
  /// What was written is durable without a flush.
  open var isWriteThrough: Bool { preconditionFailure("isWriteThrough is not implemented") }
  /// Of its volume, oldest first.
  open var snapshots: [Identifier] { preconditionFailure("snapshots is not implemented") }

  open func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) { preconditionFailure("storeClaim is not implemented") }
  open func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    preconditionFailure("setRegions is not implemented")
  }
  open func forgetPeer(_ peer: Identifier, done: @escaping Done) { preconditionFailure("forgetPeer is not implemented") }
  open func clearLostCache(done: @escaping Done) { preconditionFailure("clearLostCache is not implemented") }
  /// Ranges that hold data, ascending, at most `limit`.
  open func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    preconditionFailure("allocatedRanges is not implemented")
  }
  /// Ranges in which a state may differ from an earlier one, ascending, at most `limit`; nil if there is no such snapshot.
  open func changedRanges(
    of later: Identifier?, since earlier: Identifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    preconditionFailure("changedRanges is not implemented")
  }
  /// A snapshot to be read; nil if there is none. It cannot be deleted until it is closed.
  open func openSnapshot(_ id: Identifier) -> BlockDevice? { preconditionFailure("openSnapshot is not implemented") }
  open func closeSnapshot(_ snapshot: BlockDevice) { preconditionFailure("closeSnapshot is not implemented") }
  /// The snapshot ends where the replica does, or at `sizeBytes` if that is before.
  open func createSnapshot(_ id: Identifier, sizeBytes: UInt64, done: @escaping Done) {
    preconditionFailure("createSnapshot is not implemented")
  }
  open func deleteSnapshot(_ id: Identifier, done: @escaping Done) { preconditionFailure("deleteSnapshot is not implemented") }
  /// Also makes this device larger.
  open func grow(toSizeBytes: UInt64, done: @escaping Done) { preconditionFailure("grow is not implemented") }
}
