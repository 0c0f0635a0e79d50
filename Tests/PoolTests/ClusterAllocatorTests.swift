import Testing

@testable import Pool

@Suite struct ClusterAllocatorTests {
  private func extent(_ start: UInt64, _ count: UInt64) -> ClusterExtent { ClusterExtent(start: start, count: count) }

  @Test func `free runs are what is not used`() {
    #expect(ClusterAllocator.freeExtents(used: [], clusterCount: 10) == [extent(0, 10)])
    #expect(ClusterAllocator.freeExtents(used: [extent(8, 2), extent(2, 3)], clusterCount: 10) == [extent(0, 2), extent(5, 3)])
    #expect(ClusterAllocator.freeExtents(used: [extent(0, 10)], clusterCount: 10) == [])
    #expect(ClusterAllocator.freeExtents(used: [extent(0, 4), extent(2, 1), extent(0, 4)], clusterCount: 5) == [extent(4, 1)])
  }

  @Test func `takes the smallest run that is large enough, else the largest`() {
    let free = [extent(0, 8), extent(10, 4), extent(20, 5)]
    #expect(ClusterAllocator.allocate(4, from: free) == [extent(10, 4)])
    #expect(ClusterAllocator.allocate(6, from: free) == [extent(0, 6)])
    #expect(ClusterAllocator.allocate(10, from: free) == [extent(0, 8), extent(20, 2)])
    #expect(ClusterAllocator.allocate(17, from: free)?.reduce(0) { $0 + $1.count } == 17)
    #expect(ClusterAllocator.allocate(18, from: free) == nil)
    #expect(ClusterAllocator.allocate(1, from: []) == nil)
  }

  @Test func `random allocations never overlap and all come back`() {
    var generator = SeededGenerator(seed: 7)
    var held: [[ClusterExtent]] = []
    for _ in 0..<2000 {
      let used = held.flatMap { $0 }
      let free = ClusterAllocator.freeExtents(used: used, clusterCount: 300)
      #expect(free.reduce(0) { $0 + $1.count } + used.reduce(0) { $0 + $1.count } == 300)
      if Bool.random(using: &generator), let taken = ClusterAllocator.allocate(.random(in: 1...60, using: &generator), from: free) {
        held.append(taken)
      } else if !held.isEmpty {
        held.remove(at: .random(in: 0..<held.count, using: &generator))
      }
    }
  }
}
