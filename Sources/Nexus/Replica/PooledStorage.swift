import Pool
import Reactor

/// A pool's replica as what stands behind a gate.
public final class PooledStorage: ReplicaStorage {
  public let replica: PoolReplica

  /// On the replica's reactor. Whoever opened the replica closes it.
  public init(_ replica: PoolReplica) {
    self.replica = replica
    super.init(sizeBytes: replica.sizeBytes, blockSizeBytes: replica.blockSizeBytes)
  }

  public override var id: Identifier { replica.id }
  public override var metadata: ReplicaMetadata { replica.metadata }
  public override var options: PoolOptions { replica.options }
  public override var isWriteThrough: Bool { replica.isWriteThrough }
  public override var snapshots: [Identifier] { replica.snapshots }

  public override func submit(_ request: BlockRequest, for client: BlockClient) { replica.submit(request, for: client) }
  public override func discardUnstarted(of client: BlockClient) { replica.discardUnstarted(of: client) }

  public override func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) { replica.storeClaim(claim) { done(Self.refusal($0)) } }

  public override func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    replica.setRegions(set, regions, isMember: isMember) { done(Self.refusal($0)) }
  }

  public override func forgetPeer(_ peer: Identifier, done: @escaping Done) { replica.forgetPeer(peer) { done(Self.refusal($0)) } }

  public override func clearLostCache(done: @escaping Done) { replica.clearLostCache { done(Self.refusal($0)) } }

  public override func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    let list = replica.allocatedRanges(fromOffsetBytes: fromOffsetBytes, limit: limit)
    return (list.ranges.map { $0.offsetBytes..<$0.offsetBytes + $0.byteCount }, list.nextOffsetBytes)
  }

  public override func changedRanges(
    of later: Identifier?, since earlier: Identifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    guard let list = replica.ranges(of: later, since: earlier, fromOffsetBytes: fromOffsetBytes, limit: limit) else { return nil }
    return (list.ranges.map { $0.offsetBytes..<$0.offsetBytes + $0.byteCount }, list.nextOffsetBytes)
  }

  public override func openSnapshot(_ id: Identifier) -> BlockDevice? { replica.openSnapshot(id) }

  public override func closeSnapshot(_ snapshot: BlockDevice) { (snapshot as? PoolSnapshot)?.close() }

  public override func createSnapshot(_ id: Identifier, sizeBytes: UInt64, done: @escaping Done) {
    replica.createSnapshot(id, sizeBytes: sizeBytes) { done(Self.refusal($0)) }
  }

  public override func deleteSnapshot(_ id: Identifier, done: @escaping Done) {
    replica.deleteSnapshot(id) { done(Self.refusal($0)) }
  }

  public override func grow(toSizeBytes: UInt64, done: @escaping Done) {
    replica.grow(toSizeBytes: toSizeBytes) { [self] error in
      grow(toSizeBytes: replica.sizeBytes)
      done(Self.refusal(error))
    }
  }

  /// What a nexus has to know of a pool's refusal.
  static func refusal(_ error: PoolError?) -> ReplicaRefusal? {
    guard let error else { return nil }
    switch error {
    case .noSpace, .metadataFull, .overcommitted, .activityLogFull: return .noSpace
    case .replicaInUse: return .busy
    case .unknownReplica, .unknownSnapshot, .replicaExists, .invalidReplicaSize, .invalidRegion, .invalidOptions:
      return .invalid(error.message)
    default: return .faulted(error.message)
    }
  }
}
