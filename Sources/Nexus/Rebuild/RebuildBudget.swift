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

  public init(bandwidth: Bandwidth? = nil) { self.bandwidth = bandwidth }

  /// How many nanoseconds from `now` the node's bandwidth keeps so many bytes waiting.
  func delay(_ count: UInt64, now: UInt64) -> UInt64 { bandwidth?.delay(count, now: now) ?? 0 }
}
