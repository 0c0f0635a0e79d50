import NVMe

/// One command of a queue, from its capsule to the end of its response and of its payload's sending.
@safe struct CommandSlot {
  enum Kind: UInt8 {
    case free
    /// No data.
    case plain
    /// Data from the controller.
    case read
    /// Data in the capsule.
    case capsuleWrite
    /// Data that the controller asks for.
    case write
  }

  /// Where the data are or go; `byteCount` bytes.
  var buffer: UnsafeMutableRawPointer?
  /// When the command's time is over, on CLOCK_MONOTONIC in nanoseconds.
  var deadline: UInt64 = .max
  /// Dwords 0 and 1 of the response.
  var result: UInt64 = 0
  var byteCount: UInt32 = 0
  /// Bytes received, or asked for by the controller.
  var transferred: UInt32 = 0
  /// Payloads queued whose memory the stream still refers to.
  var pendingSends: UInt32 = 0
  /// Whose command this is: an index in the table of the namespace or, for control commands, of the association.
  var owner: UInt32 = 0
  var status = Status.success
  var kind = Kind.free
  /// Whether `owner` is in the association's table.
  var isControl = false
  /// The response came; the slot only waits for `pendingSends`.
  var isAnswered = false
  /// The last data PDU said that it is the last.
  var isDataComplete = false
  /// A data digest was wrong.
  var isCorrupt = false
  /// The success flag stands for the response once the data are in.
  var endsWithData = false
  /// Counts the slot's uses, so that a second response to an old command is not taken for the new one's.
  var generation: UInt8 = 0
}

/// The fixed command slots of a queue.
///
/// Invariant: a slot is on the free stack exactly when its kind is `free`. A command identifier is the slot's index in its low
/// bits with the slot's generation above; it is never FFFFh. All state is behind constant pointers, so that a class that holds this
/// in a constant makes no exclusivity checks.
@safe struct CommandSlots: ~Copyable {
  static let indexBits = 10
  private static let generationMask: UInt8 = 0x1F

  let capacity: Int
  private let stackHeight: UnsafeMutablePointer<Int>
  private let slots: UnsafeMutablePointer<CommandSlot>
  private let freeStack: UnsafeMutablePointer<UInt16>

  init(capacity: Int) {
    precondition(capacity >= 1 && capacity <= 1 << Self.indexBits)
    self.capacity = capacity
    unsafe stackHeight = .allocate(capacity: 1)
    unsafe stackHeight.initialize(to: capacity)
    unsafe slots = .allocate(capacity: capacity)
    unsafe slots.initialize(repeating: CommandSlot(), count: capacity)
    unsafe freeStack = .allocate(capacity: capacity)
    for index in 0..<capacity { unsafe freeStack[index] = UInt16(capacity - 1 - index) }
  }

  deinit {
    unsafe stackHeight.deallocate()
    unsafe slots.deallocate()
    unsafe freeStack.deallocate()
  }

  @inline(__always)
  var freeCount: Int { unsafe stackHeight.pointee }
  var usedCount: Int { capacity &- freeCount }

  subscript(index: Int) -> CommandSlot {
    @inline(__always) unsafeAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe UnsafePointer(slots + index)
    }
    @inline(__always) nonmutating unsafeMutableAddress {
      precondition(index >= 0 && index < capacity)
      return unsafe slots + index
    }
  }

  /// Takes a free slot; there must be one.
  @inline(__always)
  func take() -> Int {
    precondition(freeCount > 0)
    unsafe stackHeight.pointee &-= 1
    return Int(unsafe freeStack[freeCount])
  }

  @inline(__always)
  func release(_ index: Int) {
    precondition(self[index].kind != .free)
    self[index].kind = .free
    self[index].generation = (self[index].generation &+ 1) & Self.generationMask
    unsafe freeStack[freeCount] = UInt16(truncatingIfNeeded: index)
    unsafe stackHeight.pointee &+= 1
  }

  @inline(__always)
  func commandIdentifier(_ index: Int) -> UInt16 {
    UInt16(truncatingIfNeeded: index) | UInt16(self[index].generation) << UInt16(Self.indexBits)
  }

  /// The slot of a peer's command identifier, if such a command is outstanding and not answered.
  @inline(__always)
  func find(_ commandIdentifier: UInt16) -> Int? {
    let index = Int(commandIdentifier) & (1 << Self.indexBits - 1)
    if index >= capacity { return nil }
    let slot = unsafe slots + index
    if unsafe slot.pointee.kind == .free || slot.pointee.isAnswered
      || UInt16(slot.pointee.generation) != commandIdentifier >> UInt16(Self.indexBits)
    {
      return nil
    }
    return index
  }
}
