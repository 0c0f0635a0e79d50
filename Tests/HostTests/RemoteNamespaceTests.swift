import NVMe
import Reactor
import Testing

@testable import Host

@Suite struct RemoteNamespaceTests {
  static let digests: [(Bool, Bool)] = [(false, false), (true, false), (false, true), (true, true)]

  private func options(_ digests: (Bool, Bool) = (false, false), queues: Int = 1, depth: Int = 128) -> HostOptions {
    var options = HostOptions()
    options.headerDigest = digests.0
    options.dataDigest = digests.1
    options.ioQueues = queues
    options.queueDepth = depth
    return options
  }

  @Test(arguments: Harness.engines, digests)
  func `writes and reads data of every way of travelling`(engine: IOEngineChoice, digests: (Bool, Bool)) throws {
    for (capsule, requests, pieces, success) in [(8192, 1, 1, false), (0, 1, 3, true), (4096, 5, 4, false), (0, 3, 1, true)] {
      var script = Script()
      script.ioCapsuleData = UInt32(capsule)
      script.requestPieces = requests
      script.dataPieces = pieces
      script.usesSuccessFlag = success
      script.maximumHostData = 8192
      script.controllerDataAlignment = capsule == 0 ? 7 : 0
      let harness = try Harness(script, options(digests), engine: engine)
      let device = try harness.connected()
      #expect(device.sizeBytes == 8 << 20 && device.blockSizeBytes == 512)
      for (number, size) in [512, 4096, 12_288, 131_072, 1 << 20].enumerated() {
        let data = unsafe try harness.buffer(size, seed: UInt8(number * 31))
        let copy = unsafe try harness.buffer(size, seed: 0xFF)
        let offset = UInt64(number) * 512
        #expect(
          unsafe harness.perform(
            BlockRequest(.write, offsetBytes: offset, byteCount: UInt64(size), buffer: data, token: 1), on: device) == .success)
        #expect(harness.fake.memory(Int(offset)..<Int(offset) + size) == (unsafe harness.bytes(data, size)))
        #expect(
          unsafe harness.perform(
            BlockRequest(.read, offsetBytes: offset, byteCount: UInt64(size), buffer: copy, token: 2), on: device) == .success)
        #expect(unsafe harness.bytes(copy, size) == harness.bytes(data, size))
        unsafe harness.reactor.arena.release(data)
        unsafe harness.reactor.arena.release(copy)
      }
      let seen = harness.fake.sightings
      #expect(seen.digestFaults == 0 && seen.misalignedData == 0)
      #expect(seen.largestHostData == 8192)
      #expect(seen.inCapsuleWrites == (capsule == 8192 ? 2 : capsule == 4096 ? 2 : 0))
      harness.finish()
      #expect(harness.fake.sightings.shutdowns == 1)
    }
  }
}
