import Reactor
import Testing

@testable import Pool

@Suite struct ReplicaTableTests {
  private let superblock = Superblock.layout(
    id: .random(), name: "p", clusterBytes: 64 * kibibyte, deviceBytes: 1003 * mebibyte, sectorBytes: 512)!

  private func sample() -> ReplicaTable {
    ReplicaTable(
      sequence: 9,
      replicas: [
        ReplicaRecord(
          id: .random(), volumeID: .random(), sizeBytes: 3 * 65536, blockSizeBytes: 512,
          extents: [ClusterExtent(start: 10, count: 2), ClusterExtent(start: 5, count: 1)]),
        ReplicaRecord(
          id: .random(), volumeID: .random(), sizeBytes: 65536 + 4096, blockSizeBytes: 4096, extents: [ClusterExtent(start: 20, count: 2)]),
      ])
  }

  private func resealed(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = bytes
    change(&bytes)
    for index in 8..<12 { bytes[index] = 0 }
    let count = bytes[40..<48].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard count <= UInt64(bytes.count) else { return bytes }
    let checksum = unsafe CRC32C.checksum(Array(bytes[..<Int(count)]).span.bytes)
    for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    return bytes
  }

  @Test func `survives a round trip and has its fields in their places`() throws {
    let table = sample()
    let bytes = table.encoded(poolID: superblock.id)
    #expect(bytes.count == 4096)
    #expect(try ReplicaTable(decoding: bytes, superblock: superblock) == table)
    #expect(Array(bytes[0..<8]) == Array("KEELMETA".utf8))
    #expect(Array(bytes[12..<16]) == [2, 0, 0, 0])
    #expect(Array(bytes[16..<32]) == superblock.id.bytes)
    #expect(bytes[32] == 9)
    #expect(Int(bytes[40]) + Int(bytes[41]) << 8 == 64 + 2 * 64 + 3 * 16)
    #expect(Array(bytes[64..<80]) == table.replicas[0].id.bytes)
    #expect(Array(bytes[80..<96]) == table.replicas[0].volumeID.bytes)
    #expect(Array(bytes[96..<104]) == [0, 0, 3, 0, 0, 0, 0, 0])
    #expect(Array(bytes[104..<112]) == [0, 2, 0, 0, 2, 0, 0, 0])
    #expect(bytes[128] == 10)
    #expect(bytes[136] == 2)
    let empty = ReplicaTable(sequence: 1, replicas: [])
    #expect(try ReplicaTable(decoding: empty.encoded(poolID: superblock.id), superblock: superblock) == empty)
  }

  @Test func `detects every flipped bit`() {
    let table = sample()
    let bytes = table.encoded(poolID: superblock.id)
    for bit in 0..<table.encodedBytes * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: FormatFlaw.self) { try ReplicaTable(decoding: damaged, superblock: superblock) }
    }
  }

  @Test func `detects every truncation`() {
    let table = sample()
    let bytes = table.encoded(poolID: superblock.id)
    for count in 0..<table.encodedBytes {
      #expect(throws: FormatFlaw.self) { try ReplicaTable(decoding: Array(bytes[..<count]), superblock: superblock) }
    }
  }

  @Test func `refuses a table of another pool`() {
    let bytes = sample().encoded(poolID: .random())
    #expect(throws: FormatFlaw.wrongPool) { try ReplicaTable(decoding: bytes, superblock: superblock) }
  }

  @Test(
    arguments: [
      (12, [3], FormatFlaw.tooShort), (12, [1], .wrongCount), (15, [0xFF], .tooShort), (32, [0], .wrongCount), (39, [0x80], .wrongCount),
      (40, [0], .wrongCount), (47, [1], .wrongCount), (96, [1], .impossibleReplica), (98, [0], .impossibleReplica),
      (98, [4], .impossibleReplica), (103, [0xFF], .impossibleReplica), (105, [4], .impossibleReplica), (108, [1], .impossibleReplica),
      (111, [0xFF], .extentOutside), (136, [0], .extentOutside), (136, [3], .impossibleReplica), (143, [0x80], .extentOutside),
      (135, [0xFF], .extentOutside), (129, [0x40], .extentOutside), (144, [10], .extentsOverlap), (144, [20], .extentsOverlap),
    ] as [(Int, [UInt8], FormatFlaw)])
  func `refuses an impossible table under a right checksum`(offset: Int, values: [UInt8], flaw: FormatFlaw) {
    let bytes = resealed(sample().encoded(poolID: superblock.id)) { $0.replaceSubrange(offset..<offset + values.count, with: values) }
    #expect(throws: flaw) { try ReplicaTable(decoding: bytes, superblock: superblock) }
  }

  @Test func `refuses a replica twice`() {
    var table = sample()
    table.replicas[1].id = table.replicas[0].id
    #expect(throws: FormatFlaw.duplicateReplica) {
      try ReplicaTable(decoding: table.encoded(poolID: superblock.id), superblock: superblock)
    }
  }

  @Test func `random changes never trap, and what is accepted keeps the rules`() throws {
    var generator = SeededGenerator(seed: 3)
    let table = sample()
    let bytes = table.encoded(poolID: superblock.id)
    var accepted = 0
    for round in 0..<8_000 {
      let change = { (bytes: inout [UInt8]) in
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          let index = Int.random(in: 0..<table.encodedBytes, using: &generator)
          // Mostly small numbers: they get further.
          bytes[index] = .random(in: 0...(Bool.random(using: &generator) ? 4 : 255), using: &generator)
        }
      }
      var fuzzed = bytes
      if round % 4 == 0 { change(&fuzzed) } else { fuzzed = resealed(bytes, change) }
      guard let decoded = try? ReplicaTable(decoding: fuzzed, superblock: superblock) else { continue }
      accepted += 1
      let extents = decoded.replicas.flatMap(\.extents)
      let used = extents.reduce(0) { $0 + $1.count }
      #expect(extents.allSatisfy { $0.end <= superblock.clusterCount })
      let free = ClusterAllocator.freeExtents(used: extents, clusterCount: superblock.clusterCount).reduce(0) { $0 + $1.count }
      #expect(free + used == superblock.clusterCount)
    }
    #expect(accepted > 0)
  }

  @Test func `random bytes never trap`() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<5_000 {
      var bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
      if bytes.count > 8 { bytes.replaceSubrange(0..<8, with: ReplicaTable.magic) }
      #expect(throws: FormatFlaw.self) { try ReplicaTable(decoding: bytes, superblock: superblock) }
    }
  }
}
