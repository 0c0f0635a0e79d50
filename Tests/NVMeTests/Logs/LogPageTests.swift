import NVMe
import Testing

@Suite struct LogPageTests {
  @Test func identifiers() {
    let expected: [(LogPage, UInt8)] = [
      (.supportedLogPages, 0x00), (.errorInformation, 0x01), (.health, 0x02), (.firmwareSlot, 0x03), (.changedNamespaces, 0x04),
      (.commandEffects, 0x05), (.deviceSelfTest, 0x06), (.asymmetricAccess, 0x0C), (.reservationNotification, 0x80), (.discovery, 0x70),
    ]
    #expect(LogPage.allCases == expected.map(\.0))
    for (page, value) in expected { #expect(page.rawValue == value) }
  }

  @Test func supportedLogPages() throws {
    let raw = written(1024) { SupportedLogPages.encode([.health, .discovery], into: &$0) }
    #expect(raw == image(1024, [(8, "01"), (0x70 * 4, "01")]))
    let span = raw.span
    let all = unsafe span.bytes
    #expect(try SupportedLogPages.isSupported(.health, in: all))
    #expect(try !SupportedLogPages.isSupported(.asymmetricAccess, in: all))
    let short = all.extracting(first: 1023)
    var refused = false
    do { _ = try SupportedLogPages.isSupported(.health, in: short) } catch { refused = error == .truncated }
    #expect(refused)
  }

  @Test func firmwareSlots() {
    var log = FirmwareSlotLog(revision: "0.1.0")
    checkLayout(log, [(0, "01"), (8, "30 2E 31 2E 30 20 20 20")])
    log.nextSlot = 7
    log.revisions[6] = "12345678"
    checkLayout(log, [(0, "71"), (8, "30 2E 31 2E 30 20 20 20"), (56, "31 32 33 34 35 36 37 38")])
  }

  @Test func commandEffects() {
    var log = CommandEffectsLog()
    log[AdminOpcode.identify] = .supported
    log[IOOpcode.write] = [.supported, .changesBlocks]
    log[IOOpcode.copy] = CommandEffects(rawValue: 0x0007_001F)
    checkLayout(log, [(24, "01"), (1028, "03"), (1024 + 0x19 * 4, "1F 00 07 00")])
    #expect(log[IOOpcode.copy].submissionRestriction == 7 && log[IOOpcode.write].submissionRestriction == 0)
    #expect(
      [CommandEffects.supported, .changesBlocks, .changesNamespace, .changesInventory, .changesController].map(\.rawValue)
        == [1, 2, 4, 8, 16])
    #expect(log[AdminOpcode.identify] == .supported && log[AdminOpcode.abort] == [])
  }
}

@Suite struct ANALogTests {
  let log = ANALog(
    changeCount: 0x0706_0504_0302_0100,
    groups: [
      ANAGroup(identifier: 0x0403_0201, changeCount: 0x0F0E_0D0C_0B0A_0908, state: .inaccessible, namespaces: [1, 0x0102_0304]),
      ANAGroup(identifier: 0x0500_0000, state: .change),
    ])

  @Test func states() {
    #expect(ANAState.allCases == [.optimized, .nonOptimized, .inaccessible, .persistentLoss, .change])
    #expect(ANAState.allCases.map(\.rawValue) == [1, 2, 3, 4, 15])
    #expect(ANAState.allCases.map(\.status) == [nil, nil, .anaInaccessible, .anaPersistentLoss, .anaTransition])
  }

  @Test func layout() throws {
    let expected = image(
      88,
      [
        (0, "00 01 02 03 04 05 06 07"), (8, "02 00"), (16, "01 02 03 04"), (20, "02 00 00 00"), (24, "08 09 0A 0B 0C 0D 0E 0F"),
        (32, "03"), (48, "01 00 00 00 04 03 02 01"), (56, "00 00 00 05"), (72, "0F"),
      ])
    #expect(log.byteCount() == 88)
    let encoded = written(104) { log.encode(into: &$0, at: 8) }
    #expect(encoded == bytes("FF FF FF FF FF FF FF FF") + expected + bytes("FF FF FF FF FF FF FF FF"))
    #expect(try decode(ANALog.self, encoded, at: 8) == log)
    for length in 0..<88 { #expect(throws: CodecError.truncated) { try decode(ANALog.self, expected, first: length) } }
  }

  @Test func groupsOnly() throws {
    #expect(log.byteCount(groupsOnly: true) == 80)
    let encoded = written(80) { log.encode(into: &$0, groupsOnly: true) }
    var bare = log
    bare.groups[0].namespaces = []
    #expect(try decode(ANALog.self, encoded) == bare)
  }

  @Test func hostileCountsAreRefused() {
    // Room for 127 groups, and 65,535 of them announced.
    let states: [Field] = (0..<127).map { (16 + 32 * $0 + 16, "01") }
    #expect(throws: CodecError.truncated) { try decode(ANALog.self, image(4080, [(8, "FF FF")] + states)) }
    #expect(throws: Never.self) { try decode(ANALog.self, image(4080, [(8, "7F 00")] + states)) }
    let endless = image(4096, [(8, "01"), (20, "FF FF FF FF"), (32, "01")])
    #expect(throws: CodecError.truncated) { try decode(ANALog.self, endless) }
    for state in ["00", "05", "0E", "10"] {
      #expect(throws: CodecError.invalidField) { try decode(ANALog.self, image(48, [(8, "01"), (32, state)])) }
    }
  }
}
