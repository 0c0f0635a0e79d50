/// A run of clusters of a pool.
struct ClusterExtent: Equatable, Sendable {
  var start: UInt64
  var count: UInt64

  var end: UInt64 { start + count }
}

/// Finds room among the clusters of a pool.
enum ClusterAllocator {
  /// The runs of `clusterCount` clusters that none of `used` holds, in order.
  static func freeExtents(used: [ClusterExtent], clusterCount: UInt64) -> [ClusterExtent] {
    var free: [ClusterExtent] = []
    var position: UInt64 = 0
    for extent in used.sorted(by: { $0.start < $1.start }) {
      if extent.start > position { free.append(ClusterExtent(start: position, count: extent.start - position)) }
      position = max(position, extent.end)
    }
    if position < clusterCount { free.append(ClusterExtent(start: position, count: clusterCount - position)) }
    return free
  }

  /// Takes `count` clusters: the smallest run that holds all of them, else the largest runs there are. Nil without room.
  static func allocate(_ count: UInt64, from free: [ClusterExtent]) -> [ClusterExtent]? {
    precondition(count > 0)
    if let best = free.filter({ $0.count >= count }).min(by: { $0.count < $1.count }) {
      return [ClusterExtent(start: best.start, count: count)]
    }
    var remaining = count
    var taken: [ClusterExtent] = []
    for extent in free.sorted(by: { ($0.count, $1.start) > ($1.count, $0.start) }) where remaining > 0 {
      let piece = min(remaining, extent.count)
      taken.append(ClusterExtent(start: extent.start, count: piece))
      remaining -= piece
    }
    return remaining == 0 ? taken : nil
  }
}
