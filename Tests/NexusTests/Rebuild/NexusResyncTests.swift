import Pool
import Reactor
import Testing

@testable import Nexus

/// Replicas that return, and new ones (R4, R6).
struct NexusResyncTests {
  @Test func `a replica that was away gets what it missed and nothing else, and joins`() throws {
    let stand = try NexusStand(units: 256)
    let old = stand.submit(.write, 0..<64)
    stand.finishAll()
    stand.members[1].lose()
    stand.settleCommit()
    #expect(stand.state(1) == .out(reason: "the connection was lost"))
    let missed = stand.submit(.write, 8..<16)
    let far = stand.submit(.write, 1000..<1008)
    stand.finishAll()
    #expect(stand.status(missed) == .success && stand.status(far) == .success)
    #expect(!stand.members[0].hasSameBytes(as: stand.members[1]))
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.state(1) == .inSync)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.members[1].value(block: 8) == NexusStand.stamp(missed, 8) && stand.members[1].value(block: 1) == NexusStand.stamp(old, 1))
    #expect(stand.surroundings.knownSet == [.a, .b])
    let rebuild = try #require(stand.nexus.rebuilds.last)
    #expect(rebuild.state == .done && rebuild.kind == .recorded && rebuild.bytesSent == 8192)
    stand.work { stand.members[0].replica.missed[.b] == nil }
    #expect(stand.members[0].replica.missed[.b] == nil)
    #expect(stand.members.allSatisfy { $0.replica.claim.inSync == [.a, .b] })
    let write = stand.submit(.write, 16..<24)
    stand.members[0].deliverAll()
    #expect(stand.status(write) == nil)
    stand.finishAll()
    #expect(stand.status(write) == .success && stand.isAtRest)
  }

  @Test func `changes during a resync go to the replica too, and a read never`() throws {
    let stand = try NexusStand(units: 256, nearest: 1)
    stand.members[1].lose()
    stand.settleCommit()
    let missed = stand.submit(.write, 8..<16)
    stand.finishAll()
    stand.open(1)
    stand.members[1].refuse = { if case .checksums = $0 { .busy } else { nil } }
    stand.work { stand.state(1) == .syncing }
    let write = stand.submit(.write, 512..<520)
    let read = stand.submit(.read, 512..<520)
    #expect(stand.members[1].pending.map(\.request.operation) == [.write])
    stand.finishAll()
    #expect(stand.status(write) == .success && stand.status(read) == .success)
    stand.members[1].refuse = { _ in nil }
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[1].value(block: 9) == NexusStand.stamp(missed, 9))
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.members[1].submitted.allSatisfy { $0.operation != .read })
  }

  /// Its join waits behind another change of the set, which the store does not answer; meanwhile service ends and begins, and is without it.
  @Test(arguments: [false, true]) func `R4: who fails before its join is sent does not come in by it`(endsByItself: Bool) throws {
    let stand = try NexusStand(memberCount: 4, units: 256, minInSync: 2)
    stand.members[2].lose()
    stand.settleCommit()
    let missed = stand.submit(.write, 8..<16)
    stand.finishAll()
    stand.open(2)
    stand.members[2].refuse = { if case .checksums = $0 { .busy } else { nil } }
    stand.work { stand.state(2) == .syncing }
    stand.members[3].lose()
    stand.pump()
    #expect(stand.surroundings.pending?.leaving.map(\.replica) == [.d])
    stand.members[2].refuse = { _ in nil }
    stand.work(isStoreAway: true) { stand.state(2) == .joining }
    #expect(stand.state(2) == .joining)
    if endsByItself {
      stand.members[2].lose()
    } else {
      stand.members[1].lose()
      stand.open(1)
      stand.work(isStoreAway: true) { stand.nexus.state == .serving }
      #expect(stand.nexus.state == .serving)
    }
    let write = stand.submit(.write, 512..<520)
    stand.work(isStoreAway: true) { stand.members[0].value(block: 512) == NexusStand.stamp(write, 512) }
    let known = stand.surroundings.commits.count
    stand.work { stand.status(write) != nil }
    #expect(stand.status(write) == .success)
    stand.pump()
    #expect(stand.surroundings.commits.dropFirst(known).allSatisfy { $0.joining.isEmpty })
    if endsByItself { stand.open(2) }
    stand.work { stand.state(2) == .inSync }
    #expect(stand.state(2) == .inSync && stand.members[0].hasSameBytes(as: stand.members[2]))
    #expect(stand.members[2].value(block: 8) == NexusStand.stamp(missed, 8) && stand.complaints.isEmpty)
  }

  @Test func `R6: what it wrote alone and what it recorded of others is made equal too`() throws {
    let stand = try NexusStand(
      outside: [1], units: 256, isStarted: false,
      prepare: { replicas in
        replicas[0].missed[.b] = [2]
        replicas[1].claim = ReplicaClaim(generation: 1, setVersion: 1, nexusID: .formerNexus, inSync: [.a, .b], storeRevision: 1)
        // It has a write nobody else has, and it was a member while the other was away.
        replicas[1].hot = [5]
        replicas[1].fill(block: 5 * 128, 77)
        replicas[1].missed[.a] = [7]
        replicas[1].fill(block: 7 * 128, 78)
        // A ghost that no record names would stay.
        replicas[1].fill(block: 9 * 128, 79)
        replicas[0].fill(block: 2 * 128, 80)
      })
    stand.open(0)
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[1].value(block: 5 * 128) == 0 && stand.members[1].value(block: 7 * 128) == 0)
    #expect(stand.members[1].value(block: 2 * 128) == 80)
    #expect(stand.members[1].value(block: 9 * 128) == 79)
    #expect(stand.members[1].replica.missed.isEmpty)
    #expect(stand.members[1].submitted.filter { $0.operation == .deallocate }.count == 2)
  }

  @Test func `R6: without an unbroken record everything is compared, and only what differs is sent`() throws {
    let stand = try NexusStand(
      outside: [1], units: 256, isStarted: false,
      prepare: { replicas in
        replicas[1].claim = ReplicaClaim(generation: 1, setVersion: 1, nexusID: .formerNexus, inSync: [.b], storeRevision: 1)
        replicas[0].claim.inSync = [.a]
        for block in 0..<512 {
          replicas[0].fill(block: block, UInt64(block + 1))
          replicas[1].fill(block: block, UInt64(block + 1))
        }
        replicas[1].fill(block: 100, 1)
        replicas[1].fill(block: 2000, 2)
      })
    stand.open(0)
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.state(1) == .inSync)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.nexus.rebuilds.last?.kind == .compared)
    #expect(stand.nexus.rebuilds.last?.bytesSent == 4096)
  }

  @Test func `a new replica gets what is allocated, and holes stay holes`() throws {
    let stand = try NexusStand(
      outside: [1], units: 256, isStarted: false,
      prepare: { replicas in for block in 512..<640 { replicas[0].fill(block: block, UInt64(block)) } })
    stand.open(0)
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    let rebuild = try #require(stand.nexus.rebuilds.last)
    #expect(rebuild.kind == .full && rebuild.bytesSent == 64 << 10 && rebuild.bytesToDo == 64 << 10)
    #expect(stand.members[1].submitted.filter { $0.operation == .write }.allSatisfy { $0.offsetBytes == 256 << 10 })
    #expect(stand.members[1].questions.allSatisfy { if case .checksums = $0 { false } else { true } })
  }

  @Test func `a replica nobody knew is new and becomes a member`() throws {
    let stand = try NexusStand(memberCount: 1)
    let write = stand.submit(.write, 0..<8)
    stand.finishAll()
    let replica = FakeReplica(id: .b, sizeBytes: 16 * 4096)
    let door = FakeMember(index: 1, replica: replica, reactor: stand.reactor)
    #expect(stand.nexus.replicaAppeared(.b, door))
    stand.work {
      door.deliverAll()
      return stand.nexus.members.last?.state == .inSync
    }
    #expect(stand.surroundings.knownSet == [.a, .b])
    #expect(replica.value(block: 3) == NexusStand.stamp(write, 3))
  }

  @Test func `a resync that fails goes on where it was`() throws {
    let stand = try NexusStand(units: 16 * 200)
    stand.members[1].lose()
    stand.settleCommit()
    for region in 0..<200 { stand.submit(.write, (region * 128)..<(region * 128 + 8)) }
    stand.finishAll()
    #expect(stand.members[0].replica.missed[.b]?.count == 200)
    stand.open(1)
    stand.work { (stand.nexus.rebuilds.last?.bytesDone ?? 0) >= 130 * 64 << 10 }
    stand.work { (stand.members[0].replica.missed[.b]?.count ?? 0) < 150 }
    stand.members[1].lose()
    stand.pump()
    guard case .failed = stand.nexus.rebuilds.last?.state else {
      Issue.record("the rebuild is \(String(describing: stand.nexus.rebuilds.last))")
      return
    }
    // All of the log is on the record again: changes may have missed it.
    stand.work { stand.nexus.unrecordedMask == 0 }
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
  }

  @Test func `target-misses-then-flush: a change that the target missed keeps its region on the record`() throws {
    let stand = try NexusStand(units: 256)
    stand.members[1].lose()
    stand.settleCommit()
    stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.open(1)
    stand.members[1].refuse = { if case .checksums = $0 { .busy } else { nil } }
    stand.work { stand.state(1) == .syncing }
    let write = stand.submit(.write, 8..<16)
    stand.members[0].deliverAll()
    stand.members[1].deliver(stand.members[1].pending.firstIndex { $0.request.operation == .write }!, .writeFault)
    #expect(stand.status(write) == .success)
    #expect(stand.surroundings.commits.count == 1)
    stand.pump()
    #expect(stand.members[0].replica.missed[.b]?.contains(0) == true)
    #expect(stand.nexus.unrecordedMask == 0)
  }

  @Test func `join-reply-lost: until the outcome is known both sets must have it`() throws {
    let stand = try NexusStand(units: 64)
    stand.members[1].lose()
    stand.settleCommit()
    stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.open(1)
    stand.reactor.run(
      until: {
        for member in stand.members { member.deliverAll() }
        return stand.surroundings.pending != nil
      }, timeoutNanoseconds: 5_000_000_000)
    #expect(stand.surroundings.pending?.joining == [.b])
    let write = stand.submit(.write, 16..<24)
    stand.members[0].deliverAll()
    stand.pump()
    #expect(stand.status(write) == nil)
    stand.members[1].deliverAll(.writeFault)
    stand.pump()
    #expect(stand.status(write) == nil)
    stand.settleCommit()
    // It is in the set, and leaves by the next change.
    #expect(stand.status(write) == nil)
    #expect(stand.surroundings.commits.last?.members == [.a])
    stand.settleCommit()
    #expect(stand.status(write) == .success)
    #expect(stand.members[0].replica.missed[.b] == [0, 1, 2, 3])
  }

  @Test func `inherit-bitmap: a new member holds what another absent replica missed`() throws {
    let stand = try NexusStand(
      memberCount: 3, outside: [1, 2], units: 256, isStarted: false,
      prepare: { replicas in
        replicas[0].missed[.c] = [3, 4]
        replicas[2].claim = ReplicaClaim(generation: 1, setVersion: 1, nexusID: .formerNexus, inSync: [.a, .c], storeRevision: 1)
      })
    stand.open(0)
    stand.open(1)
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[1].replica.missed[.c] == [3, 4])
    #expect(stand.surroundings.knownSet == [.a, .b])
  }

  @Test func `R1: with too few members an absent replica may join, and then there is service`() throws {
    let stand = try NexusStand(
      memberCount: 3, outside: [2], units: 64, minInSync: 2, isStarted: false,
      prepare: { replicas in replicas[0].fill(block: 9, 9) }, configure: { $0.graceNanoseconds = 5_000_000 })
    stand.open(0)
    stand.open(2)
    let read = stand.submit(.read, 9..<10)
    stand.work { stand.status(read) != nil }
    #expect(stand.status(read) == .success)
    #expect(stand.surroundings.knownSet == [.a, .c])
    #expect(stand.surroundings.commits.map(\.joining) == [[.c], []])
    #expect(stand.members[2].value(block: 9) == 9)
  }

  @Test func `rebuilds can be throttled and paused`() throws {
    let stand = try NexusStand(
      outside: [1], units: 256, isStarted: false,
      prepare: { replicas in for block in 0..<2048 { replicas[0].fill(block: block, 5) } })
    stand.nexus.throttle.bytesPerSecond = 16 << 20
    stand.nexus.pauseRebuilds()
    stand.open(0)
    stand.open(1)
    stand.work(30_000_000) { false }
    #expect(stand.nexus.rebuilds.isEmpty && stand.state(1) != .inSync)
    let began = stand.reactor.now
    stand.nexus.resumeRebuilds()
    stand.work { stand.state(1) == .inSync }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    // 1 MiB at 16 MiB per second: the last piece begins when the others' time is over.
    #expect(stand.reactor.now - began >= 40_000_000)
  }

  @Test func `a copy that rests is over with its nexus`() throws {
    let stand = try NexusStand(units: 256)
    stand.members[1].lose()
    stand.settleCommit()
    stand.submit(.write, 8..<16)
    stand.submit(.write, 1000..<1008)
    stand.finishAll()
    stand.nexus.throttle.bytesPerSecond = 1
    stand.open(1)
    stand.work { stand.nexus.rebuilds.last.map { $0.bytesSent > 0 && $0.state == .running } ?? false }
    stand.work(20_000_000) { false }
    #expect(stand.nexus.copiers.contains { $0.isBusy } && stand.state(1) == .syncing)
    stand.nexus.retire()
    #expect(stand.nexus.copiers.allSatisfy { !$0.isBusy })
  }
}
