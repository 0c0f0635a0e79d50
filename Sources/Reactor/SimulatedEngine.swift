/// The time of a simulated reactor: whoever runs the simulation sets it.
public final class VirtualClock {
  /// Never goes back.
  public var nanoseconds: UInt64

  public init(nanoseconds: UInt64 = 0) { self.nanoseconds = nanoseconds }
}

/// The engine of a reactor that lives in a simulation: there are no descriptors, and sleeping moves the clock.
final class SimulatedEngine: IOEngine {
  private let clock: VirtualClock

  init(clock: VirtualClock) {
    self.clock = clock
    super.init(kind: .simulated)
  }

  override func flush() {}

  override func reap(into reactor: Reactor) -> Int { 0 }

  override func wait(timeoutNanoseconds: UInt64?) {
    guard let timeoutNanoseconds else { preconditionFailure("a simulated reactor sleeps without anything to wait for") }
    clock.nanoseconds += timeoutNanoseconds
  }

  override nonisolated func wake() {}
}
