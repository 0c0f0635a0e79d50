import Testing

@testable import Host

@Suite struct CommandSlotsTests {
  @Test func `identifiers of old uses are not found`() {
    let slots = CommandSlots(capacity: 4)
    let index = slots.take()
    slots[index].kind = .plain
    let identifier = slots.commandIdentifier(index)
    #expect(slots.find(identifier) == index)
    slots[index].isAnswered = true
    #expect(slots.find(identifier) == nil)
    slots.release(index)
    #expect(slots.find(identifier) == nil)
    let again = slots.take()
    #expect(again == index, "the slot used last is the warmest")
    slots[again].kind = .plain
    slots[again].isAnswered = false
    #expect(slots.find(identifier) == nil)
    #expect(slots.find(slots.commandIdentifier(again)) == again)
  }

  @Test func `no identifier is FFFFh, and those beyond the table are not found`() {
    let slots = CommandSlots(capacity: 1024)
    for _ in 0..<1024 { slots[slots.take()].kind = .plain }
    #expect(slots.freeCount == 0 && slots.usedCount == 1024)
    for _ in 0..<64 {
      #expect(slots.commandIdentifier(1023) != 0xFFFF)
      #expect(slots.find(0xFFFF) == nil)
      slots.release(1023)
      #expect(slots.take() == 1023)
      slots[1023].kind = .plain
    }
    let few = CommandSlots(capacity: 2)
    for identifier in UInt16.min...UInt16.max { #expect(few.find(identifier) == nil) }
  }
}

@Suite struct RequestTableTests {
  @Test func `a fixed number of requests, and a backlog in order`() {
    let table = RequestTable(capacity: 3)
    let taken = [table.take(), table.take(), table.take()].compactMap { $0 }
    #expect(Set(taken).count == 3)
    #expect(table.take() == nil)
    for index in taken { table.enqueue(index) }
    var order: [Int] = []
    while let first = table.first {
      #expect(table[first].isQueued)
      table.dequeue()
      #expect(!table[first].isQueued)
      order.append(first)
    }
    #expect(order == taken)
    table.release(taken[1])
    #expect(table.take() == taken[1])
    table.enqueue(taken[2])
    table.enqueue(taken[0])
    #expect(table.first == taken[2])
  }
}
