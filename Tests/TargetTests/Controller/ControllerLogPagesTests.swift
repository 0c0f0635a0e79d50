import NVMe
import Testing

@testable import Target

@Suite struct ControllerLogPagesTests {
  private let invalidField = Status.invalidField.withDoNotRetry

  private func entry(_ page: LogPage, byteCount: UInt32 = 4) -> SubmissionEntry {
    .getLogPage(commandIdentifier: 1, identifier: page.rawValue, byteCount: byteCount)
  }

  @Test(arguments: LogPage.allCases)
  func `pages are of io controllers or of discovery controllers`(page: LogPage) throws {
    let ofIO: [LogPage] = [
      .supportedLogPages, .errorInformation, .health, .firmwareSlot, .changedNamespaces, .commandEffects, .asymmetricAccess,
    ]
    let invalid = Status.invalidLogPage.withDoNotRetry
    let controller = try Fixture.enabledController()
    #expect(try controller.status(of: entry(page)) == (ofIO.contains(page) ? .success : invalid))
    let listed = try controller.log(.supportedLogPages, byteCount: 1024)
    #expect(try decode(listed, { try SupportedLogPages.isSupported(page, in: $0, at: $1) }) == ofIO.contains(page))
    let discovery = try Fixture.enabledController(Fixture.discovery())
    #expect(try discovery.status(of: entry(page)) == (page == .discovery ? .success : invalid))
  }

  @Test func `a page that nobody knows is an invalid log page`() throws {
    let unknown = SubmissionEntry.getLogPage(commandIdentifier: 1, identifier: 0xC0, byteCount: 512)
    #expect(try Fixture.enabledController().status(of: unknown) == Status.invalidLogPage.withDoNotRetry)
  }

  @Test func `a part of a log is the same bytes as in the whole and zeros follow its end`() throws {
    let controller = try Fixture.enabledController()
    let whole = try controller.log(.commandEffects, byteCount: 4096)
    let part = try controller.log(.commandEffects, byteCount: 1024, offset: 1020)
    #expect(part == Array(whole[1020..<2044]))
    let tail = try controller.log(.firmwareSlot, byteCount: 1024)
    #expect(tail[512...].allSatisfy { $0 == 0 } && tail[0] == 1)
    #expect(try controller.log(.firmwareSlot, byteCount: 8, offset: 512) == [0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `an offset must be whole dwords inside the log`() throws {
    let controller = try Fixture.enabledController()
    var entry = entry(.firmwareSlot, byteCount: 64)
    for offset: UInt32 in [1, 2, 3, 511] {
      entry.dword12 = offset
      #expect(try controller.status(of: entry) == invalidField)
    }
    entry.dword12 = 516
    #expect(try controller.status(of: entry) == invalidField)
    entry.dword12 = 0
    entry.dword13 = 0x8000_0000
    #expect(try controller.status(of: entry) == invalidField)
    entry.dword13 = 0
    entry.dword14 = 1 << 23
    #expect(try controller.status(of: entry) == invalidField)
  }

  @Test func `a length beyond MDTS is an invalid field and needs no reply`() throws {
    let controller = try Fixture.enabledController()
    let most = entry(.health, byteCount: 1 << 20)
    #expect(controller.replyByteCount(most) == 1 << 20)
    #expect(try controller.status(of: most) == .success)
    let over = entry(.health, byteCount: 1 << 20 + 4)
    #expect(controller.replyByteCount(over) == 0)
    #expect(try controller.status(of: over) == invalidField)
  }

  @Test func `the data must be as long as the command says`() throws {
    let controller = try Fixture.enabledController()
    var entry = entry(.health, byteCount: 512)
    entry.dataPointer = .transportDataBlock(length: 508)
    #expect(try controller.status(of: entry) == Status.dataSGLLengthInvalid.withDoNotRetry)
    entry.dataPointer = .inCapsule(length: 512)
    #expect(try controller.status(of: entry) == Status.sglDescriptorTypeInvalid.withDoNotRetry)
  }

  @Test func `failed commands are in the error log the newest first`() throws {
    let controller = try Fixture.enabledController()
    for index in 0..<70 {
      _ = controller.run(SubmissionEntry(opcode: 0x10, commandIdentifier: UInt16(index)))
    }
    var lba = SubmissionEntry.read(commandIdentifier: 9, namespaceIdentifier: 1, startingLBA: 5, blockCount: 1, data: .none)
    lba.opcode = 0x02
    controller.recordError(queueIdentifier: 3, entry: lba, status: .lbaOutOfRange, lba: 5)
    let log = try controller.log(.errorInformation, byteCount: 4096)
    let newest = try decode(log, ErrorLogEntry.init(decoding:at:))
    #expect(newest.errorCount == 71 && newest.submissionQueueIdentifier == 3 && newest.commandIdentifier == 9 && newest.lba == 5)
    #expect(newest.status == .lbaOutOfRange && newest.namespaceIdentifier == 1 && newest.transportType == 3 && newest.opcode == 2)
    let next = try decode(log, at: 64, ErrorLogEntry.init(decoding:at:))
    #expect(next.errorCount == 70 && next.commandIdentifier == 69 && next.status == Status.invalidOpcode.withDoNotRetry)
    let oldest = try decode(log, at: 63 * 64, ErrorLogEntry.init(decoding:at:))
    #expect(oldest.errorCount == 8)
    let health = try decode(try controller.log(.health, byteCount: 512), HealthLog.init(decoding:at:))
    #expect(health.errorLogEntries == 71)
  }

  @Test func `a new error log has no entries`() throws {
    let log = try Fixture.enabledController().log(.errorInformation, byteCount: 4096)
    #expect(log.allSatisfy { $0 == 0 })
  }

  @Test func `health counts in units of a thousand sectors and hours`() throws {
    let controller = try Fixture.enabledController()
    controller.health.countRead(bytes: 512_000)
    controller.health.countRead(bytes: 1)
    controller.health.countWrite(bytes: 4096)
    controller.health.mediaErrors = 2
    controller.health.busyNanoseconds = 120 * Fixture.second
    let (completion, data) = try controller.completed(entry(.health, byteCount: 512), now: 7_300 * Fixture.second)
    #expect(completion == AdminCompletion(dataByteCount: 512))
    let log = try decode(data, HealthLog.init(decoding:at:))
    #expect(log.dataUnitsRead == 2 && log.dataUnitsWritten == 1)
    #expect(log.hostReadCommands == 2 && log.hostWriteCommands == 1)
    #expect(log.controllerBusyMinutes == 2 && log.powerOnHours == 2 && log.mediaErrors == 2)
    #expect(log.criticalWarning == 0 && log.availableSparePercent == 100)
  }

  @Test func `health is the controller's and not a namespace's`() throws {
    let controller = try Fixture.enabledController()
    var entry = entry(.health, byteCount: 512)
    entry.namespaceIdentifier = 0xFFFF_FFFF
    #expect(try controller.status(of: entry) == .success)
    entry.namespaceIdentifier = 1
    #expect(try controller.status(of: entry) == invalidField)
  }

  @Test func `the firmware is in slot 1`() throws {
    let data = try Fixture.enabledController().log(.firmwareSlot, byteCount: 512)
    #expect(try decode(data, FirmwareSlotLog.init(decoding:at:)) == FirmwareSlotLog(revision: "0.1"))
  }

  @Test func `the effects log names what is executed and nothing else`() throws {
    let data = try Fixture.enabledController().log(.commandEffects, byteCount: 4096)
    let log = try decode(data, CommandEffectsLog.init(decoding:at:))
    let admin: [UInt8] = [0x02, 0x06, 0x08, 0x09, 0x0A, 0x0C, 0x18]
    for opcode in 0..<256 {
      #expect(log.admin[opcode] == (admin.contains(UInt8(opcode)) ? [.supported] : []))
      let expected: CommandEffects =
        switch opcode {
        case 0x00, 0x02: [.supported]
        case 0x01, 0x08, 0x09: [.supported, .changesBlocks]
        default: []
        }
      #expect(log.io[opcode] == expected)
    }
    var other = entry(.commandEffects, byteCount: 4096)
    other.dword14 = 2 << 24
    #expect(try Fixture.enabledController().status(of: other) == invalidField)
  }

  @Test func `the ANA log has one group with or without its namespace`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    subsystem.setANAState(.inaccessible)
    let log = try decode(try controller.log(.asymmetricAccess, byteCount: 4096), ANALog.init(decoding:at:))
    #expect(log == ANALog(changeCount: 2, groups: [ANAGroup(identifier: 1, changeCount: 2, state: .inaccessible, namespaces: [1])]))
    let groups = try decode(try controller.log(.asymmetricAccess, byteCount: 48, parameter: 1), ANALog.init(decoding:at:))
    #expect(groups == ANALog(changeCount: 2, groups: [ANAGroup(identifier: 1, changeCount: 2, state: .inaccessible)]))
    let empty = try Fixture.enabledController(Fixture.subsystem(namespace: nil))
    #expect(try decode(try empty.log(.asymmetricAccess, byteCount: 16), ANALog.init(decoding:at:)).groups.isEmpty)
  }

  @Test func `changed namespaces are listed until they are read for good`() throws {
    let subsystem = Fixture.subsystem()
    let controller = try Fixture.enabledController(subsystem)
    #expect(try decode(try controller.log(.changedNamespaces, byteCount: 4096), NamespaceList.decode(_:at:)) == [])
    subsystem.setNamespace(Fixture.namespace(sizeBytes: 2 << 30))
    #expect(try decode(try controller.log(.changedNamespaces, byteCount: 4096, retain: true), NamespaceList.decode(_:at:)) == [1])
    #expect(try decode(try controller.log(.changedNamespaces, byteCount: 4096), NamespaceList.decode(_:at:)) == [1])
    #expect(try decode(try controller.log(.changedNamespaces, byteCount: 4096), NamespaceList.decode(_:at:)) == [])
  }
}
