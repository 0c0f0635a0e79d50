import Foundation
import NVMe
import Pool
import Reactor
import Target
import Testing

@testable import Bench

/// Runs against a real target of this process, over loopback.
@Suite struct BenchSubsystemTests {
  /// A target that serves one replica in memory.
  private final class TestTarget {
    static let sizeBytes: UInt64 = 16 << 20
    let reactor: ReactorReference
    private(set) var server: TargetServer
    let pool: Pool
    let device: ReactorBound<BlockDevice>
    private let description: SubsystemDescription
    let name: QualifiedName
    let address: SocketAddress

    init() throws {
      let reactor = try Reactor.start(configuration: .init(arenaBytes: 8 << 20))
      let pool = try Pool.inMemory(byteCount: Self.sizeBytes, name: "test")
      let id = PoolIdentifier.random()
      try pool.createReplica(id: id, volumeID: id, sizeBytes: Self.sizeBytes, blockSizeBytes: 512)
      let opened = reactor.call { reactor in Result { ReactorBound(try pool.openReplica(id, on: reactor) as BlockDevice) } }
      let identifier = try #require(Identifier128(id.description))
      self.reactor = reactor
      self.pool = pool
      device = try opened.get()
      name = try #require(QualifiedName("nqn.2024-01.io.example:\(id)"))
      description = SubsystemDescription(
        name: name, kind: .nvm, serialNumber: "test",
        namespace: NamespaceDescription(sizeBytes: Self.sizeBytes, uuid: identifier, guid: identifier))
      server = Self.makeServer(reactor, description, device)
      address = try server.listen(on: #require(SocketAddress("127.0.0.1:0")), portID: 1)
    }

    private static func makeServer(
      _ reactor: ReactorReference, _ description: SubsystemDescription, _ device: ReactorBound<BlockDevice>
    ) -> TargetServer {
      let server = TargetServer(reactors: [reactor], serialNumber: "test", log: TargetLog { _ in })
      server.add(description, device: device, onReactor: 0, isDiscoverable: true, usesReplicaArena: false)
      return server
    }

    /// Away for a while, then back at the same address.
    func restart(afterMilliseconds pause: Int) throws {
      server.stop()
      usleep(UInt32(pause) * 1000)
      server = Self.makeServer(reactor, description, device)
      _ = try server.listen(on: address, portID: 1)
    }

    func stop() {
      server.stop()
      reactor.stop()
    }

    func run(_ plan: BenchPlan, force: Bool = false, queueCount: Int = 1, digests: Bool = false) throws -> BenchReport {
      let subsystem = BenchSubsystem(
        addresses: [address], name: name, queueCount: queueCount, usesDigests: digests, mayOverwriteContent: force)
      return try BenchRunner(plan: plan, source: .subsystem(subsystem), target: "t").run(processorCount: 2)
    }
  }

  @Test(arguments: [false, true]) func `a verified run of several jobs over the network`(digests: Bool) throws {
    let target = try TestTarget()
    defer { target.stop() }
    let plan = BenchPlan(
      pattern: .randrw, readPercent: 40, depth: 16, jobCount: 3, runtimeNanoseconds: 100_000_000, verify: true, flushAtEnd: true)
    let report = try target.run(plan, queueCount: 2, digests: digests)
    #expect(report.isClean, "\(report.text())")
    #expect(report.reads.operationCount > 0 && report.writes.operationCount > 0 && (report.verification?.blockCount ?? 0) > 0)
  }

  @Test func `requests larger than a command moves arrive whole`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let plan = BenchPlan(pattern: .write, blockBytes: 1 << 20, depth: 4, stopsAfterOnePass: true, verify: true)
    let report = try target.run(plan)
    #expect(report.isClean && report.verification?.blockCount == 16)
  }

  @Test func `a file system is written over only by force`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let write = BenchPlan(pattern: .write, blockBytes: 4096, depth: 4, sizeBytes: 1 << 20, stopsAfterOnePass: true)
    let device = target.device
    let status = target.reactor.callAsynchronously { _, done in FileSystemWriter(device.value, done).write() }
    #expect(status == .success)
    let error = #expect(throws: BenchRunError.self) { try target.run(write) }
    #expect(error?.code == "foreign_content" && error?.message.contains("ext4") == true)
    let read = BenchPlan(pattern: .read, depth: 4, stopsAfterOnePass: true)
    #expect(try target.run(read).isClean)
    #expect(try target.run(write, force: true).isClean)
    #expect(try target.run(write).isClean)
  }

  @Test func `a run lives through a restart of its target`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let plan = BenchPlan(
      pattern: .randrw, depth: 8, runtimeNanoseconds: 1_500_000_000, sizeBytes: 4 << 20, verify: true, flushAtEnd: true,
      reconnectNanoseconds: 30_000_000_000)
    let subsystem = BenchSubsystem(addresses: [target.address], name: target.name)
    var isRestarted = false
    var failure: (any Error)?
    let report = try BenchRunner(plan: plan, source: .subsystem(subsystem), target: "t").run(processorCount: 1) { _, _ in
      if isRestarted { return }
      isRestarted = true
      do { try target.restart(afterMilliseconds: 200) } catch { failure = error }
    }
    #expect(failure == nil)
    #expect(report.isClean, "\(report.text())")
    #expect(report.pauses.count >= 1 && report.pauses.longestNanoseconds >= 100_000_000)
    #expect(report.text().contains("reconnected"))
  }

  @Test func `a run against a target that goes away ends with its errors`() throws {
    let target = try TestTarget()
    let plan = BenchPlan(depth: 4, runtimeNanoseconds: 3_600_000_000_000)
    let subsystem = BenchSubsystem(addresses: [target.address], name: target.name)
    var isStopped = false
    let report = try BenchRunner(plan: plan, source: .subsystem(subsystem), target: "t").run(processorCount: 1) { _, _ in
      if !isStopped { target.server.stop() }
      isStopped = true
    }
    target.reactor.stop()
    #expect(!report.isClean && report.gaveUp)
    #expect(report.errors.map(\.status) == [.connectionLost])
  }
}

/// Writes what marks an ext4 file system into a device.
@safe private final class FileSystemWriter: BlockClient {
  private let device: BlockDevice
  private let buffer: UnsafeMutableRawPointer
  private let done: @Sendable (BlockStatus) -> Void
  /// Until the completion.
  private var own: FileSystemWriter?

  init(_ device: BlockDevice, _ done: @escaping @Sendable (BlockStatus) -> Void) {
    self.device = device
    self.done = done
    unsafe buffer = .allocate(byteCount: 4096, alignment: 4096)
    unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    unsafe buffer.storeBytes(of: UInt16(0xEF53).littleEndian, toByteOffset: 1080, as: UInt16.self)
  }

  deinit { unsafe buffer.deallocate() }

  func write() {
    own = self
    device.submit(unsafe BlockRequest(.write, byteCount: 4096, buffer: buffer, token: 0), for: self)
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    done(status)
    own = nil
  }
}
