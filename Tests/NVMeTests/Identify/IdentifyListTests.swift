import NVMe
import Testing

@Suite struct IdentifyListTests {
  func decodeList(_ raw: [UInt8], first length: Int? = nil) throws(CodecError) -> [UInt32] {
    let span = raw.span
    let all = unsafe span.bytes
    return try NamespaceList.decode(all.extracting(first: length ?? all.byteCount))
  }

  @Test func structureNumbers() {
    let expected: [(IdentifyStructure, UInt8)] = [
      (.namespace, 0x00), (.controller, 0x01), (.activeNamespaces, 0x02), (.namespaceDescriptors, 0x03), (.namespaceForCommandSet, 0x05),
      (.controllerForCommandSet, 0x06), (.activeNamespacesForCommandSet, 0x07), (.namespaceIndependent, 0x08),
      (.allocatedNamespaces, 0x10), (.allocatedNamespace, 0x11), (.namespaceControllers, 0x12), (.subsystemControllers, 0x13),
      (.commandSetCombinations, 0x1C),
    ]
    #expect(IdentifyStructure.allCases == expected.map(\.0))
    for (structure, value) in expected { #expect(structure.rawValue == value) }
    #expect(CommandSet.allCases.map(\.rawValue) == [0, 1, 2])
  }

  @Test func namespaceList() throws {
    let raw = written(4096) { NamespaceList.encode([1, 3, 0x0A0B_0C0D], into: &$0) }
    #expect(raw == image(4096, [(0, "01 00 00 00 03 00 00 00 0D 0C 0B 0A")]))
    #expect(try decodeList(raw) == [1, 3, 0x0A0B_0C0D])
    #expect(written(4096) { NamespaceList.encode([1, 3, 5], after: 1, into: &$0) } == image(4096, [(0, "03 00 00 00 05")]))
    #expect(written(4096) { NamespaceList.encode([1, 3], after: 3, into: &$0) } == image(4096, []))
    for length in [0, 1, 4095] { #expect(throws: CodecError.truncated) { try decodeList(raw, first: length) } }
  }

  @Test func listsAreCutAt1024() throws {
    let identifiers = (1...1025).map(UInt32.init)
    let raw = written(4100) { NamespaceList.encode(identifiers, into: &$0) }
    #expect(raw.suffix(4).elementsEqual(bytes("FF FF FF FF")))
    #expect(try decodeList(raw) == Array(identifiers.prefix(1024)))
    let changed = written(4096) { NamespaceList.encodeChanged(identifiers, into: &$0) }
    #expect(changed == image(4096, [(0, "FF FF FF FF")]))
    #expect(written(4096) { NamespaceList.encodeChanged([2], into: &$0) } == image(4096, [(0, "02")]))
  }

  @Test func listsThatDoNotAscendAreRefused() {
    #expect(throws: CodecError.invalidField) { try decodeList(image(4096, [(0, "02 00 00 00 01")])) }
    #expect(throws: CodecError.invalidField) { try decodeList(image(4096, [(0, "02 00 00 00 02")])) }
  }

  @Test func namespaceDescriptors() {
    let value = NamespaceDescriptors(
      eui64: 0x0102_0304_0506_0708, guid: Identifier128(high: 0x1112_1314_1516_1718, low: 0x191A_1B1C_1D1E_1F20),
      uuid: Identifier128(high: 0x2122_2324_2526_2728, low: 0x292A_2B2C_2D2E_2F30), commandSet: 0x05)
    checkLayout(
      value,
      [
        (0, "01 08 00 00 01 02 03 04 05 06 07 08"), (12, "02 10 00 00 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F 20"),
        (32, "03 10 00 00 21 22 23 24 25 26 27 28 29 2A 2B 2C 2D 2E 2F 30"), (52, "04 01 00 00 05"),
      ])
    checkLayout(NamespaceDescriptors(commandSet: 0), [(0, "04 01")])
    checkLayout(NamespaceDescriptors(), [])
  }

  @Test func hostileDescriptors() throws {
    // A type not known is passed over; one of length 0 ends the list.
    let unknown = image(4096, [(0, "09 03 00 00 AA BB CC"), (7, "04 01 00 00 01")])
    #expect(try decode(NamespaceDescriptors.self, unknown) == NamespaceDescriptors(commandSet: 1))
    let ended = image(4096, [(0, "09 00 00 00"), (4, "04 01 00 00 01")])
    #expect(try decode(NamespaceDescriptors.self, ended) == NamespaceDescriptors())
    for head in ["01 07", "01 FF", "02 08", "03 0F", "04 02"] {
      #expect(throws: CodecError.invalidField) { try decode(NamespaceDescriptors.self, image(4096, [(0, head)])) }
    }
    // 63 descriptors of 64 bytes, and one that would end 1 byte behind the structure.
    var fields: [Field] = (0..<63).map { (64 * $0, "09 3C") }
    fields.append((4032, "09 3D"))
    #expect(throws: CodecError.invalidField) { try decode(NamespaceDescriptors.self, image(4096, fields)) }
    fields[63].hex = "09 3C"
    #expect(try decode(NamespaceDescriptors.self, image(4096, fields)) == NamespaceDescriptors())
  }

  @Test func commandSetCombinations() {
    checkLayout(CommandSetCombinations.nvmOnly, [(0, "01")])
    checkLayout(CommandSetCombinations([0x05, 0x0807_0605_0403_0201]), [(0, "05"), (8, "01 02 03 04 05 06 07 08")])
    checkLayout(
      CommandSetCombinations([UInt64](repeating: 1, count: 512)), (0..<512).map { (offset: 8 * $0, hex: "01") })
  }
}
