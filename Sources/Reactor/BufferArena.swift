import CLinux
import Glibc

/// Aligned payload buffers of 4 KiB to 2 MiB out of one contiguous, registered piece of memory: a buddy allocator.
///
/// Invariants: every buffer is naturally aligned to its (power of two) size; the free blocks of an order are on that order's
/// list; two free buddies of one order do not exist. Owned by one reactor, not thread-safe. Allocation and release take a few
/// steps per order and never touch the heap. What changes is behind constant pointers, so that no access costs an exclusivity check.
@safe public struct BufferArena: ~Copyable {
  /// The smallest buffer, and the alignment of all.
  public static let unitBytes = 4096
  /// The largest buffer: room for the largest transfer plus an unaligned block at each end.
  public static let maximumBufferBytes = 2 << 20
  private static let maximumOrder = 9

  /// The first byte; registered with the ring as one buffer.
  public let base: UnsafeMutableRawPointer
  /// Bytes in all, a multiple of `maximumBufferBytes`.
  public let byteCount: Int
  /// Bytes handed out now (rounded up to buffer sizes).
  public var usedBytes: Int { unsafe used.pointee }

  /// All of it, to register with the kernel.
  var memory: UnsafeMutableRawBufferPointer { unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount) }

  private let next: UnsafeMutablePointer<Int32>
  private let previous: UnsafeMutablePointer<Int32>
  /// Per unit: the order of the block starting there, plus `freeBit` while it is free, or `inside`.
  private let state: UnsafeMutablePointer<UInt8>
  private let heads: UnsafeMutablePointer<Int32>
  private let used: UnsafeMutablePointer<Int>

  private static let freeBit: UInt8 = 0x80
  private static let inside: UInt8 = 0x7F

  /// Maps `byteCount` bytes (rounded up to 2 MiB). Pages are touched on first use only. Returns nil without memory.
  public init?(byteCount requested: Int) {
    precondition(requested > 0)
    let size = (requested + Self.maximumBufferBytes - 1) / Self.maximumBufferBytes * Self.maximumBufferBytes
    // 2 MiB of slack, so that the base can be aligned to the largest buffer.
    guard
      let raw = unsafe mmap(
        nil, size + Self.maximumBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      unsafe raw != MAP_FAILED
    else { return nil }
    let address = UInt(bitPattern: raw)
    let mask = UInt(Self.maximumBufferBytes - 1)
    let slack = Int(((address + mask) & ~mask) - address)
    if slack > 0 { unsafe munmap(raw, slack) }
    unsafe base = raw + slack
    if slack < Self.maximumBufferBytes { unsafe munmap(base + size, Self.maximumBufferBytes - slack) }
    self.byteCount = size
    let units = size / Self.unitBytes
    unsafe next = .allocate(capacity: units)
    unsafe previous = .allocate(capacity: units)
    unsafe state = .allocate(capacity: units)
    unsafe heads = .allocate(capacity: Self.maximumOrder + 1)
    unsafe used = .allocate(capacity: 1)
    unsafe used.initialize(to: 0)
    unsafe next.initialize(repeating: -1, count: units)
    unsafe previous.initialize(repeating: -1, count: units)
    unsafe state.initialize(repeating: Self.inside, count: units)
    unsafe heads.initialize(repeating: -1, count: Self.maximumOrder + 1)
    let blockUnits = Self.maximumBufferBytes / Self.unitBytes
    for unit in stride(from: units - blockUnits, through: 0, by: -blockUnits) { push(unit, order: Self.maximumOrder) }
  }

  deinit {
    unsafe munmap(base, byteCount)
    unsafe next.deallocate()
    unsafe previous.deallocate()
    unsafe state.deallocate()
    unsafe heads.deallocate()
    unsafe used.deallocate()
  }

  /// What a buffer of at least `byteCount` bytes (1 … `maximumBufferBytes`) takes of an arena: a power of two.
  public static func bufferBytes(for byteCount: Int) -> Int {
    precondition(byteCount > 0 && byteCount <= maximumBufferBytes)
    return byteCount <= unitBytes ? unitBytes : 1 << (Int.bitWidth - (byteCount - 1).leadingZeroBitCount)
  }

  /// A buffer of at least `byteCount` bytes (1 … `maximumBufferBytes`), or nil when none is free.
  public func allocate(byteCount: Int) -> UnsafeMutableRawPointer? {
    precondition(byteCount > 0 && byteCount <= Self.maximumBufferBytes)
    let units = (byteCount + Self.unitBytes - 1) / Self.unitBytes
    let order = units <= 1 ? 0 : Int.bitWidth - (units - 1).leadingZeroBitCount
    var found = order
    while found <= Self.maximumOrder, unsafe heads[found] < 0 { found += 1 }
    guard found <= Self.maximumOrder else { return nil }
    let unit = Int(unsafe heads[found])
    remove(unit, order: found)
    while found > order {
      found -= 1
      push(unit + 1 << found, order: found)
    }
    unsafe state[unit] = UInt8(order)
    unsafe used.pointee += Self.unitBytes << order
    return unsafe base + unit * Self.unitBytes
  }

  /// Gives a buffer back. Nothing in flight may refer to it any more (R11).
  public func release(_ buffer: UnsafeMutableRawPointer) {
    unsafe precondition(contains(buffer, byteCount: 1))
    var unit = unsafe (buffer - base) / Self.unitBytes
    var order = Int(unsafe state[unit])
    precondition(order <= Self.maximumOrder, "the buffer is not allocated")
    unsafe used.pointee -= Self.unitBytes << order
    unsafe state[unit] = Self.inside
    while order < Self.maximumOrder {
      let buddy = unit ^ (1 << order)
      guard unsafe state[buddy] == Self.freeBit | UInt8(order) else { break }
      remove(buddy, order: order)
      unit = min(unit, buddy)
      order += 1
    }
    push(unit, order: order)
  }

  /// Whether a range lies in the arena.
  @inline(__always)
  public func contains(_ pointer: UnsafeRawPointer, byteCount count: Int) -> Bool {
    let offset = unsafe UInt(bitPattern: pointer) &- UInt(bitPattern: base)
    return offset < UInt(byteCount) && UInt(count) <= UInt(byteCount) - offset
  }

  private func push(_ unit: Int, order: Int) {
    let head = unsafe heads[order]
    unsafe next[unit] = head
    unsafe previous[unit] = -1
    if head >= 0 { unsafe previous[Int(head)] = Int32(unit) }
    unsafe heads[order] = Int32(unit)
    unsafe state[unit] = Self.freeBit | UInt8(order)
  }

  private func remove(_ unit: Int, order: Int) {
    let before = unsafe previous[unit]
    let after = unsafe next[unit]
    if before >= 0 { unsafe next[Int(before)] = after } else { unsafe heads[order] = after }
    if after >= 0 { unsafe previous[Int(after)] = before }
    unsafe state[unit] = Self.inside
  }
}
