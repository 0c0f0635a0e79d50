import NVMe
import Reactor
import Testing

@testable import Host

/// A subsystem that is to be had at more than one address, as a volume is when its nexus may move.
@Suite struct SeveralAddressesTests {
  private var options: HostOptions {
    var options = HostOptions()
    options.reconnect = .backOff(initialMilliseconds: 20, maximumMilliseconds: 100)
    return options
  }

  @Test(arguments: Harness.engines) func `the address that serves is used, wherever that is`(engine: IOEngineChoice) throws {
    var standby = Script()
    standby.accessState = .inaccessible
    let other = try FakeController(standby)
    defer { other.stop() }
    let harness = try Harness(Script(), options, engine: engine, before: [other.address])
    let device = try harness.connected()
    #expect(harness.controller.address == harness.fake.address && harness.states == [.connected])
    #expect(other.sightings.connects == [0], "no I/O queue where nothing is served")

    // It dies, and the other takes over.
    other.change { $0.script.accessState = .optimized }
    harness.fake.change { $0.script.accessState = .inaccessible }
    harness.fake.dropConnections()
    #expect(harness.wait { harness.states.count == 3 && device.isConnected })
    #expect(harness.controller.address == other.address && device.anaState == .optimized)
    unsafe #expect(harness.perform(BlockRequest(.flush, token: 1), on: device) == .success)

    // It hands over, and says so.
    harness.fake.change { $0.script.accessState = .optimized }
    other.change { state in
      state.script.accessState = .inaccessible
      state.events = [.anaChange]
    }
    #expect(harness.wait { harness.states.count == 5 && device.isConnected })
    #expect(harness.controller.address == harness.fake.address)
    let lost = HostError(.inaccessible, address: other.address, subsystem: Harness.subsystem)
    #expect(harness.states[3] == .disconnected(lost))
    unsafe #expect(harness.perform(BlockRequest(.flush, token: 2), on: device) == .success)
    harness.finish()
  }

  @Test func `an address where nobody listens is passed over`() throws {
    let dead = try FakeController()
    dead.stop()
    let harness = try Harness(Script(), options, before: [dead.address])
    _ = try harness.connected()
    #expect(harness.controller.address == harness.fake.address && harness.states == [.connected])
    harness.finish()
  }

  @Test func `each is tried once at first`() throws {
    var standby = Script()
    standby.accessState = .inaccessible
    let other = try FakeController(standby)
    defer { other.stop() }
    let harness = try Harness(standby, options, before: [other.address])
    #expect(try harness.failure().reason == .inaccessible)
    #expect(other.sightings.connects == [0] && harness.fake.sightings.connects == [0])
    harness.finish()
  }
}
