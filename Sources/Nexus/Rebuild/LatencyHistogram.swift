/// Latencies in classes that are a sixteenth of a power of two wide, from 1 µs to 34 s; what lies outside counts as the nearest. Nothing
/// is allocated after its start.
struct LatencyHistogram: Equatable, Sendable {
  private static let smallestShift = 10
  private static let largestShift = 34
  private static let classesPerDoubling = 16
  private var counts = [UInt32](repeating: 0, count: (largestShift - smallestShift + 1) * classesPerDoubling)
  private(set) var total = 0

  mutating func record(_ nanoseconds: UInt64) {
    counts[Self.position(nanoseconds)] += 1
    total += 1
  }

  private static func position(_ nanoseconds: UInt64) -> Int {
    let shift = 63 - max(nanoseconds, 1).leadingZeroBitCount
    if shift < smallestShift { return 0 }
    if shift > largestShift { return (largestShift - smallestShift + 1) * classesPerDoubling - 1 }
    return (shift - smallestShift) * classesPerDoubling + Int(nanoseconds >> UInt64(shift - 4)) - classesPerDoubling
  }

  /// Where the class begins.
  private static func nanoseconds(_ position: Int) -> UInt64 {
    UInt64(classesPerDoubling + position % classesPerDoubling) << UInt64(smallestShift - 4 + position / classesPerDoubling)
  }

  /// The least latency, to a sixteenth, that so many percent do not exceed; 0 without any.
  func percentile(_ percent: Int) -> UInt64 {
    let rank = (total * percent + 99) / 100
    var seen = 0
    for position in counts.indices where counts[position] > 0 {
      seen += Int(counts[position])
      if seen >= rank { return Self.nanoseconds(position) }
    }
    return 0
  }

  /// Lets older ones count for half of what they did.
  mutating func halve() {
    total = 0
    for position in counts.indices {
      counts[position] /= 2
      total += Int(counts[position])
    }
  }

  mutating func clear() {
    for position in counts.indices { counts[position] = 0 }
    total = 0
  }
}
