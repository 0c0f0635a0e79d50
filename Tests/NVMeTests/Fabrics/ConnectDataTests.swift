import NVMe
import Testing

@Suite struct ConnectDataTests {
  static let subsystem = "6E 71 6E 2E 73"  // nqn.s
  static let host = "6E 71 6E 2E 68 6F 73 74"  // nqn.host

  func decodeData(_ raw: [UInt8], at offset: Int = 0, first length: Int? = nil) throws(ConnectDataError) -> ConnectData {
    let span = raw.span
    let all = unsafe span.bytes
    return try ConnectData(decoding: all.extracting(first: length ?? all.byteCount), at: offset)
  }

  @Test func everyFieldIsAtItsOffset() throws {
    let data = ConnectData(
      hostIdentifier: Identifier128(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F), controllerIdentifier: 0x1110,
      subsystemName: try #require(QualifiedName("nqn.s")), hostName: try #require(QualifiedName("nqn.host")))
    let expected = image(
      1024, [(0, "00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F"), (16, "10 11"), (256, Self.subsystem), (512, Self.host)])
    let encoded = written(1040) { data.encode(into: &$0, at: 8) }
    #expect(encoded == [UInt8](repeating: 0xFF, count: 8) + expected + [UInt8](repeating: 0xFF, count: 8))
    #expect(try decodeData(expected) == data)
    #expect(try decodeData(encoded, at: 8) == data)
    for length in 0..<1024 { #expect(throws: ConnectDataError.truncated) { try decodeData(expected, first: length) } }
  }

  @Test func badNamesAreToldApart() {
    #expect(throws: ConnectDataError.subsystemName) { try decodeData(image(1024, [(512, Self.host)])) }
    #expect(throws: ConnectDataError.hostName) { try decodeData(image(1024, [(256, Self.subsystem)])) }
    #expect(ConnectDataError.subsystemName.parameterOffset == 256 && ConnectDataError.hostName.parameterOffset == 512)
    #expect(ConnectDataError.truncated.parameterOffset == 0)
  }

  @Test func results() {
    #expect(ConnectResult.success(controllerIdentifier: 0x1234) == 0x1234)
    #expect(ConnectResult.invalidParameter(offset: 256, isInData: true) == 0x1_0100)
    #expect(ConnectResult.invalidParameter(offset: 42, isInData: false) == 42)
    #expect(ConnectResult.controllerIdentifier(0x6_1234) == 0x1234)
    #expect(ConnectResult.requiresAuthentication(0x2_0000) && ConnectResult.requiresAuthentication(0x4_0000))
    #expect(!ConnectResult.requiresAuthentication(0x1_FFFF))
    #expect(ConnectData.dynamicController == 0xFFFF && ConnectData.anyStaticController == 0xFFFE)
  }
}

@Suite struct QualifiedNameTests {
  @Test func validNames() {
    for text in ["nqn.a", "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff", "nqn.2025-01.org.example:Größe"] {
      #expect(QualifiedName(text)?.text == text)
    }
    #expect(QualifiedName("nqn." + String(repeating: "x", count: 219))?.text.utf8.count == 223)
    #expect(QualifiedName.discovery.description == "nqn.2014-08.org.nvmexpress.discovery")
  }

  @Test func invalidNames() {
    for text in [
      "", "nqn", "nqn.", "NQN.a", "iqn.a", "xnqn.a", "nqn.a\n", "nqn.a\u{0}b", "nqn.\u{7F}", "nqn." + String(repeating: "x", count: 220),
    ] {
      #expect(QualifiedName(text) == nil)
    }
    #expect(QualifiedName("nqn." + String(repeating: "ö", count: 110)) == nil)
  }

  @Test func fields() throws {
    let longest = try #require(QualifiedName("nqn." + String(repeating: "x", count: 219)))
    let raw = written(256) { longest.encode(into: &$0) }
    #expect(raw == [0x6E, 0x71, 0x6E, 0x2E] + [UInt8](repeating: 0x78, count: 219) + [UInt8](repeating: 0, count: 33))
    #expect(try decode(QualifiedName.self, raw) == longest)
    for length in 0..<256 { #expect(throws: CodecError.truncated) { try decode(QualifiedName.self, raw, first: length) } }
    // 224 bytes, no NUL at all, not UTF-8, and a name that begins with a NUL.
    var tooLong = raw
    tooLong[223] = 0x78
    #expect(throws: CodecError.invalidField) { try decode(QualifiedName.self, tooLong) }
    #expect(throws: CodecError.invalidField) { try decode(QualifiedName.self, image(256, fill: 0x78, [(0, "6E 71 6E 2E")])) }
    #expect(throws: CodecError.invalidField) { try decode(QualifiedName.self, image(256, [(0, "6E 71 6E 2E C3 28")])) }
    #expect(throws: CodecError.invalidField) { try decode(QualifiedName.self, image(256, [(1, "6E 71 6E 2E 61")])) }
    // What stands behind the NUL does not count.
    #expect(try decode(QualifiedName.self, image(256, fill: 0xEE, [(0, "6E 71 6E 2E 61 00")])).text == "nqn.a")
  }
}
