/// Whether a pool keeps checksums of its data, chosen when it is made.
public enum PoolIntegrity: String, Sendable, CaseIterable {
  /// Data is taken as the device returns it.
  case none
  /// CRC-32C of each 4 KiB block, verified by every read.
  case crc32c
}

/// Where a pool keeps the checksums of its data, and how they are divided into pages. `FORMAT.md` has the fields.
///
/// Blocks are numbered through all clusters of the pool; a page holds the checksums of `blocksPerPage` neighbours. Each page has two
/// places, one behind the other, that are written in turns: of two valid ones the one with the higher sequence counts.
struct SumArea: Equatable, Sendable {
  static let maximumBlocksPerPage = 1008
  /// In a pool without checksums.
  static let none = SumArea(offset: 0, byteCount: 0, blocksPerPage: maximumBlocksPerPage)
  static let pageBytes = 4096

  var offset: UInt64
  var byteCount: UInt64
  var blocksPerPage: Int

  var isPresent: Bool { byteCount > 0 }

  /// Bytes for the checksums of so many blocks.
  static func byteCount(blockCount: UInt64, blocksPerPage: Int) -> UInt64 {
    blockCount.roundedUpQuotient(by: UInt64(blocksPerPage)) * 2 * UInt64(pageBytes)
  }

  /// Where a page has its two places.
  func storageOffset(page: Int) -> UInt64 { offset + UInt64(page) * 2 * UInt64(Self.pageBytes) }
}

extension PoolGeometry {
  /// The number of a cluster's block among all blocks of the pool.
  @inline(__always)
  func poolBlock(cluster: Int, block: Int) -> Int { cluster &* blocksPerCluster &+ block }

  /// The number of the block at a place of the storage.
  @inline(__always)
  func poolBlock(storageOffset: UInt64) -> Int { Int((storageOffset &- dataOffset) >> Self.blockShift) }

  /// Pages of checksums that the pool needs.
  var sumPageCount: Int { (clusterCount * blocksPerCluster + blocksPerSumPage - 1) / blocksPerSumPage }
}
