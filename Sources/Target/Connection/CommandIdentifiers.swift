/// Finds a queue's command by its identifier: a hash table whose chains run through the slots.
///
/// A chain holds commands of one low byte, so at most 256 whatever a host sends, and hosts that count or use slot numbers have one or
/// two. The heads are behind a constant pointer: a class that holds this in a constant makes no exclusivity checks.
@safe struct CommandIdentifiers: ~Copyable {
  private static let bucketCount = 256

  /// The first slot of each chain, or -1.
  private let heads: UnsafeMutablePointer<Int32>

  init() {
    unsafe heads = .allocate(capacity: Self.bucketCount)
    unsafe heads.initialize(repeating: -1, count: Self.bucketCount)
  }

  deinit { unsafe heads.deallocate() }

  private static func bucket(_ identifier: UInt16) -> Int { Int(identifier) & (bucketCount - 1) }

  /// Whether a command with this identifier is in one of the slots that were inserted.
  func contains(_ identifier: UInt16, in slots: borrowing CommandSlots) -> Bool {
    var slot = Int(unsafe heads[Self.bucket(identifier)])
    while slot >= 0 {
      if slots[slot].commandIdentifier == identifier { return true }
      slot = Int(slots[slot].next)
    }
    return false
  }

  /// Takes in a slot with its identifier, which no other has.
  func insert(_ slot: Int, in slots: borrowing CommandSlots) {
    let bucket = Self.bucket(slots[slot].commandIdentifier)
    slots[slot].next = unsafe heads[bucket]
    unsafe heads[bucket] = Int32(slot)
  }

  /// Lets a slot go that is about to be freed; nothing happens if it was not inserted.
  func remove(_ slot: Int, in slots: borrowing CommandSlots) {
    let bucket = Self.bucket(slots[slot].commandIdentifier)
    var previous = -1
    var current = Int(unsafe heads[bucket])
    while current >= 0 {
      let next = slots[current].next
      if current == slot {
        if previous < 0 { unsafe heads[bucket] = next } else { slots[previous].next = next }
        return
      }
      previous = current
      current = Int(next)
    }
  }
}
