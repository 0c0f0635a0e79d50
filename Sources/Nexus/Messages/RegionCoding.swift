import Pool

/// Claims and regions as messages hold them.
///
/// A set of regions is a form and a count: form 0, that many ranges of first region and count, ascending and apart; form 1, that many
/// 64-bit words of a bitmap from region 0 on, the last not zero. Whichever is shorter is written; either is read.
extension MessageWriter {
  private static let rangeBytes = 8

  mutating func append(_ claim: ReplicaClaim) {
    append(claim.generation)
    append(claim.setVersion)
    append(claim.nexusID)
    append(claim.storeRevision)
    append(UInt8(claim.inSync.count))
    for member in claim.inSync { append(member) }
  }

  mutating func append(_ set: RegionSetName) {
    switch set {
    case .activity: append(Identifier.none)
    case .missed(let peer): append(peer)
    }
  }

  /// A list of ranges, in any order.
  mutating func append(ranges: [Range<Int>]) {
    append(UInt32(ranges.count))
    for range in ranges {
      append(UInt32(range.lowerBound))
      append(UInt32(range.count))
    }
  }

  /// A set, ascending.
  mutating func append(regions: [Int]) {
    var ranges: [Range<Int>] = []
    for region in regions {
      if let last = ranges.last, last.upperBound == region {
        ranges[ranges.count - 1] = last.lowerBound..<region + 1
      } else {
        ranges.append(region..<region + 1)
      }
    }
    let wordCount = (regions.last ?? -1) / 64 + 1
    if ranges.isEmpty || ranges.count * Self.rangeBytes <= wordCount * 8 {
      append(UInt8(0))
      return append(ranges: ranges)
    }
    var words = [UInt64](repeating: 0, count: wordCount)
    for region in regions { words[region >> 6] |= 1 << UInt64(region & 63) }
    append(UInt8(1))
    append(UInt32(wordCount))
    for word in words { append(word) }
  }
}

extension MessageReader {
  /// A region's number is below this: as many as a pool counts of a replica.
  private static let regionLimit: UInt64 = 1 << 26

  mutating func claim() throws(MessageFlaw) -> ReplicaClaim {
    var claim = ReplicaClaim(
      generation: try word(), setVersion: try word(), nexusID: try identifier(), inSync: [], storeRevision: try word())
    let count = Int(try byte())
    guard count <= ReplicaClaim.maximumMembers else { throw .impossibleField }
    for _ in 0..<count { claim.inSync.append(try identifier()) }
    return claim
  }

  mutating func regionSet() throws(MessageFlaw) -> RegionSetName {
    let peer = try identifier()
    return peer == .none ? .activity : .missed(peer: peer)
  }

  private mutating func range() throws(MessageFlaw) -> Range<Int> {
    let (first, count) = (UInt64(try number()), UInt64(try number()))
    guard first + count <= Self.regionLimit else { throw .impossibleField }
    return Int(first)..<Int(first + count)
  }

  mutating func ranges() throws(MessageFlaw) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for _ in 0..<(try count(ofBytes: 8)) { ranges.append(try range()) }
    return ranges
  }

  mutating func regions() throws(MessageFlaw) -> [Int] {
    var regions: [Int] = []
    switch try byte() {
    case 0:
      for _ in 0..<(try count(ofBytes: 8)) {
        let range = try range()
        guard !range.isEmpty, range.lowerBound > (regions.last ?? -2) + 1 else { throw .impossibleField }
        try spend(regions: range.count)
        regions += range
      }
    case 1:
      let count = try count(ofBytes: 8, atMost: Int(Self.regionLimit) / 64)
      for index in 0..<count {
        var rest = try word()
        guard rest != 0 || index + 1 < count else { throw .impossibleField }
        try spend(regions: rest.nonzeroBitCount)
        while rest != 0 {
          regions.append(index << 6 + rest.trailingZeroBitCount)
          rest &= rest - 1
        }
      }
    default: throw .impossibleField
    }
    return regions
  }
}
