import Reactor
import Testing

@testable import Pool

@Suite struct DiscardTests {
  @Test(arguments: engines) func `requests that wait for a slot are discarded with their client`(engine: IOEngineChoice) throws {
    let bench = try TestBench(engine)
    let file = TemporaryFile(byteCount: mebibyte)
    let device = try FileDevice(path: file.path, on: bench.reactor)
    let other = RecordingClient()
    for index in 0..<DiskIO.slotCount + 100 {
      bench.submit(.read, to: device, at: UInt64(index % 256) * 4096, count: 4096)
      // Every fifth of those that wait is another client's.
      if index >= DiskIO.slotCount, index % 5 == 0 { unsafe device.submit(BlockRequest(.flush, token: UInt64(index)), for: other) }
    }
    device.discardUnstarted(of: bench.client)
    #expect(bench.client.answers.isEmpty, "answers come later")
    let total = DiskIO.slotCount + 100
    bench.reactor.run(until: { bench.client.answers.count == total && other.answers.count == 20 }, timeoutNanoseconds: 20_000_000_000)
    #expect(bench.client.answers.values.count { $0 == .aborted } == 100)
    #expect(bench.client.answers.values.count { $0 == .success } == DiskIO.slotCount)
    #expect(other.answers.values.count { $0 == .success } == 20)
    #expect(device.inFlight == 0)
    device.close()
    bench.settle()
  }
}
