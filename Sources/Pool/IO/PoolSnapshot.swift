import Reactor

/// A snapshot of a pool, open to be read on the pool's reactor. Made by `PoolReplica.openSnapshot`; `close` before letting go. While it is
/// open the snapshot is not deleted.
public final class PoolSnapshot: BlockDevice {
  private let engine: PoolEngine
  private let device: Int
  private var isClosed = false

  init(_ header: SnapshotHeader, engine: PoolEngine, device: Int) {
    self.engine = engine
    self.device = device
    super.init(sizeBytes: header.sizeBytes, blockSizeBytes: header.blockSizeBytes)
  }

  /// Anything but a read is refused as out of range.
  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    precondition(!isClosed, "a request for a closed device")
    engine.submit(request, device: device, for: client, isAccepted: request.operation == .read && accepts(request))
  }

  /// Leaves the pool. Nothing may be in flight.
  public func close() {
    if isClosed { return }
    precondition(engine.devices[device].inFlight == 0, "a device is closed with requests in flight")
    isClosed = true
    engine.close(device)
  }
}
