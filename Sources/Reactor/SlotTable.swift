/// Fixed slots for what is in flight: taken and freed in constant time, named by index, never moved while in use by pointer.
///
/// Grows in steps up to its limit, and keeps what it has: in steady state nothing is allocated. Not thread-safe. Its state is at
/// an address of its own and no method is mutating: held in a constant of a class, it costs no exclusivity check per access, of
/// which one command makes dozens.
@frozen @safe public struct SlotTable<Element: BitwiseCopyable>: ~Copyable {
  @frozen @usableFromInline
  @safe struct State {
    @usableFromInline var elements: UnsafeMutablePointer<Element>
    /// Per slot: the next free one, -1 for the last, or `inUse`.
    @usableFromInline var links: UnsafeMutablePointer<Int32>
    @usableFromInline var firstFree: Int32 = -1
    @usableFromInline var capacity: Int
    @usableFromInline var limit: Int
    @usableFromInline var usedCount = 0

    @usableFromInline
    init(capacity: Int, limit: Int) {
      unsafe elements = .allocate(capacity: capacity)
      unsafe links = .allocate(capacity: capacity)
      self.capacity = capacity
      self.limit = limit
    }

    mutating func chain(from start: Int, to end: Int, empty: Element) {
      for index in start..<end {
        unsafe (elements + index).initialize(to: empty)
        unsafe links[index] = index + 1 < end ? Int32(index + 1) : firstFree
      }
      firstFree = Int32(start)
    }

    func deallocate() {
      unsafe elements.deallocate()
      unsafe links.deallocate()
    }
  }

  @usableFromInline let state: UnsafeMutablePointer<State>
  @usableFromInline let empty: Element

  @usableFromInline static var inUse: Int32 { -2 }

  /// - Parameters:
  ///   - capacity: slots to begin with.
  ///   - limit: slots at most; `take` says nil beyond it.
  ///   - empty: what a taken slot holds at first.
  public init(capacity: Int, limit: Int? = nil, empty: Element) {
    self.empty = empty
    unsafe state = .allocate(capacity: 1)
    unsafe state.initialize(to: Self.makeState(capacity: capacity, limit: limit ?? capacity, empty: empty))
  }

  deinit {
    unsafe state.pointee.deallocate()
    unsafe state.deallocate()
  }

  private static func makeState(capacity: Int, limit: Int, empty: Element) -> State {
    precondition(capacity > 0 && capacity <= limit)
    var state = State(capacity: capacity, limit: limit)
    state.chain(from: 0, to: capacity, empty: empty)
    return state
  }

  /// Begins anew with another number of slots; none may be in use.
  public func reset(capacity: Int, limit: Int) {
    precondition(usedCount == 0, "slots are in use")
    unsafe state.pointee.deallocate()
    unsafe state.pointee = Self.makeState(capacity: capacity, limit: limit, empty: empty)
  }

  /// Slots there are now.
  @inlinable public var capacity: Int { unsafe state.pointee.capacity }
  /// Slots there may be.
  @inlinable public var limit: Int { unsafe state.pointee.limit }
  @inlinable public var usedCount: Int { unsafe state.pointee.usedCount }

  @usableFromInline
  func grow() -> Bool {
    let old = capacity
    if old == limit { return false }
    var larger = State(capacity: min(old * 2, limit), limit: limit)
    unsafe larger.elements.initialize(from: state.pointee.elements, count: old)
    unsafe larger.links.initialize(from: state.pointee.links, count: old)
    larger.firstFree = unsafe state.pointee.firstFree
    larger.usedCount = usedCount
    larger.chain(from: old, to: larger.capacity, empty: empty)
    unsafe state.pointee.deallocate()
    unsafe state.pointee = larger
    return true
  }

  /// Takes a free slot, holding `empty`; nil when all of the limit are in use.
  @inlinable @inline(__always)
  public func take() -> Int? {
    if unsafe state.pointee.firstFree < 0, !grow() { return nil }
    let index = unsafe Int(state.pointee.firstFree)
    unsafe state.pointee.firstFree = unsafe state.pointee.links[index]
    unsafe state.pointee.links[index] = Self.inUse
    unsafe state.pointee.elements[index] = empty
    unsafe state.pointee.usedCount += 1
    return index
  }

  /// Gives a slot back.
  @inlinable @inline(__always)
  public func free(_ index: Int) {
    precondition(isInUse(index), "the slot is not in use")
    unsafe state.pointee.links[index] = state.pointee.firstFree
    unsafe state.pointee.firstFree = Int32(index)
    unsafe state.pointee.usedCount -= 1
  }

  @inlinable @inline(__always)
  public func isInUse(_ index: Int) -> Bool {
    unsafe index >= 0 && index < state.pointee.capacity && state.pointee.links[index] == Self.inUse
  }

  @inlinable
  public subscript(index: Int) -> Element {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe UnsafePointer(state.pointee.elements + index)
    }
    @inline(__always) nonmutating unsafeMutableAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe state.pointee.elements + index
    }
  }
}
