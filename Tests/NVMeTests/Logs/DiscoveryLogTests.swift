import NVMe
import Testing

@Suite struct DiscoveryLogTests {
  @Test func entry() throws {
    var value = DiscoveryLogEntry()
    value.transportType = 0x03
    value.addressFamily = 0x0A
    value.subsystemType = 0x11
    value.transportRequirements = 0x18
    value.portIdentifier = 0x261F
    value.controllerIdentifier = 0x342D
    value.adminQueueSize = 0x423B
    value.flags = 0x5049
    value.serviceIdentifier = "4420"
    value.subsystemName = QualifiedName("nqn.2014-08.org.example:subsystemName")
    value.transportAddress = "192.0.2.17"
    value.securityType = 0x03
    checkLayout(
      value,
      [
        (0, "03"),
        (1, "0A"),
        (2, "11"),
        (3, "18"),
        (4, "1F 26"),
        (6, "2D 34"),
        (8, "3B 42"),
        (10, "49 50"),
        (32, "34 34 32 30 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20"),
        (
          256,
          "6E 71 6E 2E 32 30 31 34 2D 30 38 2E 6F 72 67 2E 65 78 61 6D 70 6C 65 3A 73 75 62 73 79 73 74 65 "
            + "6D 4E 61 6D 65"
        ),
        (
          512,
          "31 39 32 2E 30 2E 32 2E 31 37 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 "
            + "20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20 20"
        ),
        (768, "03"),
      ])
  }
  @Test func header() {
    var value = DiscoveryLogHeader()
    value.generation = 0x342D261F18110A03
    value.recordCount = 0x6C655E575049423B
    value.recordFormat = 0x7A73
    checkLayout(
      value,
      [
        (0, "03 0A 11 18 1F 26 2D 34"),
        (8, "3B 42 49 50 57 5E 65 6C"),
        (16, "73 7A"),
      ])
  }
  @Test func lengthOfTheLogIsBounded() {
    var header = DiscoveryLogHeader()
    #expect(header.logByteCount == 1024)
    header.recordCount = 0xFFFF
    #expect(header.logByteCount == 1024 + 65_535 * 1024)
    for count: UInt64 in [0x1_0000, UInt64.max] {
      header.recordCount = count
      #expect(header.logByteCount == nil)
    }
  }

  @Test func entryOfASubsystem() throws {
    let name = try #require(QualifiedName("nqn.2025-01.org.example:v"))
    let entry = DiscoveryLogEntry.tcp(
      .nvm, addressFamily: .ipv6, address: "2001:db8::1", port: 4420, subsystemName: name, portIdentifier: 7, adminQueueSize: 128,
      flags: DiscoveryLogEntry.persistentConnectionsFlag)
    let raw = written(1024) { entry.encode(into: &$0) }
    #expect(raw.prefix(12).elementsEqual(bytes("03 02 02 02 07 00 FF FF 80 00 02 00")))
    let decoded = try decode(DiscoveryLogEntry.self, raw)
    #expect(decoded == entry && decoded.kind == .nvm && decoded.family == .ipv6 && decoded.port == 4420)
    #expect(DiscoveryLogEntry.SubsystemType(rawValue: 1) == .referral && DiscoveryLogEntry.SubsystemType(rawValue: 3) == .currentDiscovery)
    #expect(DiscoveryLogEntry.AddressFamily(rawValue: 1) == .ipv4 && DiscoveryLogEntry.duplicateInformationFlag == 1)
  }

  @Test func hostileEntriesAreTamed() throws {
    var raw = [UInt8](repeating: 0xFF, count: 1024)
    let entry = try decode(DiscoveryLogEntry.self, raw)
    #expect(entry.subsystemName == nil && entry.kind == nil && entry.family == nil && entry.port == nil)
    #expect(entry.transportAddress == String(repeating: "?", count: 256))
    for (index, byte) in "65536".utf8.enumerated() { raw[32 + index] = byte }
    raw[37] = 0
    #expect(try decode(DiscoveryLogEntry.self, raw).port == nil)
    raw[36] = 0x20
    #expect(try decode(DiscoveryLogEntry.self, raw).port == 6553)
  }
}
