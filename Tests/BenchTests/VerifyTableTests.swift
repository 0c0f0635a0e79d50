import Testing

@testable import Bench

@Suite struct VerifyTableTests {
  @Test func versionsCountCompletedWrites() {
    var table = VerifyTable(blockCount: 2)
    #expect(table.version(of: 1) == 0 && table.isWritable(1) && !table.isCheckable(1))
    #expect(table.beginWrite(1) == 1)
    #expect(!table.isWritable(1) && table.newestVersion(of: 1) == 1 && table.version(of: 1) == 0)
    table.endWrite(1, .completed)
    #expect(table.version(of: 1) == 1 && table.isCheckable(1) && table.writtenBlockCount == 1)
    #expect(table.beginWrite(1) == 2)
    table.endWrite(1, .withoutEffect)
    #expect(table.version(of: 1) == 1 && table.isWritable(1) && table.newestVersion(of: 1) == 1)
    #expect(table.beginWrite(1) == 2)
    table.endWrite(1, .unknown)
    #expect(!table.isWritable(1) && !table.isCheckable(1))
    #expect(table.writtenBlockCount == 0 && table.uncertainBlockCount == 1)
    #expect(table.version(of: 0) == 0 && table.isWritable(0))
  }

  @Test func rangesOfVersions() {
    let one = VersionRange(5, 5)
    #expect(one.contains(5) && !one.contains(4) && !one.contains(6) && !one.contains(0))
    let three = VersionRange(5, 7)
    #expect(three.contains(5) && three.contains(6) && three.contains(7) && !three.contains(4) && !three.contains(8))
    let wrapped = VersionRange(VersionRange.maximum, 2)
    #expect(wrapped.contains(VersionRange.maximum) && wrapped.contains(1) && wrapped.contains(2))
    #expect(!wrapped.contains(3) && !wrapped.contains(VersionRange.maximum - 1) && !wrapped.contains(0))
    #expect(!wrapped.contains(.max))
    #expect(VersionRange.next(VersionRange.maximum) == 1)
    #expect(VersionRange.next(0) == 1)
  }
}
