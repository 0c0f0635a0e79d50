/// xoshiro256** (Blackman and Vigna, 2018), seeded by SplitMix64: a few nanoseconds per number, the same numbers for the
/// same seed everywhere.
struct RandomGenerator {
  private var state0: UInt64
  private var state1: UInt64
  private var state2: UInt64
  private var state3: UInt64

  init(seed: UInt64) {
    var mixer = seed
    state0 = Self.splitMix(&mixer)
    state1 = Self.splitMix(&mixer)
    state2 = Self.splitMix(&mixer)
    state3 = Self.splitMix(&mixer)
  }

  @inline(__always)
  mutating func next() -> UInt64 {
    let product = state1 &* 5
    let result = (product &<< 7 | product &>> 57) &* 9
    let shifted = state1 &<< 17
    state2 ^= state0
    state3 ^= state1
    state1 ^= state2
    state0 ^= state3
    state2 ^= shifted
    state3 = state3 &<< 45 | state3 &>> 19
    return result
  }

  /// A number below `bound`, uniform to within bound/2⁶⁴.
  @inline(__always)
  mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

  static func splitMix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return finished(state)
  }

  /// SplitMix64's finisher: every bit of the input changes half the bits of the output.
  @inline(__always)
  static func finished(_ value: UInt64) -> UInt64 {
    var mixed = value
    mixed = (mixed ^ (mixed &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed &>> 31)
  }
}
