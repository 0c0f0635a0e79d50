import CLinux
import Glibc
import Synchronization

/// The registered handlers, by index and generation. Owns a reference to each.
@safe struct HandlerTable: ~Copyable {
  private static let capacity = 1 << 16

  private let slots: UnsafeMutablePointer<Unmanaged<EventHandler>?>
  private let generations: UnsafeMutablePointer<UInt8>
  private var free: [UInt16] = []
  private var used = 1
  private var removed: [Unmanaged<EventHandler>] = unsafe []

  init() {
    unsafe slots = .allocate(capacity: Self.capacity)
    unsafe generations = .allocate(capacity: Self.capacity)
    // Untouched pages of a large allocation cost nothing; index 0 is "nobody".
    unsafe slots[0] = nil
    unsafe generations[0] = 0
  }

  deinit {
    for index in 1..<used { unsafe slots[index]?.release() }
    unsafe removed.forEach { unsafe $0.release() }
    unsafe slots.deallocate()
    unsafe generations.deallocate()
  }

  mutating func insert(_ handler: EventHandler) -> HandlerID {
    precondition(handler.handlerID == .none, "the handler is registered already")
    let index: Int
    if let reused = free.popLast() {
      index = Int(reused)
    } else {
      precondition(used < Self.capacity, "more than 65,535 handlers on one reactor")
      index = used
      used += 1
      unsafe generations[index] = 0
    }
    unsafe slots[index] = Unmanaged.passRetained(handler)
    handler.identifier = HandlerID(rawValue: UInt32(unsafe generations[index]) << 16 | UInt32(index))
    return handler.handlerID
  }

  mutating func remove(_ handler: EventHandler) {
    let id = handler.handlerID
    precondition(id != .none, "the handler is not registered")
    let index = Int(id.rawValue & 0xFFFF)
    handler.identifier = .none
    let reference = unsafe slots[index]
    unsafe slots[index] = nil
    unsafe generations[index] &+= 1
    // First in, first out: an index rests as long as possible before it is used again.
    free.insert(UInt16(index), at: 0)
    // A handler may remove itself from inside its own method.
    if let reference = unsafe reference { unsafe removed.append(reference) }
  }

  /// Removes all; `popRemoved` gives them.
  mutating func removeAll() {
    for index in 1..<used {
      guard let reference = unsafe slots[index] else { continue }
      unsafe reference._withUnsafeGuaranteedRef { $0.identifier = .none }
      unsafe slots[index] = nil
      unsafe generations[index] &+= 1
      unsafe removed.append(reference)
    }
  }

  /// The handler of an id, or nil for a stale one. It stays alive until the end of the pass, whatever it does meanwhile.
  @inline(__always)
  func find(_ rawValue: UInt32) -> Unmanaged<EventHandler>? {
    let index = Int(rawValue & 0xFFFF)
    guard index < used, unsafe generations[index] == UInt8(truncatingIfNeeded: rawValue >> 16) else { return nil }
    return unsafe slots[index]
  }

  /// One of those that were removed, to be released when no handler's method is running, and not from inside the table: its end
  /// may be that of others, which leave the reactor in turn.
  mutating func popRemoved() -> Unmanaged<EventHandler>? { unsafe removed.popLast() }
}

/// Events to deliver later in the pass: a ring that grows when it must.
struct DeferredEvents {
  private var ring = [(userData: UInt64, result: Int32)](repeating: (0, 0), count: 1024)
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ userData: UInt64, result: Int32) {
    if count == ring.count {
      var larger = [(userData: UInt64, result: Int32)](repeating: (0, 0), count: ring.count * 2)
      for index in 0..<count { larger[index] = ring[(head + index) & (ring.count - 1)] }
      ring = larger
      head = 0
    }
    ring[(head + count) & (ring.count - 1)] = (userData, result)
    count += 1
  }

  mutating func popFirst() -> (userData: UInt64, result: Int32)? {
    if count == 0 { return nil }
    let first = ring[head]
    head = (head + 1) & (ring.count - 1)
    count -= 1
    return first
  }
}

/// Timers by deadline; equal deadlines in the order of insertion.
struct TimerHeap {
  private var heap: [(deadline: UInt64, sequence: UInt64, userData: UInt64)] = []
  private var nextSequence: UInt64 = 0

  var nextDeadline: UInt64? { heap.first?.deadline }

  mutating func insert(deadline: UInt64, userData: UInt64) {
    heap.append((deadline, nextSequence, userData))
    nextSequence += 1
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(child, parent) else { break }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  mutating func popExpired(_ now: UInt64) -> UInt64? {
    guard let first = heap.first, first.deadline <= now else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, smallest) { smallest = child }
      if smallest == parent { break }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
    return first.userData
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    heap[left].deadline != heap[right].deadline
      ? heap[left].deadline < heap[right].deadline : heap[left].sequence < heap[right].sequence
  }
}

/// How long there has been nothing to do. It counts from the first look that found nothing, not from the start of the last work:
/// a pass that took longer than a spin must not be followed by no spin at all.
struct SpinClock {
  private var idleSince: UInt64?

  mutating func worked() { idleSince = nil }

  /// `now` is the time of a look that found nothing.
  mutating func idleNanoseconds(_ now: UInt64) -> UInt64 {
    guard let idleSince else {
      self.idleSince = now
      return 0
    }
    return now &- idleSince
  }
}

/// Messages from other threads. The reactor looks at a flag per pass and takes the lock only when it is set.
final class Mailbox: @unchecked Sendable {
  private struct Content {
    var messages: [@Sendable (Reactor) -> Void] = []
    /// How many of them have somebody who waits for their end.
    var awaitedCount = 0
    var isClosed = false
  }

  private let content = Mutex(Content())
  private let isFilled = Atomic<Bool>(false)
  private let isAsleep = Atomic<Bool>(false)
  private unowned var engine: IOEngine?

  func attach(_ engine: IOEngine) { self.engine = engine }

  /// With `isAwaited` somebody waits until the message was run: for a reactor that has ended, that would be for ever.
  func post(_ message: @escaping @Sendable (Reactor) -> Void, isAwaited: Bool = false) {
    content.withLock { content in
      precondition(!isAwaited || !content.isClosed, "a reactor that has ended is asked for an answer")
      content.messages.append(message)
      if isAwaited { content.awaitedCount += 1 }
    }
    isFilled.store(true, ordering: .sequentiallyConsistent)
    if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { engine?.wake() }
  }

  func drain(_ reactor: Reactor) -> Int {
    guard isFilled.load(ordering: .relaxed), isFilled.exchange(false, ordering: .sequentiallyConsistent) else { return 0 }
    let taken = content.withLock { content in
      defer {
        content.messages = []
        content.awaitedCount = 0
      }
      return content.messages
    }
    for message in taken { message(reactor) }
    return taken.count
  }

  /// Nobody takes messages out any more.
  func close() {
    content.withLock { content in
      precondition(content.awaitedCount == 0, "a reactor ends while it is asked for an answer")
      content.isClosed = true
    }
  }

  /// Announces sleep; false if a message came first.
  func prepareToSleep() -> Bool {
    isAsleep.store(true, ordering: .sequentiallyConsistent)
    if isFilled.load(ordering: .sequentiallyConsistent) {
      isAsleep.store(false, ordering: .sequentiallyConsistent)
      return false
    }
    return true
  }

  func awake() { isAsleep.store(false, ordering: .sequentiallyConsistent) }
}
