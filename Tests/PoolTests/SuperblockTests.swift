import Reactor
import Testing

@testable import Pool

@Suite struct SuperblockTests {
  private func sample() throws -> Superblock {
    try #require(
      Superblock.layout(id: .random(), name: "fast-1", clusterBytes: mebibyte, deviceBytes: 100 * mebibyte + 512, sectorBytes: 512))
  }

  /// Changes bytes and makes the checksum right again.
  private func resealed(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = bytes
    change(&bytes)
    for index in 8..<12 { bytes[index] = 0 }
    let checksum = unsafe CRC32C.checksum(bytes.span.bytes)
    for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    return bytes
  }

  @Test func `lays a pool out`() throws {
    let superblock = try sample()
    #expect(superblock.journalOffset == mebibyte)
    #expect(superblock.journalBytes == 400 * kibibyte)
    #expect(superblock.checkpointOffset == mebibyte + 400 * kibibyte)
    #expect(superblock.dataOffset == 2 * mebibyte)
    #expect(superblock.clusterCount == 98)
    let large = try #require(
      Superblock.layout(id: .random(), name: "x", clusterBytes: 64 * mebibyte, deviceBytes: 128 * mebibyte, sectorBytes: 4096))
    #expect(large.dataOffset == 64 * mebibyte)
    #expect(large.clusterCount == 1)
    #expect(Superblock.layout(id: .random(), name: "x", clusterBytes: mebibyte, deviceBytes: 3 * mebibyte - 1, sectorBytes: 512) == nil)
    #expect(Superblock.smallestDeviceBytes(clusterBytes: mebibyte) == 3 * mebibyte)
    let huge = try #require(
      Superblock.layout(id: .random(), name: "x", clusterBytes: mebibyte, deviceBytes: 15 << 40, sectorBytes: 4096))
    #expect(huge.journalBytes == 256 * mebibyte)
    #expect(huge.dataOffset < (15 << 40) / 2000, "less than half a thousandth for metadata")
  }

  @Test func `survives a round trip and has its fields in their places`() throws {
    let superblock = try sample()
    let bytes = superblock.encoded()
    #expect(bytes.count == 4096)
    #expect(try Superblock(decoding: bytes) == superblock)
    #expect(Array(bytes[0..<8]) == Array("KEELPOOL".utf8))
    #expect(Array(bytes[12..<16]) == [2, 0, 0, 0])
    #expect(Array(bytes[24..<40]) == superblock.id.bytes)
    #expect(Array(bytes[40..<48]) == [0, 2, 0x40, 6, 0, 0, 0, 0])
    #expect(Array(bytes[48..<56]) == [0, 0, 0x10, 0, 0, 0, 0, 0])
    #expect(Array(bytes[56..<64]) == [98, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(bytes[64..<72]) == [0, 0, 0x20, 0, 0, 0, 0, 0])
    #expect(Array(bytes[72..<80]) == [0, 0, 0x10, 0, 0, 0, 0, 0])
    #expect(Array(bytes[80..<88]) == [0, 64, 6, 0, 0, 0, 0, 0])
    #expect(Array(bytes[88..<96]) == [0, 2, 0, 0, 6, 0, 0, 0])
    #expect(Array(bytes[96..<102]) == Array("fast-1".utf8))
    #expect(Array(bytes[160..<168]) == [0, 64, 22, 0, 0, 0, 0, 0])
    #expect(Array(bytes[176..<184]) == [1, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `detects every flipped bit`() throws {
    let bytes = try sample().encoded()
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(throws: FormatFlaw.self) { try Superblock(decoding: damaged) }
    }
  }

  @Test func `tells a later version and unknown features apart from damage`() throws {
    let bytes = try sample().encoded()
    let later = resealed(bytes) { $0[12] = 3 }
    #expect(throws: FormatFlaw.newerVersion) { try Superblock(decoding: later) }
    #expect(Superblock.version(of: later) == 3)
    for older in [0, 1] as [UInt8] {
      #expect(throws: FormatFlaw.olderVersion) { try Superblock(decoding: resealed(bytes) { $0[12] = older }) }
    }
    let featured = resealed(bytes) { $0[17] = 1 }
    #expect(throws: FormatFlaw.unknownFeatures) { try Superblock(decoding: featured) }
    #expect(Superblock.features(of: featured) == 0x100)
    // Compatible features may be ignored.
    #expect(try Superblock(decoding: resealed(bytes) { $0[20] = 1 }) == Superblock(decoding: bytes))
  }

  @Test(
    arguments: [
      (40, [0, 0, 0, 0]), (47, [0x80]), (48, [1]), (50, [0x18]), (50, [0, 0x10]), (56, [99]), (56, [0]), (63, [0xFF]), (64, [1]),
      (66, [0x30]), (66, [0]), (74, [0x20]), (72, [1]), (74, [0, 0]), (80, [1]), (82, [1]), (82, [0]), (86, [1]), (88, [1, 2]), (92, [0]),
      (92, [65]), (95, [0xFF]), (96, [0xFF]), (96, [10]), (160, [1]), (162, [0x10]), (162, [0x20]), (168, [0, 0, 0]), (174, [1]),
    ] as [(Int, [UInt8])])
  func `refuses an impossible layout under a right checksum`(offset: Int, values: [UInt8]) throws {
    let bytes = try resealed(sample().encoded()) { $0.replaceSubrange(offset..<offset + values.count, with: values) }
    #expect(throws: FormatFlaw.impossibleLayout) { try Superblock(decoding: bytes) }
  }

  @Test func `refuses short and foreign blocks`() {
    #expect(throws: FormatFlaw.tooShort) { try Superblock(decoding: []) }
    #expect(throws: FormatFlaw.wrongMagic) { try Superblock(decoding: [UInt8](repeating: 0, count: 4096)) }
  }

  @Test func `random changes under a right checksum never trap`() throws {
    let bytes = try sample().encoded()
    var generator = SeededGenerator(seed: 42)
    var accepted = 0
    for _ in 0..<4_000 {
      let fuzzed = resealed(bytes) { bytes in
        for _ in 0..<Int.random(in: 1...8, using: &generator) {
          bytes[.random(in: 8..<184, using: &generator)] = .random(in: 0...255, using: &generator)
        }
      }
      if let superblock = try? Superblock(decoding: fuzzed) {
        accepted += 1
        #expect(superblock.dataOffset + superblock.clusterCount * superblock.clusterBytes <= superblock.deviceBytes)
      }
    }
    #expect(accepted > 0)
  }
}
