import Synchronization

/// What copies of all volumes on one reactor may take together: so many at once, as hosts of any of these volumes can bear, and a bandwidth
/// that all reactors of the node share. A pool and the nexuses with replicas in it are on one reactor, so that those who are disturbed by a
/// copy are seen by its governor.
///
/// Lives on the reactor; its nexuses share it.
public final class RebuildBudget {
  /// Bytes per second of the whole node, on any thread.
  public final class Bandwidth: Sendable {
    private let throttle: Mutex<RebuildThrottle>

    /// 0 for no limit.
    public init(bytesPerSecond: UInt64) { throttle = Mutex(RebuildThrottle(bytesPerSecond: bytesPerSecond)) }

    /// How many nanoseconds from `now` so many bytes may be copied; they are counted as copied.
    func delay(_ count: UInt64, now: UInt64) -> UInt64 { throttle.withLock { $0.delay(count, now: now) } }
  }

  var governor = LatencyGovernor()

  /// What hosts can bear.
  public var limits: LatencyGovernor.Limits {
    get { governor.limits }
    set { governor.limits = newValue }
  }
  private let bandwidth: Bandwidth?
  /// The volumes that copy, or did lately.
  private var turns: [Turn] = []

  /// How one volume stands among the others.
  private struct Turn {
    let nexus: ObjectIdentifier
    var copies = 0
    /// When its latest copy began.
    var began: UInt64 = 0
    /// When it last asked in vain, if it has begun none since.
    var asked: UInt64?
  }

  /// Who asked in vain asks again after a poll; one that has not for twice as long does not wait any more.
  private static let patienceNanoseconds = 2 * LatencyGovernor.pollNanoseconds

  public init(bandwidth: Bandwidth? = nil) { self.bandwidth = bandwidth }

  /// Whether a volume may begin a copy now, and then counts it as begun; else when to ask again, in nanoseconds from `now`. Who waits and has
  /// fewer copies under way, or as many and has waited longer, goes first: a copy that ends is no claim to the next one.
  func begin(for nexus: Nexus, now: UInt64) -> UInt64? {
    let name = ObjectIdentifier(nexus)
    turns.removeAll { $0.copies == 0 && $0.nexus != name && now &- max($0.began, $0.asked ?? 0) > LatencyGovernor.quietNanoseconds }
    let place = turns.firstIndex { $0.nexus == name } ?? turns.count
    if place == turns.count { turns.append(Turn(nexus: name)) }
    let own = turns[place]
    let isLate = turns.contains { other in
      guard other.nexus != name, let asked = other.asked, now &- asked <= Self.patienceNanoseconds else { return false }
      return other.copies < own.copies || (other.copies == own.copies && other.began < own.began)
    }
    if let wait = isLate ? LatencyGovernor.pollNanoseconds : governor.begin(now: now) {
      turns[place].asked = now
      return wait
    }
    turns[place].copies += 1
    turns[place].began = now
    turns[place].asked = nil
    return nil
  }

  /// A volume's copy is over that began at `began`.
  func end(for nexus: Nexus, began: UInt64, now: UInt64) {
    governor.end(began: began, now: now)
    let name = ObjectIdentifier(nexus)
    if let place = turns.firstIndex(where: { $0.nexus == name }) { turns[place].copies -= 1 }
  }

  /// How many nanoseconds from `now` the node's bandwidth keeps so many bytes waiting.
  func delay(_ count: UInt64, now: UInt64) -> UInt64 { bandwidth?.delay(count, now: now) ?? 0 }
}
