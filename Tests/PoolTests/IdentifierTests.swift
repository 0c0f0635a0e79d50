import Testing

@testable import Pool

@Suite struct IdentifierTests {
  @Test func `text and bytes are two forms of one value`() throws {
    let text = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
    let identifier = try #require(Identifier(text))
    #expect(identifier.description == text)
    #expect(identifier.bytes == [0x0F, 0x1E, 0x2D, 0x3C, 0x4B, 0x5A, 0x49, 0x78, 0x87, 0x96, 0xA5, 0xB4, 0xC3, 0xD2, 0xE1, 0xF0])
    #expect(Identifier(bytes: identifier.bytes) == identifier)
    #expect(Identifier(text.uppercased()) == identifier)
    #expect(Identifier.none.description == "00000000-0000-0000-0000-000000000000")
  }

  @Test(arguments: [
    "", "0f1e2d3c4b5a49788796a5b4c3d2e1f0", "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f", "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f00",
    "0f1e2d3c-4b5a-4978-8796_a5b4c3d2e1f0", "0g1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0", "-f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0",
    "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1é",
  ])
  func `refuses other texts`(text: String) {
    #expect(Identifier(text) == nil)
  }

  @Test func `refuses other byte counts`() {
    #expect(Identifier(bytes: [UInt8](repeating: 1, count: 15)) == nil)
    #expect(Identifier(bytes: [UInt8](repeating: 1, count: 17)) == nil)
  }

  @Test func `random ones differ and carry version and variant`() {
    var seen: Set<Identifier> = []
    for _ in 0..<1000 {
      let identifier = Identifier.random()
      #expect(seen.insert(identifier).inserted)
      #expect(identifier.bytes[6] >> 4 == 4)
      #expect(identifier.bytes[8] >> 6 == 0b10)
      #expect(Identifier(identifier.description) == identifier)
    }
  }

  @Test func `order is the order of the text`() {
    var generator = SeededGenerator(seed: 1)
    let identifiers = (0..<100).map { _ in Identifier.random(using: &generator) }
    #expect(identifiers.sorted().map(\.description) == identifiers.map(\.description).sorted())
  }
}
