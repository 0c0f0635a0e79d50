import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct DigestTests {
  private func setUp() throws -> (TestTarget, TestVolume, TestSession, TestSession) {
    let target = try TestTarget()
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(headerDigest: true, dataDigest: true))
    let bystander = try TestSession(target, volume, .init(host: .number(2)))
    return (target, volume, session, bystander)
  }

  private func write(_ identifier: UInt16, _ data: SGLDescriptor, blocks: UInt32) -> SubmissionEntry {
    .write(commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: 0, blockCount: blocks, data: data)
  }

  @Test func `a wrong data digest fails the command and nothing else`() throws {
    let (target, volume, session, bystander) = try setUp()
    defer { target.stop() }
    let queue = session.queue
    try queue.send(queue.capsule(write(1, .inCapsule(length: 512), blocks: 1), data: pattern(512), faults: .dataDigest))
    #expect(try queue.finish(1).status == .transientTransportError)
    #expect(volume.submissions.isEmpty)
    #expect(try session.works())
    #expect(try bystander.works())
  }

  @Test func `a wrong data digest in the middle of a transfer fails it at its end`() throws {
    let (target, volume, session, bystander) = try setUp()
    defer { target.stop() }
    let queue = session.queue
    try queue.send(queue.capsule(write(2, .transportDataBlock(length: 32 << 10), blocks: 64)))
    guard case .readyToTransfer(let request) = try queue.receivePDU() else { throw HostFailure.unexpected("no R2T") }
    let half = pattern(16 << 10)
    try queue.send(queue.dataPDU(request, offset: 0, half, isLast: false, faults: .dataDigest))
    try queue.send(queue.dataPDU(request, offset: 16 << 10, half, isLast: true))
    #expect(try queue.finish(2).status == .transientTransportError)
    #expect(volume.submissions.isEmpty)
    #expect(try session.works())
    #expect(try bystander.works())
    session.close()
    bystander.close()
    #expect(target.isQuietSoon())
  }

  @Test func `a wrong header digest ends the connection`() throws {
    let (target, volume, session, bystander) = try setUp()
    defer { target.stop() }
    let queue = session.queue
    let bytes = queue.capsule(write(1, .inCapsule(length: 512), blocks: 1), data: pattern(512), faults: .headerDigest)
    let digest: UInt32 = decoded(bytes) { $0.littleEndian(at: 72) }
    try queue.send(bytes)
    #expect(try queue.receivePDU() == .termination(FatalErrorStatus.headerDigestError.rawValue, digest))
    #expect(queue.isClosedByTarget())
    #expect(volume.submissions.isEmpty)
    #expect(try bystander.works())
  }

  @Test func `wrong Connect data are refused and may be sent again`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let host = try TestHost(target.address)
    try host.initialize(headerDigest: true, dataDigest: true)
    let data = ConnectData(
      hostIdentifier: HostName().identifier, controllerIdentifier: ConnectData.dynamicController, subsystemName: volume.name,
      hostName: HostName().name)
    let entry = SubmissionEntry.connect(commandIdentifier: 5, queueIdentifier: 0, queueSizeZeroBased: 31, keepAliveMilliseconds: 0)
    try host.send(host.capsule(entry, data: encoded(1024) { data.encode(into: &$0) }, faults: .dataDigest))
    #expect(try host.finish(5).status == .transientTransportError)
    #expect(try host.connect(to: volume.name).status == .success)
  }
}
