import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct HandshakeTests {
  @Test(arguments: [false, true], [false, true]) func `ICResp answers as asked`(headerDigest: Bool, dataDigest: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let host = try TestHost(target.address)
    let response = try host.initialize(headerDigest: headerDigest, dataDigest: dataDigest)
    #expect(response.formatVersion == 0)
    #expect(response.controllerDataAlignment == 0)
    #expect(response.headerDigest == headerDigest)
    #expect(response.dataDigest == dataDigest)
    #expect(response.maximumHostToControllerDataLength >= 4096)
    #expect(response.maximumHostToControllerDataLength % 4 == 0)
  }

  @Test(arguments: [0, 3, 31] as [UInt8], [false, true]) func `data to the host is aligned as it asks`(
    alignment: UInt8, digests: Bool
  ) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(
      target, volume, .init(headerDigest: digests, dataDigest: digests, hostDataAlignment: alignment))
    let data = pattern(8192)
    volume.fill(offsetBytes: 0, data)
    // `receivePDU` holds PDO to the alignment.
    #expect(try session.queue.read(0, blocks: 16).data == data)
    #expect(try session.works())
  }

  @Test func `Connect answers with the controller id alone, on both queues`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let admin = try TestHost(target.address)
    try admin.initialize()
    let answer = try admin.connect(to: volume.name)
    #expect(answer.status == .success)
    #expect(answer.result > 0 && answer.result <= 0xFFEF)
    try admin.enable()
    let queue = try TestHost(target.address)
    try queue.initialize()
    let second = try queue.connect(to: volume.name, queue: 1, controller: UInt16(answer.result))
    #expect(second.status == .success)
    #expect(second.result == answer.result)
  }

  @Test func `queues without flow control are told so`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let admin = try TestHost(target.address)
    try admin.initialize()
    let answer = try admin.connect(to: volume.name, disableFlowControl: true)
    #expect(answer.status == .success)
    #expect(answer.submissionQueueHead == 0xFFFF)
  }

  @Test func `the submission queue head follows the commands`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let session = try TestSession(target, target.addVolume(), .init(entries: 4))
    let heads = try (0..<6).map { _ in
      try session.queue.command(.flush(commandIdentifier: session.queue.identifier(), namespaceIdentifier: 1)).completion
        .submissionQueueHead
    }
    #expect(heads == [1, 2, 3, 0, 1, 2])
  }

  @Test(arguments: SessionTests.engines) func `connections reach subsystems of other reactors`(engine: IOEngineChoice) throws {
    let target = try TestTarget(engine, reactorCount: 2)
    defer { target.stop() }
    let near = target.addVolume(1, onReactor: 0)
    let far = target.addVolume(2, onReactor: 1)
    let first = try TestSession(target, near, .init(queueCount: 2, headerDigest: true, dataDigest: true))
    let second = try TestSession(target, far, .init(queueCount: 2, headerDigest: true, dataDigest: true))
    for round in 0..<10 {
      #expect(try first.works(at: UInt64(round * 8)))
      #expect(try second.works(at: UInt64(round * 8 + 4)))
    }
    #expect(near.bytes(offsetBytes: 0, count: 1024) == pattern(1024, seed: 0))
    #expect(far.bytes(offsetBytes: 4 * 512, count: 1024) == pattern(1024, seed: 4))
    first.close()
    second.close()
    #expect(target.isQuietSoon())
  }

  /// ICReq and Connect in one piece: the answer to the first is not sent when the connection is to move.
  @Test func `a pipelined Connect to another reactor harms nobody`() throws {
    let target = try TestTarget(reactorCount: 2)
    defer { target.stop() }
    let near = target.addVolume(1, onReactor: 0)
    let far = target.addVolume(2, onReactor: 1)
    let bystander = try TestSession(target, near)
    let host = try TestHost(target.address)
    let request = InitializeConnectionRequest(headerDigest: false, dataDigest: false)
    let data = ConnectData(
      hostIdentifier: HostName().identifier, controllerIdentifier: ConnectData.dynamicController, subsystemName: far.name,
      hostName: HostName().name)
    let connect = SubmissionEntry.connect(
      commandIdentifier: 5, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
    try host.send(
      encoded(128) { request.encode(into: &$0) } + host.capsule(connect, data: encoded(1024) { data.encode(into: &$0) }))
    guard case .initialization = try host.receivePDU() else {
      Issue.record("no ICResp")
      return
    }
    guard case .response(let completion) = try host.receivePDU() else {
      Issue.record("no completion")
      return
    }
    #expect(completion.status == .success)
    try host.enable()
    #expect(try bystander.works())
  }

  @Test(arguments: [false, true]) func `bytes may come one by one`(digests: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(headerDigest: digests, dataDigest: digests))
    let data = pattern(512)
    let entry = SubmissionEntry.write(
      commandIdentifier: 77, namespaceIdentifier: 1, startingLBA: 3, blockCount: 1, data: .inCapsule(length: 512))
    for byte in session.queue.capsule(entry, data: data) {
      try session.queue.send([byte])
    }
    #expect(try session.queue.finish(77).status == .success)
    #expect(volume.bytes(offsetBytes: 1536, count: 512) == data)
  }
}
