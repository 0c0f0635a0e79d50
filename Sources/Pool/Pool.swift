import Reactor
import Synchronization

/// One disk's worth of storage: a file, a block device, or memory, divided into replicas of fixed size.
///
/// Calls here wait for the disk: they are for control threads, `openReplica` excepted. The I/O path never comes here: an
/// open replica has its own immutable map of where its clusters are.
///
/// Invariants: a cluster belongs to at most one replica; a replica in the table has read zeros since its creation wherever
/// it was not written; a deleted replica's clusters are given out again only when the table without it is durable (R17a).
public final class Pool: Sendable {
  /// What the clusters lie in.
  enum Storage: Sendable {
    case disk(DiskFile)
    case memory(MemoryRegion)
  }

  struct State: Sendable {
    /// Nil once closed.
    var storage: Storage?
    var table: ReplicaTable
    /// The slot `table` is in.
    var slot: Int
    /// Grows with each attempt, so that a change whose outcome is unknown is always older than the next.
    var lastSequence: UInt64
    /// Clusters that are being zeroed for a new replica or discarded after a deleted one.
    var reserved: [ClusterExtent] = []
    /// Replicas that are being created or deleted.
    var busy: Set<Identifier> = []
    /// How many devices are open on a replica.
    var openCounts: [Identifier: Int] = [:]
  }

  public let id: Identifier
  public let name: String
  /// The path, or `mem:SIZE`.
  public let location: String
  /// Whether the content ends with the process.
  public let isVolatile: Bool
  /// The unit of allocation.
  public let clusterBytes: UInt64
  /// Bytes that replicas can have in all.
  public let totalBytes: UInt64
  /// The smallest block size of replicas.
  public let sectorBytes: UInt32
  /// What was found damaged and made up for when the pool was opened; to be logged.
  public let warnings: [String]

  let superblock: Superblock
  let state: Mutex<State>
  /// Held over a whole change of the table, writing included; `state` only for moments.
  let changes = Mutex(())

  init(superblock: Superblock, storage: Storage, location: String, table: ReplicaTable, slot: Int, warnings: [String]) {
    id = superblock.id
    name = superblock.name
    self.location = location
    if case .memory = storage { isVolatile = true } else { isVolatile = false }
    clusterBytes = superblock.clusterBytes
    totalBytes = superblock.clusterBytes * superblock.clusterCount
    if case .disk(let file) = storage { sectorBytes = file.sectorBytes } else { sectorBytes = superblock.sectorBytes }
    self.warnings = warnings
    self.superblock = superblock
    state = Mutex(State(storage: storage, table: table, slot: slot, lastSequence: table.sequence))
  }

  /// Bytes that new replicas can have, in whole clusters.
  public var freeBytes: UInt64 {
    let used = state.withLock { state in state.table.replicas.flatMap(\.extents) + state.reserved }
    let free = ClusterAllocator.freeExtents(used: used, clusterCount: superblock.clusterCount)
    return free.reduce(0) { $0 + $1.count } * clusterBytes
  }

  /// Lets the storage go. Throws `replicaInUse` while a replica is open; closing twice does nothing.
  public func close() throws(PoolError) {
    let open: Identifier? = changes.withLock { _ in
      state.withLock { state in
        if let open = state.table.replicas.first(where: { state.openCounts[$0.id] != nil }) { return open.id }
        state.storage = nil
        return nil
      }
    }
    if let open { throw .replicaInUse(pool: name, id: open) }
  }
}
