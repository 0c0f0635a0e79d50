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
