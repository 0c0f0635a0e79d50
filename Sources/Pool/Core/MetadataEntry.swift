/// One change of a pool's metadata, as the journal and the checkpoints hold it.
///
/// Every entry says what shall be, not by how much it changes, and names clusters by their place in the pool. So an entry may be
/// applied again to a state that has it already, or has later ones: a checkpoint is taken while changes go on, and replaying
/// the journal from its beginning over it ends in the right state. For each fact the last entry about it counts.
enum MetadataEntry: Equatable, Sendable {
  case options(PoolOptions)
  /// `parent` 0 for none.
  case putLayer(id: UInt32, parent: UInt32, clusterCount: UInt32)
  case removeLayer(id: UInt32)
  case putReplica(ReplicaHeader)
  case removeReplica(Identifier)
  case putSnapshot(SnapshotHeader)
  case removeSnapshot(Identifier)
  /// A free cluster, without data so far, becomes a layer's.
  case allocated(cluster: UInt32, layer: UInt32, logical: UInt32, isStale: Bool)
  /// Blocks hold data.
  case written(cluster: UInt32, first: UInt32, count: UInt32)
  /// Data was sent to blocks that held none: they hold it if what is there has these checksums, and nothing new otherwise.
  case sent(cluster: UInt32, first: UInt32, sums: [UInt32])
  /// Blocks of which no durable record says yet that what was sent to them arrived were written again: these checksums count, too.
  case resent(cluster: UInt32, first: UInt32, sums: [UInt32])
  /// Blocks hold nothing, whatever is on the storage.
  case cleared(cluster: UInt32, first: UInt32, count: UInt32)
  /// Clusters are nobody's.
  case freed(first: UInt32, count: UInt32)
  /// A cluster goes to another layer, as the same logical one.
  case moved(cluster: UInt32, layer: UInt32)
  /// Free clusters were made zeros, durably.
  case cleaned(first: UInt32, count: UInt32)
  /// Clean clusters may be written to before any record says whose they are: after a crash they are not known to be clean.
  case readied(first: UInt32, count: UInt32)
  /// Blocks of a layer that read zeros though its parent has data; none for a blank mask.
  case holes(layer: UInt32, logical: UInt32, mask: BlockMask)
  /// Everything about a cluster, in checkpoints.
  case cluster(cluster: UInt32, layer: UInt32, logical: UInt32, isStale: Bool, mask: BlockMask)
  case claim(replica: Identifier, ReplicaClaim)
  case opened(replica: Identifier, bootID: Identifier, mayHaveLostCache: Bool)
  case regions(replica: Identifier, set: RegionSetName, first: UInt32, count: UInt32, isMember: Bool)
  /// Words of a set of regions, in checkpoints.
  case regionWords(replica: Identifier, set: RegionSetName, firstWord: UInt32, words: [UInt64])
  case forgetPeer(replica: Identifier, peer: Identifier)
  /// Checksums of neighbouring blocks of a cluster.
  case sums(cluster: UInt32, first: UInt32, values: [UInt32])
  /// Pages of checksums of which blocks may be the rest of writes that were never flushed.
  case unsettled(first: UInt32, count: UInt32)
  /// Pages of checksums that every block with data matches, durably.
  case settled(first: UInt32, count: UInt32)

  /// Which state store the pool's node lived by, and how far that had come (R18).
  case storeMemory(StoreMemory)
  /// What the volume of a replica is called.
  case volumeName(replica: Identifier, name: String)

  /// At most this many words in one `regionWords`.
  static let maximumRegionWords = 256
}
