import CLinux
import Glibc
import Testing

@testable import Pool

@Suite struct DiskFileTests {
  @Test func `a writer is alone, readers share`() throws {
    let file = TemporaryFile(byteCount: mebibyte)
    do {
      let writer = try DiskFile(path: file.path)
      #expect(throws: PoolError.inUse(path: file.path)) { try DiskFile(path: file.path) }
      #expect(throws: PoolError.inUse(path: file.path)) { try DiskFile(path: file.path, access: .readOnly) }
      #expect(writer.sizeBytes == mebibyte && !writer.isWriteThrough)
    }
    let first = try DiskFile(path: file.path, access: .readOnly)
    let second = try DiskFile(path: file.path, access: .readOnly)
    #expect(throws: PoolError.inUse(path: file.path)) { try DiskFile(path: file.path) }
    #expect(first.path == second.path)
  }

  @Test func `refuses what is no file or disk`() throws {
    #expect(throws: PoolError.unsuitable(path: "/tmp", what: "a directory")) { try DiskFile(path: "/tmp") }
    #expect(throws: PoolError.unsuitable(path: "/dev/null", what: "a character device")) { try DiskFile(path: "/dev/null") }
    let missing = TemporaryFile()
    #expect(throws: PoolError.system(path: missing.path, action: "open", code: ENOENT)) { try DiskFile(path: missing.path) }
    let nowhere = missing.path + "/below"
    #expect(throws: PoolError.system(path: nowhere, action: "create", code: ENOENT)) {
      try DiskFile(path: nowhere, createFileBytes: mebibyte)
    }
  }

  @Test func `creates sparse files and leaves others their size`() throws {
    let file = TemporaryFile()
    do {
      let created = try DiskFile(path: file.path, createFileBytes: 1 << 30)
      #expect(created.wasCreated)
      #expect(created.sizeBytes == 1 << 30)
      #expect(file.allocatedBytes == 0)
    }
    let again = try DiskFile(path: file.path, createFileBytes: 1 << 20)
    #expect(!again.wasCreated)
    #expect(again.sizeBytes == 1 << 30)
    let impossible = TemporaryFile()
    #expect(throws: PoolError.system(path: impossible.path, action: "give \(UInt64.max) bytes to", code: EFBIG)) {
      try DiskFile(path: impossible.path, createFileBytes: .max)
    }
    #expect(!impossible.exists, "nothing is left behind")
  }

  @Test func `zeroes and discards exactly the range`() throws {
    let temporary = TemporaryFile(byteCount: mebibyte)
    temporary.patch(pattern(1 << 20, seed: 5), at: 0)
    let file = try DiskFile(path: temporary.path)
    var expected = pattern(1 << 20, seed: 5)
    try file.zero(offsetBytes: 8192, byteCount: 65_536)
    clear(&expected, 8192..<73_728)
    #expect(temporary.bytes(at: 0, count: 1 << 20) == expected)
    #expect(file.punchHole(offsetBytes: 524_288, byteCount: 131_072) == 0)
    clear(&expected, 524_288..<655_360)
    #expect(temporary.bytes(at: 0, count: 1 << 20) == expected)
  }

  @Test func `reads end where the file ends`() throws {
    let file = try { try DiskFile(path: $0.path) }(TemporaryFile(byteCount: 10_000))
    #expect(try file.read(offsetBytes: 0, byteCount: 8192).count == 8192)
    #expect(try file.read(offsetBytes: 8192, byteCount: 4096).count == 10_000 - 8192)
    #expect(try file.read(offsetBytes: 16_384, byteCount: 4096).isEmpty)
  }
}
