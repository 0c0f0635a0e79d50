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

  /// Freezes its data under a new name, as a snapshot of `sizeBytes` where it is larger. Changes wait for the moment it takes.
  public func createSnapshot(_ snapshot: Identifier, sizeBytes: UInt64, done: @escaping Done) {
    engine.createSnapshot(id: snapshot, of: id, sizeBytes: sizeBytes, done: done)
  }

  /// A snapshot of its volume, to be read; nil if there is none.
  public func openSnapshot(_ snapshot: Identifier) -> PoolSnapshot? {
    guard let header = engine.state.snapshots[snapshot], header.volumeID == volumeID else { return nil }
    return engine.openSnapshot(snapshot).map { PoolSnapshot(header, engine: engine, device: $0) }
  }

  /// Ranges in which a state of the replica may differ from an earlier one, ascending, at most `limit`. States are snapshots of its volume;
  /// nil is, for the later one, its data now, and for the earlier one, nothing: then these are the ranges that hold data. Nil if there is
  /// no such snapshot.
  public func ranges(of later: Identifier?, since earlier: Identifier?, fromOffsetBytes offsetBytes: UInt64, limit: Int) -> RangeList? {
    func layer(_ snapshot: Identifier?) -> (layer: UInt32, sizeBytes: UInt64)? {
      guard let snapshot else { return engine.state.replicas[id].map { ($0.header.layer, $0.header.sizeBytes) } }
      guard let header = engine.state.snapshots[snapshot], header.volumeID == volumeID else { return nil }
      return (header.layer, header.sizeBytes)
    }
    guard let last = layer(later) else { return nil }
    guard let earlier else {
      return engine.state.allocatedRanges(layer: last.layer, sizeBytes: last.sizeBytes, from: offsetBytes, limit: limit)
    }
    guard let first = layer(earlier) else { return nil }
    return engine.state.differingRanges(
      first.layer, last.layer, sizeBytes: max(first.sizeBytes, last.sizeBytes), from: offsetBytes, limit: limit)
  }

  /// Deletes a snapshot of its volume that nobody reads; told when that is durable, its space comes back after that.
  public func deleteSnapshot(_ snapshot: Identifier, done: @escaping Done) {
    guard engine.state.snapshots[snapshot]?.volumeID == volumeID else {
      return done(.unknownSnapshot(pool: engine.superblock.name, id: snapshot))
    }
    engine.deleteSnapshot(id: snapshot, waitsForSpace: false, done: done)
  }

  /// Becomes larger; what is added reads zeros.
  public func grow(toSizeBytes sizeBytes: UInt64, done: @escaping Done) {
    engine.growReplica(id: id, sizeBytes: sizeBytes) { [self] error in
      takeGrowth()
      done(error)
    }
  }
}
