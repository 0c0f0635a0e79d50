/// Who may touch which bytes now (R9): overlapping commands take effect in the order they came, reads together, everything
/// else alone.
///
/// A command counts the earlier commands that stand in its way; it may run when the count is zero. All present commands are in
/// dense arrays that are scanned: with the some hundred commands a volume has in flight that is quicker than any tree, and it
/// allocates nothing. Fair: a waiting command stands in the way of later ones just as a running one does.
@safe struct RangeLocks: ~Copyable {
  private var starts: UnsafeMutablePointer<UInt64>
  private var ends: UnsafeMutablePointer<UInt64>
  private var entries: UnsafeMutablePointer<Entry>
  private var capacity: Int
  private(set) var count = 0
  private(set) var waitingCount = 0
  private var nextSequence: UInt64 = 0
  /// A planted error: nothing waits for anything.
  var isOpen = false
  /// Set free but not yet told.
  private var unblocked: [(sequence: UInt64, slot: Int32)] = []

  private struct Entry {
    var sequence: UInt64
    var blockers: Int32
    var slot: Int32
    var isShared: Bool
  }

  init(capacity: Int = 256) {
    self.capacity = capacity
    unsafe starts = .allocate(capacity: capacity)
    unsafe ends = .allocate(capacity: capacity)
    unsafe entries = .allocate(capacity: capacity)
    unblocked.reserveCapacity(64)
  }

  deinit {
    unsafe starts.deallocate()
    unsafe ends.deallocate()
    unsafe entries.deallocate()
  }

  /// Enters a command for the bytes `start ..< end`. Returns whether it may run at once; if not, `nextUnblocked` will name it.
  mutating func insert(slot: Int, start: UInt64, end: UInt64, isShared: Bool) -> Bool {
    precondition(start < end)
    if count == capacity { grow() }
    var blockers: Int32 = 0
    for index in 0..<count where unsafe starts[index] < end && start < ends[index] {
      if unsafe !(isShared && entries[index].isShared), !isOpen { blockers += 1 }
    }
    unsafe starts[count] = start
    unsafe ends[count] = end
    unsafe entries[count] = Entry(sequence: nextSequence, blockers: blockers, slot: Int32(slot), isShared: isShared)
    nextSequence += 1
    count += 1
    if blockers > 0 { waitingCount += 1 }
    return blockers == 0
  }

  /// Removes a command, finished or given up. Commands that may run now are appended to what `nextUnblocked` gives.
  mutating func remove(slot: Int) {
    var position = 0
    while position < count, unsafe entries[position].slot != Int32(slot) { position += 1 }
    precondition(position < count, "the command holds no range")
    let start = unsafe starts[position]
    let end = unsafe ends[position]
    let entry = unsafe entries[position]
    count -= 1
    if entry.blockers > 0 { waitingCount -= 1 }
    unsafe starts[position] = unsafe starts[count]
    unsafe ends[position] = unsafe ends[count]
    unsafe entries[position] = unsafe entries[count]
    if waitingCount == 0 { return }
    for index in 0..<count where unsafe starts[index] < end && start < ends[index] {
      let other = unsafe entries[index]
      if other.sequence < entry.sequence || (other.isShared && entry.isShared) || isOpen { continue }
      unsafe entries[index].blockers -= 1
      if unsafe entries[index].blockers == 0 {
        waitingCount -= 1
        unblocked.append((other.sequence, other.slot))
      }
    }
  }

  /// The next command that `remove` set free, oldest first; each is given once.
  mutating func nextUnblocked() -> Int? {
    if unblocked.isEmpty { return nil }
    var oldest = 0
    for index in unblocked.indices where unblocked[index].sequence < unblocked[oldest].sequence { oldest = index }
    return Int(unblocked.remove(at: oldest).slot)
  }

  /// Takes back a command that `nextUnblocked` has yet to give.
  mutating func forgetUnblocked(slot: Int) { unblocked.removeAll { $0.slot == Int32(slot) } }

  private mutating func grow() {
    let larger = capacity * 2
    let newStarts = UnsafeMutablePointer<UInt64>.allocate(capacity: larger)
    let newEnds = UnsafeMutablePointer<UInt64>.allocate(capacity: larger)
    let newEntries = UnsafeMutablePointer<Entry>.allocate(capacity: larger)
    unsafe newStarts.initialize(from: starts, count: count)
    unsafe newEnds.initialize(from: ends, count: count)
    unsafe newEntries.initialize(from: entries, count: count)
    unsafe starts.deallocate()
    unsafe ends.deallocate()
    unsafe entries.deallocate()
    unsafe starts = unsafe newStarts
    unsafe ends = unsafe newEnds
    unsafe entries = unsafe newEntries
    capacity = larger
  }
}
