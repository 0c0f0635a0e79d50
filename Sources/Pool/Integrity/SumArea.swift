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

extension SumArea {
  /// Puts checksums that only the journal has into their pages, when the pool goes on without that journal. Not durable before a flush.
  ///
  /// A page that is damaged in both places stays as it is.
  func fold(_ changes: [UInt32: [UInt64]], poolID: Identifier, into storage: some MetadataStorage) throws(PoolError) {
    let format = unsafe SumPage(poolID: poolID)
    for number in changes.keys.sorted() {
      let page = Int(number)
      let bytes = try storage.read(offsetBytes: storageOffset(page: page), byteCount: 2 * Self.pageBytes)
      guard bytes.count == 2 * Self.pageBytes else { continue }
      let findings = (0..<2).map { place in
        unsafe bytes.withUnsafeBytes { unsafe format.examine($0.baseAddress! + place * Self.pageBytes, number: page) }
      }
      guard let (place, sequence) = unsafe SumPage.choose(findings[0], findings[1]) else { continue }
      var target = Array(bytes[place * Self.pageBytes..<(place + 1) * Self.pageBytes])
      for change in changes[number] ?? [] {
        let start = unsafe SumPage.headerBytes + Int(change >> 32) * 4
        for byte in 0..<4 { target[start + byte] = UInt8(truncatingIfNeeded: change >> UInt64(8 * byte)) }
      }
      unsafe target.withUnsafeMutableBytes { unsafe format.seal($0.baseAddress!, number: page, sequence: sequence + 1) }
      try storage.write(target, offsetBytes: storageOffset(page: page) + UInt64((1 - place) * Self.pageBytes))
    }
    try storage.synchronize()
  }
}
