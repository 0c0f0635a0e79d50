import Reactor

/// A replica of a pool, as a block device of the pool's reactor. Made by `Pool.openReplica`; `close` before letting go.
///
/// Reads of blocks that nobody wrote are zeros. Deallocate gives clusters back to the pool as soon as nothing is left in them, in
/// however small pieces they are trimmed. A write that needs a cluster when there is none ends with `capacityExceeded`; reads
/// and overwrites go on (R16).
public final class PoolReplica: BlockDevice {
  public let id: Identifier
  public let volumeID: Identifier
  let pool: Pool
  let engine: PoolEngine
  private let device: Int
  private var isClosed = false

  init(_ header: ReplicaHeader, pool: Pool, engine: PoolEngine) {
    id = header.id
    volumeID = header.volumeID
    self.pool = pool
    self.engine = engine
    device = engine.open(header.id)
    super.init(sizeBytes: header.sizeBytes, blockSizeBytes: header.blockSizeBytes)
  }

  /// Whether its content ends with the process.
  public var isVolatile: Bool { pool.isVolatile }

  /// Whether what was written is as durable as it will be, without a flush.
  public var isWriteThrough: Bool { pool.isWriteThrough }

  /// Requests that were submitted and have not been answered.
  public var inFlight: Int { isClosed ? 0 : engine.devices[device].inFlight }

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    precondition(!isClosed, "a request for a closed device")
    engine.submit(request, device: device, for: client, isAccepted: accepts(request))
  }

  /// Takes regions into the activity log, durably, before a write touches them (R5). Several at once share one device write.
  public func logActivity(_ regions: [Range<Int>], done: @escaping (PoolError?) -> Void) {
    engine.setRegions(.activity, of: id, regions, isMember: true, done: done)
  }

  /// What the pool knows of it beside its data.
  public var metadata: ReplicaMetadata { ReplicaMetadata(engine.state.replicas[id]!) }

  /// The pool made it larger.
  public func takeGrowth() {
    if let size = engine.state.replicas[id]?.header.sizeBytes { grow(toSizeBytes: size) }
  }

  /// Leaves the pool. Nothing may be in flight.
  public func close() {
    if isClosed { return }
    precondition(inFlight == 0, "a device is closed with requests in flight")
    isClosed = true
    engine.close(device)
  }
}
