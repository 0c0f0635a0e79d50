import NVMe
import Testing

@Suite struct LittleEndianTests {
  @Test func loadsAndStoresInLittleEndianOrder() {
    let source = bytes("01 02 03 04 05 06 07 08 09")
    let span = unsafe source.span.bytes
    #expect(span.littleEndian(at: 0, as: UInt8.self) == 0x01)
    #expect(span.littleEndian(at: 1, as: UInt16.self) == 0x0302)
    #expect(span.littleEndian(at: 1, as: UInt32.self) == 0x0504_0302)
    #expect(span.littleEndian(at: 1, as: UInt64.self) == 0x0908_0706_0504_0302)
    #expect(written(6) { $0.storeLittleEndian(UInt32(0x0403_0201), at: 1) } == bytes("FF 01 02 03 04 FF"))
    #expect(written(13) { $0.zero(11, at: 1) } == bytes("FF 00 00 00 00 00 00 00 00 00 00 00 FF"))
  }

  @Test func identifierKeepsTheOrderOfItsBytes() throws {
    let identifier = try #require(Identifier128("00112233-4455-6677-8899-aabbccddeeff"))
    checkLayout(identifier, [(0, "00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF")])
    #expect(identifier.description == "00112233-4455-6677-8899-aabbccddeeff")
    #expect(Identifier128("00112233445566778899AABBCCDDEEFF") == identifier)
    #expect(!identifier.isZero && Identifier128.zero.isZero)
    for text in [
      "", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0", "g0112233-4455-6677-8899-aabbccddeeff",
    ] {
      #expect(Identifier128(text) == nil)
    }
  }
}
