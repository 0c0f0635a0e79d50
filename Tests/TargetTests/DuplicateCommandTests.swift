import NVMe
import Reactor
import Target
import Testing

/// Two commands of one queue with the same identifier: the second is refused, the first never notices.
@Suite(.serialized) struct DuplicateCommandTests {
  private static let conflict = Status.commandIdentifierConflict.withDoNotRetry

  private static func read(_ identifier: UInt16, lba: UInt64) -> SubmissionEntry {
    .read(
      commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: 2, data: .transportDataBlock(length: 1024))
  }

  private static func write(_ identifier: UInt16, lba: UInt64, _ data: SGLDescriptor) -> SubmissionEntry {
    .write(commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: 2, data: data)
  }

  @Test(arguments: [false, true]) func `while the first is with the device`(digests: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(headerDigest: digests, dataDigest: digests))
    let queue = session.queue
    volume.fill(offsetBytes: 512 * 8, pattern(1024, seed: 3))
    volume.set(.hold)
    try queue.send(queue.capsule(Self.read(42, lba: 8)))
    #expect(TestTarget.eventually { volume.submissions.count == 1 })
    // Other commands of the same low byte are none of its business.
    try queue.send(queue.capsule(Self.read(42 | 0x100, lba: 8)))
    #expect(TestTarget.eventually { volume.submissions.count == 2 })
    for _ in 0..<40 {
      try queue.send(queue.capsule(Self.write(42, lba: 8, .inCapsule(length: 1024)), data: pattern(1024, seed: 9)))
      #expect(try queue.finish(42).status == Self.conflict)
    }
    #expect(volume.submissions.count == 2)
    volume.set(.direct)
    volume.release()
    #expect(try queue.finish(42).data == pattern(1024, seed: 3))
    #expect(try queue.finish(42 | 0x100).data == pattern(1024, seed: 3))
    #expect(try queue.command(Self.read(42, lba: 8)).status == .success)
    #expect(try session.works())
    session.close()
    #expect(target.isQuietSoon())
  }

  @Test func `while the first waits for its data`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    let queue = session.queue
    try queue.send(queue.capsule(Self.write(42, lba: 8, .transportDataBlock(length: 1024))))
    guard case .readyToTransfer(let request) = try queue.receivePDU() else {
      Issue.record("no R2T")
      return
    }
    try queue.send(queue.capsule(Self.read(42, lba: 16)))
    #expect(try queue.finish(42).status == Self.conflict)
    try queue.answer(request, pattern(1024, seed: 5))
    #expect(try queue.finish(42).status == .success)
    #expect(volume.bytes(offsetBytes: 512 * 8, count: 1024) == pattern(1024, seed: 5))
    #expect(volume.submissions.count == 1)
    #expect(try session.works())
    session.close()
    #expect(target.isQuietSoon())
  }
}
