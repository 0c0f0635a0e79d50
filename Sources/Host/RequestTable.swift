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

/// Fixed memory for the requests of a namespace, with the backlog of those that still have something to send. All state is behind
/// constant pointers, so that a class that holds this in a constant makes no exclusivity checks.
@safe struct RequestTable: ~Copyable {
  static let none = UInt32.max

  let capacity: Int
  private let entries: UnsafeMutablePointer<PendingRequest>
  private let lists: UnsafeMutablePointer<Lists>

  private struct Lists {
    var free: UInt32 = 0
    /// The backlog.
    var head = RequestTable.none
    var tail = RequestTable.none
  }

  init(capacity: Int) {
    self.capacity = capacity
    unsafe entries = .allocate(capacity: capacity)
    unsafe entries.initialize(repeating: PendingRequest(), count: capacity)
    for index in 0..<capacity - 1 { unsafe entries[index].next = UInt32(index + 1) }
    unsafe lists = .allocate(capacity: 1)
    unsafe lists.initialize(to: Lists())
  }

  deinit {
    unsafe entries.deallocate()
    unsafe lists.deallocate()
  }

  subscript(index: Int) -> PendingRequest {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe UnsafePointer(entries + index)
    }
    @inline(__always) nonmutating unsafeMutableAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe entries + index
    }
  }

  @inline(__always)
  func take() -> Int? {
    if unsafe lists.pointee.free == Self.none { return nil }
    let index = unsafe Int(lists.pointee.free)
    unsafe lists.pointee.free = self[index].next
    return index
  }

  @inline(__always)
  func release(_ index: Int) {
    unsafe self[index].client = nil
    self[index].next = unsafe lists.pointee.free
    unsafe lists.pointee.free = UInt32(truncatingIfNeeded: index)
  }

  /// The first of the backlog.
  @inline(__always)
  var first: Int? { unsafe lists.pointee.head == Self.none ? nil : Int(lists.pointee.head) }

  func enqueue(_ index: Int) {
    precondition(!self[index].isQueued)
    self[index].isQueued = true
    self[index].next = Self.none
    if unsafe lists.pointee.head == Self.none {
      unsafe lists.pointee.head = UInt32(index)
    } else {
      unsafe self[Int(lists.pointee.tail)].next = UInt32(index)
    }
    unsafe lists.pointee.tail = UInt32(index)
  }

  func dequeue() {
    let index = unsafe Int(lists.pointee.head)
    unsafe lists.pointee.head = self[index].next
    if unsafe lists.pointee.head == Self.none { unsafe lists.pointee.tail = Self.none }
    self[index].isQueued = false
  }
}
