import Testing

@testable import Nexus

/// Who is read from, and who is slow.
struct MemberLatenciesTests {
  private static let millisecond: UInt64 = 1_000_000
  private static let all: UInt8 = 0b111

  private func looks(_ latencies: inout MemberLatencies, _ count: Int, changes: [UInt64]) -> UInt8 {
    var changed: UInt8 = 0
    for _ in 0..<count {
      for _ in 0..<8 { for (index, change) in changes.enumerated() { latencies.noteChange(index, change) } }
      changed ^= latencies.look(Self.all)
    }
    return changed
  }

  private func order(_ latencies: MemberLatencies, nearest: Int?) -> [Int] {
    let order = latencies.order(nearest: nearest)
    return (0..<8).map { Int(order[$0]) }.filter { $0 < 3 }
  }

  @Test func `the nearest is read from first, then the quickest`() {
    var latencies = MemberLatencies()
    #expect(order(latencies, nearest: 2) == [2, 0, 1])
    _ = looks(&latencies, 1, changes: [900_000, 500_000, 700_000])
    #expect(order(latencies, nearest: 2) == [2, 1, 0])
    #expect(order(latencies, nearest: nil) == [1, 2, 0])
    // What reads take counts more than what changes take.
    latencies.noteRead(1, 800_000)
    #expect(order(latencies, nearest: nil) == [2, 1, 0])
  }

  @Test func `who was slow to read from is tried again`() {
    var latencies = MemberLatencies()
    _ = looks(&latencies, 1, changes: [500_000, 500_000, 600_000])
    for _ in 0..<20 { latencies.noteRead(0, 50 * Self.millisecond) }
    #expect(order(latencies, nearest: nil) == [1, 2, 0])
    for _ in 0..<100 {
      for index in [1, 2] { latencies.noteRead(index, 700_000) }
      _ = latencies.look(Self.all)
    }
    #expect(order(latencies, nearest: nil)[0] == 0)
  }

  @Test func `slow is far above the quickest, for ten seconds, and no single outlier`() {
    var latencies = MemberLatencies()
    #expect(looks(&latencies, 10, changes: [Self.millisecond, Self.millisecond, Self.millisecond]) == 0)
    latencies.noteChange(1, 60_000 * Self.millisecond)
    #expect(looks(&latencies, 10, changes: [Self.millisecond, Self.millisecond, Self.millisecond]) == 0)
    #expect(looks(&latencies, 19, changes: [Self.millisecond, 50 * Self.millisecond, Self.millisecond]) == 0)
    #expect(latencies.slowness(1, Self.all) == nil)
    #expect(looks(&latencies, 4, changes: [Self.millisecond, 50 * Self.millisecond, Self.millisecond]) == 0b010)
    let slowness = latencies.slowness(1, Self.all)
    #expect(slowness.map { $0.nanoseconds > 40 * Self.millisecond && $0.peerNanoseconds <= Self.millisecond } == true)
    #expect(order(latencies, nearest: 1) == [0, 2, 1])
    // Well again, after as long.
    #expect(looks(&latencies, 15, changes: [Self.millisecond, 2 * Self.millisecond, Self.millisecond]) == 0)
    #expect(looks(&latencies, 10, changes: [Self.millisecond, 2 * Self.millisecond, Self.millisecond]) == 0b010)
    #expect(latencies.slowness(1, Self.all) == nil)
  }

  @Test func `eight times a fast one is not slow while it is a few milliseconds`() {
    var latencies = MemberLatencies()
    #expect(looks(&latencies, 100, changes: [50_000, 15 * Self.millisecond, 60_000]) == 0)
    #expect(looks(&latencies, 100, changes: [30 * Self.millisecond, 100 * Self.millisecond, 30 * Self.millisecond]) == 0)
  }

  @Test func `without news nothing is judged, and without peers neither`() {
    var latencies = MemberLatencies()
    _ = looks(&latencies, 10, changes: [Self.millisecond, 50 * Self.millisecond, Self.millisecond])
    for _ in 0..<100 { #expect(latencies.look(Self.all) == 0) }
    for _ in 0..<100 {
      latencies.noteChange(1, 50 * Self.millisecond)
      #expect(latencies.look(0b010) == 0)
    }
  }

  @Test func `silence counts as it grows`() {
    var latencies = MemberLatencies()
    var changed: UInt8 = 0
    for look in 0..<40 {
      latencies.noteChange(0, Self.millisecond)
      latencies.noteSilence(2, UInt64(look) * MemberLatencies.lookNanoseconds)
      changed |= latencies.look(Self.all)
    }
    #expect(changed == 0b100)
    latencies.forget(2)
    #expect(latencies.slowness(2, Self.all) == nil)
  }
}
