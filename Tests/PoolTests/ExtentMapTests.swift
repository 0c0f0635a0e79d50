import Testing

@testable import Pool

@Suite struct ExtentMapTests {
  @Test func `finds every byte of scattered clusters and joins neighbours`() {
    let clusters = [
      ClusterExtent(start: 5, count: 2), ClusterExtent(start: 7, count: 1), ClusterExtent(start: 0, count: 1),
      ClusterExtent(start: 3, count: 2),
    ]
    let map = ExtentMap(clusters: clusters, clusterBytes: 100, dataOffset: 1000)
    let order: [UInt64] = [5, 6, 7, 0, 3, 4]
    let runEnds: [UInt64] = [300, 300, 300, 400, 600, 600]
    for offset in 0..<UInt64(600) {
      let (storageOffset, contiguousBytes) = map.locate(offset)
      #expect(storageOffset == 1000 + order[Int(offset / 100)] * 100 + offset % 100)
      #expect(contiguousBytes == runEnds[Int(offset / 100)] - offset)
    }
  }
}
