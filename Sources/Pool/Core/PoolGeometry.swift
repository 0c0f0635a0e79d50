/// The numbers that every part of a pool counts in.
struct PoolGeometry: Equatable, Sendable {
  /// The unit in which a cluster knows what was written.
  static let blockBytes: UInt64 = 4096
  static let blockShift: UInt64 = 12

  let clusterBytes: UInt64
  let clusterCount: Int
  /// Where cluster 0 starts on the storage.
  let dataOffset: UInt64
  let clusterShift: UInt64
  let blocksPerCluster: Int
  /// 64-bit words of a mask of blocks.
  let wordsPerCluster: Int
  /// Blocks of which one page holds the checksums, in a pool that keeps them.
  let blocksPerSumPage: Int

  init(
    clusterBytes: UInt64, clusterCount: UInt64, dataOffset: UInt64, blocksPerSumPage: Int = SumArea.maximumBlocksPerPage
  ) {
    precondition(clusterBytes.nonzeroBitCount == 1 && clusterCount < UInt64(UInt32.max))
    self.clusterBytes = clusterBytes
    self.clusterCount = Int(clusterCount)
    self.dataOffset = dataOffset
    self.blocksPerSumPage = blocksPerSumPage
    clusterShift = UInt64(clusterBytes.trailingZeroBitCount)
    blocksPerCluster = Int(clusterBytes / Self.blockBytes)
    wordsPerCluster = (blocksPerCluster + 63) / 64
  }

  @inline(__always)
  func storageOffset(cluster: Int, block: Int = 0) -> UInt64 {
    dataOffset &+ UInt64(cluster) << clusterShift &+ UInt64(block) << Self.blockShift
  }

  /// A mask of the blocks `first..<first + count`.
  func mask(_ first: Int, _ count: Int) -> BlockMask {
    var mask = BlockMask(repeating: 0, count: wordsPerCluster)
    for word in mask.indices { mask[word] = Self.bits(first, first + count, inWord: word) }
    return mask
  }

  var fullMask: BlockMask { mask(0, blocksPerCluster) }

  /// The bits of `start..<end` that fall into a word.
  @inline(__always)
  static func bits(_ start: Int, _ end: Int, inWord word: Int) -> UInt64 {
    let low = max(start - word << 6, 0)
    let high = min(end - word << 6, 64)
    if low >= high { return 0 }
    return (.max << UInt64(low)) & (.max >> UInt64(64 - high))
  }
}

/// One bit per block of a cluster.
typealias BlockMask = [UInt64]

extension BlockMask {
  var isBlank: Bool { allSatisfy { $0 == 0 } }
  var population: Int { reduce(0) { $0 + $1.nonzeroBitCount } }

  func combined(_ other: BlockMask, _ operation: (UInt64, UInt64) -> UInt64) -> BlockMask {
    precondition(count == other.count)
    var result = self
    for index in indices { result[index] = operation(self[index], other[index]) }
    return result
  }

  func union(_ other: BlockMask) -> BlockMask { combined(other) { $0 | $1 } }
  func subtracting(_ other: BlockMask) -> BlockMask { combined(other) { $0 & ~$1 } }
  func intersection(_ other: BlockMask) -> BlockMask { combined(other) { $0 & $1 } }

  func contains(block: Int) -> Bool { self[block >> 6] >> UInt64(block & 63) & 1 != 0 }

  /// The runs of set bits, ascending.
  var runs: [Range<Int>] {
    var runs: [Range<Int>] = []
    var position = 0
    let end = count * 64
    while position < end {
      let word = self[position >> 6] >> UInt64(position & 63)
      if word == 0 {
        position = (position >> 6 + 1) << 6
        continue
      }
      position += word.trailingZeroBitCount
      var stop = position
      while stop < end, contains(block: stop) { stop += 1 }
      runs.append(position..<stop)
      position = stop
    }
    return runs
  }
}
