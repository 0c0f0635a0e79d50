import NVMe
import Reactor
import Target
import Testing

/// What becomes of the commands of a connection that is gone (R11, R12).
@Suite(.serialized) struct ReconnectTests {
  private func write(_ host: TestHost, _ identifier: UInt16, lba: UInt64, _ data: [UInt8]) throws {
    try host.send(
      host.capsule(
        .write(
          commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: UInt32(data.count / 512),
          data: .inCapsule(length: UInt32(data.count))), data: data))
  }

  @Test(arguments: SessionTests.engines, [false, true]) func `a host that comes back is not overtaken by its old commands`(
    engine: IOEngineChoice, closesFirst: Bool
  ) throws {
    let target = try TestTarget(engine)
    defer { target.stop() }
    let volume = target.addVolume()
    let old = try TestSession(target, volume)
    volume.set(.hold)
    try write(old.queue, 1, lba: 0, pattern(512, seed: 1))
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    volume.set(.park)
    try write(old.queue, 2, lba: 8, pattern(512, seed: 2))
    #expect(TestTarget.eventually { volume.parkedCount == 1 })
    volume.set(.direct)
    if closesFirst { old.close() }

    let other = try TestSession(target, volume, .init(host: .number(2)))
    let admin = try TestHost(target.address)
    try admin.initialize()
    let controller = UInt16(try admin.connect(to: volume.name).result)
    #expect(try admin.setConfiguration(TestHost.enabled) == .success)
    #expect(TestTarget.eventually { volume.discardCount > 0 && volume.parkedCount == 0 })
    if !closesFirst {
      #expect(old.queue.isClosedByTarget())
      #expect(old.admin.isClosedByTarget())
    }
    for _ in 0..<5 {
      pause(milliseconds: 30)
      #expect(try !admin.controllerStatus().isReady, "the old write is still with the device")
    }
    let early = try TestHost(target.address)
    try early.initialize()
    #expect(try !early.connect(to: volume.name, queue: 1, controller: controller).status.isSuccess)
    // Another host is not kept waiting.
    #expect(try other.works())

    volume.release()
    #expect(try TestTarget.eventually { try admin.controllerStatus().isReady })
    let queue = try TestHost(target.address)
    try queue.initialize()
    #expect(try queue.connect(to: volume.name, queue: 1, controller: controller).status == .success)
    #expect(try queue.write(0, pattern(1024, seed: 7)).status == .success)
    #expect(try queue.write(8, pattern(512, seed: 7)).status == .success)
    volume.release()
    #expect(volume.bytes(offsetBytes: 0, count: 1024) == pattern(1024, seed: 7))
    #expect(volume.bytes(offsetBytes: 4096, count: 512) == pattern(512, seed: 7))
    // The parked one was never executed.
    #expect(volume.executed.filter { $0.offsetBytes == 4096 }.count == 1)
  }

  @Test func `buffers of a dropped connection are not used again before the device is done`() throws {
    let target = try TestTarget(arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume()
    let doomed = try TestSession(target, volume, .init(host: .number(1)))
    let other = try TestSession(target, volume, .init(host: .number(2)))
    volume.fill(offsetBytes: 8 << 20, pattern(64 << 10, seed: 3))
    volume.set(.hold)
    let small = pattern(4096, seed: 1)
    let large = pattern(256 << 10, seed: 2)
    try write(doomed.queue, 1, lba: 0, small)
    try doomed.queue.send(
      doomed.queue.capsule(
        .write(
          commandIdentifier: 2, namespaceIdentifier: 1, startingLBA: 1024, blockCount: 512,
          data: .transportDataBlock(length: 256 << 10))))
    guard case .readyToTransfer(let request) = try doomed.queue.receivePDU() else { throw HostFailure.unexpected("no R2T") }
    try doomed.queue.answer(request, large)
    try doomed.queue.send(
      doomed.queue.capsule(
        .read(
          commandIdentifier: 3, namespaceIdentifier: 1, startingLBA: 16384, blockCount: 128,
          data: .transportDataBlock(length: 64 << 10))))
    #expect(TestTarget.eventually { volume.begunCount == 3 })
    volume.set(.direct)
    doomed.close()
    #expect(TestTarget.eventually { target.server.registry.connectionCount == 2 })
    #expect(target.usedBytes == (4 + 256 + 64) << 10)
    // Every other buffer of the arena is used many times over, before and after the device reads and fills the old ones.
    for round in 0..<40 {
      let data = pattern(128 << 10, seed: 100 + round)
      #expect(try other.queue.write(8192, data, inCapsule: round % 2 == 1 && data.count <= 8192).status == .success)
      if round == 20 { volume.release() }
      #expect(try other.queue.read(8192, blocks: 256).data == data)
    }
    #expect(volume.bytes(offsetBytes: 0, count: 4096) == small)
    #expect(volume.bytes(offsetBytes: 1024 * 512, count: 256 << 10) == large)
    #expect(target.usedBytes == 0)
    other.close()
    #expect(target.isQuietSoon())
  }

  @Test func `commands that waited for memory die with their connection`() throws {
    let target = try TestTarget(arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(entries: 64))
    volume.set(.hold)
    try session.queue.send(
      (0..<40).flatMap { index in
        session.queue.capsule(
          .read(
            commandIdentifier: index, namespaceIdentifier: 1, startingLBA: UInt64(index), blockCount: 256,
            data: .transportDataBlock(length: 128 << 10)))
      })
    #expect(TestTarget.eventually { volume.begunCount == 8 })
    session.close()
    #expect(TestTarget.eventually { target.server.registry.connectionCount == 0 })
    volume.set(.direct)
    volume.release()
    #expect(target.isQuietSoon())
    #expect(volume.submissions.count == 8)
  }

  @Test func `data that stop in the middle are never written`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    let data = pattern(8192)
    let whole = session.queue.capsule(
      .write(commandIdentifier: 1, namespaceIdentifier: 1, startingLBA: 0, blockCount: 16, data: .inCapsule(length: 8192)), data: data)
    try session.queue.send([UInt8](whole.dropLast(1)))
    #expect(TestTarget.eventually { target.usedBytes > 0 })
    session.close()
    #expect(target.isQuietSoon())
    #expect(volume.submissions.isEmpty)
  }

  @Test func `keep-alive ends a host with commands in the device, which are tracked to their end`() throws {
    var limits = TargetLimits()
    limits.tickNanoseconds = 20_000_000
    let target = try TestTarget(limits: limits)
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(keepAliveMilliseconds: 1000))
    volume.set(.hold)
    try write(session.queue, 1, lba: 0, pattern(512, seed: 1))
    #expect(TestTarget.eventually { volume.begunCount == 1 })
    #expect(session.queue.isClosedByTarget())
    #expect(target.usedBytes == 4096)
    volume.set(.direct)
    let admin = try TestHost(target.address)
    try admin.initialize()
    #expect(try admin.connect(to: volume.name).status == .success)
    #expect(try admin.setConfiguration(TestHost.enabled) == .success)
    pause(milliseconds: 100)
    #expect(try !admin.controllerStatus().isReady)
    volume.release()
    #expect(try TestTarget.eventually { try admin.controllerStatus().isReady })
    #expect(target.usedBytes == 0)
  }
}
