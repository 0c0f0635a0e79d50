/// What is going to happen, by time; at one time in the order of planning.
struct EventHeap {
  struct Event {
    let nanoseconds: UInt64
    let sequence: UInt64
    let body: () -> Void
  }

  private var heap: [Event] = []
  private var nextSequence: UInt64 = 0

  var first: UInt64? { heap.first?.nanoseconds }

  mutating func insert(at nanoseconds: UInt64, _ body: @escaping () -> Void) {
    heap.append(Event(nanoseconds: nanoseconds, sequence: nextSequence, body: body))
    nextSequence += 1
    var child = heap.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> Event? {
    if heap.isEmpty { return nil }
    heap.swapAt(0, heap.count - 1)
    let first = heap.removeLast()
    var parent = 0
    while true {
      var smallest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, smallest) { smallest = child }
      if smallest == parent { return first }
      heap.swapAt(parent, smallest)
      parent = smallest
    }
  }

  mutating func removeAll() { heap = [] }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    heap[left].nanoseconds != heap[right].nanoseconds
      ? heap[left].nanoseconds < heap[right].nanoseconds : heap[left].sequence < heap[right].sequence
  }
}
