import CLinux
import Glibc
import Reactor
import Testing

@testable import Pool

/// A block device over a file, for as long as this lives.
final class LoopDevice {
  let path: String
  private let file: TemporaryFile

  /// Whether this machine lets us make one.
  static let isAvailable = geteuid() == 0 && LoopDevice(byteCount: 8 << 20, sectorBytes: 512) != nil

  init?(byteCount: UInt64, sectorBytes: Int) {
    file = TemporaryFile(byteCount: byteCount)
    let name = TemporaryFile()
    guard run("losetup --find --show --sector-size \(sectorBytes) \(file.path) > \(name.path) 2> /dev/null") == 0 else { return nil }
    path = String(decoding: name.bytes(at: 0, count: 64).prefix { $0 > 0x20 }, as: UTF8.self)
  }

  /// Makes the disk larger, as an array or a cloud does.
  func grow(to byteCount: UInt64) {
    file.truncate(to: byteCount)
    precondition(run("losetup --set-capacity \(path)") == 0)
  }

  deinit { _ = run("losetup --detach \(path)") }
}

@Suite(.enabled(if: LoopDevice.isAvailable)) struct BlockDeviceTests {
  @Test(arguments: engines, [512, 4096]) func `a disk is a device in its sectors`(engine: IOEngineChoice, sectorBytes: Int) throws {
    let bench = try TestBench(engine)
    let disk = try #require(LoopDevice(byteCount: 8 * mebibyte, sectorBytes: sectorBytes))
    let device = try FileDevice(path: disk.path, on: bench.reactor)
    #expect(device.file.isBlockDevice)
    #expect(device.sizeBytes == 8 * mebibyte)
    #expect(Int(device.blockSizeBytes) == sectorBytes)
    var model = [UInt8](repeating: 0, count: 8 << 20)
    var generator = SeededGenerator(seed: 21)
    for round in 0..<60 {
      let start = Int.random(in: 0..<2047, using: &generator) * 4096
      let count = min(Int.random(in: 1...256, using: &generator) * 4096, (8 << 20) - start)
      switch round % 4 {
      case 0, 1:
        #expect(bench.write(pattern(count, seed: round), to: device, at: UInt64(start), durably: round % 8 == 0) == .success)
        model.replaceSubrange(start..<start + count, with: pattern(count, seed: round))
      case 2:
        #expect(bench.perform(.writeZeroes, on: device, at: UInt64(start), count: UInt64(count), durably: round % 8 == 2) == .success)
        clear(&model, start..<start + count)
      default:
        #expect(bench.perform(.deallocate, on: device, at: UInt64(start), count: UInt64(count)) == .success)
        clear(&model, start..<start + count)
      }
    }
    #expect(bench.perform(.flush, on: device) == .success)
    for offset in stride(from: 0, to: 8 << 20, by: 1 << 20) {
      #expect(bench.read(device, at: UInt64(offset), count: 1 << 20) == Array(model[offset..<offset + 1 << 20]))
    }
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `a pool on a disk survives a restart`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let disk = try #require(LoopDevice(byteCount: 16 * mebibyte, sectorBytes: 4096))
    var id = Identifier.none
    do {
      let pool = try Pool.format(path: disk.path, name: "p", clusterBytes: 64 * kibibyte)
      #expect(throws: PoolError.inUse(path: disk.path)) { try Pool.open(path: disk.path) }
      #expect(throws: PoolError.unsupportedBlockSize(pool: "p", blockSizeBytes: 512, sectorBytes: 4096)) {
        try pool.makeReplica(sizeBytes: mebibyte)
      }
      id = try pool.makeReplica(sizeBytes: 3 * mebibyte, blockSizeBytes: 4096).id
      let device = try pool.openReplica(id, on: bench.reactor)
      #expect(bench.write(pattern(1 << 20, seed: 3), to: device, at: mebibyte + 4096, durably: true) == .success)
      device.close()
      try pool.close()
    }
    let pool = try Pool.open(path: disk.path)
    let device = try pool.openReplica(id, on: bench.reactor)
    #expect(bench.read(device, at: mebibyte + 4096, count: 1 << 20) == pattern(1 << 20, seed: 3))
    #expect(bench.read(device, at: 0, count: 4096) == [UInt8](repeating: 0, count: 4096))
    device.close()
    try pool.close()
  }

  @Test func `a mounted disk is refused`() throws {
    let disk = try #require(LoopDevice(byteCount: 16 * mebibyte, sectorBytes: 512))
    try #require(run("mkfs.ext4 -q \(disk.path)") == 0)
    let folder = TemporaryFile()
    try #require(run("mkdir \(folder.path) && mount \(disk.path) \(folder.path)") == 0)
    defer { _ = run("rmdir \(folder.path)") }
    #expect(throws: PoolError.inUse(path: disk.path)) { try Pool.format(path: disk.path, name: "p", force: true) }
    #expect(run("umount \(folder.path)") == 0)
    #expect(throws: PoolError.foreignContent(path: disk.path, what: "an ext2, ext3 or ext4 file system")) {
      try Pool.format(path: disk.path, name: "p")
    }
    try Pool.format(path: disk.path, name: "p", force: true).close()
  }
}
