import Reactor

/// Reads a replica's blocks and tells their checksums: a few ranges at a time, in pieces through one buffer each, the others in a
/// line. Bounded memory, whatever is asked for.
final class ChecksumReaders {
  static let pieceBytes = 256 << 10
  private static let maximumReaders = 4

  struct Order {
    let range: Range<UInt64>
    /// Whether whoever asked may still have an answer; asked before each piece.
    let isWanted: () -> Bool
    let done: (Result<[UInt32], ReplicaRefusal>) -> Void
  }

  private let reactor: Reactor
  private let storage: ReplicaStorage
  private var line: [Order] = []
  private var idle: [ChecksumReader] = []
  private var readerCount = 0

  init(reactor: Reactor, storage: ReplicaStorage) {
    self.reactor = reactor
    self.storage = storage
  }

  func read(_ range: Range<UInt64>, isWanted: @escaping () -> Bool, done: @escaping (Result<[UInt32], ReplicaRefusal>) -> Void) {
    line.append(Order(range: range, isWanted: isWanted, done: done))
    next()
  }

  private func next() {
    while !line.isEmpty {
      if idle.isEmpty, readerCount < Self.maximumReaders {
        readerCount += 1
        idle.append(ChecksumReader(reactor: reactor, storage: storage))
      }
      guard let reader = idle.popLast() else { return }
      let order = line.removeFirst()
      reader.read(order) { [self] result in
        idle.append(reader)
        order.done(result)
        next()
      }
    }
    // Nobody asks for long times: the readers leave the reactor.
    if idle.count == readerCount {
      for reader in idle { reactor.unregister(reader) }
      idle = []
      readerCount = 0
    }
  }
}

/// One range at a time.
@safe final class ChecksumReader: EventHandler {
  private static let retryNanoseconds: UInt64 = 1_000_000

  private let reactor: Reactor
  private let storage: ReplicaStorage
  private var order: ChecksumReaders.Order?
  private var finish: ((Result<[UInt32], ReplicaRefusal>) -> Void)?
  private var buffer: UnsafeMutableRawPointer?
  private var position: UInt64 = 0
  private var pieceBytes: UInt64 = 0
  private var checksums: [UInt32] = []

  init(reactor: Reactor, storage: ReplicaStorage) {
    self.reactor = reactor
    self.storage = storage
    super.init()
    reactor.register(self)
  }

  func read(_ order: ChecksumReaders.Order, finish: @escaping (Result<[UInt32], ReplicaRefusal>) -> Void) {
    self.order = order
    self.finish = finish
    position = order.range.lowerBound
    checksums = []
    checksums.reserveCapacity(Int((order.range.upperBound - position + 4095) / 4096))
    readPiece()
  }

  private func readPiece() {
    guard let order, order.isWanted() else { return conclude(.failure(.lost)) }
    guard position < order.range.upperBound else { return conclude(.success(checksums)) }
    if unsafe buffer == nil { unsafe buffer = reactor.replicaArena.allocate(byteCount: ChecksumReaders.pieceBytes) }
    guard let buffer = unsafe buffer else { return retry() }
    pieceBytes = min(UInt64(ChecksumReaders.pieceBytes), order.range.upperBound - position)
    unsafe storage.submit(BlockRequest(.read, offsetBytes: position, byteCount: pieceBytes, buffer: buffer, token: 0), for: self)
  }

  private func retry() { reactor.schedule(afterNanoseconds: Self.retryNanoseconds, handlerID, token: 0) }

  override func completed(token: UInt64, result: Int32) { readPiece() }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    switch status {
    case .success: break
    case .busy: return retry()
    default: return conclude(.failure(.faulted("reading the replica at \(position) failed: \(status)")))
    }
    guard let buffer = unsafe buffer else { return }
    var offset = 0
    while offset < Int(pieceBytes) {
      let count = min(4096, Int(pieceBytes) - offset)
      unsafe checksums.append(CRC32C.checksum(UnsafeRawPointer(buffer + offset), byteCount: count))
      offset += count
    }
    position += pieceBytes
    readPiece()
  }

  private func conclude(_ result: Result<[UInt32], ReplicaRefusal>) {
    if let buffer = unsafe buffer { unsafe reactor.replicaArena.release(buffer) }
    unsafe buffer = nil
    let told = finish
    order = nil
    finish = nil
    checksums = []
    told?(result)
  }
}
