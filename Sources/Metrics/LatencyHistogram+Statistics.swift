extension LatencyHistogram {
  /// The mean in nanoseconds, exactly; 0 when empty.
  public var meanNanoseconds: Double {
    let count = count
    return count == 0 ? 0 : Double(sumNanoseconds) / Double(count)
  }

  /// The standard deviation in nanoseconds, with every value taken as the middle of its bucket; 0 when empty.
  public var standardDeviationNanoseconds: Double {
    var count = 0.0
    var mean = 0.0
    var squares = 0.0
    for index in 0..<Self.bucketCount {
      let weight = Double(countInBucket(index))
      if weight == 0 { continue }
      // Welford's update with weights: no difference of two large sums.
      let value = Self.middle(of: index)
      count += weight
      let distance = value - mean
      mean += distance * weight / count
      squares += weight * distance * (value - mean)
    }
    return count == 0 ? 0 : (squares / count).squareRoot()
  }

  /// The value below or at which `percent` of all values lie: the middle of its bucket, never outside the exact minimum
  /// and maximum; 0 when empty. 0 gives the minimum, 100 the maximum.
  public func percentile(_ percent: Double) -> UInt64 {
    precondition(percent >= 0 && percent <= 100)
    let total = (0..<Self.bucketCount).reduce(UInt64(0)) { $0 &+ countInBucket($1) }
    if total == 0 { return 0 }
    if percent == 0 { return minimumNanoseconds }
    if percent == 100 { return maximumNanoseconds }
    let rank = max(1, UInt64((percent / 100 * Double(total)).rounded(.up)))
    var seen: UInt64 = 0
    for index in 0..<Self.bucketCount {
      seen &+= countInBucket(index)
      if seen >= rank {
        return min(max(UInt64(Self.middle(of: index)), minimumNanoseconds), maximumNanoseconds)
      }
    }
    return maximumNanoseconds
  }

  /// How many values are below 2^`exponent` nanoseconds: exact, because powers of two are bucket edges.
  public func countBelowPowerOfTwo(_ exponent: Int) -> UInt64 {
    precondition(exponent >= 0 && exponent <= 63)
    let end = Self.bucketIndex(of: 1 << UInt64(exponent))
    return (0..<end).reduce(UInt64(0)) { $0 &+ countInBucket($1) }
  }

  static func middle(of index: Int) -> Double {
    let range = bucketRange(index)
    return Double(range.lowerBound) + Double((range.upperBound - range.lowerBound) / 2)
  }
}
