import CLinux
import Glibc
import Reactor
import Testing

@testable import Pool

/// Pools that are damaged, foreign, or in use.
@Suite struct PoolRecoveryTests {
  private let file = TemporaryFile()
  private static let secondCopy = Superblock.copyOffsets[1]

  /// A pool with two replicas; each creation is one change after the first table.
  private func makePool() throws -> [Identifier] {
    let pool = try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte, createFileBytes: 8 * mebibyte)
    let ids = try (0..<2).map { _ in try pool.makeReplica(sizeBytes: 65_536).id }
    try pool.close()
    return ids
  }

  /// What a good copy says of where things are.
  private func superblock() throws -> Superblock { try Superblock(decoding: file.bytes(at: 0, count: 4096)) }

  private func openError() -> PoolError? {
    do throws(PoolError) {
      _ = try Pool.open(path: file.path)
      return nil
    } catch {
      return error
    }
  }

  @Test func `a second open is refused, in the words of the error`() throws {
    _ = try makePool()
    let pool = try Pool.open(path: file.path)
    #expect(openError() == .inUse(path: file.path))
    #expect(throws: PoolError.inUse(path: file.path)) { try Pool.format(path: file.path, name: "q", force: true) }
    try pool.close()
    #expect(openError() == nil)
  }

  @Test func `another process cannot open it either`() throws {
    _ = try makePool()
    let pool = try Pool.open(path: file.path)
    // flock(1) is the other process: it takes the lock with an open of its own.
    #expect(runFlock() != 0)
    try pool.close()
    #expect(runFlock() == 0)
  }

  private func runFlock() -> Int32 { run("flock --nonblock \(file.path) true") }

  @Test func `a truncated pool is refused`() throws {
    _ = try makePool()
    file.truncate(to: 8 * mebibyte - 1)
    #expect(openError() == .truncated(path: file.path, byteCount: 8 * mebibyte - 1, expectedBytes: 8 * mebibyte))
    file.truncate(to: 4096)
    #expect(openError() == .truncated(path: file.path, byteCount: 4096, expectedBytes: 8 * mebibyte))
    file.truncate(to: 100)
    #expect(openError() == .corruptSuperblock(path: file.path, detail: "first: cut off, second: cut off"))
    file.truncate(to: 0)
    #expect(openError() == .notAPool(path: file.path))
  }

  @Test func `either copy of the superblock is enough, it is said, and the other is made whole`() throws {
    let ids = try makePool()
    file.flip(bit: 3, at: 100)
    do {
      let pool = try Pool.open(path: file.path)
      #expect(pool.replicas.map(\.id) == ids)
      #expect(pool.warnings == ["the first copy of the superblock of \(file.path) is damaged (wrong checksum); the second is used"])
    }
    #expect(try Pool.open(path: file.path).warnings == [])
    file.flip(bit: 0, at: Self.secondCopy + 4095)
    do {
      let pool = try Pool.open(path: file.path)
      #expect(pool.warnings == ["the second copy of the superblock of \(file.path) is damaged (wrong checksum); the first is used"])
    }
    #expect(file.bytes(at: 0, count: 4096) == file.bytes(at: Self.secondCopy, count: 4096))
    file.flip(bit: 0, at: Self.secondCopy + 4095)
    file.flip(bit: 7, at: 45)
    #expect(openError() == .corruptSuperblock(path: file.path, detail: "first: wrong checksum, second: wrong checksum"))
    #expect(throws: PoolError.self) { try Pool.format(path: file.path, name: "q") }
  }

  @Test func `a damaged copy under somebody's bytes is left as it is`() throws {
    _ = try makePool()
    let letter = Array("letters to a friend".utf8)
    file.patch(letter, at: 0)
    #expect(try Pool.open(path: file.path).warnings.count == 1)
    #expect(file.bytes(at: 0, count: letter.count) == letter)
  }

  @Test func `a later version and unknown features are refused, whatever the other copy says`() throws {
    _ = try makePool()
    let original = file.bytes(at: 0, count: 4096)
    for (offset, expected) in [
      (12, PoolError.newerVersion(path: file.path, found: 7, supported: 2)), (16, .unknownFeatures(path: file.path, bits: 7)),
    ] {
      for copy in Superblock.copyOffsets {
        var bytes = original
        bytes[offset] = 7
        for index in 8..<12 { bytes[index] = 0 }
        let checksum = unsafe CRC32C.checksum(bytes.span.bytes)
        for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
        file.patch(bytes, at: copy)
        #expect(openError() == expected)
        file.patch(original, at: copy)
      }
    }
    #expect(openError() == nil)
  }

  @Test func `an older version is refused in a sentence`() throws {
    _ = try makePool()
    for copy in Superblock.copyOffsets {
      var bytes = file.bytes(at: copy, count: 4096)
      bytes[12] = 1
      for index in 8..<12 { bytes[index] = 0 }
      let checksum = unsafe CRC32C.checksum(bytes.span.bytes)
      for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
      file.patch(bytes, at: copy)
    }
    #expect(openError() == .olderVersion(path: file.path, found: 1, supported: 2))
    #expect(openError()?.description.contains("version 1") == true)
    #expect(throws: PoolError.self) { try Pool.format(path: file.path, name: "q") }
    try Pool.format(path: file.path, name: "q", clusterBytes: 64 * kibibyte, force: true).close()
  }

  @Test func `every flipped bit of a durable record is found`() throws {
    _ = try makePool()
    let superblock = try superblock()
    // The first record was durable before later ones were written, and they say so.
    let count = try MetadataRecord.encodedBytes(
      of: file.bytes(at: superblock.journalOffset, count: 4096), kind: .journal, poolID: superblock.id)
    for offset in stride(from: 0, to: UInt64(count), by: 13) {
      file.flip(bit: Int(offset % 8), at: superblock.journalOffset + offset)
      guard case .corruptMetadata? = openError() else {
        Issue.record("a flipped bit at \(offset) was not found")
        return
      }
      file.flip(bit: Int(offset % 8), at: superblock.journalOffset + offset)
    }
    #expect(openError() == nil)
  }

  @Test func `every flipped bit of the checkpoint is found`() throws {
    _ = try makePool()
    let superblock = try superblock()
    let slot = superblock.checkpointOffset + superblock.checkpointSlotBytes
    for offset in stride(from: 0, to: 8192, by: 29) as StrideTo<UInt64> {
      file.flip(bit: Int(offset % 8), at: slot + offset)
      guard case .corruptMetadata? = openError() else {
        Issue.record("a flipped bit at \(offset) was not found")
        return
      }
      file.flip(bit: Int(offset % 8), at: slot + offset)
    }
    #expect(openError() == nil)
  }

  @Test func `a torn last record is the end, and nothing behind it comes back`() throws {
    let ids = try makePool()
    let superblock = try superblock()
    // The last record but that of closing, and that: as if their writes had not reached the disk.
    var position: UInt64 = 0
    var places: [UInt64] = []
    while let count = try? MetadataRecord.encodedBytes(
      of: file.bytes(at: superblock.journalOffset + position, count: 4096), kind: .journal, poolID: superblock.id)
    {
      places.append(position)
      position += UInt64(count)
    }
    for place in places.suffix(2) {
      file.patch([UInt8](repeating: 0xAB, count: 512), at: superblock.journalOffset + place + 512)
      file.patch([UInt8](repeating: 0xAB, count: 512), at: superblock.journalOffset + place)
    }
    let pool = try Pool.open(path: file.path)
    #expect(pool.replicas.map(\.id) == [ids[0]])
    try pool.createReplica(id: ids[1], volumeID: .random(), sizeBytes: 65_536)
    try pool.close()
    #expect(try Pool.open(path: file.path).replicas.map(\.id) == ids)
  }

  @Test func `metadata of an earlier pool in the same place are not believed`() throws {
    _ = try makePool()
    let superblock = try superblock()
    let start = superblock.journalOffset
    let old = file.bytes(at: start, count: Int(superblock.dataOffset - start))
    try Pool.format(path: file.path, name: "new", clusterBytes: 64 * kibibyte, force: true).close()
    #expect(try Pool.open(path: file.path).replicas.isEmpty)
    file.patch(old, at: start)
    guard case .corruptMetadata? = openError() else {
      Issue.record("it was opened")
      return
    }
  }

  static let foreign: [(offset: UInt64, bytes: [UInt8], word: String)] = [
    (1080, [0x53, 0xEF], "ext4"), (0, Array("XFSB".utf8), "XFS"), (65_600, Array("_BHRfS_M".utf8), "Btrfs"),
    (512, Array("LABELONE".utf8), "LVM"), (1536, Array("LABELONE".utf8), "LVM"), (4096, [0xFC, 0x4E, 0x2B, 0xA9], "RAID"),
    (0, [0xFC, 0x4E, 0x2B, 0xA9], "RAID"), (8 * mebibyte - 8192, [0xFC, 0x4E, 0x2B, 0xA9], "RAID"),
    (8 * mebibyte - 65_536, [0xFC, 0x4E, 0x2B, 0xA9], "RAID"), (512, Array("EFI PART".utf8), "GPT"),
    (8 * mebibyte - 512, Array("EFI PART".utf8), "GPT"), (510, [0x55, 0xAA], "MBR"), (0, Array("LUKS".utf8) + [0xBA, 0xBE], "LUKS"),
    (4086, Array("SWAPSPACE2".utf8), "swap"), (0, Array("bluestore block device".utf8), "BlueStore"),
    (700_000, Array("letters to a friend".utf8), "unknown kind"),
  ]

  @Test(arguments: foreign) func `foreign content is refused and kept`(offset: UInt64, bytes: [UInt8], word: String) throws {
    let foreign = TemporaryFile(byteCount: 8 * mebibyte)
    foreign.patch(bytes, at: offset)
    for attempt in 0..<2 {
      do throws(PoolError) {
        if attempt == 0 { try Pool.format(path: foreign.path, name: "p") } else { _ = try Pool.open(path: foreign.path) }
        // What is only at the end does not show in an open: there is no pool anyway.
        Issue.record("\(word) was taken")
      } catch {
        guard case .foreignContent(_, let what) = error else {
          Issue.record("\(error)")
          continue
        }
        #expect(what.contains(word))
        #expect(error.description.contains("--force"))
      }
    }
    #expect(foreign.bytes(at: offset, count: bytes.count) == bytes)
    #expect(foreign.bytes(at: 0, count: 8).allSatisfy { $0 == 0 } || offset == 0)
    try Pool.format(path: foreign.path, name: "p", clusterBytes: 64 * kibibyte, force: true).close()
    let file = try DiskFile(path: foreign.path)
    #expect(try ContentProbe.signature(of: file) == nil, "nobody takes the disk for what it was")
    #expect(try file.contentDescription() == "the Keelson pool “p”")
  }

  @Test func `an empty file is no pool`() {
    file.patchEmpty(byteCount: 8 * mebibyte)
    #expect(openError() == .notAPool(path: file.path))
  }

  @Test func `another pool is never formatted without force`() throws {
    let ids = try makePool()
    #expect(throws: PoolError.poolExists(path: file.path, name: "p")) { try Pool.format(path: file.path, name: "q") }
    file.flip(bit: 1, at: 50)
    #expect(throws: PoolError.poolExists(path: file.path, name: "p")) { try Pool.format(path: file.path, name: "q") }
    #expect(try Pool.open(path: file.path).replicas.map(\.id) == ids)
    try Pool.format(path: file.path, name: "q", force: true).close()
    let pool = try Pool.open(path: file.path)
    #expect(pool.name == "q" && pool.replicas.isEmpty)
  }

  @Test func `a partition table over a pool is not written into`() throws {
    _ = try makePool()
    file.patch([UInt8](repeating: 0, count: 4096), at: 0)
    file.patch(Array("EFI PART".utf8), at: 512)
    guard case .foreignContent(_, let what)? = openError() else {
      Issue.record("it was opened")
      return
    }
    #expect(what.contains("GPT") && what.contains("“p”"))
  }

  @Test func `an interrupted format leaves no pool or the new one`() throws {
    _ = try makePool()
    // The first step of a format over a pool: both copies are gone.
    for offset in Superblock.copyOffsets { file.patch([UInt8](repeating: 0, count: 4096), at: offset) }
    #expect(openError() == .notAPool(path: file.path))
    // The last step, half done.
    try Pool.format(path: file.path, name: "new", force: true).close()
    file.patch([UInt8](repeating: 0, count: 4096), at: 0)
    #expect(try Pool.open(path: file.path).name == "new")
  }
}

extension TemporaryFile {
  /// Makes an absent file one of zeros.
  func patchEmpty(byteCount: UInt64) {
    let file = unsafe keelson_open(path, O_RDWR | O_CREAT, 0o600)
    precondition(file >= 0 && ftruncate(file, off_t(byteCount)) == 0)
    close(file)
  }
}
