/// A set of a replica's regions: its activity log, or what one absent peer missed.
struct RegionSet: Equatable, Sendable {
  private(set) var words: [UInt64] = []
  private(set) var count = 0

  func contains(_ region: Int) -> Bool {
    region >> 6 < words.count && words[region >> 6] >> UInt64(region & 63) & 1 != 0
  }

  /// Takes a range of regions in, or out.
  mutating func set(_ regions: Range<Int>, _ isMember: Bool) {
    guard !regions.isEmpty else { return }
    let needed = (regions.upperBound + 63) >> 6
    if isMember, words.count < needed { words += [UInt64](repeating: 0, count: needed - words.count) }
    for word in regions.lowerBound >> 6..<min(needed, words.count) {
      let bits = PoolGeometry.bits(regions.lowerBound, regions.upperBound, inWord: word)
      count -= (words[word] & bits).nonzeroBitCount
      if isMember { words[word] |= bits } else { words[word] &= ~bits }
      count += (words[word] & bits).nonzeroBitCount
    }
    while words.last == 0 { words.removeLast() }
  }

  mutating func setWord(_ index: Int, _ value: UInt64) {
    if index >= words.count {
      if value == 0 { return }
      words += [UInt64](repeating: 0, count: index + 1 - words.count)
    }
    count += value.nonzeroBitCount - words[index].nonzeroBitCount
    words[index] = value
    while words.last == 0 { words.removeLast() }
  }

  /// The members, ascending.
  var members: [Int] {
    var members: [Int] = []
    for (index, word) in words.enumerated() where word != 0 {
      var rest = word
      while rest != 0 {
        members.append(index << 6 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
    return members
  }
}
