import Testing

@testable import Target

@Suite struct CommandIdentifiersTests {
  @Test(arguments: [UInt16(1), 256]) func `commands are found from insertion to removal, also in one chain`(step: UInt16) {
    let slots = CommandSlots(entries: 128)
    let table = CommandIdentifiers()
    let identifiers = (0..<128).map { UInt16($0) * step + 7 }
    for identifier in identifiers {
      let isKnown = table.contains(identifier, in: slots)
      #expect(!isKnown)
      guard let slot = slots.take() else {
        Issue.record("no slot")
        return
      }
      slots[slot].commandIdentifier = identifier
      table.insert(slot, in: slots)
    }
    var known = identifiers.filter { table.contains($0, in: slots) }
    #expect(known == identifiers)
    // First, last and inside of a chain; a second removal does nothing.
    for slot in [127, 0, 64, 64] { table.remove(slot, in: slots) }
    known = identifiers.filter { table.contains($0, in: slots) }
    #expect(known.count == 125 && !known.contains(7))
    slots[64].commandIdentifier = 7
    table.insert(64, in: slots)
    known = identifiers.filter { table.contains($0, in: slots) }
    #expect(known.count == 126 && known.contains(7) && !known.contains(6))
  }
}
