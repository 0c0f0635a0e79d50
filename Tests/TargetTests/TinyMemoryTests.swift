import NVMe
import Target
import Testing

@Suite(.serialized) struct TinyMemoryTests {
  /// Data in a capsule hold up the connection until there is memory for them, and behind them come the data that earlier R2Ts have
  /// asked for: those must never have all of the memory.
  @Test(arguments: [false, true]) func `data asked for leave room for data in capsules`(usesReplicaArena: Bool) throws {
    let target = try TestTarget(arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume(usesReplicaArena: usesReplicaArena)
    let session = try TestSession(target, volume)
    let host = session.queue
    // Together they fit into what transfers may have, but not once the second is rounded up to the size of a buffer.
    let sizes = [1 << 20, 680 << 10]
    for (index, size) in sizes.enumerated() {
      try host.send(
        host.capsule(
          .write(
            commandIdentifier: UInt16(index + 1), namespaceIdentifier: 1, startingLBA: UInt64(index) * 2048,
            blockCount: UInt32(size / 512), data: .transportDataBlock(length: UInt32(size)))))
    }
    guard case .readyToTransfer(let request) = try host.receivePDU() else { throw HostFailure.unexpected("no R2T") }
    #expect(request.commandIdentifier == 1)
    pause(milliseconds: 50)
    let small = SubmissionEntry.write(
      commandIdentifier: 3, namespaceIdentifier: 1, startingLBA: 8192, blockCount: 16, data: .inCapsule(length: 8192))
    try host.send(host.capsule(small, data: pattern(8192)))
    let data = pattern(1 << 20, seed: 1)
    try host.answer(request, data)
    var ended: Set<UInt16> = []
    while ended.count < 3 {
      switch try host.receivePDU() {
      case .readyToTransfer(let request): try host.answer(request, data)
      case .response(let completion):
        #expect(completion.status == .success)
        ended.insert(completion.commandIdentifier)
      case let other: throw HostFailure.unexpected("\(other)")
      }
    }
    #expect(try host.read(0, blocks: 2048).data == data)
    session.close()
    #expect(target.isQuietSoon())
  }
}
