import Reactor
import Testing

@testable import Pool

@Suite struct DeviceErrorTests {
  @Test func `a failed write of metadata makes the pool read-only, and nothing hangs`() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      let simulation = PoolSimulation(seed: seed)
      let id = Identifier.random()
      var created: PoolError??
      simulation.engine.createReplica(id: id, volumeID: .random(), sizeBytes: 1 << 20, blockSizeBytes: 512, isThick: false) {
        created = .some($0)
      }
      simulation.disk.runUntilIdle()
      #expect(created == .some(nil))
      let device = simulation.engine.open(id)
      simulation.disk.failsAfter = Int(seed)
      var clients: [SimulatedClient] = []
      for index in 0..<30 {
        let client = SimulatedClient(.write, id, index * 8..<index * 8 + 8)
        clients.append(client)
        simulation.engine.submit(
          blockRequest(client), device: device, for: client, isAccepted: true)
        if index % 3 == 0 { simulation.disk.runUntilIdle() }
      }
      simulation.disk.runUntilIdle()
      #expect(clients.allSatisfy { $0.status != nil }, "seed \(seed): a request never ended")
      #expect(clients.contains { $0.status == .writeFault })
      #expect(simulation.engine.isFaulted || simulation.engine.report.errors.writes > 0)
      if simulation.engine.isFaulted {
        #expect(simulation.engine.report.message?.contains("image") == true)
        var refused: PoolError??
        simulation.engine.deleteReplica(id: .random()) { refused = .some($0) }
        #expect(refused != nil)
      }
      let read = SimulatedClient(.read, id, 0..<8)
      simulation.engine.submit(blockRequest(read), device: device, for: read, isAccepted: true)
      simulation.disk.runUntilIdle()
      #expect(read.status == .success, "reads go on")
    }
  }

  @Test(arguments: [true, false]) func `a deletion that meets a failing device or a closing pool still ends`(fails: Bool) {
    for count in 1...40 {
      let simulation = PoolSimulation(seed: UInt64(count))
      let id = simulation.create(sectors: 800)
      simulation.finish()
      for start in stride(from: 0, to: 800, by: 200) { simulation.submit(.write, id, start..<start + 200, isDurable: false) }
      simulation.finish()
      let snapshot = simulation.takeSnapshot(of: id)
      simulation.finish()
      // Some clusters must be merged, some go over.
      simulation.submit(.write, id, 8..<16, isDurable: false)
      simulation.submit(.write, id, 400..<416, isDurable: false)
      simulation.finish()
      let engine = simulation.engine
      var ended: PoolError??
      var isQuiet = false
      if fails { simulation.disk.failsAfter = count / 2 }
      engine.deleteSnapshot(id: snapshot) { ended = .some($0) }
      if !fails { simulation.takeSteps(count) } else { simulation.disk.runUntilIdle() }
      engine.quiesce { isQuiet = true }
      simulation.disk.runUntilIdle()
      #expect(ended != nil, "the deletion never ended, \(count)")
      #expect(isQuiet, "the pool cannot be closed, \(count)")
    }
  }

  /// Blocks of which a record has just said that data was sent to them, written again, with flushes beside, by requests of several clusters: one
  /// write or flush fails.
  @Test func `writes over what is not settled yet end, whatever fails`() {
    for count in 1...120 {
      let simulation = PoolSimulation(seed: UInt64(count))
      let id = simulation.create(sectors: 800)
      simulation.finish()
      simulation.submit(.write, id, 0..<800, isDurable: true)
      simulation.finish()
      simulation.takeSnapshot(of: id)
      simulation.finish()
      let (engine, device) = (simulation.engine, simulation.device(id))
      var generator = SeededGenerator(seed: UInt64(count))
      simulation.disk.failsAfter = count / 3
      var clients: [SimulatedClient] = []
      for _ in 0..<60 {
        let start = Int.random(in: 0..<12, using: &generator) * 8
        let operation: BlockOperation = Int.random(in: 0..<4, using: &generator) == 0 ? .flush : .write
        let length = Int.random(in: 0..<4, using: &generator) == 0 ? 400 : 8
        let client = SimulatedClient(operation, id, operation == .flush ? 0..<0 : start..<start + length)
        client.values = client.range.map { UInt32($0) }
        client.fill()
        clients.append(client)
        engine.submit(blockRequest(client), device: device, for: client, isAccepted: true)
        simulation.takeSteps(Int.random(in: 0...4, using: &generator))
      }
      simulation.disk.runUntilIdle()
      #expect(clients.allSatisfy { $0.status != nil }, "a request never ended, \(count)")
      let late = SimulatedClient(.write, id, 0..<800)
      engine.submit(blockRequest(late), device: device, for: late, isAccepted: true)
      var isQuiet = false
      engine.quiesce { isQuiet = true }
      simulation.disk.runUntilIdle()
      #expect(late.status != nil && (!engine.isFaulted || late.status == .writeFault))
      #expect(isQuiet, "the pool cannot be closed, \(count)")
    }
  }

  private func blockRequest(_ client: SimulatedClient) -> BlockRequest {
    unsafe BlockRequest(
      client.operation, offsetBytes: UInt64(client.range.lowerBound) * 512, byteCount: UInt64(client.range.count) * 512,
      buffer: client.buffer, token: 0)
  }
}
