import Testing

@testable import Nexus

/// The governor alone, on a clock of the test's.
struct LatencyGovernorTests {
  private static let millisecond: UInt64 = 1_000_000

  @Test func `a percentile is right to a sixteenth`() {
    var histogram = LatencyHistogram()
    for number in 1...1000 { histogram.record(UInt64(number) * 10_000) }
    for percent in [1, 50, 99, 100] {
      let exact = UInt64(percent) * 100_000
      #expect(histogram.percentile(percent) <= exact && histogram.percentile(percent) * 17 / 16 >= exact)
    }
    histogram.halve()
    #expect(histogram.total >= 350 && histogram.total <= 500)
    histogram.clear()
    #expect(histogram.percentile(99) == 0 && histogram.total == 0)
    for extreme in [0, 1, UInt64.max] { histogram.record(extreme) }
    #expect(histogram.percentile(1) == 1024 && histogram.percentile(99) > 30 << 30)
  }

  /// A disk on which a command takes a millisecond, and longer by `burden` for each copy beside it; a copy takes 4 ms.
  private struct Disk {
    var governor = LatencyGovernor()
    var now: UInt64 = 1_000_000_000
    /// More latency per copy, in percents.
    var burden: UInt64
    var copies: [UInt64] = []
    var copied = 0
    var latencies: [UInt64] = []
    var commandsPerTick = 1

    /// A tick is a millisecond: copies begin if they may, and commands come and go.
    mutating func run(milliseconds: Int, isCopying: Bool) {
      for _ in 0..<milliseconds {
        now += millisecond
        for began in copies where now - began >= 4 * millisecond {
          governor.end(began: began, now: now)
          copied += 1
        }
        copies.removeAll { now - $0 >= 4 * millisecond }
        if isCopying {
          for _ in 0..<8 where governor.begin(now: now) == nil { copies.append(now) }
        }
        for _ in 0..<commandsPerTick {
          let latency = millisecond + millisecond * burden * UInt64(copies.count) / 100
          latencies.append(latency)
          governor.record(.read, arrival: now - latency, now: now)
        }
      }
    }

    var p99: UInt64 { latencies.isEmpty ? 0 : latencies.sorted()[latencies.count * 99 / 100] }
  }

  @Test func `copies that disturb nobody go on as many at once as they may`() {
    var disk = Disk(burden: 0)
    disk.run(milliseconds: 1000, isCopying: false)
    disk.run(milliseconds: 10_000, isCopying: true)
    #expect(disk.governor.share == 4)
    #expect(disk.copied > 7_000)
  }

  @Test func `without hosts everything is used at once`() {
    var disk = Disk(burden: 100, commandsPerTick: 0)
    disk.run(milliseconds: 1000, isCopying: true)
    #expect(disk.governor.share == 4 && disk.copied > 900)
  }

  @Test func `p99 stays at most one and a half of what it is without copies`() {
    // Two copies at once are as many as can be.
    var disk = Disk(burden: 22)
    disk.run(milliseconds: 1000, isCopying: false)
    disk.latencies = []
    disk.run(milliseconds: 60_000, isCopying: true)
    #expect(disk.p99 <= 1_500_000)
    #expect(disk.governor.share >= 1 && disk.governor.share < 3)
    #expect(disk.copied > 60_000 / 4)
  }

  @Test func `a disk that no copy leaves in peace gets few of them, but never none`() {
    var disk = Disk(burden: 900)
    disk.run(milliseconds: 1000, isCopying: false)
    disk.run(milliseconds: 10_000, isCopying: true)
    #expect(disk.governor.share < 0.1)
    let before = disk.copied
    disk.run(milliseconds: 60_000, isCopying: true)
    // At least one in 64 ms and its own time, but for the pauses.
    #expect(disk.copied - before >= 60_000 / 72 * 9 / 10)
    #expect(disk.copied - before < 60_000 / 4 / 3)
  }

  @Test func `the load may change in the middle`() {
    var disk = Disk(burden: 20)
    disk.run(milliseconds: 1000, isCopying: false)
    disk.run(milliseconds: 10_000, isCopying: true)
    let before = disk.governor.share
    disk.burden = 200
    disk.run(milliseconds: 10_000, isCopying: true)
    #expect(disk.governor.share < before / 2 && disk.governor.share < 1)
    disk.burden = 0
    disk.run(milliseconds: 30_000, isCopying: true)
    #expect(disk.governor.share == 4)
  }

  @Test func `what latency is without copies is asked anew in short pauses`() {
    var disk = Disk(burden: 0)
    disk.run(milliseconds: 1000, isCopying: false)
    #expect(disk.governor.stage == .idle)
    var pauses = 0
    for _ in 0..<200 {
      disk.run(milliseconds: 100, isCopying: true)
      if disk.governor.stage == .probing { pauses += 1 }
    }
    // Each is a hundred commands long, here a tenth of a second, in five.
    #expect(pauses >= 2 && pauses <= 10)
  }

  @Test func `hosts that come during a rebuild are compared with themselves`() {
    var disk = Disk(burden: 300, commandsPerTick: 0)
    disk.run(milliseconds: 5_000, isCopying: true)
    #expect(disk.governor.share == 4)
    disk.commandsPerTick = 1
    disk.run(milliseconds: 10_000, isCopying: true)
    #expect(disk.governor.share < 0.5)
    #expect(disk.governor.idleNanoseconds.reads > 900_000 && disk.governor.idleNanoseconds.reads < 1_100_000)
  }

  @Test func `after a rebuild it knows the difference again`() {
    var disk = Disk(burden: 300)
    disk.run(milliseconds: 5_000, isCopying: true)
    disk.run(milliseconds: 5_000, isCopying: false)
    #expect(disk.governor.stage == .idle && disk.governor.inFlight == 0)
    #expect(disk.governor.idleNanoseconds.reads < 1_100_000)
  }

  @Test func `zero percent is without regard`() {
    var disk = Disk(burden: 900)
    disk.governor.limits.percent = 0
    disk.run(milliseconds: 1000, isCopying: true)
    #expect(disk.copied > 7 * 200 && disk.governor.inFlight > 0)
  }
}
