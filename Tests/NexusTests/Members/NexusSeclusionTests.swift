import Reactor
import Testing

@testable import Nexus

/// A nexus whose node reaches neither peers nor the store (R12): leases decide, not the node's word.
struct NexusSeclusionTests {
  private let clock = FakeSurroundings.ClockBox()

  private func stand(memberCount: Int = 2) throws -> NexusStand {
    try NexusStand(memberCount: memberCount, clock: clock, prepare: { for replica in $0 { replica.leaseNanoseconds = 2_000_000_000 } })
  }

  @Test func `when the leases are over, commands are told to look elsewhere at once, and service comes back with them`() throws {
    let stand = try stand()
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    stand.members[1].lose()
    stand.nexus.setSecluded(true)
    stand.pump()
    // The lease still runs: no other nexus can have begun.
    #expect(!stand.nexus.isCutOff && stand.status(write) == nil)
    clock.now += 3_000_000_000
    stand.await { stand.nexus.isCutOff && stand.status(write) != nil }
    #expect(stand.nexus.isCutOff && stand.status(write) == .inaccessible)
    let later = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    stand.await { stand.status(later) != nil }
    #expect(stand.status(later) == .inaccessible)
    // Told, and not over: the range is locked until it is known what the write came to (R1).
    #expect(stand.nexus.locks.count > 0)
    stand.nexus.setSecluded(false)
    #expect(!stand.nexus.isCutOff)
    stand.settleCommit()
    let last = stand.submit(.write, 0..<8)
    stand.work { stand.status(last) != nil }
    #expect(stand.status(last) == .success && stand.nexus.state == .serving)
    stand.finishAll()
    #expect(stand.isAtRest)
  }

  @Test func `a member that renews its lease is no reason to turn hosts away`() throws {
    let stand = try stand()
    clock.now += 5_000_000_000
    stand.nexus.setSecluded(true)
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    var looks = 0
    stand.await(1_500_000_000) {
      looks += 1
      return stand.nexus.isCutOff
    }
    #expect(!stand.nexus.isCutOff && stand.status(write) == nil && looks > 0)
    stand.members[1].deliver(0)
    #expect(stand.status(write) == .success)
  }

  @Test func `the only member needs nobody`() throws {
    let stand = try stand(memberCount: 1)
    clock.now += 5_000_000_000
    stand.nexus.setSecluded(true)
    stand.await(1_000_000_000) { stand.nexus.isCutOff }
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    stand.pump()
    #expect(!stand.nexus.isCutOff && stand.status(read) == .success)
  }

  @Test func `one that serves nothing turns commands away when it is cut off`() throws {
    let stand = try stand()
    for member in stand.members { member.refuse = { if case .claim = $0 { .faulted("not now") } else { nil } } }
    stand.members[0].lose()
    stand.members[1].lose()
    stand.pump()
    let read = stand.submit(.read, 0..<8)
    #expect(stand.nexus.state != .serving && stand.status(read) == nil)
    stand.nexus.setSecluded(true)
    stand.await { stand.status(read) != nil }
    #expect(stand.status(read) == .inaccessible && stand.nexus.isCutOff)
  }
}
