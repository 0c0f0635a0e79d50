import Pool

/// A replica made for a measurement, in a pool that nobody else uses. It takes free space only, and `remove` gives it back.
///
/// A pool is opened anew for each run, since it lives on the run's reactor.
public struct ScratchReplica: Sendable {
  /// What the replica is when it is measured.
  public enum State: String, CaseIterable, Sendable {
    /// Thin, and never written.
    case fresh
    /// All its space taken and zeroed.
    case thick
    /// Thin, and written from end to end.
    case written
    /// As `written`, and a snapshot was taken since.
    case snapshot
    /// A clone of such a snapshot.
    case clone
  }

  private static let blockSizeBytes: UInt32 = 4096

  private let poolPath: String
  private let sizeBytes: UInt64
  private let replica = Identifier.random()
  private let snapshot = Identifier.random()
  private let clone = Identifier.random()
  private let state: State

  public init(poolPath: String, sizeBytes: UInt64, state: State) {
    self.poolPath = poolPath
    self.sizeBytes = sizeBytes
    self.state = state
  }

  /// Makes the replica; then, where its state asks for it, `fill` is to write all of the source that it is handed.
  public func prepare(fill: (BenchSource) throws -> Void) throws {
    try withPool { pool throws(PoolError) in
      try pool.createReplica(
        id: replica, volumeID: replica, sizeBytes: sizeBytes, blockSizeBytes: Self.blockSizeBytes, isThick: state == .thick)
    }
    if state == .fresh || state == .thick { return }
    try fill(try source(of: replica))
    if state == .written { return }
    try withPool { pool throws(PoolError) in
      try pool.createSnapshot(id: snapshot, of: replica)
      if state == .clone { try pool.cloneSnapshot(id: snapshot, to: clone, volumeID: clone) }
    }
  }

  /// What is to be measured. Who runs it closes the pool.
  public func source() throws(BenchRunError) -> BenchSource { try source(of: state == .clone ? clone : replica) }

  private func source(of id: Identifier) throws(BenchRunError) -> BenchSource {
    do throws(PoolError) { return .replica(try Pool.open(path: poolPath), id) } catch { throw BenchRunError(error) }
  }

  /// Deletes what was made, as far as it was.
  public func remove() throws(BenchRunError) {
    try withPool { pool throws(PoolError) in
      for id in [clone, replica] where pool.replicas.contains(where: { $0.id == id }) { try pool.deleteReplica(id: id) }
      if pool.snapshots.contains(where: { $0.id == snapshot }) { try pool.deleteSnapshot(id: snapshot) }
    }
  }

  private func withPool(_ body: (Pool) throws(PoolError) -> Void) throws(BenchRunError) {
    do throws(PoolError) {
      let pool = try Pool.open(path: poolPath)
      var failure: PoolError?
      do throws(PoolError) { try body(pool) } catch { failure = error }
      try pool.close()
      if let failure { throw failure }
    } catch {
      throw BenchRunError(error)
    }
  }
}
