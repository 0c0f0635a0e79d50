import NVMe
import Reactor
import Testing

@testable import Host

@Suite struct HostQueueTests {
  /// Whatever a controller does wrong ends the association in good time, with the right termination request.
  @Test(arguments: Harness.engines, Misbehaviour.allCases)
  func `a broken protocol ends the connection`(engine: IOEngineChoice, kind: Misbehaviour) throws {
    for digests in [false, true] {
      if kind == .wrongHeaderDigest && !digests { continue }
      var script = Script()
      script.misbehaviour = kind
      script.ioCapsuleData = 512
      var options = HostOptions()
      options.headerDigest = digests
      options.dataDigest = digests
      options.ioTimeoutMilliseconds = 300
      let harness = try Harness(script, options, engine: engine)
      let device = try harness.connected()
      let data = unsafe try harness.buffer(65_536, seed: 1)
      let operation: BlockOperation = kind.concernsWrites ? .write : .read
      var ended: BlockStatus?
      // A lost command is told only when no socket can touch its buffer any more (R11).
      var isSocketOpen = false
      harness.client.whenCompleted = { _, status in
        if status == .connectionLost, let association = harness.controller.association {
          isSocketOpen = isSocketOpen || !association.ioQueues.allSatisfy { $0.isClosed } || association.admin?.isClosed != true
        }
      }
      unsafe device.submit(BlockRequest(operation, offsetBytes: 0, byteCount: 65_536, buffer: data, token: 1), for: harness.client)
      unsafe device.submit(BlockRequest(.flush, token: 2), for: harness.client)
      harness.wait { harness.states.count == 2 && harness.client.completions == 2 }
      ended = harness.client.results[1]
      // A complete answer before the fault stands.
      #expect(ended == (kind == .responseTwice ? .success : .connectionLost))
      #expect(!device.isConnected && !isSocketOpen)
      harness.client.whenCompleted = nil
      guard harness.states.count == 2, case .disconnected(let error) = harness.states[1] else {
        Issue.record("the association goes on")
        return
      }
      switch kind {
      case .silence:
        guard case .timeout = error.reason else {
          Issue.record("\(error)")
          return
        }
      case .hangUp: #expect(error.reason == .closedByController)
      case .termination: #expect(error.reason == .terminatedByController(statusCode: 2, information: 9))
      default:
        guard case .protocolViolation = error.reason else {
          Issue.record("\(error)")
          return
        }
      }
      if let expected = kind.expectedStatus {
        harness.wait { !harness.fake.sightings.terminations.isEmpty }
        #expect(harness.fake.sightings.terminations == [expected.rawValue])
      }
      unsafe #expect(harness.perform(BlockRequest(.flush, token: 3), on: device) == .connectionLost)
      harness.finish()
    }
  }

  /// Bytes changed at random never crash or hang the host; every request ends exactly once.
  @Test(arguments: Harness.engines) func `noise from a controller`(engine: IOEngineChoice) throws {
    for seed in 1...60 {
      var script = Script()
      script.noise = seed % 3 == 0 ? 20_000 : seed % 3 == 1 ? 1500 : 200
      script.noisyAdmin = seed % 2 == 0
      script.noiseSeed = UInt64(seed)
      script.usesSuccessFlag = seed % 4 == 0
      script.dataPieces = seed % 5 + 1
      script.requestPieces = seed % 3 + 1
      script.ioCapsuleData = 1024
      var options = HostOptions()
      options.headerDigest = seed % 5 == 0
      options.dataDigest = seed % 7 == 0
      options.ioQueues = 2
      options.connectTimeoutMilliseconds = 200
      options.adminTimeoutMilliseconds = 100
      options.ioTimeoutMilliseconds = 100
      let harness = try Harness(script, options, engine: engine)
      try #require(harness.wait { harness.outcome != nil })
      if case .success(let device) = harness.outcome {
        let data = unsafe try harness.buffer(1 << 20, seed: 1)
        // A guard behind each read's buffer: nothing is stored beyond its end.
        for token in 0..<32 {
          let operation: BlockOperation = token % 2 == 0 ? .read : .write
          unsafe device.submit(
            BlockRequest(
              operation, offsetBytes: UInt64(token) * 4096, byteCount: 8192, buffer: data + token * 16_384, token: UInt64(token)),
            for: harness.client)
        }
        #expect(harness.wait { harness.client.completions == 32 })
        #expect(harness.client.results.count == 32)
        let untouched = unsafe try harness.buffer(1 << 20, seed: 1)
        for token in 0..<32 {
          let start = token * 16_384 + 8192
          let same = unsafe UnsafeRawBufferPointer(start: data + start, count: 8192).elementsEqual(
            UnsafeRawBufferPointer(start: untouched + start, count: 8192))
          #expect(same)
        }
      }
      harness.controller.abandon()
      #expect(harness.wait { harness.controller.handlerID == .none })
      harness.fake.stop()
    }
  }
}
