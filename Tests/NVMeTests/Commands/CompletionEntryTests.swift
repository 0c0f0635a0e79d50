import NVMe
import Testing

@Suite struct CompletionEntryTests {
  @Test func everyFieldIsAtItsOffset() {
    let entry = CompletionEntry(
      commandIdentifier: 0x0D0C, status: Status(rawValue: 0x0F0E), result: 0x0706_0504_0302_0100, submissionQueueHead: 0x0908,
      submissionQueueIdentifier: 0x0B0A)
    checkLayout(
      entry, [(0, "00 01 02 03 04 05 06 07"), (8, "08 09"), (10, "0A 0B"), (12, "0C 0D"), (14, "0E 0F")])
    #expect(entry.dword0 == 0x0302_0100)
    checkLayout(CompletionEntry(commandIdentifier: 1), [(12, "01")])
  }
}

@Suite struct DatasetRangeTests {
  @Test func everyFieldIsAtItsOffset() {
    checkLayout(
      DatasetRange(startingLBA: 0x0F0E_0D0C_0B0A_0908, blockCount: 0x0706_0504, contextAttributes: 0x0302_0100),
      [(0, "00 01 02 03"), (4, "04 05 06 07"), (8, "08 09 0A 0B 0C 0D 0E 0F")])
    #expect(DatasetRange.maximumCount * DatasetRange.byteCount == 4096)
  }
}
