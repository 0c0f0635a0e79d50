/// Fixed slots for what is in flight: taken and freed in constant time, named by index, never moved while in use by pointer.
///
/// Grows in steps up to its limit, and keeps what it has: in steady state nothing is allocated. Not thread-safe.
@frozen @safe public struct SlotTable<Element: BitwiseCopyable>: ~Copyable {
  @usableFromInline var elements: UnsafeMutablePointer<Element>
  /// Per slot: the next free one, -1 for the last, or `inUse`.
  @usableFromInline var links: UnsafeMutablePointer<Int32>
  @usableFromInline var firstFree: Int32
  /// Slots there are now.
  public private(set) var capacity: Int
  /// Slots there may be.
  public let limit: Int
  public private(set) var usedCount = 0
  @usableFromInline let empty: Element

  @usableFromInline static var inUse: Int32 { -2 }

  /// - Parameters:
  ///   - capacity: slots to begin with.
  ///   - limit: slots at most; `take` says nil beyond it.
  ///   - empty: what a taken slot holds at first.
  public init(capacity: Int, limit: Int? = nil, empty: Element) {
    precondition(capacity > 0 && capacity <= limit ?? capacity)
    self.capacity = capacity
    self.limit = limit ?? capacity
    self.empty = empty
    unsafe elements = .allocate(capacity: capacity)
    unsafe links = .allocate(capacity: capacity)
    firstFree = -1
    chain(from: 0, to: capacity)
  }

  deinit {
    unsafe elements.deallocate()
    unsafe links.deallocate()
  }

  private mutating func chain(from start: Int, to end: Int) {
    for index in start..<end {
      unsafe (elements + index).initialize(to: empty)
      unsafe links[index] = index + 1 < end ? Int32(index + 1) : firstFree
    }
    firstFree = Int32(start)
  }

  @usableFromInline
  mutating func grow() -> Bool {
    if capacity == limit { return false }
    let larger = min(capacity * 2, limit)
    let newElements = UnsafeMutablePointer<Element>.allocate(capacity: larger)
    let newLinks = UnsafeMutablePointer<Int32>.allocate(capacity: larger)
    unsafe newElements.initialize(from: elements, count: capacity)
    unsafe newLinks.initialize(from: links, count: capacity)
    unsafe elements.deallocate()
    unsafe links.deallocate()
    unsafe elements = unsafe newElements
    unsafe links = unsafe newLinks
    let old = capacity
    capacity = larger
    chain(from: old, to: larger)
    return true
  }

  /// Takes a free slot, holding `empty`; nil when all of the limit are in use.
  @inlinable @inline(__always)
  public mutating func take() -> Int? {
    if firstFree < 0, !grow() { return nil }
    let index = Int(firstFree)
    firstFree = unsafe links[index]
    unsafe links[index] = Self.inUse
    unsafe elements[index] = empty
    count(1)
    return index
  }

  /// Gives a slot back.
  @inlinable @inline(__always)
  public mutating func free(_ index: Int) {
    precondition(isInUse(index), "the slot is not in use")
    unsafe links[index] = firstFree
    firstFree = Int32(index)
    count(-1)
  }

  @usableFromInline mutating func count(_ change: Int) { usedCount += change }

  @inlinable @inline(__always)
  public func isInUse(_ index: Int) -> Bool {
    unsafe index >= 0 && index < capacity && links[index] == Self.inUse
  }

  @inlinable
  public subscript(index: Int) -> Element {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe UnsafePointer(elements + index)
    }
    @inline(__always) unsafeMutableAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe elements + index
    }
  }
}
