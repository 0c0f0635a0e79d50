import Synchronization

/// A log-linear histogram of nanoseconds: every power of two is divided into 64 equal buckets, so a value is known to 1/64
/// of itself (exactly below 128 ns) over the whole range of `UInt64`, in 30 KiB that never grow.
///
/// One thread, the owner, calls `record`; any thread may read at any time. The owner's relaxed loads and stores compile to
/// plain moves, so recording costs what it would without other readers. A reader sees each figure whole, but figures of
/// one moment may differ by the values being recorded meanwhile.
@safe public final class LatencyHistogram: @unchecked Sendable {
  public static let subBucketBits = 6
  /// 64 exact values, then one group of 64 for each of the 58 positions that the highest bit may have.
  public static let bucketCount = (64 - subBucketBits + 1) << subBucketBits

  // Unchecked Sendable: the pointer never changes and everything behind it is atomic.
  @usableFromInline let cells: UnsafeMutablePointer<Atomic<UInt64>>
  /// Positions of the totals behind the buckets.
  @usableFromInline static let countCell = bucketCount
  @usableFromInline static let sumCell = bucketCount + 1
  @usableFromInline static let minimumCell = bucketCount + 2
  @usableFromInline static let maximumCell = bucketCount + 3
  static let cellCount = bucketCount + 4

  public init() {
    unsafe cells = .allocate(capacity: Self.cellCount)
    for index in 0..<Self.cellCount {
      unsafe (cells + index).initialize(to: Atomic(index == Self.minimumCell ? UInt64.max : 0))
    }
  }

  deinit {
    unsafe cells.deinitialize(count: Self.cellCount)
    unsafe cells.deallocate()
  }

  /// Adds one value. Owner only; allocates nothing.
  @inlinable
  public func record(_ nanoseconds: UInt64) {
    add(1, to: Self.bucketIndex(of: nanoseconds))
    add(1, to: Self.countCell)
    add(nanoseconds, to: Self.sumCell)
    if nanoseconds < load(Self.minimumCell) { store(nanoseconds, in: Self.minimumCell) }
    if nanoseconds > load(Self.maximumCell) { store(nanoseconds, in: Self.maximumCell) }
  }

  /// Adds everything `other` holds. Owner only.
  public func merge(_ other: LatencyHistogram) {
    for index in 0...Self.sumCell {
      let value = other.load(index)
      if value != 0 { add(value, to: index) }
    }
    store(min(load(Self.minimumCell), other.load(Self.minimumCell)), in: Self.minimumCell)
    store(max(load(Self.maximumCell), other.load(Self.maximumCell)), in: Self.maximumCell)
  }

  /// Forgets everything. Owner only.
  public func reset() {
    for index in 0..<Self.cellCount { store(index == Self.minimumCell ? .max : 0, in: index) }
  }

  /// How many values were recorded.
  @inlinable public var count: UInt64 { load(Self.countCell) }
  /// The sum of all values in nanoseconds, modulo 2⁶⁴ (584 years).
  @inlinable public var sumNanoseconds: UInt64 { load(Self.sumCell) }
  /// The smallest value, exactly; 0 when empty.
  public var minimumNanoseconds: UInt64 { count == 0 ? 0 : load(Self.minimumCell) }
  /// The largest value, exactly; 0 when empty.
  public var maximumNanoseconds: UInt64 { load(Self.maximumCell) }
  /// How many values fell into one bucket.
  public func countInBucket(_ index: Int) -> UInt64 {
    precondition(index >= 0 && index < Self.bucketCount)
    return load(index)
  }

  @inlinable
  func load(_ index: Int) -> UInt64 { unsafe cells[index].load(ordering: .relaxed) }

  @inlinable
  func store(_ value: UInt64, in index: Int) { unsafe cells[index].store(value, ordering: .relaxed) }

  @inlinable
  func add(_ value: UInt64, to index: Int) { store(load(index) &+ value, in: index) }
}

// MARK: - The shape of the buckets

extension LatencyHistogram {
  /// The bucket of a value: the value itself below 128, then the highest bit and the six bits behind it.
  @inlinable
  public static func bucketIndex(of nanoseconds: UInt64) -> Int {
    let highestBit = 63 - (nanoseconds | 1).leadingZeroBitCount
    if highestBit <= subBucketBits { return Int(truncatingIfNeeded: nanoseconds) }
    let shift = highestBit &- subBucketBits
    return (shift &+ 1) << subBucketBits &+ Int(truncatingIfNeeded: (nanoseconds &>> UInt64(shift)) & 63)
  }

  /// The values that fall into a bucket.
  public static func bucketRange(_ index: Int) -> ClosedRange<UInt64> {
    precondition(index >= 0 && index < bucketCount)
    let group = index >> subBucketBits
    if group < 2 { return UInt64(index)...UInt64(index) }
    let shift = UInt64(group - 1)
    let lowest = (UInt64(index & 63) | 64) << shift
    return lowest...(lowest + ((1 << shift) - 1))
  }
}
