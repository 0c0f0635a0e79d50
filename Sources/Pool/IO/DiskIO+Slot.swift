import Reactor

extension DiskIO {
  /// What the operation in flight of a slot does.
  enum Step: UInt8 {
    case read
    case write
    /// Writes from the shared buffer of zeros.
    case writeZeros
    case zeroRange
    case punchHole
    case sync
  }

  /// A request in progress: the part from `offset` to `end` is to be done, `pieceBytes` of it are in flight.
  @safe struct Slot {
    var client: Unmanaged<BlockClient>
    var clientToken: UInt64
    /// Where the data of byte `offset` is, for reads and writes.
    var buffer: UnsafeMutableRawPointer?
    var offset: UInt64
    var end: UInt64
    var pieceBytes: UInt64
    /// Free list, or the queue of bulk slots.
    var next: Int32
    var step: Step
    /// Durable before completion.
    var isDurable: Bool
    /// Takes turns with other large zeroings.
    var isBulk: Bool
    /// Interrupted attempts of the piece in flight.
    var attempts: UInt8
  }
}
