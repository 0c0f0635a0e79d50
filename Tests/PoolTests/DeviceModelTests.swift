import Reactor
import Testing

@testable import Pool

/// What a device is made of.
enum DeviceKind: String, CaseIterable, Sendable {
  case file, diskReplica, scatteredReplica, memoryReplica, scatteredMemoryReplica
}

/// Devices of all kinds do what a plain array of bytes does.
@Suite struct DeviceModelTests {
  static let cases: [(IOEngineChoice, DeviceKind)] = engines.flatMap { engine in DeviceKind.allCases.map { (engine, $0) } }

  private func withDevice(
    _ kind: DeviceKind, on bench: TestBench, sizeBytes: UInt64, _ body: (BlockDevice) throws -> Void
  ) throws {
    let file = TemporaryFile(byteCount: 16 * mebibyte)
    if kind == .file {
      file.truncate(to: sizeBytes)
      let device = try FileDevice(path: file.path, on: bench.reactor)
      try body(device)
      device.close()
      bench.settle()
      return
    }
    let isDisk = kind == .diskReplica || kind == .scatteredReplica
    let pool =
      isDisk
      ? try Pool.format(path: file.path, name: "p", clusterBytes: 64 * kibibyte)
      : try Pool.inMemory(byteCount: 16 * mebibyte, name: "p", clusterBytes: 64 * kibibyte)
    let isScattered = kind == .scatteredReplica || kind == .scatteredMemoryReplica
    let info = try pool.makeReplica(sizeBytes: sizeBytes)
    if isScattered { try scatter(info, pool, bench) }
    let device = try pool.openReplica(info.id, on: bench.reactor)
    try body(device)
    #expect(device.inFlight == 0)
    device.close()
    bench.settle()
    try pool.close()
  }

  /// Takes the clusters of a replica in a random order, over a snapshot of it half written.
  private func scatter(_ info: ReplicaInfo, _ pool: Pool, _ bench: TestBench) throws {
    let device = try pool.openReplica(info.id, on: bench.reactor)
    var generator = SeededGenerator(seed: 3)
    var offsets = Array(stride(from: 0, to: info.sizeBytes - 4096, by: 65_536))
    offsets.shuffle(using: &generator)
    for (index, offset) in offsets.enumerated() {
      if index == offsets.count / 2 { try pool.createSnapshot(id: .random(), of: info.id) }
      #expect(bench.write([UInt8](repeating: 0, count: 512), to: device, at: offset + 4096 * (offset / 65_536 % 15)) == .success)
    }
    device.close()
  }

  @Test(arguments: cases) func `random requests act as on an array`(engine: IOEngineChoice, kind: DeviceKind) throws {
    let bench = try TestBench(engine)
    let size = 3 * mebibyte + 5 * 512
    try withDevice(kind, on: bench, sizeBytes: size) { device in
      #expect(device.sizeBytes == size)
      var model = [UInt8](repeating: 0, count: Int(size))
      var generator = SeededGenerator(seed: 11)
      for round in 0..<400 {
        let blocks = Int(size / 512)
        let start = Int.random(in: 0..<blocks, using: &generator)
        let limit = Bool.random(using: &generator) ? 32 : 2048
        let count = Int.random(in: 1...min(limit, blocks - start), using: &generator)
        let (from, to) = (start * 512, (start + count) * 512)
        let isDurable = Int.random(in: 0..<8, using: &generator) == 0
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4:
          let data = pattern(to - from, seed: round)
          #expect(bench.write(data, to: device, at: UInt64(from), durably: isDurable) == .success)
          model.replaceSubrange(from..<to, with: data)
        case 4..<7: #expect(bench.read(device, at: UInt64(from), count: to - from) == Array(model[from..<to]))
        case 7:
          #expect(bench.perform(.writeZeroes, on: device, at: UInt64(from), count: UInt64(to - from), durably: isDurable) == .success)
          clear(&model, from..<to)
        case 8:
          #expect(bench.perform(.deallocate, on: device, at: UInt64(from), count: UInt64(to - from)) == .success)
          let (first, last) = ((from + 4095) / 4096 * 4096, to / 4096 * 4096)
          if first < last { clear(&model, first..<last) }
        default: #expect(bench.perform(.flush, on: device) == .success)
        }
      }
      for offset in stride(from: 0, to: Int(size), by: 512 * 1024) {
        let count = min(512 * 1024, Int(size) - offset)
        #expect(bench.read(device, at: UInt64(offset), count: count) == Array(model[offset..<offset + count]))
      }
    }
  }

  @Test(arguments: cases) func `many at once all end, in place`(engine: IOEngineChoice, kind: DeviceKind) throws {
    let bench = try TestBench(engine)
    try withDevice(kind, on: bench, sizeBytes: 4 * mebibyte) { device in
      // Each of 1,024 blocks of 4 KiB is written from its own place of the buffer's pattern.
      let data = pattern(1 << 20, seed: 9)
      unsafe data.withUnsafeBytes { unsafe bench.writeBuffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      let before = bench.client.answers.count
      for block in 0..<UInt64(1024) {
        unsafe device.submit(
          BlockRequest(
            .write, offsetBytes: (block * 37 % 1024) * 4096, byteCount: 4096, buffer: bench.writeBuffer + Int(block % 256) * 4096,
            token: 1_000_000 + block), for: bench.client)
      }
      bench.reactor.run(until: { bench.client.answers.count == before + 1024 }, timeoutNanoseconds: 20_000_000_000)
      #expect(bench.client.answers.values.allSatisfy { $0 == .success })
      for block in 0..<1024 {
        let from = block % 256 * 4096
        #expect(bench.read(device, at: UInt64(block * 37 % 1024) * 4096, count: 4096) == Array(data[from..<from + 4096]))
      }
    }
  }

  @Test(arguments: cases) func `deallocate clears whole 4 KiB blocks only`(engine: IOEngineChoice, kind: DeviceKind) throws {
    let bench = try TestBench(engine)
    try withDevice(kind, on: bench, sizeBytes: mebibyte) { device in
      for (from, to) in [(512, 4096), (512, 8192), (4096, 8704), (3584, 12_800), (0, 512), (61_440, 69_632), (65_024, 66_048)] {
        let data = pattern(1 << 20, seed: from)
        #expect(bench.write(data, to: device, at: 0) == .success)
        #expect(bench.perform(.deallocate, on: device, at: UInt64(from), count: UInt64(to - from)) == .success)
        var expected = data
        let (first, last) = ((from + 4095) / 4096 * 4096, to / 4096 * 4096)
        if first < last { clear(&expected, first..<last) }
        #expect(bench.read(device, at: 0, count: 1 << 20) == expected)
      }
    }
  }
}
