import Testing

@testable import Reactor

@Suite struct CRC32CTests {
  private func checksum(_ bytes: [UInt8]) -> UInt32 { unsafe CRC32C.checksum(bytes.span.bytes) }

  @Test func `known answers of RFC 3720 B.4`() {
    #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    #expect(checksum((0..<32).map { UInt8(31 - $0) }) == 0x113F_DB5C)
    #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
  }

  @Test func `hardware, interleaved and continued sums equal the table's`() {
    var bytes: [UInt8] = []
    for index in 0..<20_000 { bytes.append(UInt8(truncatingIfNeeded: index &* 2_654_435_761 >> 7)) }
    for count in [0, 1, 7, 8, 9, 100, 4079, 4080, 4081, 4096, 8192, 12_345, 20_000] {
      let expected = unsafe bytes.withUnsafeBytes { unsafe CRC32C.software($0.baseAddress!, byteCount: count, continuing: 0) }
      #expect(checksum(Array(bytes[..<count])) == expected)
      let middle = count / 3
      let first = checksum(Array(bytes[..<middle]))
      unsafe #expect(CRC32C.checksum(Array(bytes[middle..<count]).span.bytes, continuing: first) == expected)
    }
  }
}
