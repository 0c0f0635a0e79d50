import Reactor

/// Reads blocks of a replica or of a snapshot and tells their checksums, or the bytes: a few ranges at a time, in pieces through one buffer
/// each, the others in a line. Bounded memory, whatever is asked for.
final class ChecksumReaders {
  static let pieceBytes = 256 << 10
  private static let maximumReaders = 4

  enum Content {
    /// CRC-32C of each block.
    case checksums([UInt32])
    case data([UInt8])
  }

  struct Order {
    let device: BlockDevice
    let range: Range<UInt64>
    let wantsData: Bool
    /// Whether whoever asked may still have an answer; asked before each piece.
    let isWanted: () -> Bool
    let done: (Result<Content, ReplicaRefusal>) -> Void
  }

  private let reactor: Reactor
  private var line: [Order] = []
  private var idle: [ChecksumReader] = []
  private var readerCount = 0

  init(reactor: Reactor) { self.reactor = reactor }

  func read(_ order: Order) {
    line.append(order)
    next()
  }

  private func next() {
    while !line.isEmpty {
      if idle.isEmpty, readerCount < Self.maximumReaders {
        readerCount += 1
        idle.append(ChecksumReader(reactor: reactor))
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
  private var order: ChecksumReaders.Order?
  private var finish: ((Result<ChecksumReaders.Content, ReplicaRefusal>) -> Void)?
  private var buffer: UnsafeMutableRawPointer?
  private var position: UInt64 = 0
  private var pieceBytes: UInt64 = 0
  private var checksums: [UInt32] = []
  private var data: [UInt8] = []

  init(reactor: Reactor) {
    self.reactor = reactor
    super.init()
    reactor.register(self)
  }

  func read(_ order: ChecksumReaders.Order, finish: @escaping (Result<ChecksumReaders.Content, ReplicaRefusal>) -> Void) {
    self.order = order
    self.finish = finish
    position = order.range.lowerBound
    checksums = []
    let byteCount = Int(order.range.upperBound - position)
    if order.wantsData { data.reserveCapacity(byteCount) } else { checksums.reserveCapacity((byteCount + 4095) / 4096) }
    readPiece()
  }

  private func readPiece() {
    guard let order, order.isWanted() else { return conclude(.failure(.lost)) }
    guard position < order.range.upperBound else { return conclude(.success(order.wantsData ? .data(data) : .checksums(checksums))) }
    if unsafe buffer == nil { unsafe buffer = reactor.replicaArena.allocate(byteCount: ChecksumReaders.pieceBytes) }
    guard let buffer = unsafe buffer else { return retry() }
    pieceBytes = min(UInt64(ChecksumReaders.pieceBytes), order.range.upperBound - position)
    unsafe order.device.submit(BlockRequest(.read, offsetBytes: position, byteCount: pieceBytes, buffer: buffer, token: 0), for: self)
  }

  private func retry() { reactor.schedule(afterNanoseconds: Self.retryNanoseconds, handlerID, token: 0) }

  override func completed(token: UInt64, result: Int32) { readPiece() }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    switch status {
    case .success: break
    case .busy: return retry()
    default: return conclude(.failure(.faulted("reading the replica at \(position) failed: \(status)")))
    }
    guard let order, let buffer = unsafe buffer else { return }
    var offset = 0
    if order.wantsData { unsafe data.append(contentsOf: UnsafeRawBufferPointer(start: buffer, count: Int(pieceBytes))) }
    while !order.wantsData, offset < Int(pieceBytes) {
      let count = min(4096, Int(pieceBytes) - offset)
      unsafe checksums.append(CRC32C.checksum(UnsafeRawPointer(buffer + offset), byteCount: count))
      offset += count
    }
    position += pieceBytes
    readPiece()
  }

  private func conclude(_ result: Result<ChecksumReaders.Content, ReplicaRefusal>) {
    if let buffer = unsafe buffer { unsafe reactor.replicaArena.release(buffer) }
    unsafe buffer = nil
    let told = finish
    order = nil
    finish = nil
    checksums = []
    data = []
    told?(result)
  }
}
