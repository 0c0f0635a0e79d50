import Glibc
import Reactor

@testable import Pool

/// A disk in memory that ends operations in a random order, remembers everything that was asked of it, and can tell what a power
/// loss at any moment could have left.
final class SimulatedDisk: PoolDisk {
  /// What was asked, and when it ended and became durable: numbers of events on one line.
  struct Operation {
    var offset = 0
    /// Empty for flushes.
    var bytes: [UInt8] = []
    var isFlush = false
    var isDurable = false
    var begin = 0
    var end = Int.max
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
  /// What was there when this disk began.
  let base: [UInt8]
  private(set) var operations: [Operation] = []
  private(set) var events = 0
  private var pending: [Pending] = []
  private var generator: SeededGenerator
  var canZero = true
  /// Fails the write or flush of this number, counted from now.
  var failsAfter: Int?

  init(image: [UInt8], seed: UInt64) {
    self.image = image
    base = image
    generator = SeededGenerator(seed: seed)
  }

  var isIdle: Bool { pending.isEmpty }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    unsafe pending.append(
      Pending(token: token, kind: .read, operation: -1, offset: Int(offsetBytes), byteCount: byteCount, buffer: buffer))
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
        if !operation.isFlush { put(operation.bytes, into: &image, at: operation.offset, sectors: nil) }
        operations[next.operation].end = events
      }
      events += 1
    case .postponed: break
    }
    engine?.completed(token: next.token, result: result)
    return true
  }

  func runUntilIdle() { while step() {} }

  /// Damages a bit, as storage does by itself.
  func flip(bit: Int) { image[bit / 8] ^= 1 << UInt8(bit % 8) }

  // MARK: Power losses

  /// Whether a write was durable before the event `moment`.
  private func isDurable(_ operation: Operation, at moment: Int) -> Bool {
    if operation.end >= moment { return false }
    if operation.isDurable { return true }
    return operations.contains { $0.isFlush && $0.begin > operation.end && $0.end < moment }
  }

  /// What may be on the disk after a power loss before event `moment`: of each write that was not durable, each sector of 512
  /// bytes is there or not.
  func imageAfterPowerLoss(at moment: Int, using generator: inout SeededGenerator) -> [UInt8] {
    var lost = base
    // Few patterns find more than one: nothing, everything, whole writes, single sectors.
    let style = Int.random(in: 0..<4, using: &generator)
    let lastFlush = operations.filter { $0.isFlush && $0.end < moment }.map(\.begin).max() ?? -1
    for operation in operations where operation.begin < moment && !operation.isFlush {
      let durable = operation.end < lastFlush || isDurable(operation, at: moment)
      if durable || style == 1 {
        put(operation.bytes, into: &lost, at: operation.offset, sectors: nil)
        continue
      }
      if style == 0 { continue }
      let isWhole = style == 2
      let isKept = Bool.random(using: &generator)
      let kept = (0..<operation.bytes.count / 512).map { _ in isWhole ? isKept : Bool.random(using: &generator) }
      put(operation.bytes, into: &lost, at: operation.offset, sectors: kept)
    }
    return lost
  }

  /// Puts bytes into an image; with `sectors`, only those of them that are true.
  private func put(_ bytes: [UInt8], into image: inout [UInt8], at offset: Int, sectors: [Bool]?) {
    unsafe image.withUnsafeMutableBytes { target in
      unsafe bytes.withUnsafeBytes { source in
        guard let sectors else {
          return unsafe (target.baseAddress! + offset).copyMemory(from: source.baseAddress!, byteCount: source.count)
        }
        for (sector, isKept) in sectors.enumerated() where isKept {
          unsafe (target.baseAddress! + offset + sector * 512).copyMemory(from: source.baseAddress! + sector * 512, byteCount: 512)
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
