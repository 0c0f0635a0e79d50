import CLinux
import Glibc
import Reactor
import Testing

@testable import Pool

@Suite struct FileDeviceTests {
  @Test(arguments: engines) func `writes, reads, and answers once and later`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: 8 * mebibyte + 100)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    #expect(device.blockSizeBytes == 512)
    #expect(device.sizeBytes == 8 * mebibyte)
    let data = pattern(12_288, seed: 1)
    #expect(bench.write(data, to: device, at: 4608) == .success)
    #expect(bench.read(device, at: 4608, count: 12_288) == data)
    #expect(bench.read(device, at: 0, count: 4608) == [UInt8](repeating: 0, count: 4608))
    #expect(bench.perform(.flush, on: device) == .success)
    #expect(bench.write(data, to: device, at: 1 << 20, durably: true) == .success)
    #expect(file.bytes(at: 1 << 20, count: 12_288) == data)
    let largest = pattern(1 << 20, seed: 2)
    #expect(bench.write(largest, to: device, at: 7 * mebibyte) == .success)
    #expect(bench.read(device, at: 7 * mebibyte, count: 1 << 20) == largest)
    #expect(device.inFlight == 0)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `refuses what is outside, unaligned or too large`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: 4 * mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    #expect(bench.perform(.read, on: device, at: 4 * mebibyte, count: 512) == .outOfRange)
    #expect(bench.perform(.write, on: device, at: 4 * mebibyte - 512, count: 1024) == .outOfRange)
    #expect(bench.perform(.read, on: device, at: 1, count: 512) == .outOfRange)
    #expect(bench.perform(.read, on: device, at: 0, count: 100) == .outOfRange)
    #expect(bench.perform(.read, on: device, at: 0, count: 0) == .outOfRange)
    #expect(bench.perform(.read, on: device, at: .max - 511, count: 512) == .outOfRange)
    #expect(bench.perform(.write, on: device, at: 0, count: mebibyte + 512) == .outOfRange)
    #expect(bench.perform(.deallocate, on: device, at: 0, count: 5 * mebibyte) == .outOfRange)
    #expect(bench.perform(.writeZeroes, on: device, at: 512, count: 4 * mebibyte) == .outOfRange)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `a read-only device reads and refuses to change`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: mebibyte)
    file.patch([7], at: 512)
    let device = try FileDevice(path: file.path, on: bench.reactor, access: .readOnly)
    #expect(bench.read(device, at: 512, count: 512)?.first == 7)
    for operation in [BlockOperation.write, .writeZeroes, .deallocate] {
      #expect(bench.perform(operation, on: device, at: 0, count: 4096) == .refused)
    }
    #expect(file.bytes(at: 512, count: 1) == [7])
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `a file that shrinks below its device is a fault`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    #expect(bench.write(pattern(4096, seed: 3), to: device, at: 0) == .success)
    file.truncate(to: 4096)
    #expect(bench.perform(.read, on: device, at: 8192, count: 4096) == .readFault)
    // The first half is there, the second is not: nothing is made up.
    #expect(bench.perform(.read, on: device, at: 0, count: 8192) == .readFault)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `more requests than slots wait, more than can wait are answered busy`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    let total = DiskIO.slotCount + WaitingQueue.capacity + 100
    for index in 0..<total { bench.submit(.read, to: device, at: UInt64(index % 256) * 4096, count: 4096) }
    #expect(device.inFlight == total)
    bench.reactor.run(until: { bench.client.answers.count == total }, timeoutNanoseconds: 60_000_000_000)
    #expect(bench.client.answers.values.count { $0 == .success } == total - 100)
    #expect(bench.client.answers.values.count { $0 == .busy } == 100)
    #expect(device.inFlight == 0)
    #expect(bench.perform(.read, on: device, at: 0, count: 4096) == .success)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `a client may submit from inside an answer`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    var rounds = 0
    bench.client.onAnswer = { _ in
      rounds += 1
      // Answers of both kinds: from the disk, and immediate.
      if rounds < 500 { bench.submit(.read, to: device, at: rounds % 3 == 0 ? mebibyte : 0, count: 4096) }
    }
    bench.submit(.read, to: device, at: 0, count: 4096)
    bench.reactor.run(until: { rounds == 500 }, timeoutNanoseconds: 20_000_000_000)
    #expect(rounds == 500)
    #expect(bench.client.answers.values.count { $0 == .outOfRange } == 166)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `a huge deallocate takes turns with others`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: 1 << 37)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    #expect(bench.write(pattern(4096, seed: 1), to: device, at: 1 << 36) == .success)
    let huge = (0..<3).map { _ in bench.submit(.deallocate, to: device, at: 0, count: 1 << 37) }
    let small = bench.submit(.deallocate, to: device, at: 0, count: 4096)
    let read = bench.submit(.read, to: device, at: 0, count: 4096)
    bench.reactor.run(until: { bench.client.answers.count == 6 }, timeoutNanoseconds: 60_000_000_000)
    for token in huge + [small, read] { #expect(bench.client.answers[token] == .success) }
    // Each huge one is 2,048 pieces.
    let order = bench.client.order
    for token in huge { #expect(order.firstIndex(of: small)! < order.firstIndex(of: token)!) }
    for token in huge { #expect(order.firstIndex(of: read)! < order.firstIndex(of: token)!) }
    #expect(bench.read(device, at: 1 << 36, count: 4096) == [UInt8](repeating: 0, count: 4096))
    device.close()
    bench.settle()
  }

  @Test(arguments: engines) func `deallocate gives space back`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: 4 * mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    for index in 0..<4 { #expect(bench.write(pattern(1 << 20, seed: index), to: device, at: UInt64(index) * mebibyte) == .success) }
    #expect(bench.perform(.flush, on: device) == .success)
    #expect(file.allocatedBytes >= 4 << 20)
    #expect(bench.perform(.deallocate, on: device, at: 0, count: 4 * mebibyte) == .success)
    #expect(file.allocatedBytes < 1 << 20)
    device.close()
    bench.settle()
  }

  @Test(arguments: engines, [false, true])
  func `zeroing works where the storage can neither punch nor zero`(engine: IOEngineChoice, canZero: Bool) throws {
    let bench = try TestBench(engine)
    let temporary = TemporaryFile(byteCount: 8 * mebibyte)
    let file = try DiskFile(path: temporary.path)
    let io = DiskIO(file: file, reactor: bench.reactor)
    io.canPunchHoles = false
    io.canZeroRanges = canZero
    for index in 0..<8 { temporary.patch(pattern(1 << 20, seed: index), at: UInt64(index) * mebibyte) }
    unsafe io.submit(
      BlockRequest(.deallocate, offsetBytes: 512, byteCount: 3 * mebibyte, token: 1), for: bench.client, isAccepted: true)
    unsafe io.submit(
      BlockRequest(.writeZeroes, offsetBytes: 4 * mebibyte + 512, byteCount: 2 * mebibyte + 512, forceUnitAccess: true, token: 2),
      for: bench.client, isAccepted: true)
    bench.reactor.run(until: { bench.client.answers.count == 2 }, timeoutNanoseconds: 20_000_000_000)
    #expect(bench.client.answers == [1: .success, 2: .success])
    var expected = joined((0..<8).map { pattern(1 << 20, seed: $0) })
    clear(&expected, 4096..<(3 << 20))
    clear(&expected, (4 << 20) + 512..<(6 << 20) + 1024)
    #expect(temporary.bytes(at: 0, count: 8 << 20) == expected)
    io.close()
    bench.settle()
  }

  /// A file system in memory has no FALLOC_FL_ZERO_RANGE, so the device finds that out by itself.
  @Test(.enabled(if: hasMemoryFiles), arguments: engines)
  func `a file in memory is zeroed by writing`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(folder: "/dev/shm", byteCount: 4 * mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    for index in 0..<4 { file.patch(pattern(1 << 20, seed: index), at: UInt64(index) * mebibyte) }
    #expect(bench.perform(.writeZeroes, on: device, at: 512, count: 3 * mebibyte) == .success)
    #expect(bench.perform(.deallocate, on: device, at: 3 * mebibyte + 4096, count: 8192) == .success)
    var expected = joined((0..<4).map { pattern(1 << 20, seed: $0) })
    clear(&expected, 512..<(3 << 20) + 512)
    clear(&expected, (3 << 20) + 4096..<(3 << 20) + 12_288)
    #expect(file.bytes(at: 0, count: 4 << 20) == expected)
    device.close()
    bench.settle()
  }

  @Test func `failures of the system have their statuses`() {
    #expect(DiskIO.status(of: -EIO, .read) == .readFault)
    #expect(DiskIO.status(of: -EINVAL, .read) == .readFault)
    for step in [DiskIO.Step.write, .writeZeros, .zeroRange, .punchHole, .sync] {
      #expect(DiskIO.status(of: -EIO, step) == .writeFault)
      #expect(DiskIO.status(of: -ENOSPC, step) == .capacityExceeded)
      #expect(DiskIO.status(of: -EDQUOT, step) == .capacityExceeded)
    }
  }
}
