import NVMe
import Reactor
import Testing

@testable import Host

@Suite struct RemoteControllerTests {
  @Test(arguments: Harness.engines) func `connects with what was asked for`(engine: IOEngineChoice) throws {
    var options = HostOptions()
    options.ioQueues = 4
    options.queueDepth = 256
    var script = Script()
    script.grantedQueues = 3
    let harness = try Harness(script, options, engine: engine)
    let device = try harness.connected()
    let seen = harness.fake.sightings
    #expect(seen.connects.sorted() == [0, 1, 2, 3])
    #expect(seen.queueSizes.filter { $0 == 127 }.count == 3, "MQES bounds the depth")
    #expect(seen.queueSizes.contains(31))
    #expect(seen.connectData?.subsystemName == Harness.subsystem)
    #expect(seen.connectData?.hostName == Harness.host.name)
    #expect(seen.connectData?.hostIdentifier == Harness.host.identifier)
    #expect(seen.connectData?.controllerIdentifier == 7, "the last Connect was an I/O queue's")
    #expect(device.namespaceIdentifier == 1 && device.uuid == Identifier128(high: 3, low: 4))
    #expect(device.anaState == .optimized)
    let description = try #require(harness.controller.controllerDescription)
    #expect(description.ioQueues == 3 && description.queueDepth == 127 && description.modelNumber == "Fake Controller")
    #expect(harness.states == [.connected])
    harness.finish()
    #expect(harness.states == [.connected, .closed])
    #expect(harness.fake.sightings.shutdowns == 1)
  }

  @Test func `4096-byte blocks`() throws {
    var script = Script()
    script.blockShift = 12
    script.sizeBlocks = 256
    let harness = try Harness(script)
    let device = try harness.connected()
    #expect(device.blockSizeBytes == 4096 && device.sizeBytes == 1 << 20)
    let data = unsafe try harness.buffer(8192, seed: 1)
    #expect(
      unsafe harness.perform(BlockRequest(.write, offsetBytes: 4096, byteCount: 8192, buffer: data, token: 1), on: device) == .success)
    #expect(harness.fake.sightings.commands == [.init(opcode: 1, startingLBA: 1, blockCount: 2)])
    harness.finish()
  }

  @Test func `connecting fails with the reason`() throws {
    func reason(_ script: Script, _ options: HostOptions = HostOptions()) throws -> HostError.Reason {
      let harness = try Harness(script, options)
      let error = try harness.failure()
      #expect(harness.states.isEmpty, "the completion says it")
      #expect(!error.description.isEmpty)
      harness.finish()
      return error.reason
    }
    var script = Script()
    script.status[AdminOpcode.fabrics.rawValue] = .connectInvalidHost
    #expect(try reason(script) == .refused(command: "Connect", status: .connectInvalidHost))
    script = Script()
    script.digests = 1
    guard case .protocolViolation = try reason(script) else {
      Issue.record("digests nobody asked for were taken")
      return
    }
    script = Script()
    script.blockShift = 13
    guard case .unsupported = try reason(script) else {
      Issue.record("8 KiB blocks were taken")
      return
    }
    script = Script()
    script.sizeBlocks = .max
    guard case .protocolViolation = try reason(script) else {
      Issue.record("an impossible size was taken")
      return
    }
    var options = HostOptions()
    options.namespaceIdentifier = 5
    #expect(try reason(Script(), options) == .namespaceMissing(5))
    script = Script()
    script.readyAfterPolls = 100_000
    options = HostOptions()
    options.connectTimeoutMilliseconds = 300
    guard case .timeout = try reason(script, options) else {
      Issue.record("a controller that never becomes ready was waited for")
      return
    }
  }

  @Test func `nobody listens`() throws {
    let reactor = try Reactor(configuration: .init(arenaBytes: 4 << 20))
    let controller = RemoteController(
      context: .init(reactor: reactor), address: SocketAddress("127.0.0.1:1")!, subsystem: Harness.subsystem, host: Harness.host)
    var outcome: Result<RemoteNamespace, HostError>?
    controller.connect { outcome = $0 }
    #expect(outcome == nil)
    reactor.run(until: { outcome != nil }, timeoutNanoseconds: Harness.patience)
    guard case .failure(let error) = outcome else {
      Issue.record("connected to nobody")
      return
    }
    guard case .connectionFailed = error.reason else {
      Issue.record("\(error)")
      return
    }
    controller.close()
    #expect(controller.state == .closed)
    #expect(reactor.run(until: { controller.handlerID == .none }, timeoutNanoseconds: Harness.patience))
  }

  @Test(arguments: Harness.engines) func `a lost association comes back, and the namespace is the same`(engine: IOEngineChoice) throws {
    var options = HostOptions()
    options.reconnect = .backOff(initialMilliseconds: 20, maximumMilliseconds: 100)
    options.ioQueues = 2
    let harness = try Harness(Script(), options, engine: engine)
    let device = try harness.connected()
    let data = unsafe try harness.buffer(4096, seed: 1)
    for round in 1...3 {
      harness.fake.dropConnections()
      #expect(harness.wait { harness.states.count >= 2 * round })
      guard case .disconnected = harness.states[2 * round - 1] else {
        Issue.record("\(harness.states)")
        return
      }
      unsafe #expect(harness.perform(BlockRequest(.flush, token: 7), on: device) == .connectionLost)
      #expect(harness.wait { harness.states.count == 2 * round + 1 && device.isConnected })
      #expect(harness.states.last == .connected)
      let request = unsafe BlockRequest(.write, offsetBytes: 0, byteCount: 4096, buffer: data, token: 8)
      #expect(harness.perform(request, on: device) == .success)
    }
    // A namespace that shrank is not the same any more.
    harness.fake.change { $0.script.sizeBlocks = 8192 }
    harness.fake.dropConnections()
    let replaced = HostError(.namespaceReplaced, address: harness.fake.address, subsystem: Harness.subsystem)
    #expect(harness.wait { harness.states.last == .disconnected(replaced) })
    #expect(!device.isConnected && device.sizeBytes == 8 << 20)
    harness.fake.change { $0.script.sizeBlocks = 32_768 }
    #expect(harness.wait { device.isConnected })
    #expect(device.sizeBytes == 16 << 20)
    harness.finish()
  }

  @Test func `keep-alives are sent, and their loss ends the association`() throws {
    var options = HostOptions()
    options.keepAliveMilliseconds = 100
    let harness = try Harness(Script(), options)
    _ = try harness.connected()
    #expect(harness.wait { harness.fake.sightings.keepAlives >= 3 })
    #expect(harness.states == [.connected])
    harness.fake.change { $0.script.answersKeepAlive = false }
    #expect(harness.wait { harness.states.count == 2 })
    harness.finish()
  }

  @Test func `a probe finds out before the next keep-alive`() throws {
    var options = HostOptions()
    options.keepAliveMilliseconds = 600_000
    let harness = try Harness(Script(), options)
    _ = try harness.connected()
    #expect(
      harness.wait {
        harness.controller.probe(timeoutMilliseconds: 60_000)
        return harness.fake.sightings.keepAlives >= 3
      })
    #expect(harness.states == [.connected])
    harness.fake.change { $0.script.answersKeepAlive = false }
    #expect(
      harness.wait {
        harness.controller.probe(timeoutMilliseconds: 100)
        return harness.states.count == 2
      })
    harness.finish()
  }

  @Test func `events are heard, one after the other`() throws {
    let harness = try Harness()
    let device = try harness.connected()
    harness.fake.change { state in
      state.script.sizeBlocks = 20_480
      state.events = [.namespaceAttributeChanged]
    }
    #expect(harness.wait { harness.events == [.namespaceChanged] })
    #expect(device.sizeBytes == 20_480 * 512)
    harness.fake.change { state in
      state.script.accessState = .inaccessible
      state.events = [.reliability, .anaChange]
    }
    #expect(harness.wait { harness.events.last == .accessStateChanged(.inaccessible) })
    #expect(device.anaState == .inaccessible)
    harness.fake.change { state in
      state.script.sizeBlocks = 512
      state.events = [.namespaceAttributeChanged]
    }
    #expect(harness.wait { harness.events.last == .namespaceIncompatible })
    #expect(device.sizeBytes == 20_480 * 512, "a device never shrinks")
    harness.finish()
  }

  @Test func `closing ends what is in flight and is heard of once`() throws {
    var script = Script()
    script.answersIO = false
    let harness = try Harness(script)
    let device = try harness.connected()
    for token in 0..<4 { unsafe device.submit(BlockRequest(.flush, token: UInt64(token)), for: harness.client) }
    var closed = 0
    harness.controller.close { closed += 1 }
    harness.controller.close { closed += 1 }
    unsafe device.submit(BlockRequest(.flush, token: 9), for: harness.client)
    #expect(harness.wait { closed == 2 && harness.client.completions == 5 })
    #expect(harness.client.results.values.allSatisfy { $0 == .connectionLost })
    #expect(harness.wait { harness.controller.handlerID == .none })
    unsafe #expect(harness.perform(BlockRequest(.flush, token: 10), on: device) == .connectionLost)
    harness.finish()
  }

  @Test func `closing while connecting`() throws {
    let harness = try Harness()
    harness.finish()
    guard case .failure(let error) = harness.outcome else {
      Issue.record("connected after all")
      return
    }
    #expect(error.reason == .closed)
  }
}
