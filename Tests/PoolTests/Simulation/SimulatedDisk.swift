import Glibc
import Reactor
import Testing

@testable import Pool

/// A disk in memory that ends operations in a random order, remembers what was asked of it, and can tell what a power loss at any
/// moment could have left.
final class SimulatedDisk: PoolDisk {
  /// What was asked, and when it ended: numbers of events on one line.
  struct Operation {
    var offset = 0
    /// Empty for flushes.
    var bytes: [UInt8] = []
    var isFlush = false
    var isDurable = false
    var begin = 0
    var end = Int.max
  }

  /// What of a write that was not durable is there.
  enum Kept {
    case nothing
    case whole
    /// Sectors of 512 bytes.
    case sectors([Bool])
  }

  @safe private struct Pending {
    var token: Int
    var kind: Kind
    var operation: Int
    var offset: Int
    var byteCount: Int
    var buffer: UnsafeMutableRawPointer?
  }

  private enum Kind { case read, write, sync, zero, postponed }

  /// What the pool sees: all that has ended, and of what has not, nothing.
  private(set) var image: [UInt8]
  /// What is durable of what `operations` does not hold any more.
  private var base: [UInt8]
  private(set) var operations: [Operation] = []
  private(set) var events = 0
  private var pending: [Pending] = []
  private var generator: SeededGenerator
  var canZero = true
  /// Fails the write or flush of this number, counted from now.
  var failsAfter: Int?
  /// Bytes read so far.
  private(set) var bytesRead = 0

  init(image: [UInt8], seed: UInt64) {
    self.image = image
    base = image
    generator = SeededGenerator(seed: seed)
  }

  var isIdle: Bool { pending.isEmpty }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    unsafe pending.append(
      Pending(token: token, kind: .read, operation: -1, offset: Int(offsetBytes), byteCount: byteCount, buffer: buffer))
    bytesRead += byteCount
  }

  override func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    precondition(offsetBytes % 512 == 0 && byteCount % 512 == 0 && byteCount > 0)
    let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: buffer, count: byteCount))
    begin(token, .write, Operation(offset: Int(offsetBytes), bytes: bytes, isDurable: durably))
  }

  override func sync(token: Int) { begin(token, .sync, Operation(isFlush: true)) }

  override func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) {
    begin(token, .zero, Operation(offset: Int(offsetBytes), bytes: [UInt8](repeating: 0, count: Int(byteCount))))
  }

  override func postpone(token: Int) {
    unsafe pending.append(Pending(token: token, kind: .postponed, operation: -1, offset: 0, byteCount: 0, buffer: nil))
  }

  private func begin(_ token: Int, _ kind: Kind, _ operation: Operation) {
    precondition(!pending.contains { $0.token == token }, "two operations with one token")
    var operation = operation
    operation.begin = events
    events += 1
    operations.append(operation)
    unsafe pending.append(
      Pending(
        token: token, kind: kind, operation: operations.count - 1, offset: operation.offset, byteCount: operation.bytes.count, buffer: nil))
  }

  /// Ends one operation. False if there is none.
  func step() -> Bool {
    guard !pending.isEmpty else { return false }
    let next = pending.remove(at: Int.random(in: 0..<pending.count, using: &generator))
    var result: Int32 = 0
    switch next.kind {
    case .read:
      unsafe image.withUnsafeBytes { unsafe next.buffer!.copyMemory(from: $0.baseAddress! + next.offset, byteCount: next.byteCount) }
    case .write, .sync, .zero:
      if let left = failsAfter {
        failsAfter = left - 1
        if left <= 0 { result = -EIO }
      }
      if next.kind == .zero && !canZero { result = -EOPNOTSUPP }
      if result == 0 {
        let operation = operations[next.operation]
        if !operation.isFlush { Self.put(operation.bytes, into: &image, at: operation.offset, .whole) }
        operations[next.operation].end = events
      }
      events += 1
    case .postponed: break
    }
    engine?.completed(token: next.token, result: result)
    return true
  }

  /// Ends all there is; false if there is no end.
  @discardableResult
  func runUntilIdle() -> Bool {
    for _ in 0..<200_000 where !step() { return true }
    Issue.record("a pool never comes to rest")
    pending = []
    return false
  }

  /// Damages a bit, as storage does by itself.
  func flip(bit: Int) { image[bit / 8] ^= 1 << UInt8(bit % 8) }

  /// Forgets the operations before the first that is not durable; with nothing in flight.
  func fold() {
    precondition(pending.isEmpty)
    let lastFlush = lastFlush(before: .max)
    var count = 0
    while count < operations.count {
      let operation = operations[count]
      guard operation.isFlush ? operation.begin <= lastFlush : isDurable(operation, before: .max, lastFlush: lastFlush) else { break }
      if !operation.isFlush { Self.put(operation.bytes, into: &base, at: operation.offset, .whole) }
      count += 1
    }
    operations.removeFirst(count)
  }

  // MARK: Crashes

  /// When the last flush began that had ended before a moment; -1 if there was none.
  private func lastFlush(before moment: Int) -> Int {
    operations.reduce(-1) { $1.isFlush && $1.end < moment ? max($0, $1.begin) : $0 }
  }

  private func isDurable(_ operation: Operation, before moment: Int, lastFlush: Int) -> Bool {
    operation.end < lastFlush || operation.isDurable && operation.end < moment
  }

  /// The writes begun before a moment that a power loss then could undo.
  func losable(at moment: Int) -> [Operation] {
    let lastFlush = lastFlush(before: moment)
    return operations.filter { !$0.isFlush && $0.begin < moment && !isDurable($0, before: moment, lastFlush: lastFlush) }
  }

  /// What is on the disk after a power loss before event `moment`; `keeping` says what is there of each of the writes that it
  /// could undo, in order.
  func image(at moment: Int, keeping: (Int, Operation) -> Kept) -> [UInt8] {
    var lost = base
    var index = 0
    let lastFlush = lastFlush(before: moment)
    for operation in operations where operation.begin < moment && !operation.isFlush {
      var kept = Kept.whole
      if !isDurable(operation, before: moment, lastFlush: lastFlush) {
        kept = keeping(index, operation)
        index += 1
      }
      Self.put(operation.bytes, into: &lost, at: operation.offset, kept)
    }
    return lost
  }

  /// What is there when only the process ends before event `moment`: writes in flight may be done or not, all others are.
  func imageAfterKill(at moment: Int, using generator: inout SeededGenerator) -> [UInt8] {
    image(at: moment) { $1.end < moment || Bool.random(using: &generator) ? .whole : .nothing }
  }

  /// A sample of what a power loss may leave: of each write that was not durable, each sector of 512 bytes is there or not.
  func imageAfterPowerLoss(at moment: Int, using generator: inout SeededGenerator) -> [UInt8] {
    // Few patterns find more than one: nothing, everything, whole writes, single sectors.
    let style = Int.random(in: 0..<6, using: &generator)
    return image(at: moment) { _, operation in
      switch style {
      case 0: .nothing
      case 1: .whole
      case 2, 3: Bool.random(using: &generator) ? .whole : .nothing
      default: .sectors((0..<operation.bytes.count / 512).map { _ in Bool.random(using: &generator) })
      }
    }
  }

  /// Puts bytes, or what is kept of them, into an image.
  private static func put(_ bytes: [UInt8], into image: inout [UInt8], at offset: Int, _ kept: Kept) {
    unsafe image.withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        switch kept {
        case .nothing: return
        case .whole: unsafe (target.baseAddress! + offset).copyMemory(from: source.baseAddress!, byteCount: source.count)
        case .sectors(let sectors):
          for (sector, isKept) in sectors.enumerated() where isKept {
            unsafe (target.baseAddress! + offset + sector * 512).copyMemory(from: source.baseAddress! + sector * 512, byteCount: 512)
          }
        }
      }
    }
  }
}

/// An image as the source of an opening.
struct ImageSource: MetadataSource {
  let path = "image"
  let image: [UInt8]

  func read(offsetBytes: UInt64, byteCount: Int) throws(PoolError) -> [UInt8] {
    let start = min(Int(offsetBytes), image.count)
    return Array(image[start..<min(start + byteCount, image.count)])
  }
}
