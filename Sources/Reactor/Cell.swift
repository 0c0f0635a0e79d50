/// A value at an address of its own: held in a constant of a class, it is reached without an exclusivity check.
///
/// For state that one command touches dozens of times and one thread alone. Whoever changes the value must not call what may come
/// back to it.
@frozen @safe public struct Cell<Value: ~Copyable>: ~Copyable {
  @usableFromInline let place: UnsafeMutablePointer<Value>

  @inlinable
  public init(_ value: consuming Value) {
    unsafe place = .allocate(capacity: 1)
    unsafe place.initialize(to: value)
  }

  @inlinable
  deinit {
    unsafe place.deinitialize(count: 1)
    unsafe place.deallocate()
  }

  @inlinable
  public var value: Value {
    @inline(__always) unsafeAddress { unsafe UnsafePointer(place) }
    @inline(__always) nonmutating unsafeMutableAddress { unsafe place }
  }
}
