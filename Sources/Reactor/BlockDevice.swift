/// What a block request asks for. The numbers are our own, not NVMe opcodes.
public enum BlockOperation: UInt8, BitwiseCopyable, Sendable {
  case read
  case write
  case flush
  /// Afterwards the range reads as zeros.
  case writeZeroes
  /// Afterwards every whole 4 KiB block of the range reads as zeros; bytes outside whole blocks are unchanged (R9).
  case deallocate
}

/// How a block request ended. Wire statuses are mapped to and from this at the edges (`Target`, `Host`).
public enum BlockStatus: UInt8, BitwiseCopyable, Sendable {
  case success
  /// The range is not inside the device, or not in multiples of its block size.
  case outOfRange
  /// The device reported a read error.
  case readFault
  /// The device reported a write, flush or deallocate error.
  case writeFault
  /// No space left for the write (R16).
  case capacityExceeded
  /// The connection the command was on is gone and its fate is not known (R11).
  case connectionLost
  /// The command was given up before it was executed: it has had no effect and never will.
  case aborted
  /// The path cannot serve now; another path may (ANA Inaccessible).
  case inaccessible
  /// The operation is not supported by this device.
  case unsupported
  /// No memory or no slot now; nothing happened; try again later.
  case busy
  /// The peer refused: wrong host, wrong generation, read-only.
  case refused
}

/// One block I/O. Offsets and counts are bytes, so that nobody converts block sizes twice.
@safe public struct BlockRequest: BitwiseCopyable {
  public var operation: BlockOperation
  /// The data must be durable before completion (write, writeZeroes).
  public var forceUnitAccess: Bool
  public var offsetBytes: UInt64
  /// For read and write at most `BlockDevice.maximumTransferBytes`; for deallocate and writeZeroes up to the whole device.
  public var byteCount: UInt64
  /// For read and write: `byteCount` bytes that stay valid and in place until completion. 512-byte aligned at least.
  public var buffer: UnsafeMutableRawPointer?
  /// Returned with the completion; the client's own slot number.
  public var token: UInt64

  @inlinable
  public init(
    _ operation: BlockOperation, offsetBytes: UInt64 = 0, byteCount: UInt64 = 0, buffer: UnsafeMutableRawPointer? = nil,
    forceUnitAccess: Bool = false, token: UInt64
  ) {
    self.operation = operation
    self.forceUnitAccess = forceUnitAccess
    self.offsetBytes = offsetBytes
    self.byteCount = byteCount
    unsafe self.buffer = buffer
    self.token = token
  }
}

/// The one door to storage on the data path: a replica in a pool, a namespace of a remote subsystem, a nexus, a plain file.
///
/// Bound to one reactor: `submit` is called on that reactor's thread only, and completions arrive there. A base class and not
/// a protocol, because a class reference dispatches through one table load and no existential container.
open class BlockDevice: EventHandler {
  /// The largest read or write, in bytes.
  public static let maximumTransferBytes: UInt64 = 1 << 20

  /// Size in bytes, a multiple of `blockSizeBytes`.
  public final var sizeBytes: UInt64 { size }
  // Stored apart, as reading a stored property of another module costs an exclusivity check.
  private final var size: UInt64
  /// 512 or 4096: offsets and counts are multiples of it.
  public final let blockSizeBytes: UInt32

  public init(sizeBytes: UInt64, blockSizeBytes: UInt32) {
    precondition(blockSizeBytes == 512 || blockSizeBytes == 4096)
    precondition(sizeBytes % UInt64(blockSizeBytes) == 0)
    size = sizeBytes
    self.blockSizeBytes = blockSizeBytes
    super.init()
  }

  /// Starts `request`; `client` hears of its end exactly once, later on the same thread, never before `submit` returned.
  open func submit(_ request: BlockRequest, for client: BlockClient) {
    preconditionFailure("submit is not implemented")
  }

  /// Ends what `client` submitted and the device has not begun, with `.aborted`: it will never execute (R12). What is running
  /// goes on to its end. Devices that begin everything at once have nothing to do.
  open func discardUnstarted(of client: BlockClient) {}

  /// Whether a request lies inside the device and has the right multiples. Devices check this; clients need not.
  public final func accepts(_ request: BlockRequest) -> Bool {
    let mask = UInt64(blockSizeBytes) - 1
    if request.operation == .flush { return true }
    if request.offsetBytes & mask != 0 || request.byteCount & mask != 0 || request.byteCount == 0 { return false }
    let (end, overflow) = request.offsetBytes.addingReportingOverflow(request.byteCount)
    return !overflow && end <= sizeBytes
  }

  /// The device grew (never shrinks).
  public final func grow(toSizeBytes newSize: UInt64) {
    precondition(newSize >= sizeBytes && newSize % UInt64(blockSizeBytes) == 0)
    size = newSize
  }
}
