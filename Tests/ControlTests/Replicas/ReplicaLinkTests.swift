import Host
import NVMe
import Nexus
import Pool
import Reactor
import Testing

@testable import Control

/// A nexus whose only replica is on another node, and the link that brings it there.
@Suite(.serialized) struct ReplicaLinkTests {
  private final class Surroundings: NexusSurroundings {
    let bootNanoseconds: (() -> UInt64)? = nil
    func commit(_ change: MembershipChange) {}
    func nexusChanged() {}
  }

  /// What the link hears and tells.
  private final class World {
    let stand: ReplicaStand
    let nexus: Nexus
    var link: ReplicaLink?
    var place = ReplicaLink.Place.nowhere("the node is down")
    var looks = 0
    var troubles: [String?] = []
    private let surroundings = Surroundings()

    init(_ stand: ReplicaStand) {
      self.stand = stand
      let replica = PoolIdentifier.random()
      nexus = Nexus(
        reactor: stand.near,
        configuration: NexusConfiguration(
          sizeBytes: ReplicaStand.sizeBytes, blockSizeBytes: 512,
          claim: ReplicaClaim(generation: 1, setVersion: 1, nexusID: .random(), inSync: [replica], storeRevision: 1)),
        surroundings: surroundings)
      let host = HostIdentity(
        name: QualifiedName("nqn.2026-11.io.keelson:nexus:test")!, identifier: Identifier128(PoolIdentifier.random().description)!)
      let here = ReactorBound(self)
      // The thread of the tests is the reactor's.
      let made = ReplicaLink(
        context: stand.context, nexus: nexus, replica: replica, subsystem: stand.name, host: host,
        locate: { answer in
          here.value.looks += 1
          answer(here.value.place)
        },
        tell: { here.value.troubles.append($0) })
      link = made
      made.start()
    }

    /// Lets everything go; nothing is under way when this returns.
    func end() {
      var isOver = false
      nexus.shutDown { isOver = true }
      #expect(stand.wait { isOver })
      nexus.retire()
      isOver = false
      link?.close { isOver = true }
      #expect(stand.wait { isOver })
      link = nil
    }
  }

  @Test func `looks until the replica is there, and the nexus serves`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let world = World(stand)
    #expect(stand.wait { world.looks >= 3 } && world.nexus.state != .serving)
    #expect(world.troubles == ["the node is down"], "the same is told once")
    world.place = .there(stand.address)
    #expect(stand.wait { world.nexus.state == .serving } && world.troubles == ["the node is down", nil])
    world.end()
    let looks = world.looks
    stand.wait(1_200_000_000) { false }
    #expect(world.looks == looks, "a closed link looks for nothing")
  }

  @Test func `notices the end of its door, tells it, and tries again at most once a second for long`() throws {
    let stand = try ReplicaStand()
    defer { stand.stop() }
    let world = World(stand)
    world.place = .there(stand.address)
    #expect(stand.wait { world.nexus.state == .serving })
    stand.stopService()
    #expect(stand.wait { world.troubles.last == "the connection was lost" }, "\(world.troubles)")
    #expect(stand.wait { world.troubles.last??.hasPrefix("could not connect") == true }, "\(world.troubles)")
    #expect(world.nexus.state != .serving)
    stand.wait(1_500_000_000) { false }
    let looks = world.looks
    stand.wait(3_000_000_000) { false }
    #expect((2...4).contains(world.looks - looks))
    world.end()
  }
}
