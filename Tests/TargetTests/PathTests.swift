import NVMe
import Reactor
import Testing

@testable import Target

/// A subsystem that is served on several nodes: its device comes and goes, its hosts stay.
@Suite struct PathTests {
  private func standIn(_ target: TestTarget, _ volume: TestVolume) -> ReactorBound<BlockDevice> {
    let sizeBytes = volume.namespace.sizeBytes
    return target.reactors[0].call { reactor in
      ReactorBound<BlockDevice>(InaccessibleDevice(reactor: reactor, sizeBytes: sizeBytes, blockSizeBytes: 512))
    }
  }

  @Test func `hosts stay connected while the device behind a namespace is changed`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    #expect(try session.works())
    try session.admin.send(session.admin.capsule(.asynchronousEventRequest(commandIdentifier: 900)))
    var namespace = volume.namespace
    namespace.anaState = .inaccessible
    let standIn = standIn(target, volume)
    target.server.setDevice(standIn, namespace, of: volume.name)
    let before = volume.submissions.count
    let status = try session.queue.read(0, blocks: 1).status
    #expect(status == .anaInaccessible, "and the host may try again")
    #expect(volume.submissions.count == before, "nothing reaches a replica")
    target.server.setDevice(volume.device, volume.namespace, of: volume.name)
    #expect(try session.works())
    session.close()
    #expect(target.isQuietSoon())
  }

  @Test func `a command that the device has not begun is answered Inaccessible when it goes`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    volume.set(.park)
    try session.queue.send(
      session.queue.capsule(.writeZeroes(commandIdentifier: 4, namespaceIdentifier: 1, startingLBA: 0, blockCount: 8)))
    #expect(TestTarget.eventually { volume.parkedCount == 1 })
    var namespace = volume.namespace
    namespace.anaState = .inaccessible
    target.server.setDevice(standIn(target, volume), namespace, of: volume.name)
    guard case .response(let completion) = try session.queue.receivePDU() else {
      Issue.record("no answer")
      return
    }
    #expect(completion.commandIdentifier == 4 && completion.status == .anaInaccessible)
    #expect(volume.executed.isEmpty)
  }

  @Test func `a host that may only read is told so, and its writes are refused`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let (reader, writer) = (HostName.number(1), HostName.number(2))
    let grants = [HostGrant(name: reader.name, isReadOnly: true), HostGrant(name: writer.name)]
    let volume = target.addVolume(allowedHosts: .granted(grants))
    let reading = try TestSession(target, volume, .init(host: reader))
    let writing = try TestSession(target, volume, .init(host: writer))
    #expect(try writing.works())
    #expect(try reading.queue.read(0, blocks: 1).status == .success)
    let before = volume.executed.count
    let zeroing = SubmissionEntry.writeZeroes(commandIdentifier: 7, namespaceIdentifier: 1, startingLBA: 0, blockCount: 8)
    #expect(try reading.queue.command(zeroing).status == Status.namespaceIsWriteProtected.withDoNotRetry)
    #expect(try reading.admin.identifyNamespace().attributes == 1)
    #expect(try writing.admin.identifyNamespace().attributes == 0)
    #expect(try reading.queue.write(0, [UInt8](repeating: 1, count: 512)).status == Status.namespaceIsWriteProtected.withDoNotRetry)
    #expect(volume.executed.count == before)
    // Another right is another connection.
    target.server.setAllowedHosts(.granted([HostGrant(name: reader.name), HostGrant(name: writer.name)]), of: volume.name)
    #expect(reading.admin.isClosedByTarget())
    #expect(try writing.works())
    let again = try TestSession(target, volume, .init(host: reader))
    #expect(try again.works())
  }
}
