import Reactor

/// What a nexus tells a replica, and asks it, on the replica's own reactor. Answers come there too, when what was asked is durable,
/// and may come from inside the call.
extension PoolReplica {
  public typealias Done = (PoolError?) -> Void

  /// What the pool is set to.
  public var options: PoolOptions { engine.state.options }

  /// Snapshots of its volume, oldest first.
  public var snapshots: [Identifier] {
    engine.state.snapshots.values.filter { $0.volumeID == volumeID }.sorted { $0.order < $1.order }.map(\.id)
  }

  /// Stores generation, nexus and in-sync set (R2, R3).
  public func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) { engine.storeClaim(claim, of: id, done: done) }

  /// Takes regions into the activity log or a peer's missed regions, or out of them; an empty list makes the record about a peer.
  public func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    engine.setRegions(set, of: id, regions, isMember: isMember, done: done)
  }

  /// Forgets what a peer missed.
  public func forgetPeer(_ peer: Identifier, done: @escaping Done) { engine.forgetPeer(peer, of: id, done: done) }

  /// Says that it is equal to its peers again.
  public func clearLostCache(done: @escaping Done) { engine.clearLostCache(of: id, done: done) }

  /// Ranges that hold data, of its own or of snapshots below it, ascending, at most `limit`.
  public func allocatedRanges(fromOffsetBytes offsetBytes: UInt64, limit: Int) -> RangeList {
    guard let header = engine.state.replicas[id]?.header else { return RangeList(ranges: []) }
    return engine.state.allocatedRanges(layer: header.layer, sizeBytes: header.sizeBytes, from: offsetBytes, limit: limit)
  }

  /// Freezes its data under a new name. Changes wait for the moment it takes.
  public func createSnapshot(_ snapshot: Identifier, done: @escaping Done) { engine.createSnapshot(id: snapshot, of: id, done: done) }

  /// Deletes a snapshot of its volume.
  public func deleteSnapshot(_ snapshot: Identifier, done: @escaping Done) {
    guard engine.state.snapshots[snapshot]?.volumeID == volumeID else {
      return done(.unknownSnapshot(pool: engine.superblock.name, id: snapshot))
    }
    engine.deleteSnapshot(id: snapshot, done: done)
  }

  /// Becomes larger; what is added reads zeros.
  public func grow(toSizeBytes sizeBytes: UInt64, done: @escaping Done) {
    engine.growReplica(id: id, sizeBytes: sizeBytes) { [self] error in
      takeGrowth()
      done(error)
    }
  }
}
