/// The pages of checksums.
extension PoolCheck {
  private static var windowPages: Int { 64 }

  mutating func checkSums(_ superblock: Superblock) throws(PoolError) {
    guard superblock.sums.isPresent else { return }
    let pageCount = superblock.geometry.sumPageCount
    let format = unsafe SumPage(poolID: superblock.id)
    for first in stride(from: 0, to: pageCount, by: Self.windowPages) {
      let count = min(Self.windowPages, pageCount - first)
      let offset = superblock.sums.storageOffset(page: first)
      let bytes = try storage.read(offsetBytes: offset, byteCount: count * 2 * SumArea.pageBytes)
      for index in 0..<count {
        let start = index * 2 * SumArea.pageBytes
        guard bytes.count >= start + 2 * SumArea.pageBytes else { return }
        let findings = (0..<2).map { place in
          unsafe bytes.withUnsafeBytes {
            unsafe format.examine($0.baseAddress! + start + place * SumArea.pageBytes, number: first + index)
          }
        }
        noteSums(page: first + index, findings, at: offset + UInt64(start))
      }
    }
  }

  private mutating func noteSums(page: Int, _ findings: [SumPage.Finding], at offset: UInt64) {
    for (place, finding) in findings.enumerated() where finding == .damaged {
      let place = offset + UInt64(place * SumArea.pageBytes)
      if unsafe SumPage.choose(findings[0], findings[1]) == nil {
        report.add(.damage, at: place, "checksum page \(page) is damaged: the data it is of cannot be read until it is written anew")
      } else {
        report.add(.note, at: place, "a copy of checksum page \(page) is not whole, as a crash can leave it; the other is used")
      }
    }
  }
}
