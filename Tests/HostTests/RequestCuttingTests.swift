import NVMe
import Reactor
import Testing

@testable import Host

/// How requests are cut, queued and answered.
@Suite struct RequestCuttingTests {
  private func commands(_ harness: Harness, _ opcode: IOOpcode) -> [Sightings.Command] {
    harness.fake.sightings.commands.filter { $0.opcode == opcode.rawValue }
  }

  @Test(arguments: Harness.engines) func `transfers above MDTS are split`(engine: IOEngineChoice) throws {
    var script = Script()
    script.maximumTransferShift = 1
    script.usesSuccessFlag = true
    let harness = try Harness(script, engine: engine)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(1 << 20, seed: 3)
    let copy = unsafe try harness.buffer(1 << 20, seed: 9)
    let write = unsafe BlockRequest(
      .write, offsetBytes: 1024, byteCount: 1 << 20, buffer: data, forceUnitAccess: true, token: 1)
    #expect(harness.perform(write, on: device) == .success)
    let read = unsafe BlockRequest(.read, offsetBytes: 1024, byteCount: 1 << 20, buffer: copy, token: 2)
    #expect(harness.perform(read, on: device) == .success)
    #expect(unsafe harness.bytes(copy, 1 << 20) == harness.bytes(data, 1 << 20))
    #expect(commands(harness, .write).count == 128)
    #expect(commands(harness, .write).allSatisfy { $0.blockCount == 16 && $0.forceUnitAccess })
    #expect(commands(harness, .read).count == 128)
    #expect(harness.client.completions == 2)
    harness.finish()
  }

  @Test func `write zeroes are split by WZSL and by the block count`() throws {
    for (shift, blocks) in [(UInt8(3), UInt64(64)), (0, 65_536)] {
      var script = Script()
      script.writeZeroesShift = shift
      script.sizeBlocks = 16_384
      let harness = try Harness(script)
      let device = try harness.connected()
      let data = unsafe try harness.buffer(4096, seed: 1)
      #expect(
        unsafe harness.perform(BlockRequest(.write, offsetBytes: 65_536, byteCount: 4096, buffer: data, token: 1), on: device) == .success)
      let request = unsafe BlockRequest(.writeZeroes, offsetBytes: 512, byteCount: 200 * 512, forceUnitAccess: true, token: 2)
      #expect(harness.perform(request, on: device) == .success)
      let seen = commands(harness, .writeZeroes)
      #expect(seen.count == (blocks == 64 ? 4 : 1))
      #expect(seen.reduce(0) { $0 + $1.blockCount } == 200)
      #expect(seen.allSatisfy { $0.blockCount <= blocks && $0.forceUnitAccess && !$0.deallocate })
      #expect(harness.fake.memory(65_536..<69_632).allSatisfy { $0 == 0 })
      harness.finish()
    }
  }

  @Test func `deallocations keep to whole units and to the range limit`() throws {
    var script = Script()
    script.datasetRangeLimit = 21
    let harness = try Harness(script)
    let device = try harness.connected()
    // 21 blocks of 512 bytes are two units of 4 KiB and a bit: 16 blocks at a time.
    unsafe #expect(harness.perform(BlockRequest(.deallocate, offsetBytes: 512, byteCount: 40_960, token: 1), on: device) == .success)
    let seen = commands(harness, .datasetManagement)
    #expect(seen.map(\.startingLBA) == [8, 24, 40, 56, 72])
    #expect(seen.map(\.blockCount) == [16, 16, 16, 16, 8])
    #expect(seen.allSatisfy { $0.deallocate })
    let before = harness.fake.sightings.commands.count
    unsafe #expect(harness.perform(BlockRequest(.deallocate, offsetBytes: 512, byteCount: 4096, token: 2), on: device) == .success)
    #expect(harness.fake.sightings.commands.count == before, "no whole unit: nothing to do")
    harness.finish()
  }

  @Test func `a deallocation that need not leave zeros becomes write zeroes`() throws {
    var script = Script()
    script.deallocateFeatures = 0x8
    let harness = try Harness(script)
    let device = try harness.connected()
    unsafe #expect(harness.perform(BlockRequest(.deallocate, offsetBytes: 4096, byteCount: 8192, token: 1), on: device) == .success)
    #expect(commands(harness, .writeZeroes) == [.init(opcode: 0x08, startingLBA: 8, blockCount: 16, deallocate: true)])
    harness.finish()
  }

  @Test func `what the controller lacks is unsupported`() throws {
    var script = Script()
    script.optionalCommands = []
    let harness = try Harness(script)
    let device = try harness.connected()
    unsafe #expect(harness.perform(BlockRequest(.deallocate, offsetBytes: 0, byteCount: 8192, token: 1), on: device) == .unsupported)
    unsafe #expect(harness.perform(BlockRequest(.writeZeroes, offsetBytes: 0, byteCount: 8192, token: 2), on: device) == .unsupported)
    unsafe #expect(harness.perform(BlockRequest(.flush, token: 3), on: device) == .success)
    #expect(commands(harness, .flush).count == 1)
    harness.finish()
  }

  @Test func `what lies outside is refused without a command`() throws {
    let harness = try Harness()
    let device = try harness.connected()
    let data = unsafe try harness.buffer(4096, seed: 1)
    let wrong: [(UInt64, UInt64)] = [(100, 512), (0, 100), (0, 0), (8 << 20, 512), ((8 << 20) - 512, 1024), (.max - 511, 512)]
    for (number, (offset, count)) in wrong.enumerated() {
      let request = unsafe BlockRequest(.read, offsetBytes: offset, byteCount: count, buffer: data, token: UInt64(number))
      #expect(harness.perform(request, on: device) == .outOfRange)
    }
    #expect(
      unsafe harness.perform(BlockRequest(.write, offsetBytes: 0, byteCount: 2 << 20, buffer: data, token: 9), on: device) == .outOfRange)
    #expect(harness.fake.sightings.commands.isEmpty)
    harness.finish()
  }

  @Test(arguments: Harness.engines) func `full queues fill the backlog and then say busy`(engine: IOEngineChoice) throws {
    var script = Script()
    script.answersIO = false
    var options = HostOptions()
    options.ioQueues = 2
    options.queueDepth = 4
    options.backlog = 8
    options.ioTimeoutMilliseconds = 20_000
    let harness = try Harness(script, options, engine: engine)
    let device = try harness.connected()
    #expect(harness.controller.controllerDescription?.ioQueues == 2)
    for token in 0..<20 { unsafe device.submit(BlockRequest(.flush, token: UInt64(token)), for: harness.client) }
    #expect(harness.client.results.isEmpty, "no completion comes from inside submit")
    harness.wait { harness.client.results.count == 4 && harness.fake.sightings.commands.count == 8 }
    #expect(harness.client.results.keys.sorted() == [16, 17, 18, 19])
    #expect(harness.client.results.values.allSatisfy { $0 == .busy })
    harness.fake.dropConnections()
    #expect(harness.wait { harness.client.results.count == 20 })
    #expect(harness.client.completions == 20)
    for token in 0..<16 { #expect(harness.client.results[UInt64(token)] == .connectionLost) }
    harness.finish()
  }

  @Test(arguments: Harness.engines) func `many small requests over several queues all end once`(engine: IOEngineChoice) throws {
    var options = HostOptions()
    options.ioQueues = 3
    options.queueDepth = 8
    options.backlog = 1024
    let harness = try Harness(Script(), options, engine: engine)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(512 * 512, seed: 5)
    let copy = unsafe try harness.buffer(512 * 512, seed: 0)
    // Each completion submits the read of what was written, from inside the callback.
    harness.client.whenCompleted = { token, status in
      guard token < 512, status == .success else { return }
      unsafe device.submit(
        BlockRequest(.read, offsetBytes: token * 512, byteCount: 512, buffer: copy + Int(token) * 512, token: token + 1000),
        for: harness.client)
    }
    for token in 0..<512 {
      unsafe device.submit(
        BlockRequest(.write, offsetBytes: UInt64(token) * 512, byteCount: 512, buffer: data + token * 512, token: UInt64(token)),
        for: harness.client)
    }
    #expect(harness.wait { harness.client.completions == 1024 })
    #expect(harness.client.results.values.allSatisfy { $0 == .success })
    #expect(unsafe harness.bytes(copy, 512 * 512) == harness.bytes(data, 512 * 512))
    harness.client.whenCompleted = nil
    harness.finish()
  }

  @Test func `statuses become what they mean for the request`() throws {
    let cases: [(IOOpcode, Status, BlockStatus)] = [
      (.read, .unrecoveredReadError, .readFault), (.read, .internalError, .readFault), (.write, .internalError, .writeFault),
      (.write, .capacityExceeded, .capacityExceeded), (.write, .writeFault, .writeFault), (.write, .lbaOutOfRange, .outOfRange),
      (.write, .abortRequested, .aborted), (.read, .anaInaccessible, .inaccessible), (.write, .anaTransition, .inaccessible),
      (.write, .accessDenied, .refused), (.write, .namespaceIsWriteProtected, .refused), (.flush, .writeFault, .writeFault),
      (.flush, .invalidOpcode, .unsupported), (.write, .commandInterrupted, .busy), (.read, .namespaceNotReady, .inaccessible),
      (.read, Status(type: 7, code: 0x11), .readFault),
    ]
    for (opcode, status, expected) in cases {
      var script = Script()
      script.status[opcode.rawValue] = status
      let harness = try Harness(script)
      let device = try harness.connected()
      let data = unsafe try harness.buffer(4096, seed: 1)
      let operation: BlockOperation = opcode == .read ? .read : opcode == .write ? .write : .flush
      let request = unsafe BlockRequest(operation, offsetBytes: 0, byteCount: operation == .flush ? 0 : 4096, buffer: data, token: 1)
      #expect(harness.perform(request, on: device) == expected, "\(opcode) \(status)")
      #expect(device.isConnected)
      harness.finish()
    }
  }

  @Test func `an error in one part ends the whole request once`() throws {
    var script = Script()
    script.maximumTransferShift = 1
    script.status[IOOpcode.write.rawValue] = .capacityExceeded
    let harness = try Harness(script)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(1 << 20, seed: 1)
    #expect(
      unsafe harness.perform(BlockRequest(.write, offsetBytes: 0, byteCount: 1 << 20, buffer: data, token: 1), on: device)
        == .capacityExceeded)
    #expect(harness.client.completions == 1)
    #expect(commands(harness, .write).count <= 32, "what was not sent yet is not sent any more")
    harness.finish()
  }

  @Test(arguments: Harness.engines)
  func `an answer before the data have left keeps the buffer until they have`(engine: IOEngineChoice) throws {
    var script = Script()
    script.ioCapsuleData = 0
    script.answersWritesEarly = true
    let harness = try Harness(script, engine: engine)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(1 << 20, seed: 1)
    for token in 0..<8 {
      unsafe device.submit(
        BlockRequest(.write, offsetBytes: 0, byteCount: 1 << 20, buffer: data, token: UInt64(token)), for: harness.client)
    }
    var wasEarly = false
    harness.client.whenCompleted = { _, _ in
      // The queue's own count says whether any byte of a finished command's payload is still ours to send.
      for queue in harness.controller.association?.ioQueues ?? [] where queue.slots.usedCount == 0 && queue.pendingSendBytes > 0 {
        wasEarly = true
      }
    }
    #expect(harness.wait { harness.client.completions == 8 })
    #expect(!wasEarly)
    #expect(harness.client.results.values.allSatisfy { $0 == .writeFault })
    harness.client.whenCompleted = nil
    harness.finish()
  }

  @Test func `wrong data digests fail the read, not the connection`() throws {
    var script = Script()
    script.corruptsDataDigest = true
    script.usesSuccessFlag = true
    var options = HostOptions()
    options.dataDigest = true
    let harness = try Harness(script, options)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(4096, seed: 1)
    #expect(
      unsafe harness.perform(BlockRequest(.read, offsetBytes: 0, byteCount: 4096, buffer: data, token: 1), on: device) == .readFault)
    #expect(device.isConnected)
    harness.finish()
  }
}
