import Pool

/// A replica that a node found in one of its pools and that nobody assigned to it: kept, not served, and told (R18). At
/// `status/<node>/found/<replicaID>`, written when the node starts.
public struct FoundReplica: StoredObject {
  public static let kind = "found replica"

  public var id: ReplicaID
  public var volumeID: VolumeID
  public var pool: String
  public var sizeBytes: UInt64
  public var blockSizeBytes: UInt32
  public var isThick: Bool
  /// Of the last claim that it accepted; 0 if there was none.
  public var generation: UInt64
  public var setVersion: UInt64
  /// Which run of a nexus that was.
  public var nexusRun: String
  /// The in-sync set under that claim.
  public var inSync: [ReplicaID]
  /// The state store's revision that it was told.
  public var storeRevision: UInt64
  /// What its volume is called. Absent where its pool was not told.
  public var volumeName: String?

  public init(
    id: ReplicaID, volumeID: VolumeID, pool: String, sizeBytes: UInt64, blockSizeBytes: UInt32, isThick: Bool = false, generation: UInt64,
    setVersion: UInt64, nexusRun: String, inSync: [ReplicaID], storeRevision: UInt64
  ) {
    self.id = id
    self.volumeID = volumeID
    self.pool = pool
    self.sizeBytes = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    self.isThick = isThick
    self.generation = generation
    self.setVersion = setVersion
    self.nexusRun = nexusRun
    self.inSync = inSync
    self.storeRevision = storeRevision
  }

  /// What a pool knows of one of its replicas.
  init(_ replica: ReplicaInfo, _ claim: ReplicaClaim, pool: String) {
    self.init(
      id: ReplicaID(replica.id), volumeID: Identifier(replica.volumeID.description)!, pool: pool, sizeBytes: replica.sizeBytes,
      blockSizeBytes: replica.blockSizeBytes, isThick: replica.isThick, generation: claim.generation, setVersion: claim.setVersion,
      nexusRun: "\(claim.nexusID)", inSync: claim.inSync.map(ReplicaID.init), storeRevision: claim.storeRevision)
    volumeName = replica.volumeName.isEmpty ? nil : replica.volumeName
  }
}
