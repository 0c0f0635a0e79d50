import Control
import Testing

@testable import CSI

@Suite struct PathFollowerTests {
  private let volume = VolumeID("11111111-2222-4333-8444-555555555555")!
  private let first = PublishContext.Path(traddr: "10.0.0.1", trsvcid: "4420")
  private let second = PublishContext.Path(traddr: "10.0.0.2", trsvcid: "4420")
  private let system = FakeSystem()
  private let service: NodeService
  private let follower: PathFollower

  init() throws {
    let identity = NodeIdentity(name: "worker-1", hostID: "aaaaaaaa-0000-4000-8000-000000000001")!
    service = NodeService(NodeService.Options(identity: identity), system: system, log: { _ in })
    follower = PathFollower(service)
    try service.connect(PublishContext(volume: volume, paths: [first]))
  }

  private var connected: [String] { system.controllers().map(\.transportAddress) }

  @Test func `a path that came later is connected, once`() {
    for _ in 0..<2 {
      follower.follow { address in
        #expect(address == first || address == second)
        return [NQN.volume(volume): [first, second]]
      }
    }
    #expect(connected == ["10.0.0.1", "10.0.0.2"])
    #expect(system.with { $0.connectOptions.count } == 2)
  }

  @Test func `a path that came later is connected as the others are`() throws {
    let other = VolumeID("22222222-2222-4333-8444-555555555555")!
    var context = PublishContext(volume: other, paths: [first])
    (context.controllerLossSeconds, context.keepAliveSeconds, context.ioQueues) = (30, 7, 3)
    try service.connect(context)
    follower.follow { _ in [NQN.volume(other): [first, second]] }
    let options = system.with { $0.connectOptions.suffix(2).map { LinuxSystem.fields(of: $0) } }
    #expect(options.map { $0["traddr"] } == ["10.0.0.1", "10.0.0.2"])
    for name in ["ctrl_loss_tmo", "keep_alive_tmo", "nr_io_queues"] { #expect(options[0][name] == options[1][name]) }
    #expect(options[1]["ctrl_loss_tmo"] == "30")
  }

  @Test func `a silent service and other volumes change nothing`() {
    follower.follow { _ in nil }
    follower.follow { _ in [NQN.volume(VolumeID()): [second]] }
    #expect(connected == ["10.0.0.1"])
  }

  @Test func `a volume that was taken away is given up where its host is refused, if it has no path left`() {
    try? service.connect(PublishContext(volume: volume, paths: [second]))
    let name = NQN.volume(volume)
    follower.giveUp { _, _ in true }
    #expect(connected == ["10.0.0.1", "10.0.0.2"])
    system.with { $0.controllers[0].state = "connecting" }
    follower.giveUp { _, _ in true }
    #expect(connected == ["10.0.0.1", "10.0.0.2"])
    system.with { $0.controllers[1].state = "connecting" }
    follower.giveUp { _, _ in false }
    #expect(connected == ["10.0.0.1", "10.0.0.2"])
    // Also while something waits for it.
    service.operations.attempt(NodeService.key("\(volume)")) {
      follower.giveUp { path, subsystem in
        #expect(subsystem == name)
        return path == first
      }
    }
    #expect(connected == ["10.0.0.2"])
    system.with { $0.controllers[0].hostNQN = "nqn.2014-08.org.nvmexpress:uuid:somebody" }
    follower.giveUp { _, _ in true }
    #expect(connected == ["10.0.0.2"])
  }

  @Test func `other hosts' connections are not ours to follow`() {
    system.with { $0.controllers[0].hostNQN = "nqn.2014-08.org.nvmexpress:uuid:somebody" }
    follower.follow { _ in [NQN.volume(volume): [first, second]] }
    #expect(connected == ["10.0.0.1"])
  }

  @Test func `nothing is connected while the volume is staged or unstaged, or after`() throws {
    service.operations.attempt(NodeService.key("\(volume)")) {
      follower.follow { _ in [NQN.volume(volume): [first, second]] }
    }
    #expect(connected == ["10.0.0.1"])
    follower.follow { _ in
      // Unstaged while the service was asked.
      system.with { $0.controllers = [] }
      return [NQN.volume(volume): [first, second]]
    }
    #expect(connected.isEmpty)
  }
}
