import Reactor

/// A block request on its way: what is still to be sent, and what is outstanding.
@safe struct PendingRequest {
  var client: Unmanaged<BlockClient>?
  var token: UInt64 = 0
  /// The data of byte `startBytes`.
  var buffer: UnsafeMutableRawPointer?
  var startBytes: UInt64 = 0
  /// What is not sent yet: from here …
  var positionBytes: UInt64 = 0
  /// … to here.
  var endBytes: UInt64 = 0
  var outstanding: UInt32 = 0
  /// The next in the backlog or on the free list.
  var next: UInt32 = RequestTable.none
  var operation = BlockOperation.flush
  var forceUnitAccess = false
  var isQueued = false
  var status = BlockStatus.success
}

/// Fixed memory for the requests of a namespace, with the backlog of those that still have something to send.
@safe struct RequestTable: ~Copyable {
  static let none = UInt32.max

  let capacity: Int
  private let entries: UnsafeMutablePointer<PendingRequest>
  private var free: UInt32
  private var head = RequestTable.none
  private var tail = RequestTable.none

  init(capacity: Int) {
    self.capacity = capacity
    unsafe entries = .allocate(capacity: capacity)
    unsafe entries.initialize(repeating: PendingRequest(), count: capacity)
    for index in 0..<capacity - 1 { unsafe entries[index].next = UInt32(index + 1) }
    free = 0
  }

  deinit { unsafe entries.deallocate() }

  subscript(index: Int) -> PendingRequest {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe UnsafePointer(entries + index)
    }
    @inline(__always) unsafeMutableAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe entries + index
    }
  }

  @inline(__always)
  mutating func take() -> Int? {
    if free == Self.none { return nil }
    let index = Int(free)
    free = self[index].next
    return index
  }

  @inline(__always)
  mutating func release(_ index: Int) {
    unsafe self[index].client = nil
    self[index].next = free
    free = UInt32(truncatingIfNeeded: index)
  }

  /// The first of the backlog.
  @inline(__always)
  var first: Int? { head == Self.none ? nil : Int(head) }

  mutating func enqueue(_ index: Int) {
    precondition(!self[index].isQueued)
    self[index].isQueued = true
    self[index].next = Self.none
    if head == Self.none { head = UInt32(index) } else { self[Int(tail)].next = UInt32(index) }
    tail = UInt32(index)
  }

  mutating func dequeue() {
    let index = Int(head)
    head = self[index].next
    if head == Self.none { tail = Self.none }
    self[index].isQueued = false
  }
}
