import NVMe
import Reactor
import Testing

@testable import Target

@Suite struct TrafficTests {
  @Test func `classes are two for each power of two, and hold what lies below their ends`() {
    #expect(LatencyClasses.count == 46)
    var last: UInt64 = 0
    for position in 0..<LatencyClasses.count - 1 {
      let end = LatencyClasses.end(of: position)!
      #expect(end > last)
      #expect(LatencyClasses.position(of: last) == position && LatencyClasses.position(of: end - 1) == position)
      #expect(LatencyClasses.position(of: end) == position + 1)
      last = end
    }
    #expect(LatencyClasses.end(of: 0) == 4096 && LatencyClasses.end(of: 1) == 6144 && LatencyClasses.end(of: 2) == 8192)
    #expect(last == 1 << 34 && LatencyClasses.end(of: LatencyClasses.count - 1) == nil)
    #expect(LatencyClasses.position(of: .max) == LatencyClasses.count - 1)
  }

  private func figures(_ target: TestTarget, of volume: TestVolume) throws -> SubsystemFigures {
    try #require(target.server.figures().subsystems.first { $0.name == volume.name })
  }

  @Test func `commands are counted by kind, with their bytes and their latency`() throws {
    let target = try TestTarget(reactorCount: 2)
    defer { target.stop() }
    let (volume, other) = (target.addVolume(1), target.addVolume(2, onReactor: 1, usesReplicaArena: true))
    #expect(try figures(target, of: volume).traffic.isEmpty && figures(target, of: volume).connections == 0)
    let session = try TestSession(target, volume)
    let queue = session.queue
    for lba in 0..<3 { #expect(try queue.write(UInt64(lba * 8), pattern(4096)).status == .success) }
    #expect(try queue.write(64, pattern(64 << 10), inCapsule: false).status == .success)
    #expect(try queue.read(0, blocks: 16).status == .success)
    #expect(try queue.command(.flush(commandIdentifier: 1, namespaceIdentifier: 1)).status == .success)
    #expect(
      try queue.command(.writeZeroes(commandIdentifier: 3, namespaceIdentifier: 1, startingLBA: 16, blockCount: 8)).status == .success)
    // Outside of the namespace, and a device that fails.
    #expect(try !queue.read(1 << 40, blocks: 1).status.isSuccess)
    volume.setAnswer(.readFault)
    #expect(try !queue.read(0, blocks: 1).status.isSuccess)
    volume.setAnswer(.success)

    let told = try figures(target, of: volume)
    let traffic = told.traffic
    #expect(told.connections == 2 && told.isOptimized && !told.usesReplicaArena)
    #expect(traffic.writes.commands == 4 && traffic.writes.bytes == 3 * 4096 + 64 << 10)
    #expect(traffic.reads.commands == 1 && traffic.reads.bytes == 8192)
    #expect(traffic.flushes.commands == 1 && traffic.trims.commands == 1 && traffic.failures == 2 && traffic.redirections == 0)
    #expect((0..<LatencyClasses.count).reduce(0) { $0 + traffic.writeLatency[$1] } == 4)
    #expect((0..<LatencyClasses.count).reduce(0) { $0 + traffic.readLatency[$1] } == 1)
    #expect(try figures(target, of: other).traffic.isEmpty && figures(target, of: other).usesReplicaArena)
    session.close()
    target.server.remove(volume.name)
    let gone = target.server.figures()
    #expect(gone.subsystems.map(\.name) == [other.name] && gone.pastHostTraffic.writes.commands == 4 && gone.pastReplicaTraffic.isEmpty)
  }

  @Test func `a latency is as long as the device takes`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    volume.set(.park)
    try session.queue.send(
      session.queue.capsule(
        .write(commandIdentifier: 4, namespaceIdentifier: 1, startingLBA: 0, blockCount: 8, data: .inCapsule(length: 4096)),
        data: pattern(4096)))
    #expect(TestTarget.eventually { volume.parkedCount == 1 })
    pause(milliseconds: 50)
    volume.release()
    _ = try session.queue.receivePDU()
    let latency = try figures(target, of: volume).traffic.writeLatency
    #expect(latency.sumNanoseconds >= 50_000_000)
    #expect((0..<LatencyClasses.position(of: 50_000_000)).allSatisfy { latency[$0] == 0 })
    session.close()
  }

  @Test func `commands that are sent to another path are no failures`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume()
    let session = try TestSession(target, volume)
    var namespace = volume.namespace
    namespace.anaState = .inaccessible
    target.server.setNamespace(namespace, of: volume.name)
    #expect(try session.queue.read(0, blocks: 1).status == .anaInaccessible)
    let told = try figures(target, of: volume)
    #expect(!told.isOptimized && told.traffic.redirections == 1 && told.traffic.failures == 0 && !told.traffic.isEmpty)
    session.close()
  }
}
