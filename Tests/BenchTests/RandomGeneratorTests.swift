import Testing

@testable import Bench

@Suite struct RandomGeneratorTests {
  /// The first output of SplitMix64 from 0, as in its authors' reference code's published test values.
  @Test func splitMix() {
    var state: UInt64 = 0
    #expect(RandomGenerator.splitMix(&state) == 0xe220_a839_7b1d_cdaf)
    #expect(RandomGenerator.splitMix(&state) == 0x6e78_9e6a_a1b9_65f4)
  }

  @Test func numbersStayBelowTheirBound() {
    var generator = RandomGenerator(seed: 3)
    for bound in [1, 2, 3, 1000, 1 << 63, .max] as [UInt64] {
      for _ in 0..<100 { #expect(generator.next(below: bound) < bound) }
    }
  }

  @Test func seedsDiffer() {
    var one = RandomGenerator(seed: 1)
    var same = RandomGenerator(seed: 1)
    var two = RandomGenerator(seed: 2)
    let values = (0..<8).map { _ in one.next() }
    #expect(values == (0..<8).map { _ in same.next() })
    #expect(values != (0..<8).map { _ in two.next() })
    #expect(Set(values).count == 8)
  }
}
