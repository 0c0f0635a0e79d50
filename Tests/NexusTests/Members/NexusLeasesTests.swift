import Reactor
import Testing

@testable import Nexus

/// Read leases (R3b).
struct NexusLeasesTests {
  private let clock = FakeSurroundings.ClockBox()

  private func stand() throws -> NexusStand {
    try NexusStand(clock: clock, prepare: { for replica in $0 { replica.leaseNanoseconds = 2_000_000_000 } })
  }

  @Test func `an idle volume asks for nothing, and reads renew at half of the time`() throws {
    let stand = try stand()
    let before = stand.members[0].questions.count
    clock.now += 900_000_000
    stand.submit(.read, 0..<8)
    stand.finishAll()
    #expect(stand.members[0].questions.count == before)
    clock.now += 200_000_000
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    #expect(stand.status(read) == .success)
    stand.pump()
    #expect(stand.members.map(\.questions.last) == [.renewLease, .renewLease])
    clock.now += 1_500_000_000
    let later = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    #expect(stand.status(later) == .success)
  }

  @Test func `a read is held until every member has granted a lease`() throws {
    let stand = try stand()
    for member in stand.members { member.answersByItself = false }
    clock.now += 5_000_000_000
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    #expect(stand.status(read) == nil)
    stand.members[0].answerNext()
    stand.pump()
    #expect(stand.status(read) == nil)
    stand.members[1].answerNext()
    stand.pump()
    #expect(stand.status(read) == .success && stand.isAtRest)
  }

  @Test func `isolated-nexus-local-read: without the other member's lease nothing is read, until it is known to be out`() throws {
    let stand = try stand()
    stand.members[1].lose()
    // Its lease still runs: no other nexus can have begun.
    let early = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    #expect(stand.status(early) == .success)
    clock.now += 3_000_000_000
    let late = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    stand.pump()
    #expect(stand.status(late) == nil)
    stand.settleCommit()
    stand.work { stand.status(late) != nil }
    #expect(stand.status(late) == .success)
  }

  @Test func `a renewal that is refused by a higher claim fences, and the held read is not answered`() throws {
    let stand = try stand()
    stand.members[1].refuse = { $0 == .renewLease ? .claimed(generation: 9) : nil }
    clock.now += 5_000_000_000
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliverAll()
    stand.pump()
    #expect(stand.nexus.state == .fenced)
    #expect(stand.status(read) == .inaccessible)
  }

  @Test func `a clock that jumped while the process was stopped is noticed`() throws {
    let stand = try stand()
    let read = stand.submit(.read, 0..<8)
    // Between the read's data and its answer.
    stand.members[0].onSubmit = { _, _ in }
    clock.now += 10_000_000_000
    for member in stand.members { member.answersByItself = false }
    stand.members[0].deliverAll()
    #expect(stand.status(read) == nil)
  }
}
