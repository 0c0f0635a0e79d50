/// A set of clusters, one bit each, that knows its size and finds members from where it last found one.
struct ClusterSet: ~Copyable {
  private let words: WordTable
  private let capacity: Int
  private(set) var count = 0
  private var hint = 0

  init(capacity: Int) {
    self.capacity = capacity
    words = WordTable(count: (capacity + 63) / 64)
  }

  func contains(_ cluster: Int) -> Bool { words[cluster >> 6] >> UInt64(cluster & 63) & 1 != 0 }

  mutating func insert(_ cluster: Int) {
    precondition(cluster < capacity)
    if contains(cluster) { return }
    words[cluster >> 6] |= 1 << UInt64(cluster & 63)
    count += 1
  }

  mutating func insert(_ clusters: Range<Int>) { change(clusters) { $0 | $1 } }
  mutating func remove(_ clusters: Range<Int>) { change(clusters) { $0 & ~$1 } }

  private mutating func change(_ clusters: Range<Int>, _ operation: (UInt64, UInt64) -> UInt64) {
    guard !clusters.isEmpty else { return }
    precondition(clusters.lowerBound >= 0 && clusters.upperBound <= capacity)
    for index in clusters.lowerBound >> 6...(clusters.upperBound - 1) >> 6 {
      let old = words[index]
      let new = operation(old, PoolGeometry.bits(clusters.lowerBound, clusters.upperBound, inWord: index))
      words[index] = new
      count += new.nonzeroBitCount - old.nonzeroBitCount
    }
  }

  /// Takes in those of `clusters` that `other` does not have.
  mutating func insert(_ clusters: Range<Int>, except other: borrowing ClusterSet) {
    var start = clusters.lowerBound
    while start < clusters.upperBound {
      let end = min((start | 63) + 1, clusters.upperBound)
      let bits = PoolGeometry.bits(start, end, inWord: start >> 6) & ~other.words[start >> 6]
      count += (bits & ~words[start >> 6]).nonzeroBitCount
      words[start >> 6] |= bits
      start = end
    }
  }

  mutating func remove(_ cluster: Int) {
    if !contains(cluster) { return }
    words[cluster >> 6] &= ~(1 << UInt64(cluster & 63))
    count -= 1
  }

  /// The first member at or after `start`; nil at the end.
  func first(from start: Int) -> Int? {
    guard start < capacity, count > 0 else { return nil }
    var index = start >> 6
    var word = words[index] & (.max << UInt64(start & 63))
    while word == 0 {
      index += 1
      if index == words.count { return nil }
      word = words[index]
    }
    return index << 6 + word.trailingZeroBitCount
  }

  /// Takes a member out: `preferred` if it is one, otherwise the next after the last one taken.
  mutating func take(preferring preferred: Int? = nil) -> Int? {
    if count == 0 { return nil }
    var found = preferred.flatMap { $0 < capacity && contains($0) ? $0 : nil }
    if found == nil { found = first(from: hint) ?? first(from: 0) }
    guard let found else { return nil }
    remove(found)
    hint = found
    return found
  }

  /// Takes out a run of at most `limit` neighbours, the lowest there are.
  mutating func takeRun(limit: Int) -> Range<Int>? {
    guard let start = first(from: 0) else { return nil }
    var end = start
    while end < capacity, end - start < limit, contains(end) {
      remove(end)
      end += 1
    }
    return start..<end
  }
}
