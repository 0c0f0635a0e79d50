import NVMe
import Reactor
import Testing

@testable import Host

@Suite struct DiscoveryTests {
  private func entry(_ number: Int) -> DiscoveryLogEntry {
    .tcp(
      .nvm, addressFamily: .ipv4, address: "127.0.0.1", port: UInt16(4000 + number),
      subsystemName: QualifiedName("nqn.2024-01.org.keelson:volume-\(number)")!, portIdentifier: 1)
  }

  private func read(_ script: Script) throws -> (Result<[DiscoveryLogEntry], HostError>, FakeController) {
    let reactor = try Reactor(configuration: .init(arenaBytes: 4 << 20))
    let fake = try FakeController(script)
    defer { fake.stop() }
    var outcome: Result<[DiscoveryLogEntry], HostError>?
    Discovery.read(context: .init(reactor: reactor), address: fake.address, host: Harness.host) { outcome = $0 }
    reactor.run(until: { outcome != nil }, timeoutNanoseconds: Harness.patience)
    return (try #require(outcome), fake)
  }

  @Test func `reads all entries`() throws {
    var script = Script()
    script.discovery = (0..<37).map(entry)
    let (outcome, fake) = try read(script)
    #expect(try outcome.get() == script.discovery)
    #expect(fake.sightings.connectData?.subsystemName == .discovery)
    #expect(fake.sightings.connects == [0])
  }

  @Test func `reads again when the log changed meanwhile`() throws {
    var script = Script()
    script.discovery = [entry(0), entry(1)]
    script.discoveryChanges = 2
    let (outcome, _) = try read(script)
    #expect(try outcome.get().count == 4)
  }

  @Test func `gives up on a log that never rests, and on one without end`() throws {
    var script = Script()
    script.discovery = [entry(0)]
    script.discoveryChanges = 1000
    guard case .failure = try read(script).0 else {
      Issue.record("a torn log was taken")
      return
    }
    script = Script()
    script.discovery = (0..<(Discovery.maximumEntryCount + 1)).map(entry)
    guard case .failure = try read(script).0 else {
      Issue.record("a log above the limit was taken")
      return
    }
  }
}
