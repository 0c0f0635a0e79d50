import Glibc
import Reactor
import Testing

@testable import Pool

@Suite struct DrillDiskTests {
  private let file = TemporaryFile(byteCount: 16 << 20)
  private static let cacheBytes = 2 << 20

  /// Buffers for one disk, and what it must hold.
  @safe private final class Bench {
    let disk: DrillDisk
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    var expected: [UInt8]

    init(_ file: TemporaryFile) throws {
      disk = DrillDisk(file: try DiskFile(path: file.path), reactor: nil, cacheBytes: DrillDiskTests.cacheBytes)
      expected = file.bytes(at: 0, count: 16 << 20)
    }

    deinit { unsafe buffer.deallocate() }

    func write(_ value: UInt8, at offset: Int, count: Int, durably: Bool = false) {
      unsafe memset(buffer, Int32(value), count)
      unsafe disk.write(token: 0, from: buffer, byteCount: count, offsetBytes: UInt64(offset), durably: durably)
      expected.replaceSubrange(offset..<offset + count, with: repeatElement(value, count: count))
      disk.drain()
    }

    func zero(at offset: Int, count: Int) {
      disk.zero(token: 0, offsetBytes: UInt64(offset), byteCount: UInt64(count))
      expected.replaceSubrange(offset..<offset + count, with: repeatElement(0, count: count))
      disk.drain()
    }

    func flush() {
      disk.sync(token: 0)
      disk.drain()
    }

    func read(at offset: Int, count: Int) -> [UInt8] {
      unsafe memset(buffer, 0xEE, count)
      unsafe disk.read(token: 0, into: buffer, byteCount: count, offsetBytes: UInt64(offset))
      disk.drain()
      return unsafe Array(UnsafeRawBufferPointer(start: buffer, count: count))
    }
  }

  @Test func `what is not flushed is seen, and is not in the file`() throws {
    let bench = try Bench(file)
    bench.write(7, at: 4096, count: 8192)
    #expect(bench.read(at: 0, count: 16_384) == Array(bench.expected[0..<16_384]))
    #expect(file.bytes(at: 0, count: 16_384).allSatisfy { $0 == 0 })
    #expect(bench.disk.cachedBytes == 8192)
    bench.write(9, at: 8192, count: 4096, durably: true)
    #expect(Array(file.bytes(at: 4096, count: 8192)) == [UInt8](repeating: 0, count: 4096) + [UInt8](repeating: 9, count: 4096))
    #expect(bench.disk.cachedBytes == 4096, "the older content may not come over the newer")
    bench.flush()
    #expect(bench.disk.cachedBytes == 0)
    #expect(file.bytes(at: 0, count: 16 << 20) == bench.expected)
  }

  @Test func `its memory is bounded, and a random run reads what was written last`() throws {
    let bench = try Bench(file)
    var generator = SeededGenerator(seed: 3)
    for step in 0..<600 {
      let count = Int.random(in: 1...(step % 7 == 0 ? 256 : 16), using: &generator) * 4096
      let offset = Int.random(in: 0...(16 << 20 - count) / 4096, using: &generator) * 4096
      switch Int.random(in: 0..<20, using: &generator) {
      case 0: bench.flush()
      case 1: bench.zero(at: offset, count: count)
      case 2...3: bench.write(UInt8(step % 255), at: offset, count: count, durably: true)
      case 4...8: #expect(bench.read(at: offset, count: count) == Array(bench.expected[offset..<offset + count]))
      default: bench.write(UInt8(step % 255), at: offset, count: count)
      }
      #expect(bench.disk.cachedBytes <= Self.cacheBytes)
    }
    bench.disk.detach()
    #expect(file.bytes(at: 0, count: 16 << 20) == bench.expected, "an end in order writes everything back")
  }

  @Test(arguments: engines) func `a pool on it works, and says what it is`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile()
    let pool = try Pool.format(path: file.path, name: "d", clusterBytes: 64 * kibibyte, createFileBytes: 16 * mebibyte, isDrill: true)
    #expect(pool.isDrill && pool.location == "drill:\(file.path)" && pool.notices.contains { $0.contains("drill") })
    let info = try pool.makeReplica(sizeBytes: 4 * mebibyte)
    let device = try pool.openReplica(info.id, on: bench.reactor)
    let data = pattern(1 << 20, seed: 5)
    #expect(bench.write(data, to: device, at: mebibyte) == .success)
    #expect(bench.read(device, at: mebibyte, count: 1 << 20) == data)
    #expect(bench.perform(.flush, on: device, at: 0, count: 0) == .success)
    // What a kill would leave now: the file as it is.
    let copy = TemporaryFile()
    #expect(run("cp --sparse=always \(file.path) \(copy.path)") == 0)
    #expect(bench.write(pattern(1 << 20, seed: 6), to: device, at: mebibyte) == .success)
    let after = try Pool.open(path: copy.path)
    let reopened = try after.openReplica(info.id, on: bench.reactor)
    #expect(bench.read(reopened, at: mebibyte, count: 1 << 20) == data)
    reopened.close()
    try after.close()
    device.close()
    try pool.close()
    let again = try Pool.open(path: file.path)
    #expect(!again.isDrill && again.location == file.path)
    let last = try again.openReplica(info.id, on: bench.reactor)
    #expect(bench.read(last, at: mebibyte, count: 1 << 20) == pattern(1 << 20, seed: 6))
    last.close()
    try again.close()
  }
}
