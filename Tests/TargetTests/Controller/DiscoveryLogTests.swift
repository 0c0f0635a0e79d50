import NVMe
import Testing

@testable import Target

@Suite struct DiscoveryLogTests {
  private var records: [DiscoveryRecord] {
    [
      DiscoveryRecord(subsystemName: .discovery, kind: .currentDiscovery, address: "192.0.2.1", port: 8009, portIdentifier: 1),
      DiscoveryRecord(subsystemName: .discovery, kind: .referral, address: "2001:db8::2", port: 8009, portIdentifier: 2),
      DiscoveryRecord(
        subsystemName: Fixture.volumeName, kind: .nvm, address: "192.0.2.1", port: 4420, portIdentifier: 3,
        allowedHosts: .only([Fixture.host])),
      DiscoveryRecord(
        subsystemName: Fixture.volumeName, kind: .nvm, address: "192.0.2.9", port: 4420, portIdentifier: 4,
        allowedHosts: .only([Fixture.otherHost])),
    ]
  }

  @Test func `a host reads the records that are for it`() throws {
    let controller = try Fixture.enabledController(Fixture.discovery(records))
    let log = try controller.log(.discovery, byteCount: 4096)
    let header = try decode(log, DiscoveryLogHeader.init(decoding:at:))
    #expect(header.generation == 7 && header.recordCount == 3 && header.recordFormat == 0)
    let entries = try (1...3).map { try decode(log, at: $0 * 1024, DiscoveryLogEntry.init(decoding:at:)) }
    #expect(entries.map(\.kind) == [.currentDiscovery, .referral, .nvm])
    #expect(entries.map(\.family) == [.ipv4, .ipv6, .ipv4])
    #expect(entries.map(\.transportAddress) == ["192.0.2.1", "2001:db8::2", "192.0.2.1"])
    #expect(entries.map(\.port) == [8009, 8009, 4420])
    #expect(entries.map(\.portIdentifier) == [1, 2, 3])
    #expect(entries.map(\.subsystemName) == [.discovery, .discovery, Fixture.volumeName])
    #expect(entries.map(\.flags) == [2, 2, 0])
    for entry in entries {
      #expect(entry.transportType == 3 && entry.controllerIdentifier == 0xFFFF && entry.adminQueueSize == 128)
      #expect(entry.transportRequirements == 6 && entry.securityType == 0)
    }
  }

  @Test func `any offset and length give the same bytes as the whole`() throws {
    let controller = try Fixture.enabledController(Fixture.discovery(records))
    let whole = try controller.log(.discovery, byteCount: 4096)
    for (offset, count) in [(0, 16), (4, 1020), (1020, 8), (1024, 1024), (2000, 2096), (3000, 1096), (4092, 4)] {
      let part = try controller.log(.discovery, byteCount: UInt32(count), offset: UInt64(offset))
      #expect(part == Array(whole[offset..<offset + count]))
    }
    let beyond = try controller.log(.discovery, byteCount: 8192, offset: 1024)
    #expect(Array(beyond[..<3072]) == Array(whole[1024...]) && beyond[3072...].allSatisfy { $0 == 0 })
    #expect(try controller.log(.discovery, byteCount: 4, offset: 4096) == [0, 0, 0, 0])
    let outside = SubmissionEntry.getLogPage(commandIdentifier: 1, identifier: 0x70, byteCount: 4, offset: 4100)
    #expect(try controller.status(of: outside) == Status.invalidField.withDoNotRetry)
  }

  @Test func `an empty log is its header`() throws {
    let controller = try Fixture.enabledController(Fixture.discovery())
    let header = try decode(try controller.log(.discovery, byteCount: 1024), DiscoveryLogHeader.init(decoding:at:))
    #expect(header.recordCount == 0)
  }

  @Test func `the generation changes with the records only`() {
    var log = DiscoveryLog(records: records)
    #expect(log.generation == 1)
    #expect(!log.replace(records) && log.generation == 1)
    #expect(log.replace([]) && log.generation == 2)
    #expect(log.replace(records) && log.generation == 3)
  }

  @Test func `a change is announced once until the log is read`() throws {
    let subsystem = Fixture.discovery(records)
    let controller = try Fixture.enabledController(subsystem)
    try controller.configureEvents(.discoveryLogChange)
    controller.park(1)
    controller.park(2)
    subsystem.setDiscoveryRecords(records)
    #expect(controller.takeEvent() == nil)
    subsystem.setDiscoveryRecords([])
    subsystem.setDiscoveryRecords(records)
    let event = try #require(controller.takeEvent())
    #expect(event.commandIdentifier == 1 && event.result == 0x70_F002)
    #expect(controller.takeEvent() == nil)
    _ = try controller.log(.discovery, byteCount: 1024)
    subsystem.setDiscoveryRecords([])
    #expect(controller.takeEvent()?.commandIdentifier == 2)
  }
}
