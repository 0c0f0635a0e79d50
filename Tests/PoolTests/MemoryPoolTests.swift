import Reactor
import Testing

@testable import Pool

@Suite struct MemoryPoolTests {
  @Test func `is marked volatile and counts its clusters`() throws {
    let pool = try Pool.inMemory(byteCount: 10 * mebibyte + 5, name: "ram")
    #expect(pool.isVolatile)
    #expect(pool.location == "mem:10485765")
    #expect(pool.totalBytes == 10 * mebibyte)
    let info = try pool.makeReplica(sizeBytes: 3 * mebibyte + 512)
    #expect(pool.freeBytes == 10 * mebibyte)
    try pool.deleteReplica(id: info.id)
    #expect(pool.freeBytes == 10 * mebibyte)
    try pool.close()
  }

  @Test func `refuses sizes that cannot be`() {
    #expect(throws: PoolError.tooSmall(path: "mem:512KiB", byteCount: 512 * kibibyte, neededBytes: mebibyte)) {
      try Pool.inMemory(byteCount: 512 * kibibyte, name: "ram")
    }
    do throws(PoolError) {
      _ = try Pool.inMemory(byteCount: 1 << 60, name: "ram")
      Issue.record("an exabyte of memory was given")
    } catch {
      guard case .notEnoughMemory = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test(arguments: engines) func `a new replica reads zeros where a deleted one was`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let pool = try Pool.inMemory(byteCount: 4 * mebibyte, name: "ram", clusterBytes: 64 * kibibyte)
    for round in 0..<2 {
      let device = try pool.openReplica(pool.makeReplica(sizeBytes: 4 * mebibyte).id, on: bench.reactor)
      #expect(device.isVolatile)
      for offset in stride(from: 0, to: device.sizeBytes, by: 1 << 20) {
        #expect(bench.read(device, at: offset, count: 1 << 20) == [UInt8](repeating: 0, count: 1 << 20))
        #expect(bench.write(pattern(1 << 20, seed: round), to: device, at: offset) == .success)
      }
      device.close()
      try pool.deleteReplica(id: device.id)
    }
    try pool.close()
  }

  @Test func `a pool stays on the reactor of its first replica`() throws {
    let (first, second) = (try TestBench(.ioUring), try TestBench(.libaio))
    let pool = try Pool.inMemory(byteCount: 4 * mebibyte, name: "ram")
    let info = try pool.makeReplica(sizeBytes: mebibyte)
    let writer = try pool.openReplica(info.id, on: first.reactor)
    let reader = try pool.openReplica(info.id, on: first.reactor)
    #expect(throws: PoolError.boundElsewhere(pool: "ram")) { try pool.openReplica(info.id, on: second.reactor) }
    #expect(first.write(pattern(8192, seed: 2), to: writer, at: 4096) == .success)
    #expect(first.read(reader, at: 4096, count: 8192) == pattern(8192, seed: 2))
    writer.close()
    #expect(throws: PoolError.replicaInUse(pool: "ram", id: info.id)) { try pool.close() }
    reader.close()
    try pool.close()
  }

  @Test func `a huge deallocate takes turns with others`() throws {
    let bench = try TestBench(.auto)
    let pool = try Pool.inMemory(byteCount: 512 * mebibyte, name: "ram")
    let device = try pool.openReplica(pool.makeReplica(sizeBytes: 512 * mebibyte).id, on: bench.reactor)
    #expect(bench.write(pattern(8192, seed: 2), to: device, at: 511 * mebibyte) == .success)
    let huge = bench.submit(.deallocate, to: device, at: 512, count: 512 * mebibyte - 512)
    let zeroes = bench.submit(.writeZeroes, to: device, at: 0, count: 40 * mebibyte)
    let read = bench.submit(.read, to: device, at: 0, count: 4096)
    bench.reactor.run(until: { bench.client.answers.count == 4 }, timeoutNanoseconds: 20_000_000_000)
    let order = bench.client.order
    #expect(order.firstIndex(of: read)! < order.firstIndex(of: huge)! && bench.client.answers[zeroes] == .success)
    #expect(bench.client.answers.values.allSatisfy { $0 == .success })
    #expect(bench.read(device, at: 511 * mebibyte, count: 8192) == [UInt8](repeating: 0, count: 8192))
    device.close()
    try pool.close()
  }

  @Test func `refuses what is outside, unaligned or too large`() throws {
    let bench = try TestBench(.auto)
    let pool = try Pool.inMemory(byteCount: 4 * mebibyte, name: "ram")
    let device = try pool.openReplica(pool.makeReplica(sizeBytes: 3 * mebibyte, blockSizeBytes: 4096).id, on: bench.reactor)
    #expect(bench.perform(.read, on: device, at: 3 * mebibyte, count: 4096) == .outOfRange)
    #expect(bench.perform(.read, on: device, at: 512, count: 4096) == .outOfRange)
    #expect(bench.perform(.write, on: device, at: 0, count: mebibyte + 4096) == .outOfRange)
    #expect(bench.perform(.deallocate, on: device, at: .max - 4095, count: 4096) == .outOfRange)
    device.close()
    try pool.close()
  }
}
