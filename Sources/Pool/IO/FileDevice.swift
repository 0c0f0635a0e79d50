import Reactor

/// A plain file or a block device as a block device of one reactor, from its first byte to its last whole sector.
///
/// Several devices on several reactors may share one `DiskFile`. `close` before letting go.
public final class FileDevice: BlockDevice {
  public let file: DiskFile
  private let io: DiskIO

  /// Called on the reactor's thread.
  public init(file: DiskFile, on reactor: Reactor) {
    self.file = file
    let size = file.sizeBytes / UInt64(file.sectorBytes) * UInt64(file.sectorBytes)
    io = DiskIO(file: file, reactor: reactor)
    super.init(sizeBytes: size, blockSizeBytes: file.sectorBytes)
  }

  /// Opens `path` for this device alone.
  public convenience init(path: String, on reactor: Reactor, access: DiskFile.Access = .readWrite) throws(PoolError) {
    self.init(file: try DiskFile(path: path, access: access), on: reactor)
  }

  /// Requests that were submitted and have not been answered.
  public var inFlight: Int { io.inFlight }

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    io.submit(request, for: client, isAccepted: accepts(request))
  }

  public override func discardUnstarted(of client: BlockClient) { io.discardUnstarted(of: client) }

  /// Leaves the reactor. Nothing may be in flight.
  public func close() { io.close() }
}
