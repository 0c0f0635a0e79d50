import Synchronization

/// A number that only grows. Any thread may read it.
public final class Counter: Sendable {
  @usableFromInline let cell = Atomic<UInt64>(0)

  public init() {}

  public var value: UInt64 { cell.load(ordering: .relaxed) }

  /// Adds from any thread.
  @inlinable
  public func add(_ amount: UInt64 = 1) { cell.wrappingAdd(amount, ordering: .relaxed) }

  /// Adds without a locked instruction. Right only if one thread alone ever adds to this counter.
  @inlinable
  public func addAsOwner(_ amount: UInt64 = 1) {
    cell.store(cell.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }
}

/// A number that goes up and down. Any thread may read and change it.
public final class Gauge: Sendable {
  @usableFromInline let cell = Atomic<Int64>(0)

  public init() {}

  public var value: Int64 { cell.load(ordering: .relaxed) }

  @inlinable
  public func set(_ value: Int64) { cell.store(value, ordering: .relaxed) }

  @inlinable
  public func add(_ amount: Int64) { cell.wrappingAdd(amount, ordering: .relaxed) }
}
