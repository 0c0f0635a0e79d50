import CLinux
import Glibc
import Reactor

/// What a pool does I/O on: the one interface between its machine and a disk, so that tests can stand in for it.
///
/// An operation is named by a token below `tokenLimit`, which has at most one operation in flight. Its end is told to the engine
/// later, never from inside the call: 0, or -errno. An operation is done whole or has failed.
class PoolDisk: EventHandler {
  static let tokenLimit = 1100

  final var engine: PoolEngine?
  /// Where the operation failed of which the engine was told last.
  private final var failedOffsetBytes: UInt64?

  /// Remembers where an operation failed, for the one who is told of it next.
  final func noteFailure(offsetBytes: UInt64) { failedOffsetBytes = offsetBytes }

  /// Where the operation failed that has just been told of; nil if that is not known.
  final func takeFailedOffset() -> UInt64? {
    defer { failedOffsetBytes = nil }
    return failedOffsetBytes
  }

  func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    preconditionFailure("read is not implemented")
  }

  /// With `durably` the data is on stable storage at the end.
  func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    preconditionFailure("write is not implemented")
  }

  /// Makes durable what was written before.
  func sync(token: Int) { preconditionFailure("sync is not implemented") }

  /// Makes a range zeros, by giving it back to the storage; -EOPNOTSUPP where it cannot be given back.
  func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) { preconditionFailure("zero is not implemented") }

  /// Tells the engine of the token later, with 0.
  func postpone(token: Int) { preconditionFailure("postpone is not implemented") }

  /// Lets go of the engine; nothing is in flight.
  func detach() { engine = nil }
}

/// A file or block device on a reactor.
@safe final class ReactorDisk: PoolDisk {
  @safe private struct Operation {
    var buffer: UnsafeMutableRawPointer?
    var offset: UInt64 = 0
    var remaining = 0
    var kind = Kind.postponed
    var isDurable = false
    var attempts: UInt8 = 0
  }

  private enum Kind { case read, write, sync, zero, postponed }

  private static let maximumAttempts: UInt8 = 100

  /// Keeps the descriptor open, and its lock, until the pool lets go.
  private var file: DiskFile?
  private let descriptor: Int32
  private let reactor: Reactor
  private let sectorMask: Int
  private let operations: UnsafeMutablePointer<Operation>
  private var id = HandlerID.none

  /// Called on the reactor's thread.
  init(file: DiskFile, reactor: Reactor) {
    self.file = file
    self.reactor = reactor
    descriptor = file.descriptor
    sectorMask = Int(file.sectorBytes) - 1
    unsafe operations = .allocate(capacity: Self.tokenLimit)
    for index in 0..<Self.tokenLimit { unsafe (operations + index).initialize(to: Operation(buffer: nil)) }
    super.init()
    id = reactor.register(self)
  }

  deinit { unsafe operations.deallocate() }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    unsafe operations[token] = Operation(buffer: buffer, offset: offsetBytes, remaining: byteCount, kind: .read)
    issue(token)
  }

  override func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    unsafe operations[token] = Operation(
      buffer: UnsafeMutableRawPointer(mutating: buffer), offset: offsetBytes, remaining: byteCount, kind: .write, isDurable: durably)
    issue(token)
  }

  override func sync(token: Int) {
    unsafe operations[token] = Operation(buffer: nil, kind: .sync)
    issue(token)
  }

  override func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) {
    unsafe operations[token] = Operation(buffer: nil, offset: offsetBytes, remaining: Int(byteCount), kind: .zero)
    issue(token)
  }

  override func postpone(token: Int) {
    unsafe operations[token] = Operation(buffer: nil)
    reactor.postpone(id, token: UInt64(token), result: 0)
  }

  private func issue(_ token: Int) {
    let operation = unsafe operations[token]
    switch operation.kind {
    case .read:
      unsafe reactor.read(
        descriptor, into: operation.buffer!, byteCount: operation.remaining, offsetBytes: operation.offset, id, token: UInt64(token))
    case .write:
      unsafe reactor.write(
        descriptor, from: operation.buffer!, byteCount: operation.remaining, offsetBytes: operation.offset,
        durably: operation.isDurable, id, token: UInt64(token))
    case .sync: reactor.sync(descriptor, id, token: UInt64(token))
    case .zero:
      reactor.punchHole(
        descriptor, offsetBytes: operation.offset, byteCount: UInt64(operation.remaining), id, token: UInt64(token))
    case .postponed: break
    }
  }

  override func completed(token: UInt64, result: Int32) {
    let index = Int(token)
    let operation = unsafe operations + index
    if result == -EINTR || result == -EAGAIN, unsafe operation.pointee.attempts < Self.maximumAttempts {
      unsafe operation.pointee.attempts += 1
      return issue(index)
    }
    guard result >= 0 else { return tell(index, result) }
    switch unsafe operation.pointee.kind {
    case .read, .write:
      let remaining = unsafe operation.pointee.remaining
      if Int(result) < remaining {
        // Direct I/O goes on at whole sectors only; what a short transfer did of the last one is done again.
        let done = Int(result) & ~sectorMask
        if done == 0 { return tell(index, -EIO) }
        unsafe operation.pointee.buffer! += done
        unsafe operation.pointee.offset += UInt64(done)
        unsafe operation.pointee.remaining -= done
        unsafe operation.pointee.attempts = 0
        return issue(index)
      }
    case .sync, .zero, .postponed: break
    }
    tell(index, 0)
  }

  @inline(__always)
  private func tell(_ token: Int, _ result: Int32) {
    if result < 0 { unsafe noteFailure(offsetBytes: operations[token].offset) }
    engine?.completed(token: token, result: result)
  }

  override func detach() {
    super.detach()
    file = nil
    // Later, as this may be called from inside a completion.
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
  }
}

/// A disk whose operations are over when they return, and whose ends wait in a queue.
class ImmediateDisk: PoolDisk {
  private var ended: [(token: Int, result: Int32)] = []

  final func end(_ token: Int, _ result: Int32) {
    ended.append((token, result))
    queued()
  }

  /// Something is in the queue.
  func queued() {}

  /// Tells the engine what has ended.
  final func drain() {
    let batch = ended
    ended.removeAll(keepingCapacity: true)
    for (token, result) in batch { engine?.completed(token: token, result: result) }
  }

  /// As `drain`, and what ends meanwhile, until `isDone`; the rest stays for the next time.
  final func drain(until isDone: () -> Bool) {
    var next = 0
    while next < ended.count, !isDone() {
      let (token, result) = ended[next]
      next += 1
      engine?.completed(token: token, result: result)
    }
    ended.removeFirst(next)
  }

  override func postpone(token: Int) { end(token, 0) }
}

/// A file or block device for callers that wait: before a pool is bound to a reactor.
final class BlockingDisk: ImmediateDisk {
  private let file: DiskFile
  init(file: DiskFile) { self.file = file }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    unsafe end(token, file.readFully(into: buffer, byteCount: byteCount, offsetBytes: offsetBytes))
  }

  override func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    var result = unsafe file.writeFully(from: buffer, byteCount: byteCount, offsetBytes: offsetBytes)
    if durably && result == 0 { result = file.synchronizeResult() }
    end(token, result)
  }

  override func sync(token: Int) { end(token, file.synchronizeResult()) }

  override func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) {
    end(token, file.punchHole(offsetBytes: offsetBytes, byteCount: byteCount))
  }
}

/// The memory of a volatile pool, with or without a reactor.
@safe final class MemoryDisk: ImmediateDisk {
  private let region: MemoryRegion
  private let reactor: Reactor?
  private var isPosted = false

  init(region: MemoryRegion, reactor: Reactor?) {
    self.region = region
    self.reactor = reactor
    super.init()
    reactor?.register(self)
  }

  override func queued() {
    guard let reactor, !isPosted else { return }
    isPosted = true
    reactor.postpone(handlerID, token: 0, result: 0)
  }

  override func completed(token: UInt64, result: Int32) {
    isPosted = false
    drain()
  }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    unsafe memcpy(buffer, region.base + Int(offsetBytes), byteCount)
    end(token, 0)
  }

  override func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    unsafe memcpy(region.base + Int(offsetBytes), buffer, byteCount)
    end(token, 0)
  }

  override func sync(token: Int) { end(token, 0) }

  override func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) {
    region.zero(offsetBytes: offsetBytes, byteCount: byteCount)
    end(token, 0)
  }

  override func detach() {
    super.detach()
    guard let reactor else { return }
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
  }
}
