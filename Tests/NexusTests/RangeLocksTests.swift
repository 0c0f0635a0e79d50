import Testing

@testable import Nexus

/// What `RangeLocks` promises, written so that it is plain: a command runs when no earlier overlapping one is left that it
/// may not share with.
private struct NaiveLocks {
  struct Entry {
    let slot: Int
    let range: Range<UInt64>
    let isShared: Bool
    var hasRun = false
  }
  private(set) var entries: [Entry] = []

  private func mayRun(_ position: Int) -> Bool {
    let entry = entries[position]
    return entries[..<position].allSatisfy { !$0.range.overlaps(entry.range) || ($0.isShared && entry.isShared) }
  }

  mutating func insert(_ slot: Int, _ range: Range<UInt64>, isShared: Bool) -> Bool {
    entries.append(Entry(slot: slot, range: range, isShared: isShared))
    entries[entries.count - 1].hasRun = mayRun(entries.count - 1)
    return entries[entries.count - 1].hasRun
  }

  /// Returns the slots that may run now, oldest first.
  mutating func remove(_ slot: Int) -> [Int] {
    entries.removeAll { $0.slot == slot }
    var runnable: [Int] = []
    for position in entries.indices where !entries[position].hasRun && mayRun(position) {
      entries[position].hasRun = true
      runnable.append(entries[position].slot)
    }
    return runnable
  }
}

/// Locks that expectations can ask, which need a copyable subject.
private final class SharedLocks {
  private var locks = RangeLocks()
  var waitingCount: Int { locks.waitingCount }

  func insert(slot: Int, start: UInt64, end: UInt64, isShared: Bool) -> Bool {
    locks.insert(slot: slot, start: start, end: end, isShared: isShared)
  }

  func remove(slot: Int) { locks.remove(slot: slot) }
  func forgetUnblocked(slot: Int) { locks.forgetUnblocked(slot: slot) }
  func nextUnblocked() -> Int? { locks.nextUnblocked() }
}

struct RangeLocksTests {
  @Test func `agrees with a plain model on random histories`() {
    for seed in 0..<300 { #expect(mismatches(seed: UInt64(seed)) == 0, "seed \(seed)") }
  }

  private func mismatches(seed: UInt64) -> Int {
    var generator = SeededGenerator(seed: seed)
    var locks = RangeLocks(capacity: 2)
    var model = NaiveLocks()
    var freeSlots = Array(0..<40)
    var mismatches = 0
    for _ in 0..<200 {
      if !freeSlots.isEmpty, generator.chance(model.entries.count < 20 ? 60 : 40) {
        let slot = freeSlots.remove(at: generator.below(freeSlots.count))
        let start = UInt64(generator.below(30))
        let range = start..<start + 1 + UInt64(generator.below(8))
        let isShared = generator.chance(50)
        let runs = locks.insert(slot: slot, start: range.lowerBound, end: range.upperBound, isShared: isShared)
        if runs != model.insert(slot, range, isShared: isShared) { mismatches += 1 }
      } else if !model.entries.isEmpty {
        // Any command may go, one that still waits as well.
        let slot = model.entries[generator.below(model.entries.count)].slot
        locks.remove(slot: slot)
        var unblocked: [Int] = []
        while let next = locks.nextUnblocked() { unblocked.append(next) }
        if unblocked != model.remove(slot) { mismatches += 1 }
        freeSlots.append(slot)
      }
      if locks.count != model.entries.count { mismatches += 1 }
      if locks.waitingCount != model.entries.count(where: { !$0.hasRun }) { mismatches += 1 }
    }
    return mismatches
  }

  @Test func `a read that comes after a waiting write does not overtake it`() {
    let locks = SharedLocks()
    #expect(locks.insert(slot: 0, start: 0, end: 8, isShared: true))
    #expect(!locks.insert(slot: 1, start: 4, end: 12, isShared: false))
    #expect(!locks.insert(slot: 2, start: 0, end: 8, isShared: true))
    #expect(locks.insert(slot: 3, start: 0, end: 4, isShared: true))
    locks.remove(slot: 0)
    #expect(locks.nextUnblocked() == 1)
    #expect(locks.nextUnblocked() == nil)
    locks.remove(slot: 1)
    #expect(locks.nextUnblocked() == 2)
  }

  @Test func `neighbours do not stand in each other's way`() {
    let locks = SharedLocks()
    #expect(locks.insert(slot: 0, start: 0, end: 8, isShared: false))
    #expect(locks.insert(slot: 1, start: 8, end: 16, isShared: false))
    #expect(locks.waitingCount == 0)
  }

  @Test func `a command given up before it was told of its turn is not told`() {
    let locks = SharedLocks()
    #expect(locks.insert(slot: 0, start: 0, end: 8, isShared: false))
    #expect(!locks.insert(slot: 1, start: 0, end: 8, isShared: false))
    #expect(!locks.insert(slot: 2, start: 0, end: 8, isShared: false))
    locks.remove(slot: 0)
    locks.forgetUnblocked(slot: 1)
    locks.remove(slot: 1)
    #expect(locks.nextUnblocked() == 2)
    #expect(locks.nextUnblocked() == nil)
  }
}
