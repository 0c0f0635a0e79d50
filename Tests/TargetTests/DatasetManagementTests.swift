import NVMe
import Target
import Testing

@Suite(.serialized) struct DatasetManagementTests {
  /// Linux sends a table of 256 ranges whose tail is whatever an earlier command left there.
  @Test(arguments: [false, true]) func `ranges beyond the number of ranges mean nothing`(dataDigest: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(dataDigest: dataDigest))
    let table = encoded(DatasetRange.maximumCount * DatasetRange.byteCount) { bytes in
      DatasetRange(startingLBA: 8, blockCount: 16).encode(into: &bytes)
      for index in 1..<DatasetRange.maximumCount {
        DatasetRange(startingLBA: .max - 7, blockCount: .max).encode(into: &bytes, at: index * DatasetRange.byteCount)
      }
    }
    let entry = SubmissionEntry.datasetManagement(
      commandIdentifier: 5, namespaceIdentifier: 1, rangeCount: 1, data: .inCapsule(length: UInt32(table.count)))
    #expect(try session.queue.command(entry, data: table).status == .success)
    #expect(volume.executed.map(\.byteCount) == [16 * 512])
    let second = SubmissionEntry.datasetManagement(
      commandIdentifier: 6, namespaceIdentifier: 1, rangeCount: 2, data: .inCapsule(length: UInt32(table.count)))
    #expect(try session.queue.command(second, data: table).status == Status.lbaOutOfRange.withDoNotRetry)
    #expect(volume.executed.count == 1)
    #expect(try session.works())
  }
}
