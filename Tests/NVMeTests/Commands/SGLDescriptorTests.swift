import NVMe
import Testing

@Suite struct SGLDescriptorTests {
  @Test func layout() {
    checkLayout(
      SGLDescriptor(address: 0x0706_0504_0302_0100, length: 0x0B0A_0908, typeAndSubtype: 0x5A),
      [(0, "00 01 02 03 04 05 06 07"), (8, "08 09 0A 0B"), (15, "5A")])
    checkLayout(SGLDescriptor.inCapsule(offset: 0x200, length: 0x1000), [(0, "00 02"), (8, "00 10 00 00 00 00 00 01")])
    checkLayout(SGLDescriptor.transportDataBlock(length: 0x2000), [(8, "00 20 00 00 00 00 00 5A")])
    checkLayout(SGLDescriptor.none, [(15, "5A")])
  }

  @Test func reservedBytesAreKept() throws {
    let raw = bytes("00 00 00 00 00 00 00 00 01 02 03 04 05 06 07 40")
    let descriptor = try decode(SGLDescriptor.self, raw)
    #expect(descriptor.length == 0x0403_0201 && descriptor.typeAndSubtype == 0x40 && descriptor.kind == .keyedDataBlock)
    #expect(written(16) { descriptor.encode(into: &$0) } == raw)
    var changed = descriptor
    changed.length = 0
    changed.typeAndSubtype = 0x01
    #expect(written(16) { changed.encode(into: &$0) } == bytes("00 00 00 00 00 00 00 00 00 00 00 00 05 06 07 01"))
  }

  @Test func everyTypeIsNamed() {
    let kinds: [UInt8: SGLDescriptor.Kind] = [
      0x00: .dataBlockAddress, 0x01: .dataBlockOffset, 0x10: .bitBucket, 0x20: .segment, 0x21: .segment, 0x30: .lastSegment,
      0x31: .lastSegment, 0x40: .keyedDataBlock, 0x4F: .keyedDataBlock, 0x5A: .transportDataBlock,
    ]
    for byte in UInt8.min...UInt8.max {
      let expected = kinds[byte] ?? (byte >> 4 == 0xF ? .vendorSpecific : .reserved)
      #expect(SGLDescriptor(address: 0, length: 0, typeAndSubtype: byte).kind == expected)
    }
  }
}
