import NVMe
import Reactor
import Target
import Testing

/// Payload memory that is short: commands wait, all are served, and nobody keeps it from others.
@Suite(.serialized) struct BackPressureTests {
  private static func read(_ identifier: UInt16, _ lba: UInt64, blocks: UInt32) -> SubmissionEntry {
    .read(
      commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: blocks,
      data: .transportDataBlock(length: blocks * 512))
  }

  private static func write(_ identifier: UInt16, _ lba: UInt64, blocks: UInt32, inCapsule: Bool = false) -> SubmissionEntry {
    .write(
      commandIdentifier: identifier, namespaceIdentifier: 1, startingLBA: lba, blockCount: blocks,
      data: inCapsule ? .inCapsule(length: blocks * 512) : .transportDataBlock(length: blocks * 512))
  }

  @Test(arguments: SessionTests.engines) func `reads that wait for memory are all served, in order`(engine: IOEngineChoice) throws {
    let target = try TestTarget(engine, arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume()
    volume.fill(offsetBytes: 0, pattern(16 << 20))
    let queue = try TestSession(target, volume, .init(entries: 128)).queue
    try queue.send((0..<120).flatMap { queue.capsule(Self.read($0, UInt64($0) * 256, blocks: 256)) })
    for identifier in 0..<120 {
      let reply = try queue.finish(UInt16(identifier))
      #expect(reply.status == .success)
      #expect(reply.data == volume.bytes(offsetBytes: identifier * 256 * 512, count: 256 * 512))
    }
    #expect(target.usedBytes == 0)
  }

  /// What the memory was given for arrives behind commands that wait for memory themselves.
  @Test func `data asked for get through behind commands in capsules`() throws {
    let target = try TestTarget(arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume, .init(queueCount: 3, entries: 128))
    volume.set(.hold)
    // Half of the arena is asked for by R2T, then capsules take all that is left for them, on two queues.
    var requests: [[ReadyToTransfer]] = []
    for queue in session.queues.prefix(2) {
      try queue.send((0..<8).flatMap { queue.capsule(Self.write($0, UInt64($0) * 128, blocks: 128)) })
      requests.append(
        try (0..<8).map { _ in
          guard case .readyToTransfer(let request) = try queue.receivePDU() else { throw HostFailure.unexpected("no R2T") }
          return request
        })
    }
    let small = pattern(8192, seed: 5)
    // Sending blocks once the target reads no more, so each queue has a helper.
    let capsules = session.queues.map { queue in
      (0..<100).flatMap { queue.capsule(Self.write(100 + $0, 2048 + UInt64($0) * 16, blocks: 16, inCapsule: true), data: small) }
    }
    let data = pattern(64 << 10, seed: 6)
    let senders = zip(session.queues, capsules).enumerated().map { index, pair in
      let (queue, bytes) = pair
      let answers = index < 2 ? requests[index].flatMap { queue.dataPDU($0, offset: 0, data, isLast: true) } : []
      return Sender(queue.descriptor, bytes + answers)
    }
    pause(milliseconds: 200)
    volume.set(.direct)
    volume.release()
    for (index, queue) in session.queues.enumerated() {
      for _ in 0..<(index < 2 ? 108 : 100) {
        guard case .response(let completion) = try queue.receivePDU() else { throw HostFailure.unexpected("no completion") }
        #expect(completion.status == .success)
      }
    }
    for sender in senders { #expect(sender.wait()) }
    #expect(volume.executed.count == 2 * 108 + 100)
    #expect(volume.bytes(offsetBytes: 0, count: 64 << 10) == data)
    #expect(volume.bytes(offsetBytes: 2048 * 512, count: 8192) == small)
    #expect(target.usedBytes == 0)
  }

  /// Sends on a thread of its own.
  private final class Sender: Sendable {
    private let outcome = Rendezvous<Bool>()

    init(_ descriptor: Int32, _ bytes: [UInt8]) {
      let outcome = outcome
      Thread.start(name: "sender") { outcome.fulfil((try? TestHost.send(bytes, to: descriptor)) != nil) }
    }

    func wait() -> Bool { outcome.wait(timeoutMilliseconds: 10_000) ?? false }
  }

  @Test func `a host that reads nothing leaves memory for others`() throws {
    let target = try TestTarget(arenaBytes: 8 << 20)
    defer { target.stop() }
    let volume = target.addVolume()
    let deaf = try TestSession(target, volume, .init(host: .number(1), entries: 128, receiveBufferBytes: 4096))
    try deaf.queue.send((0..<120).flatMap { deaf.queue.capsule(Self.read($0, 0, blocks: 256)) })
    #expect(TestTarget.eventually { target.usedBytes >= 2 << 20 })
    let other = try TestSession(target, volume, .init(host: .number(2)))
    for round in 0..<20 {
      #expect(try other.works(at: UInt64(round * 2)))
      #expect(try other.queue.write(4096, pattern(1 << 20, seed: round), inCapsule: false).status == .success)
      #expect(try other.queue.read(4096, blocks: 2048).data == pattern(1 << 20, seed: round))
      #expect(target.usedBytes <= 8 << 20)
    }
    // It is still there, and gets all of its data when it reads.
    for identifier in 0..<120 { #expect(try deaf.queue.finish(UInt16(identifier)).status == .success) }
  }

  @Test(arguments: [false, true]) func `hosts that keep all memory are ended when others wait for it`(asReaders: Bool) throws {
    var limits = TargetLimits()
    limits.stallNanoseconds = 400_000_000
    limits.tickNanoseconds = 50_000_000
    let target = try TestTarget(arenaBytes: 8 << 20, limits: limits)
    defer { target.stop() }
    let volume = target.addVolume()
    let stalled = try (1...2).map { number in
      let session = try TestSession(target, volume, .init(host: .number(number), entries: 128, receiveBufferBytes: 4096))
      try session.queue.send(
        (0..<120).flatMap { session.queue.capsule(asReaders ? Self.read($0, 0, blocks: 256) : Self.write($0, 0, blocks: 256)) })
      return session
    }
    #expect(TestTarget.eventually { target.usedBytes >= 6 << 20 })
    // Nobody waits: they may go on like this.
    let other = try TestSession(target, volume, .init(host: .number(3)))
    // Data in capsules never wait for them.
    #expect(try other.queue.write(0, pattern(8192)).status == .success)
    // One of many reads does.
    try other.queue.send((0..<16).flatMap { other.queue.capsule(Self.read($0, 0, blocks: 2048)) })
    for identifier in 0..<16 { #expect(try other.queue.finish(UInt16(identifier)).status == .success) }
    #expect(target.log.contains { $0.contains("payload memory") })
    for session in stalled { session.close() }
    other.close()
    #expect(target.isQuietSoon())
  }

  @Test func `commands to replicas have memory of their own`() throws {
    let target = try TestTarget(arenaBytes: 2 << 20)
    defer { target.stop() }
    let volume = target.addVolume(1)
    let replica = target.addVolume(2, usesReplicaArena: true)
    volume.set(.hold)
    let hosts = try (1...2).map { number in
      let session = try TestSession(target, volume, .init(host: .number(number), entries: 64))
      try session.queue.send((0..<60).flatMap { session.queue.capsule(Self.read($0, 0, blocks: 128)) })
      return session
    }
    #expect(TestTarget.eventually { volume.begunCount >= 20 })
    let nexus = try TestSession(target, replica, .init(host: .number(3)))
    #expect(try nexus.queue.write(0, pattern(1 << 20), inCapsule: false).status == .success)
    #expect(try nexus.queue.read(0, blocks: 2048).data == pattern(1 << 20))
    volume.set(.direct)
    volume.release()
    for host in hosts {
      for identifier in 0..<60 { #expect(try host.queue.finish(UInt16(identifier)).status == .success) }
    }
  }
}
