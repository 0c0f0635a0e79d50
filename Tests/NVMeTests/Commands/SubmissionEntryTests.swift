import NVMe
import Testing

@Suite struct SubmissionEntryTests {
  @Test func everyFieldIsAtItsOffset() {
    var entry = SubmissionEntry(
      opcode: 0x01, flags: 0x42, commandIdentifier: 0x0403, namespaceIdentifier: 0x0807_0605,
      dataPointer: SGLDescriptor(address: 0x1F1E_1D1C_1B1A_1918, length: 0x2322_2120, typeAndSubtype: 0x5A), dword10: 0x2B2A_2928,
      dword11: 0x2F2E_2D2C, dword12: 0x3332_3130, dword13: 0x3736_3534, dword14: 0x3B3A_3938, dword15: 0x3F3E_3D3C)
    entry.dword2 = 0x0B0A_0908
    entry.dword3 = 0x0F0E_0D0C
    entry.metadataPointer = 0x1716_1514_1312_1110
    checkLayout(
      entry,
      [
        (0, "01"), (1, "42"), (2, "03 04"), (4, "05 06 07 08"), (8, "08 09 0A 0B"), (12, "0C 0D 0E 0F"),
        (16, "10 11 12 13 14 15 16 17"), (24, "18 19 1A 1B 1C 1D 1E 1F"), (32, "20 21 22 23"), (39, "5A"), (40, "28 29 2A 2B"),
        (44, "2C 2D 2E 2F"), (48, "30 31 32 33"), (52, "34 35 36 37"), (56, "38 39 3A 3B"), (60, "3C 3D 3E 3F"),
      ])
    #expect(entry.fusedOperation == 2 && entry.dataPointerFormat == 1)
    #expect(entry.transfersToController && !entry.transfersToHost)
  }

  @Test func readAndWrite() {
    let read = SubmissionEntry.read(
      commandIdentifier: 0x1234, namespaceIdentifier: 1, startingLBA: 0x0102_0304_0506_0708, blockCount: 65_536,
      data: .transportDataBlock(length: 0x1_0000))
    checkLayout(
      read,
      [
        (0, "02 40 34 12 01 00 00 00"), (32, "00 00 01 00 00 00 00 5A"), (40, "08 07 06 05 04 03 02 01"), (48, "FF FF 00 00"),
      ])
    #expect(read.startingLBA == 0x0102_0304_0506_0708 && read.blockCount == 65_536 && !read.forceUnitAccess)
    #expect(read.ioOpcode == .read && read.transfersToHost)
    let write = SubmissionEntry.write(
      commandIdentifier: 2, namespaceIdentifier: 0x0A, startingLBA: 3, blockCount: 1, forceUnitAccess: true,
      data: .inCapsule(length: 4096))
    checkLayout(
      write, [(0, "01 40 02 00 0A"), (32, "00 10 00 00 00 00 00 01"), (40, "03"), (48, "00 00 00 40")])
    #expect(write.forceUnitAccess && write.blockCount == 1 && write.transfersToController)
    #expect(write.dataPointer.isInCapsule && !write.dataPointer.isTransportDataBlock)
  }

  @Test func flagsOfTheIOCommands() {
    var entry = SubmissionEntry(opcode: 0x08, commandIdentifier: 0, dword12: 0xC200_0007)
    #expect(entry.limitedRetry && entry.forceUnitAccess && entry.deallocate && entry.blockCount == 8 && entry.protectionInformation == 0)
    entry.deallocate = false
    #expect(entry.dword12 == 0xC000_0007)
    entry.forceUnitAccess = false
    #expect(entry.dword12 == 0x8000_0007)
    entry.blockCount = 1
    #expect(entry.dword12 == 0x8000_0000)
    entry.startingLBA = 0xFFFF_FFFF_0000_0001
    #expect(entry.dword10 == 1 && entry.dword11 == 0xFFFF_FFFF)
    entry.dword12 = 0x3C00_0000
    #expect(entry.protectionInformation == 0xF && !entry.limitedRetry && !entry.forceUnitAccess && !entry.deallocate)
  }

  @Test func otherIOCommands() {
    checkLayout(
      SubmissionEntry.writeZeroes(
        commandIdentifier: 9, namespaceIdentifier: 1, startingLBA: 0x10, blockCount: 0x100, forceUnitAccess: true, deallocate: true),
      [(0, "08 40 09 00 01"), (39, "5A"), (40, "10"), (48, "FF 00 00 42")])
    checkLayout(SubmissionEntry.flush(commandIdentifier: 7, namespaceIdentifier: 2), [(0, "00 40 07 00 02"), (39, "5A")])
    let dataset = SubmissionEntry.datasetManagement(
      commandIdentifier: 1, namespaceIdentifier: 1, rangeCount: 256, data: .inCapsule(length: 4096))
    checkLayout(dataset, [(0, "09 40 01 00 01"), (32, "00 10 00 00 00 00 00 01"), (40, "FF"), (44, "04")])
    #expect(dataset.datasetRangeCount == 256 && dataset.datasetDeallocates)
  }

  @Test func identify() {
    let entry = SubmissionEntry.identify(
      commandIdentifier: 3, structure: 0x05, namespaceIdentifier: 0x01, controllerIdentifier: 0x1122, commandSet: 0x02)
    checkLayout(
      entry, [(0, "06 40 03 00 01"), (32, "00 10 00 00 00 00 00 5A"), (40, "05 00 22 11"), (44, "00 00 00 02")])
    #expect(entry.identifyStructure == 5 && entry.identifyController == 0x1122 && entry.identifyCommandSet == 2)
  }

  @Test func getLogPage() {
    let entry = SubmissionEntry.getLogPage(
      commandIdentifier: 4, identifier: 0x0C, byteCount: 0x0008_0010, offset: 0x1_0000_0004, retainAsynchronousEvent: true,
      specificParameter: 0x01, namespaceIdentifier: 0xFFFF_FFFF)
    // 80010h bytes are 20004h dwords, and NUMD is 20003h.
    checkLayout(
      entry,
      [
        (0, "02 40 04 00 FF FF FF FF"), (32, "10 00 08 00 00 00 00 5A"), (40, "0C 81 03 00"), (44, "02 00 00 00"),
        (48, "04 00 00 00 01 00 00 00"),
      ])
    #expect(entry.logPageIdentifier == 0x0C && entry.logSpecificParameter == 1 && entry.retainsAsynchronousEvent)
    #expect(entry.logByteCount == 0x0008_0010 && entry.logOffset == 0x1_0000_0004 && !entry.logOffsetIsIndex)
    let other = SubmissionEntry(opcode: 2, commandIdentifier: 0, dword10: 0xFFFF_0000, dword11: 0x1234_FFFF, dword14: 0x0280_0000)
    #expect(other.logByteCount == 0x4_0000_0000 && other.logSpecificIdentifier == 0x1234)
    #expect(other.logOffsetIsIndex && other.logCommandSet == 2)
  }

  @Test func features() {
    let get = SubmissionEntry.getFeatures(commandIdentifier: 5, identifier: 0x0F, select: 3)
    checkLayout(get, [(0, "0A 40 05 00"), (39, "5A"), (40, "0F 03")])
    #expect(get.featureIdentifier == 0x0F && get.featureSelect == 3)
    let set = SubmissionEntry.setFeatures(commandIdentifier: 6, identifier: 0x07, dword11: 0x0003_0002, save: true)
    checkLayout(set, [(0, "09 40 06 00"), (39, "5A"), (40, "07 00 00 80"), (44, "02 00 03 00")])
    #expect(set.featureSave && set.featureIdentifier == 7)
  }

  @Test func keepAliveEventsAndAbort() {
    checkLayout(SubmissionEntry.keepAlive(commandIdentifier: 0x0102), [(0, "18 40 02 01"), (39, "5A")])
    checkLayout(SubmissionEntry.asynchronousEventRequest(commandIdentifier: 1), [(0, "0C 40 01 00"), (39, "5A")])
    let abort = SubmissionEntry.abort(commandIdentifier: 1, queueIdentifier: 0x0203, abortedCommandIdentifier: 0x0405)
    checkLayout(abort, [(0, "08 40 01 00"), (39, "5A"), (40, "03 02 05 04")])
    #expect(abort.abortedQueueIdentifier == 0x0203 && abort.abortedCommandIdentifier == 0x0405)
  }

  @Test func fabricsCommands() {
    let connect = SubmissionEntry.connect(
      commandIdentifier: 8, queueIdentifier: 0x0102, queueSizeZeroBased: 0x007F, keepAliveMilliseconds: 0x0001_D4C0,
      disableFlowControl: true)
    checkLayout(
      connect,
      [(0, "7F 40 08 00 01"), (32, "00 04 00 00 00 00 00 01"), (40, "00 00 02 01"), (44, "7F 00 04"), (48, "C0 D4 01 00")])
    #expect(connect.fabricsCommandType == .connect && connect.connectRecordFormat == 0 && connect.connectQueueIdentifier == 0x0102)
    #expect(connect.connectQueueSizeZeroBased == 127 && connect.connectAttributes == 4 && connect.connectDisablesFlowControl)
    #expect(connect.connectKeepAliveMilliseconds == 120_000)
    let get = SubmissionEntry.propertyGet(commandIdentifier: 9, offset: 0x1C, isEightBytes: true)
    checkLayout(get, [(0, "7F 40 09 00 04"), (39, "5A"), (40, "01"), (44, "1C")])
    #expect(get.propertySizeCode == 1 && get.propertyOffset == 0x1C)
    let set = SubmissionEntry.propertySet(commandIdentifier: 10, offset: 0x14, value: 0x0102_0304_0046_0001)
    checkLayout(set, [(0, "7F 40 0A 00 00"), (39, "5A"), (44, "14"), (48, "01 00 46 00 04 03 02 01")])
    #expect(set.fabricsCommandType == .propertySet && set.propertyValue == 0x0102_0304_0046_0001 && set.propertySizeCode == 0)
    let disconnect = SubmissionEntry.disconnect(commandIdentifier: 11)
    checkLayout(disconnect, [(0, "7F 40 0B 00 08"), (39, "5A")])
    #expect(disconnect.fabricsCommandType == .disconnect)
    let unknown = SubmissionEntry(opcode: 0x7F, commandIdentifier: 0, namespaceIdentifier: 0x02)
    #expect(unknown.fabricsCommandType == nil && unknown.fabricsTypeByte == 2 && unknown.adminOpcode == .fabrics)
  }
}
