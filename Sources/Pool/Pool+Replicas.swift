import Reactor

/// A replica as a pool lists it.
public struct ReplicaInfo: Equatable, Sendable {
  public let id: Identifier
  /// The volume it is a copy of.
  public let volumeID: Identifier
  public let sizeBytes: UInt64
  public let blockSizeBytes: UInt32
  /// Whether its space was taken when it was made.
  public let isThick: Bool
  /// What its volume is called; empty where nobody told.
  public var volumeName = ""
  /// Bytes of the clusters that only it uses.
  public let allocatedBytes: UInt64
  /// Bytes of the clusters of snapshots below it.
  public let sharedBytes: UInt64
}

/// A snapshot as a pool lists it.
public struct SnapshotInfo: Equatable, Sendable {
  public let id: Identifier
  public let volumeID: Identifier
  public let sizeBytes: UInt64
  /// Bytes of the clusters that were written between the snapshot before it and this one.
  public let allocatedBytes: UInt64
  /// Bytes of the clusters of snapshots below it.
  public let sharedBytes: UInt64
  /// Bytes that its deletion gives back; nil where that was not counted.
  public let uniqueBytes: UInt64?
}

/// What a pool knows of a replica beside its data.
public struct ReplicaMetadata: Equatable, Sendable {
  public let claim: ReplicaClaim
  /// The machine's boot under which it was last opened.
  public let bootID: Identifier
  /// Whether writes that were acknowledged and not flushed may be gone (R7).
  public let mayHaveLostCache: Bool
  /// The activity log (R5), ascending.
  public let hotRegions: [Int]
  /// What absent peers missed (R6), ascending.
  public let missed: [(peer: Identifier, regions: [Int])]

  public init(
    claim: ReplicaClaim, bootID: Identifier, mayHaveLostCache: Bool, hotRegions: [Int], missed: [(peer: Identifier, regions: [Int])]
  ) {
    self.claim = claim
    self.bootID = bootID
    self.mayHaveLostCache = mayHaveLostCache
    self.hotRegions = hotRegions
    self.missed = missed
  }

  init(_ state: ReplicaState) {
    claim = state.claim
    bootID = state.bootID
    mayHaveLostCache = state.mayHaveLostCache
    hotRegions = state.activity.members
    missed = state.missed.map { ($0.peer, $0.regions.members) }
  }

  public static func == (left: ReplicaMetadata, right: ReplicaMetadata) -> Bool {
    left.claim == right.claim && left.bootID == right.bootID && left.mayHaveLostCache == right.mayHaveLostCache
      && left.hotRegions == right.hotRegions && left.missed.elementsEqual(right.missed) { $0.peer == $1.peer && $0.regions == $1.regions }
  }
}

extension Pool {
  /// The replicas, oldest first; none when closed.
  public var replicas: [ReplicaInfo] { (try? look { $0.state.replicaInfos }) ?? [] }

  /// The snapshots, oldest first; none when closed.
  public var snapshots: [SnapshotInfo] { (try? look { $0.state.snapshotInfos(countsUnique: false) }) ?? [] }

  /// How much is taken, free and promised; nil when closed.
  public var usage: PoolUsage? { try? look { $0.state.usage } }

  /// Bytes that are nobody's, in whole clusters; 0 when closed.
  public var freeBytes: UInt64 { (try? look { UInt64($0.state.freeCount) << $0.geometry.clusterShift }) ?? 0 }

  /// Bytes promised to replicas.
  public var promisedBytes: UInt64 { (try? look { $0.state.promisedBytes }) ?? 0 }

  /// What the pool is set to.
  public var options: PoolOptions { (try? look { $0.state.options }) ?? .standard }

  /// Changes what the pool is set to. The region size can be changed only while there are no replicas.
  public func setOptions(_ options: PoolOptions) throws(PoolError) { try change { $0.setOptions(options, done: $1) } }

  /// Which state store its node lived by last, as far as it was told (R18).
  public var storeMemory: StoreMemory { (try? look { $0.state.storeMemory }) ?? .none }

  /// Remembers that. When this returns it is durable.
  public func remember(_ memory: StoreMemory) throws(PoolError) { try change { $0.remember(memory, done: $1) } }

  /// Remembers what a replica's volume is called: printable ASCII without spaces, at most 255 bytes.
  public func setVolumeName(_ name: String, of id: Identifier) throws(PoolError) {
    try change { $0.setVolumeName(name, of: id, done: $1) }
  }

  /// Makes a replica that reads zeros, thin unless `isThick`. When this returns it is durable.
  @discardableResult
  public func createReplica(
    id: Identifier, volumeID: Identifier, sizeBytes: UInt64, blockSizeBytes: UInt32 = 512, isThick: Bool = false
  ) throws(PoolError) -> ReplicaInfo {
    guard blockSizeBytes == 512 || blockSizeBytes == 4096, blockSizeBytes >= sectorBytes else {
      throw .unsupportedBlockSize(pool: name, blockSizeBytes: blockSizeBytes, sectorBytes: sectorBytes)
    }
    try change {
      $0.createReplica(
        id: id, volumeID: volumeID, sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes, isThick: isThick, done: $1)
    }
    return try info(id)
  }

  private func info(_ id: Identifier) throws(PoolError) -> ReplicaInfo {
    guard let info = replicas.first(where: { $0.id == id }) else { throw .unknownReplica(pool: name, id: id) }
    return info
  }

  /// Deletes a replica that is not open. When this returns that is durable, and its clusters are free.
  public func deleteReplica(id: Identifier) throws(PoolError) { try change { $0.deleteReplica(id: id, done: $1) } }

  /// Makes a replica larger; what is added reads zeros. Open devices learn of it by `takeGrowth`.
  public func growReplica(id: Identifier, toSizeBytes sizeBytes: UInt64) throws(PoolError) {
    try change { $0.growReplica(id: id, sizeBytes: sizeBytes, done: $1) }
  }

  /// Freezes a replica's data under a new name. Copies nothing; writes to the replica wait for the moment it takes.
  public func createSnapshot(id: Identifier, of replica: Identifier) throws(PoolError) {
    try change { $0.createSnapshot(id: id, of: replica, done: $1) }
  }

  /// Deletes a snapshot, whatever others there are. When this returns, what only it needed is free.
  public func deleteSnapshot(id: Identifier) throws(PoolError) { try change { $0.deleteSnapshot(id: id, done: $1) } }

  /// Makes a replica, of another volume, that starts with a snapshot's data.
  public func cloneSnapshot(id snapshot: Identifier, to id: Identifier, volumeID: Identifier) throws(PoolError) {
    try change { $0.cloneSnapshot(id: snapshot, to: id, volumeID: volumeID, done: $1) }
  }

  /// Ranges of a snapshot that hold data, ascending, at most `limit`, from `offsetBytes` on.
  public func allocatedRanges(ofSnapshot id: Identifier, from offsetBytes: UInt64 = 0, limit: Int = 1024) throws(PoolError) -> RangeList {
    try ranges { engine throws(PoolError) in
      guard let snapshot = engine.state.snapshots[id] else { throw .unknownSnapshot(pool: engine.superblock.name, id: id) }
      return engine.state.allocatedRanges(layer: snapshot.layer, sizeBytes: snapshot.sizeBytes, from: offsetBytes, limit: limit)
    }
  }

  /// Ranges in which two snapshots of one volume may differ, ascending, at most `limit`, from `offsetBytes` on.
  public func differingRanges(
    ofSnapshots first: Identifier, _ second: Identifier, from offsetBytes: UInt64 = 0, limit: Int = 1024
  ) throws(PoolError) -> RangeList {
    try ranges { engine throws(PoolError) in
      guard let one = engine.state.snapshots[first] else { throw .unknownSnapshot(pool: engine.superblock.name, id: first) }
      guard let other = engine.state.snapshots[second], other.volumeID == one.volumeID else {
        throw .unknownSnapshot(pool: engine.superblock.name, id: second)
      }
      return engine.state.differingRanges(
        one.layer, other.layer, sizeBytes: max(one.sizeBytes, other.sizeBytes), from: offsetBytes, limit: limit)
    }
  }

  private func ranges(_ body: @escaping @Sendable (PoolEngine) throws(PoolError) -> RangeList) throws(PoolError) -> RangeList {
    try perform { engine, done in
      do throws(PoolError) { done(.success(try body(engine))) } catch { done(.failure(error)) }
    }
  }

  // MARK: What a nexus tells a replica

  /// What is known of a replica beside its data.
  public func metadata(of id: Identifier) throws(PoolError) -> ReplicaMetadata {
    try perform { [name] engine, done in
      guard let replica = engine.state.replicas[id] else { return done(.failure(.unknownReplica(pool: name, id: id))) }
      done(.success(ReplicaMetadata(replica)))
    }
  }

  /// Stores generation, nexus and in-sync set (R2, R3).
  public func storeClaim(_ claim: ReplicaClaim, of id: Identifier) throws(PoolError) {
    try change { $0.storeClaim(claim, of: id, done: $1) }
  }

  /// Takes regions into the activity log or a peer's missed regions, or out of them.
  public func setRegions(_ set: RegionSetName, of id: Identifier, _ regions: [Range<Int>], isMember: Bool) throws(PoolError) {
    try change { $0.setRegions(set, of: id, regions, isMember: isMember, done: $1) }
  }

  /// Forgets what a peer missed.
  public func forgetPeer(_ peer: Identifier, of id: Identifier) throws(PoolError) { try change { $0.forgetPeer(peer, of: id, done: $1) } }

  /// Says that a replica is equal to its peers again.
  public func clearLostCache(of id: Identifier) throws(PoolError) { try change { $0.clearLostCache(of: id, done: $1) } }
}
