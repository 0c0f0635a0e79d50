import Reactor

extension PoolEngine {
  /// Where a request is.
  enum Phase: UInt8 {
    case idle
    /// A part that is read.
    case reading
    /// An overwrite in place.
    case overwriting
    /// A first write: the rest of its first and last block is read from the parents and written, then its own bytes are.
    case fillingHead, writingHead, fillingTail, writingTail, writingBody
    /// Data and record of a first write, at once.
    case writingBoth
    /// Its data must be durable before the record.
    case awaitingOrder
    /// Its record is on the way.
    case committing
    /// All parts are done, and are to be durable.
    case awaitingFlush
    /// Will go on later in the pass.
    case yielding
    /// With checksums: their page is read, or a record about it must be durable first.
    case loadingSums, awaitingMark
  }

  /// A request in progress: bytes from `offset` to `end` are to be done, those before `pieceEnd` are being done.
  @safe struct Slot {
    var client: Unmanaged<BlockClient>
    var clientToken: UInt64
    /// Where the data of byte `offset` is; nil for zeros.
    var buffer: UnsafeMutableRawPointer?
    /// 4 KiB for a block that is written in part, taken when first needed.
    var bounce: UnsafeMutableRawPointer?
    var offset: UInt64
    var end: UInt64
    var pieceEnd: UInt64
    /// Of `writingBoth`: -errno of the data, or `recordFailure`; 0 if neither failed.
    var failure: Int32
    /// The pool's cluster of a first write.
    var cluster: Int32
    var device: Int32
    var next: Int32
    var operation: BlockOperation
    var phase: Phase
    var isDurable: Bool
    /// Something was done that only a flush makes durable.
    var needsFlush: Bool
    /// Data must not become durable after the record, or the block has to be filled up.
    var needsOrder: Bool
    /// Of `writingBoth`: what has not ended.
    var isWritingData: Bool
    var isWritingRecord: Bool
    var epochParity: UInt8
  }

  /// An open device on a replica.
  struct Device {
    var replica: Identifier
    var layerIndex: Int
    var isThick: Bool
    var isOpen: Bool
    /// A snapshot waits until nothing changes.
    var isHeld: Bool
    /// Parts of changes in flight.
    var changing: Int
    var inFlight: Int
  }

  /// Blocks of a layer that one party is changing the state of. Others wait.
  struct Claim {
    var layerIndex: Int
    var firstBlock: UInt64
    var endBlock: UInt64
    var holder: Int32
  }

  /// Who waits for a record or a flush.
  enum Waiter {
    case slot(Int32)
    case action(Int)
    case cleaner
    case readier
    case dismantler
    case checkpoint
    case marker
    case sums
    case nobody
  }

  enum Token {
    /// One for each record in flight.
    static let journal = 1030
    static let commit = 1039
    static let sync = 1025
    static let checkpoint = 1026
    static let answers = 1027
    static let cleaner = 1028
    static let dismantler = 1029
    static let sumLoads = 1040
    static let sumSaves = sumLoads + BlockSums.maximumLoads
    static let sumSweep = sumSaves + BlockSums.maximumSaves
  }
}
