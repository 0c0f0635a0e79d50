import Testing

@testable import Metrics

@Suite struct LatencyHistogramTests {
  @Test func bucketsCoverEveryValueOnceAndInOrder() {
    var expected: UInt64 = 0
    for index in 0..<LatencyHistogram.bucketCount {
      let range = LatencyHistogram.bucketRange(index)
      #expect(range.lowerBound == expected)
      #expect(LatencyHistogram.bucketIndex(of: range.lowerBound) == index)
      #expect(LatencyHistogram.bucketIndex(of: range.upperBound) == index)
      expected = range.upperBound &+ 1
    }
    // The last bucket ends with the largest value, so the next one wraps to zero.
    #expect(expected == 0)
  }

  @Test(arguments: [1, 127, 128, 1_000, 123_456, 9_999_999, 17_000_000_000, UInt64.max / 3] as [UInt64])
  func aBucketIsNoWiderThanOneSixtyFourthOfItsValues(value: UInt64) {
    let range = LatencyHistogram.bucketRange(LatencyHistogram.bucketIndex(of: value))
    #expect(range.contains(value))
    #expect(Double(range.upperBound - range.lowerBound) <= Double(value) / 64)
  }

  @Test func anEmptyHistogramIsAllZero() {
    let histogram = LatencyHistogram()
    #expect(histogram.count == 0)
    #expect(histogram.minimumNanoseconds == 0)
    #expect(histogram.maximumNanoseconds == 0)
    #expect(histogram.meanNanoseconds == 0)
    #expect(histogram.standardDeviationNanoseconds == 0)
    #expect(histogram.percentile(99) == 0)
  }

  @Test func statisticsOfOneToOneHundred() {
    let histogram = LatencyHistogram()
    for value in 1...100 { histogram.record(UInt64(value)) }
    #expect(histogram.count == 100)
    #expect(histogram.sumNanoseconds == 5050)
    #expect(histogram.meanNanoseconds == 50.5)
    #expect(abs(histogram.standardDeviationNanoseconds - 28.866) < 0.001)
    #expect(histogram.minimumNanoseconds == 1)
    #expect(histogram.maximumNanoseconds == 100)
    #expect(histogram.percentile(0) == 1)
    #expect(histogram.percentile(1) == 1)
    #expect(histogram.percentile(50) == 50)
    #expect(histogram.percentile(99) == 99)
    #expect(histogram.percentile(99.5) == 100)
    #expect(histogram.percentile(100) == 100)
  }

  @Test func percentilesStayWithinTheExactExtremes() {
    let histogram = LatencyHistogram()
    histogram.record(1_000_003)
    for percent in [1, 50, 99, 99.9, 100] { #expect(histogram.percentile(percent) == 1_000_003) }
    #expect(histogram.standardDeviationNanoseconds == 0)
  }

  @Test func percentilesAreCloseForLargeValues() {
    let histogram = LatencyHistogram()
    for value in stride(from: 10_000, through: 10_000_000, by: 10_000) { histogram.record(UInt64(value)) }
    for percent in [1.0, 25, 50, 90, 99, 99.9] {
      let exact = percent * 100_000
      #expect(abs(Double(histogram.percentile(percent)) - exact) <= exact / 64 + 10_000)
    }
  }

  @Test func mergeEqualsRecordingAllInOne() {
    let first = LatencyHistogram()
    let second = LatencyHistogram()
    let both = LatencyHistogram()
    for value in stride(from: UInt64(3), to: 1_000_000, by: 997) {
      (value % 2 == 0 ? first : second).record(value)
      both.record(value)
    }
    first.merge(second)
    first.merge(LatencyHistogram())
    #expect(first.count == both.count)
    #expect(first.sumNanoseconds == both.sumNanoseconds)
    #expect(first.minimumNanoseconds == both.minimumNanoseconds)
    #expect(first.maximumNanoseconds == both.maximumNanoseconds)
    for index in 0..<LatencyHistogram.bucketCount { #expect(first.countInBucket(index) == both.countInBucket(index)) }
    first.reset()
    #expect(first.count == 0 && first.percentile(50) == 0 && first.minimumNanoseconds == 0)
  }

  @Test func countsBelowPowersOfTwoAreExact() {
    let histogram = LatencyHistogram()
    for value in [0, 1, 4095, 4096, 4097, 1 << 40] as [UInt64] { histogram.record(value) }
    #expect(histogram.countBelowPowerOfTwo(0) == 1)
    #expect(histogram.countBelowPowerOfTwo(12) == 3)
    #expect(histogram.countBelowPowerOfTwo(13) == 5)
    #expect(histogram.countBelowPowerOfTwo(41) == 6)
  }

  @Test func otherThreadsMayReadWhileTheOwnerRecords() async {
    let histogram = LatencyHistogram()
    async let recorded: Void = Task.detached { for value in 0..<100_000 as Range<UInt64> { histogram.record(value) } }.value
    var previous: UInt64 = 0
    for _ in 0..<1000 {
      let now = histogram.count
      #expect(now >= previous)
      previous = now
    }
    await recorded
    #expect(histogram.count == 100_000)
  }
}
