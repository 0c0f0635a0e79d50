/// The versions that a read may return: from the one that was complete when it was submitted to the newest one begun before
/// it completed. Versions count 1, 2, … and wrap from 2³⁰ − 1 to 1.
struct VersionRange: Equatable {
  static let maximum: UInt32 = 1 << 30 - 1

  var first: UInt32
  var last: UInt32

  init(_ first: UInt32, _ last: UInt32) {
    self.first = first
    self.last = last
  }

  @inline(__always)
  func contains(_ version: UInt32) -> Bool {
    version != 0 && version <= Self.maximum && Self.distance(first, version) <= Self.distance(first, last)
  }

  static func next(_ version: UInt32) -> UInt32 { version == maximum ? 1 : version + 1 }

  /// How many steps lead from one version to the other.
  @inline(__always)
  private static func distance(_ from: UInt32, _ to: UInt32) -> UInt32 { to >= from ? to - from : maximum - from + to }
}

/// What each block of a region must hold: four bytes per block, fixed in size.
@safe struct VerifyTable: ~Copyable {
  private static let writing: UInt32 = 1 << 31
  private static let uncertain: UInt32 = 1 << 30
  private static let versionMask: UInt32 = VersionRange.maximum

  let blockCount: UInt64
  private let entries: UnsafeMutablePointer<UInt32>
  /// Blocks that have a version and can be read back.
  private(set) var writtenBlockCount: UInt64 = 0
  /// Blocks whose last write failed in a way that leaves its effect unknown. They are neither written nor checked again.
  private(set) var uncertainBlockCount: UInt64 = 0

  /// `blockCount` may be 0 for a run that verifies nothing.
  init(blockCount: UInt64) {
    precondition(blockCount <= BenchPlan.maximumVerifiedBlockCount)
    self.blockCount = blockCount
    unsafe entries = .allocate(capacity: Int(blockCount))
    unsafe entries.initialize(repeating: 0, count: Int(blockCount))
  }

  deinit { unsafe entries.deallocate() }

  /// The version last completed; 0 if the block was never written.
  @inline(__always)
  func version(of block: UInt64) -> UInt32 { self[block] & Self.versionMask }

  /// Whether a write may begin: none is in flight, and none was lost.
  @inline(__always)
  func isWritable(_ block: UInt64) -> Bool { self[block] & (Self.writing | Self.uncertain) == 0 }

  /// Whether what a read returns can be judged.
  @inline(__always)
  func isCheckable(_ block: UInt64) -> Bool { self[block] & Self.uncertain == 0 && version(of: block) != 0 }

  /// The newest version that the block may hold: the one being written, or else the one last completed.
  func newestVersion(of block: UInt64) -> UInt32 {
    self[block] & Self.writing == 0 ? version(of: block) : VersionRange.next(version(of: block))
  }

  /// Notes that a write was begun, and returns its version.
  mutating func beginWrite(_ block: UInt64) -> UInt32 {
    precondition(isWritable(block), "two writes to one block")
    self[block] |= Self.writing
    return newestVersion(of: block)
  }

  /// How a write ended.
  enum WriteEnd {
    case completed
    /// It had no effect and never will.
    case withoutEffect
    case unknown
  }

  mutating func endWrite(_ block: UInt64, _ end: WriteEnd) {
    precondition(self[block] & Self.writing != 0, "no write is in flight")
    let old = version(of: block)
    switch end {
    case .completed:
      self[block] = VersionRange.next(old)
      if old == 0 { writtenBlockCount += 1 }
    case .withoutEffect:
      self[block] = old
    case .unknown:
      self[block] = old | Self.uncertain
      uncertainBlockCount += 1
      if old != 0 { writtenBlockCount -= 1 }
    }
  }

  private subscript(block: UInt64) -> UInt32 {
    @inline(__always) get {
      precondition(block < blockCount)
      return unsafe entries[Int(block)]
    }
    @inline(__always) nonmutating set {
      precondition(block < blockCount)
      unsafe entries[Int(block)] = newValue
    }
  }
}
