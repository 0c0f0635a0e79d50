import Pool
import Reactor
import Testing

@testable import Nexus

/// From doors to service: claims (R3), lost caches (R7), reconciliation (R5).
struct NexusStartTests {
  @Test func `R3: commands wait until every member has accepted the claim`() throws {
    let stand = try NexusStand(isStarted: false)
    let read = stand.submit(.read, 0..<8)
    stand.open(0)
    stand.pump()
    #expect(stand.askedNobody)
    #expect(stand.members[0].questions == [.claim(stand.nexus.claim)])
    stand.open(1)
    stand.pump()
    #expect(stand.nexus.state == .serving)
    stand.finishAll()
    #expect(stand.status(read) == .success)
    #expect(stand.members.allSatisfy { $0.replica.claim.generation == 2 })
    #expect(stand.isAtRest)
  }

  @Test func `R3: a higher claim on any replica fences`() throws {
    let stand = try NexusStand(isStarted: false, prepare: { $0[1].claim.generation = 7 })
    stand.open(0)
    stand.open(1)
    stand.pump()
    #expect(stand.nexus.state == .fenced)
  }

  @Test func `twin-claims: an equal generation of another nexus is refused, and its nexus does not serve`() throws {
    let stand = try NexusStand(
      isStarted: false,
      prepare: { $0[1].claim = ReplicaClaim(generation: 2, setVersion: 1, nexusID: .otherNexus, inSync: [.a, .b], storeRevision: 1) })
    stand.open(0)
    stand.open(1)
    stand.pump()
    #expect(stand.nexus.state != .serving)
    #expect(stand.members[1].replica.claim.nexusID == .otherNexus)
  }

  @Test func `R2: a member that does not appear leaves after its grace, and its record is durable before anything is served without it`()
    throws
  {
    let stand = try NexusStand(
      memberCount: 3, minInSync: 2, isStarted: false, prepare: { $0[0].hot = [0] }, configure: { $0.graceNanoseconds = 500_000_000 })
    stand.open(0)
    stand.open(1)
    let write = stand.submit(.write, 0..<8)
    stand.pump()
    #expect(stand.nexus.state != .serving && stand.surroundings.commits.isEmpty)
    stand.await { !stand.surroundings.commits.isEmpty }
    #expect(stand.surroundings.commits.map(\.members) == [[.a, .b]])
    #expect(stand.surroundings.commits[0].leaving.map(\.replica) == [.c])
    stand.members[0].deliverAll()
    stand.members[1].deliverAll()
    #expect(stand.status(write) == nil)
    stand.work { stand.status(write) != nil }
    #expect(stand.status(write) == .success)
    for member in [0, 1] {
      #expect(stand.members[member].replica.missed[.c] == [0])
      #expect(stand.members[member].replica.claim.inSync == [.a, .b])
    }
  }

  @Test func `R5: after a crash exactly the logged regions are made equal, and the others serve at once`() throws {
    let stand = try NexusStand(
      units: 64, isStarted: false,
      prepare: { replicas in
        // Region 1 is in one log only, region 3 in both; a write reached one member, another the other.
        replicas[0].hot = [1, 3]
        replicas[1].hot = [3]
        replicas[0].fill(block: 130, 111)
        replicas[1].fill(block: 390, 222)
        // In no log: it stays as it is, whatever it is.
        replicas[0].fill(block: 5, 333)
      })
    stand.open(0)
    stand.open(1)
    let clean = stand.submit(.read, 0..<8)
    let hot = stand.submit(.read, 128..<136)
    stand.work { stand.status(clean) != nil && stand.status(hot) != nil && stand.nexus.log.awaitingCount == 0 }
    #expect(stand.nexus.reconciledRegions == 2)
    #expect(stand.readValue(hot, 2) == 111)
    #expect(stand.members[1].value(block: 130) == 111)
    #expect(stand.members[0].value(block: 390) == 0 && stand.members[1].value(block: 390) == 0)
    #expect(stand.members[1].value(block: 5) == 0)
    #expect(stand.nexus.reconciledBytes == 4096)
    #expect(stand.members.allSatisfy { $0.replica.hot == [1, 3] })
    // What was equal was not sent.
    #expect(stand.members[1].submitted.filter { $0.operation != .read }.map(\.byteCount) == [4096, 4096])
    #expect(stand.isAtRest)
  }

  @Test func `R8: a command to a region that awaits reconciliation waits until it is equal on all members`() throws {
    let stand = try NexusStand(
      units: 64, isStarted: false,
      prepare: { replicas in
        replicas[0].hot = [0, 1, 2, 3]
        replicas[1].fill(block: 200, 7)
      })
    for member in stand.members { member.refuse = { if case .checksums = $0 { .busy } else { nil } } }
    stand.open(0)
    stand.open(1)
    stand.pump()
    let write = stand.submit(.write, 192..<208)
    let read = stand.submit(.read, 200..<201)
    stand.pump()
    #expect(stand.nexus.state == .serving && stand.askedNobody)
    for member in stand.members { member.refuse = { _ in nil } }
    stand.work { stand.status(read) != nil }
    #expect(stand.status(write) == .success && stand.readValue(read, 0) == NexusStand.stamp(write, 200))
    stand.work { stand.nexus.log.awaitingCount == 0 }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
  }

  @Test func `cache-lost-is-not-source`() throws {
    let stand = try NexusStand(
      isStarted: false,
      prepare: { replicas in
        for replica in replicas { replica.hot = [0] }
        replicas[0].hasLostCache = true
        replicas[1].fill(block: 3, 99)
      }, configure: { $0.graceNanoseconds = 1_000_000 })
    stand.open(0)
    let read = stand.submit(.read, 3..<4)
    stand.await(30_000_000) { false }
    guard case .blocked(let reason) = stand.nexus.state else {
      Issue.record("the state is \(stand.nexus.state)")
      return
    }
    #expect(reason.contains("\(Identifier.b)"))
    #expect(stand.status(read) == nil && stand.surroundings.commits.isEmpty)
    stand.open(1)
    stand.work { stand.status(read) != nil }
    // The nearest was made equal to the one that lost nothing, though it is the one read from.
    #expect(stand.readValue(read, 0) == 99)
    #expect(stand.members[0].value(block: 3) == 99)
  }

  @Test func `R7: what a cache lost is forgotten only after it was made good and flushed`() throws {
    let stand = try NexusStand(
      isStarted: false,
      prepare: { replicas in
        for replica in replicas { replica.hot = [0] }
        replicas[0].hasLostCache = true
        replicas[1].fill(block: 3, 99)
      }, configure: { $0.idleNanoseconds = 4_000_000 })
    stand.open(0)
    stand.open(1)
    stand.work { stand.nexus.log.awaitingCount == 0 && stand.nexus.state == .serving }
    #expect(stand.members[0].replica.hasLostCache)
    stand.work { !stand.members[0].replica.hasLostCache }
    #expect(!stand.members[0].replica.hasLostCache)
    stand.work { stand.members[0].replica.hot.isEmpty }
    #expect(stand.members[0].replica.hot.isEmpty && stand.members[1].replica.hot.isEmpty)
    #expect(stand.members[0].flushedOrder >= 0)
  }

  @Test func `R7: a source that dies before all is equal leaves nobody to serve`() throws {
    let stand = try NexusStand(
      units: 64, isStarted: false,
      prepare: { replicas in
        for replica in replicas { replica.hot = [0, 1, 2, 3] }
        replicas[0].hasLostCache = true
      })
    for member in stand.members { member.refuse = { if case .checksums = $0 { .busy } else { nil } } }
    stand.open(0)
    stand.open(1)
    stand.pump()
    #expect(stand.nexus.state == .serving)
    stand.members[1].lose()
    stand.pump()
    #expect(stand.surroundings.commits.isEmpty)
    #expect(stand.nexus.state != .serving)
  }

  @Test func `R1: after a block, a member that is back is made equal before anything is served`() throws {
    let stand = try NexusStand(minInSync: 2)
    let first = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    // Done there, but nobody knows.
    stand.members[1].lose(appliedPercent: 50)
    let read = stand.submit(.read, 0..<8)
    stand.pump()
    #expect(stand.status(first) == nil && stand.status(read) == nil && stand.nexus.state != .serving)
    stand.open(1)
    stand.work { stand.status(read) != nil }
    #expect(stand.status(first) == .success && stand.status(read) == .success)
    #expect(stand.readValue(read, 7) == NexusStand.stamp(first, 7))
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.surroundings.commits.isEmpty)
    #expect(stand.isAtRest)
  }

  @Test func `a stop in order empties the logs and gives the claims back`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    var isDone = false
    stand.nexus.shutDown { isDone = true }
    stand.work { isDone }
    #expect(isDone && stand.nexus.state == .stopped)
    #expect(stand.members.allSatisfy { $0.replica.hot.isEmpty && $0.questions.last == .release })
    let late = stand.submit(.read, 0..<8)
    stand.pump()
    #expect(stand.status(late) == .inaccessible)
    stand.nexus.retire()
  }

  @Test func `R3: nothing is served before the store knows that this generation serves`() throws {
    let stand = try NexusStand(isHot: false, configure: { $0.confirmedGeneration = 1 })
    let read = stand.submit(.read, 0..<8)
    stand.pump()
    #expect(stand.nexus.state != .serving && stand.status(read) == nil)
    #expect(stand.surroundings.commits == [MembershipChange(members: [.a, .b], leaving: [], joining: [], sizeBytes: 16 * 4096)])
    #expect(stand.members[0].questions.first == .claimFrom(stand.nexus.configuration.claim, floorGeneration: 1))
    stand.work { stand.status(read) != nil }
    #expect(stand.status(read) == .success && stand.nexus.state == .serving)
    #expect(stand.surroundings.commits.count == 1)
  }

  /// One that is not reached may hold all there is: it must not look like an old copy afterwards.
  @Test func `R3: a generation that not every member has accepted is not confirmed by what else changes`() throws {
    let stand = try NexusStand(
      memberCount: 3, outside: [2], units: 64, minInSync: 2, isStarted: false,
      configure: {
        $0.confirmedGeneration = 1
        $0.graceNanoseconds = 5_000_000
      })
    stand.open(0)
    stand.open(2)
    stand.work { stand.nexus.state == .serving }
    #expect(stand.nexus.state == .serving)
    let commits = stand.surroundings.commits
    #expect(commits.first?.returning == [.c] && commits.first?.members == [.a, .b])
    #expect(commits.first { !$0.joining.isEmpty }?.isConfirming == false)
    for commit in commits { #expect(commit.isConfirming == !commit.members.contains(.b), "\(commit)") }
    #expect(commits.contains { $0.isConfirming } && stand.complaints.isEmpty)
  }

  @Test(arguments: [UInt64(0), 1]) func `R3: a member that was rolled back leaves at once, misses everything, and is made equal`(
    held: UInt64
  ) throws {
    let stand = try NexusStand(
      memberCount: 3, units: 64, minInSync: 2, isStarted: false,
      prepare: { replicas in
        for replica in replicas { replica.claim.generation = 3 }
        replicas[2].claim.generation = held
        for block in 0..<512 { for replica in replicas.prefix(2) { replica.fill(block: block, UInt64(block) + 7) } }
      },
      configure: {
        $0.confirmedGeneration = 3
        $0.claim.generation = 4
      })
    for index in 0..<3 { stand.open(index) }
    stand.work { !stand.surroundings.commits.isEmpty }
    #expect(stand.surroundings.commits.first?.leaving.map(\.generation) == [3])
    stand.work { stand.state(2) == .inSync }
    #expect(stand.members[2].hasSameBytes(as: stand.members[0]))
    #expect(stand.nexus.rebuilds.map(\.kind) == [held == 0 ? .full : .recorded])
    #expect(stand.members[0].replica.missed[.c] == nil)
    #expect(stand.complaints.isEmpty)
  }
}
