import Reactor

/// A replica of a pool, as a block device of one reactor. Made by `Pool.openReplica`; `close` before letting go.
public class PoolReplica: BlockDevice {
  public final let id: Identifier
  public final let volumeID: Identifier
  private final let pool: Pool
  private final var isClosed = false

  init(_ info: ReplicaInfo, pool: Pool) {
    id = info.id
    volumeID = info.volumeID
    self.pool = pool
    super.init(sizeBytes: info.sizeBytes, blockSizeBytes: info.blockSizeBytes)
  }

  /// Whether its content ends with the process.
  public final var isVolatile: Bool { pool.isVolatile }

  /// Requests that were submitted and have not been answered.
  public var inFlight: Int { preconditionFailure("inFlight is not implemented") }

  /// Leaves the reactor. Nothing may be in flight.
  public final func close() {
    if isClosed { return }
    isClosed = true
    leaveReactor()
    pool.replicaClosed(id)
  }

  func leaveReactor() { preconditionFailure("leaveReactor is not implemented") }
}

/// A replica on a file or block device.
final class DiskReplica: PoolReplica {
  private let io: DiskIO

  init(_ info: ReplicaInfo, pool: Pool, file: DiskFile, extents: ExtentMap, reactor: Reactor) {
    io = DiskIO(file: file, extents: extents, reactor: reactor)
    super.init(info, pool: pool)
  }

  override var inFlight: Int { io.inFlight }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    io.submit(request, for: client, isAccepted: accepts(request))
  }

  override func discardUnstarted(of client: BlockClient) { io.discardUnstarted(of: client) }

  override func leaveReactor() { io.close() }
}
