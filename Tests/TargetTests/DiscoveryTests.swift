import NVMe
import Reactor
import Target
import Testing

@Suite(.serialized) struct DiscoveryTests {
  private func discover(_ target: TestTarget, as host: HostName = HostName(), keepAliveMilliseconds: UInt32 = 0) throws -> TestHost {
    let discovery = try TestHost(target.address)
    try discovery.initialize()
    let answer = try discovery.connect(to: .discovery, as: host, keepAliveMilliseconds: keepAliveMilliseconds)
    guard answer.status.isSuccess else { throw HostFailure.unexpected("\(answer)") }
    try discovery.enable()
    return discovery
  }

  private func log(_ host: TestHost, offset: UInt64 = 0, byteCount: UInt32) throws -> [UInt8] {
    let reply = try host.command(
      .getLogPage(commandIdentifier: host.identifier(), identifier: LogPage.discovery.rawValue, byteCount: byteCount, offset: offset))
    guard reply.status.isSuccess, reply.data.count == Int(byteCount) else { throw HostFailure.unexpected("\(reply.completion)") }
    return reply.data
  }

  private func header(_ host: TestHost) throws -> DiscoveryLogHeader {
    try decoded(try log(host, byteCount: 1024)) { bytes in try DiscoveryLogHeader(decoding: bytes) }
  }

  private func entries(_ host: TestHost) throws -> [DiscoveryLogEntry] {
    let count = Int(try header(host).recordCount)
    let bytes = try log(host, byteCount: UInt32(1024 * (count + 1)))
    return try (0..<count).map { index in try decoded(bytes) { bytes in try DiscoveryLogEntry(decoding: bytes, at: 1024 * (index + 1)) } }
  }

  @Test func `the log names the subsystems with their address`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let volume = target.addVolume(1)
    target.addVolume(2, isDiscoverable: false)
    let host = try discover(target)
    let entries = try entries(host)
    #expect(entries.map(\.kind) == [.currentDiscovery, .nvm])
    #expect(entries.map(\.subsystemName) == [.discovery, volume.name])
    #expect(entries.allSatisfy { $0.port == target.address.port && $0.transportAddress == "127.0.0.1" && $0.family == .ipv4 })
  }

  @Test func `the log is read in pieces`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    for number in 1...3 { target.addVolume(number) }
    let host = try discover(target)
    let whole = try log(host, byteCount: 5 * 1024)
    var pieces: [UInt8] = []
    while pieces.count < whole.count {
      pieces += try log(host, offset: UInt64(pieces.count), byteCount: UInt32(min(412, whole.count - pieces.count)))
    }
    #expect(pieces == whole)
  }

  @Test func `a change is another generation and an event`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    target.addVolume(1)
    let host = try discover(target, keepAliveMilliseconds: 30_000)
    let before = try header(host)
    #expect(before.recordCount == 2)
    let mask = AsynchronousEventConfiguration.discoveryLogChange.rawValue
    let asked = try host.command(
      .setFeatures(
        commandIdentifier: host.identifier(), identifier: FeatureIdentifier.asynchronousEventConfiguration.rawValue, dword11: mask))
    #expect(asked.status == .success)
    try host.send(host.capsule(.asynchronousEventRequest(commandIdentifier: 500)))
    target.addVolume(2)
    guard case .response(let event) = try host.receivePDU() else {
      Issue.record("no event")
      return
    }
    #expect(event.commandIdentifier == 500)
    #expect(event.result == UInt64(AsynchronousEvent.discoveryLogChanged.rawValue))
    let after = try header(host)
    #expect(after.generation > before.generation)
    #expect(after.recordCount == 3)
    try host.send(host.capsule(.asynchronousEventRequest(commandIdentifier: 501)))
    target.server.remove(QualifiedName("nqn.2026-01.io.keelson:test:2")!)
    guard case .response(let second) = try host.receivePDU() else {
      Issue.record("no event")
      return
    }
    #expect(second.commandIdentifier == 501)
    #expect(try header(host).recordCount == 2)
  }

  @Test func `hosts see what they may connect to`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    target.addVolume(1, allowedHosts: .only([HostName.number(1).name]))
    let allowed = try discover(target, as: .number(1))
    let other = try discover(target, as: .number(2))
    #expect(try header(allowed).recordCount == 2)
    #expect(try header(other).recordCount == 1)
  }

  @Test func `discovery controllers have no I/O queues`() throws {
    let target = try TestTarget()
    defer { target.stop() }
    let host = try TestHost(target.address)
    try host.initialize()
    let answer = try host.connect(to: .discovery)
    #expect(answer.status == .success)
    try host.enable()
    let queue = try TestHost(target.address)
    try queue.initialize()
    #expect(try queue.connect(to: .discovery, queue: 1, controller: UInt16(answer.result)).status.matches(.connectInvalidParameters))
  }
}
