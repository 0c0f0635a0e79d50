/// Lets copies go on as fast as the commands of hosts can bear: their p99 stays at most `limitPercent` of what it is without copies.
///
/// Without I/O and without a clock of its own. It is told of every command's latency and of the beginning and end of every copy; it
/// says when a copy may begin, and which part of the time. `PROTOCOL.md` has the numbers and why they are so.
public struct LatencyGovernor: Equatable, Sendable {
  /// Commands that have latencies of their own.
  enum Kind {
    case read
    case write
  }

  public struct Limits: Equatable, Sendable {
    /// Of the p99 without copies; 0 for no regard to it.
    public var percent = 150
    /// Copies at once at most.
    public var copies = 4

    public init() {}
  }

  enum Stage: Equatable {
    /// Nothing is copied.
    case idle
    case copying
    /// Copies pause, to see what the latency is without them.
    case probing
  }

  public var limits = Limits()
  private(set) var stage = Stage.idle
  /// Copies at once; below one, the part of the time in which one runs.
  private(set) var share = 1.0
  private(set) var inFlight = 0
  private var reads = Track()
  private var writes = Track()
  private var stageBegan: UInt64 = 0
  private var windowBegan: UInt64 = 0
  /// When the last copy ended: what arrived before then was disturbed by it.
  private var lastCopyEnd: UInt64 = 0
  /// The next copy begins no sooner.
  private var restEnd: UInt64 = 0

  static let smallestShare = 1.0 / 64
  /// A copy begins at least so often, whatever the latency.
  static let longestRestNanoseconds: UInt64 = 64_000_000
  static let windowSamples = 100
  static let leastSamples = 16
  static let windowNanoseconds: UInt64 = 1_000_000_000
  static let longestWindowNanoseconds: UInt64 = 5_000_000_000
  static let probeSamples = 100
  static let longestProbeNanoseconds: UInt64 = 250_000_000
  static let probeEveryNanoseconds: UInt64 = 5_000_000_000
  /// Without a copy for so long, a rebuild has ended, and the next one begins anew.
  static let quietNanoseconds: UInt64 = 2_000_000_000
  /// Those that may not begin ask again so soon.
  static let pollNanoseconds: UInt64 = 2_000_000

  private struct Track: Equatable, Sendable {
    var idle = LatencyHistogram()
    var window = LatencyHistogram()
    var probed = 0

    mutating func recordIdle(_ nanoseconds: UInt64) {
      idle.record(nanoseconds)
      if idle.total >= 4096 { idle.halve() }
      probed += 1
    }

    /// p99 while copying, as percents of p99 without; nil if there are too few to tell.
    func percent(least: Int) -> Int? {
      guard idle.total >= leastSamples, window.total >= max(least, 1) else { return nil }
      return Int(min(window.percentile(99) * 100 / max(idle.percentile(99), 1), 1_000_000))
    }

    /// Commands are disturbed, and it is not known how much.
    var lacksIdle: Bool { window.total > 0 && idle.total < leastSamples }
  }

  // MARK: Commands of hosts

  /// A command that arrived at `arrival` was done at `now`.
  mutating func record(_ kind: Kind, arrival: UInt64, now: UInt64) {
    let latency = now &- arrival
    endIfQuiet(now)
    switch stage {
    case .idle, .probing:
      guard inFlight == 0, arrival >= lastCopyEnd else { return }
      if kind == .read { reads.recordIdle(latency) } else { writes.recordIdle(latency) }
    case .copying:
      // Those between two copies count too: they are commands during a rebuild.
      if arrival < stageBegan { return }
      if kind == .read { reads.window.record(latency) } else { writes.window.record(latency) }
    }
  }

  /// p99 of reads and of writes without copies, in nanoseconds; 0 where there were none.
  var idleNanoseconds: (reads: UInt64, writes: UInt64) { (reads.idle.percentile(99), writes.idle.percentile(99)) }

  // MARK: Copies

  /// Whether a copy may begin now, and then counts it as begun; else when to ask again, in nanoseconds from `now`.
  mutating func begin(now: UInt64) -> UInt64? {
    if limits.percent == 0 {
      inFlight += 1
      return nil
    }
    endIfQuiet(now)
    switch stage {
    case .idle:
      // Nobody to be disturbed, as far as is known.
      let isAlone = reads.idle.total == 0 && writes.idle.total == 0
      share = isAlone ? Double(limits.copies) : 1
      enter(isAlone ? .copying : .probing, now)
    case .probing:
      // While the last copies run still, nothing is learnt.
      if inFlight > 0 {
        stageBegan = now
      } else if now &- stageBegan >= Self.longestProbeNanoseconds || max(reads.probed, writes.probed) >= Self.probeSamples {
        enter(.copying, now)
      }
    case .copying: judge(now)
    }
    if stage == .probing { return Self.pollNanoseconds }
    let allowed = max(1, Int(min(share, Double(limits.copies))))
    if inFlight >= allowed { return Self.pollNanoseconds }
    if now < restEnd { return min(restEnd - now, Self.pollNanoseconds) }
    inFlight += 1
    return nil
  }

  /// A copy is over that began at `began`.
  mutating func end(began: UInt64, now: UInt64) {
    inFlight -= 1
    lastCopyEnd = now
    guard share < 1, limits.percent > 0 else { return }
    let rest = Double(now &- began) * (1 / share - 1)
    restEnd = now + UInt64(min(rest, Double(Self.longestRestNanoseconds)))
  }

  private mutating func endIfQuiet(_ now: UInt64) {
    guard stage != .idle, inFlight == 0, now &- max(lastCopyEnd, stageBegan) > Self.quietNanoseconds else { return }
    enter(.idle, now)
  }

  private mutating func enter(_ next: Stage, _ now: UInt64) {
    if next == .probing {
      // What was seen before the load changed must not count for ever.
      if reads.idle.total >= 64 { reads.idle.halve() }
      if writes.idle.total >= 64 { writes.idle.halve() }
    }
    stage = next
    stageBegan = now
    restEnd = 0
    reads.probed = 0
    writes.probed = 0
    beginWindow(now)
  }

  private mutating func beginWindow(_ now: UInt64) {
    windowBegan = now
    reads.window.clear()
    writes.window.clear()
  }

  /// At the end of a window: more, less, or as before.
  private mutating func judge(_ now: UInt64) {
    let samples = max(reads.window.total, writes.window.total)
    let age = now &- windowBegan
    guard
      samples >= Self.windowSamples || age >= Self.longestWindowNanoseconds
        || (age >= Self.windowNanoseconds && (samples == 0 || samples >= Self.leastSamples))
    else { return }
    // The worse of the two counts; one that is rare beside the other tells nothing.
    let least = min(samples, Self.leastSamples)
    let percent = max(reads.percent(least: least) ?? 0, writes.percent(least: least) ?? 0)
    if samples == 0 {
      share *= 2
    } else if percent > limits.percent {
      share = max(share / 2, Self.smallestShare)
    } else if percent <= 100 + (limits.percent - 100) / 2 {
      share = share < 1 ? share * 1.25 : share + 0.125
    } else if share < 1 {
      // How often one copy is under way says little about p99: a chance high latency must not keep it down.
      share = min(share * 1.125, 1)
    }
    share = min(share, Double(max(limits.copies, 1)))
    let isDue = samples > 0 && now &- stageBegan >= Self.probeEveryNanoseconds
    if isDue || reads.lacksIdle || writes.lacksIdle { enter(.probing, now) } else { beginWindow(now) }
  }
}
