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
  open func createSnapshot(_ id: Identifier, done: @escaping Done) { preconditionFailure("createSnapshot is not implemented") }
  open func deleteSnapshot(_ id: Identifier, done: @escaping Done) { preconditionFailure("deleteSnapshot is not implemented") }
  /// Also makes this device larger.
  open func grow(toSizeBytes: UInt64, done: @escaping Done) { preconditionFailure("grow is not implemented") }
}
