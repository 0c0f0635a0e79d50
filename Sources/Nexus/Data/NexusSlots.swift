import Reactor

/// The slots of a nexus at an address of their own: reached through a constant of the class, they cost no exclusivity check per
/// access, of which one command makes dozens.
@safe struct NexusSlots {
  private let table: UnsafeMutablePointer<SlotTable<NexusSlot>>

  init(capacity: Int, limit: Int) {
    unsafe table = .allocate(capacity: 1)
    unsafe table.initialize(to: SlotTable(capacity: capacity, limit: limit, empty: NexusSlot()))
  }

  /// The owner does this once, at its end.
  func destroy() {
    unsafe table.deinitialize(count: 1)
    unsafe table.deallocate()
  }

  var capacity: Int { unsafe table.pointee.capacity }
  var usedCount: Int { unsafe table.pointee.usedCount }

  func isInUse(_ slot: Int) -> Bool { unsafe table.pointee.isInUse(slot) }
  func take() -> Int? { unsafe table.pointee.take() }
  func free(_ slot: Int) { unsafe table.pointee.free(slot) }

  subscript(slot: Int) -> NexusSlot {
    @inline(__always) get { unsafe table.pointee[slot] }
    @inline(__always) nonmutating _modify { yield unsafe &table.pointee[slot] }
  }
}
