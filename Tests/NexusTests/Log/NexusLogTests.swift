import Reactor
import Testing

@testable import Nexus

/// The activity log driven by commands (R5, R6).
struct NexusLogTests {
  /// 16 regions of 64 KiB, logs of `capacity`.
  private func stand(_ capacity: Int = 256, memberCount: Int = 2, outside: Set<Int> = [], idle: UInt64? = nil) throws -> NexusStand {
    try NexusStand(
      memberCount: memberCount, outside: outside, units: 1024, isHot: false,
      prepare: { for replica in $0 { replica.maximumHotRegions = capacity } },
      configure: { if let idle { $0.idleNanoseconds = idle } })
  }

  @Test func `all regions that wait go into the logs with one question`() throws {
    let stand = try stand()
    let before = stand.members[0].questions.count
    let first = stand.submit(.write, 0..<8)
    let others = (1..<8).map { stand.submit(.write, ($0 * 128)..<($0 * 128 + 8)) }
    stand.finishAll()
    #expect(stand.status(first) == .success)
    for write in others { #expect(stand.status(write) == .success) }
    #expect(stand.members[0].questions.count == before + 2)
    #expect(stand.members[0].questions.last == .setRegions(.activity, [1..<8], isMember: true))
    #expect(stand.isAtRest)
  }

  @Test func `a change over two regions has both in the logs first`() throws {
    let stand = try stand()
    let write = stand.submit(.write, 124..<132)
    stand.pump()
    #expect(stand.members[1].questions.last == .setRegions(.activity, [0..<2], isMember: true))
    stand.finishAll()
    #expect(stand.status(write) == .success && stand.isAtRest)
  }

  @Test func `a full log makes room and every change comes to its turn`() throws {
    let capacity = 40
    let stand = try NexusStand(
      units: 1600, isHot: false, prepare: { for replica in $0 { replica.maximumHotRegions = capacity } })
    var writes: [UInt64] = []
    for region in 0..<100 { writes.append(stand.submit(.write, (region * 128)..<(region * 128 + 8))) }
    stand.work { writes.allSatisfy { stand.status($0) != nil } }
    for write in writes { #expect(stand.status(write) == .success) }
    for member in stand.members { #expect(member.replica.hot.count <= capacity) }
    #expect(stand.nexus.log.count <= capacity)
    // Nothing left without a flush before it.
    for member in stand.members {
      #expect(member.submitted.contains { $0.operation == .flush })
      #expect(member.questions.contains { if case .setRegions(.activity, _, false) = $0 { true } else { false } })
    }
    #expect(stand.isAtRest)
  }

  @Test func `idle regions leave the logs after a flush of all members`() throws {
    let stand = try stand(idle: 10_000_000)
    let write = stand.submit(.write, 0..<8)
    stand.finishAll()
    #expect(stand.status(write) == .success && stand.members[0].replica.hot == [0])
    stand.await { stand.members.allSatisfy { !$0.pending.isEmpty } }
    #expect(stand.members.map { $0.pending.map(\.request.operation) } == [[.flush], [.flush]])
    stand.members[0].deliverAll()
    stand.pump()
    #expect(stand.members[0].replica.hot == [0])
    stand.members[1].deliverAll()
    stand.work { stand.members.allSatisfy { $0.replica.hot.isEmpty } }
    #expect(stand.members.allSatisfy { $0.replica.hot.isEmpty } && stand.nexus.log.count == 0)
  }

  @Test func `late-write-vs-drop: a change after the flush began keeps its region in the logs`() throws {
    let stand = try stand(idle: 10_000_000)
    let write = stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.await { stand.members.allSatisfy { !$0.pending.isEmpty } }
    let late = stand.submit(.write, 8..<16)
    // Done and acknowledged before the flushes are.
    for member in stand.members { member.deliver(1) }
    #expect(stand.status(write) == .success && stand.status(late) == .success)
    for member in stand.members { member.deliver(0) }
    stand.pump()
    #expect(stand.members.allSatisfy { $0.replica.hot == [0] })
    let isHot = stand.nexus.log.areHot(0, 0)
    #expect(isHot)
  }

  @Test func `a change waits while its region leaves the logs, and is logged anew`() throws {
    let stand = try stand(idle: 10_000_000)
    stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.await { stand.members.allSatisfy { !$0.pending.isEmpty } }
    for member in stand.members { member.answersByItself = false }
    for member in stand.members { member.deliverAll() }
    stand.pump()
    let late = stand.submit(.write, 8..<16)
    stand.pump()
    #expect(stand.members.allSatisfy { $0.pending.isEmpty })
    for member in stand.members { member.answersByItself = true }
    for member in stand.members { while !member.asked.isEmpty { member.answerNext() } }
    stand.work { stand.status(late) != nil }
    #expect(stand.status(late) == .success)
    #expect(stand.members.allSatisfy { $0.replica.hot == [0] })
  }

  @Test func `write-through replicas are not flushed`() throws {
    let stand = try NexusStand(
      isHot: false, prepare: { for replica in $0 { replica.isWriteThrough = true } }, configure: { $0.idleNanoseconds = 10_000_000 })
    stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.work { stand.nexus.log.count == 0 }
    #expect(stand.members.allSatisfy { $0.replica.hot.isEmpty && $0.submitted.allSatisfy { $0.operation != .flush } })
  }

  @Test func `flush-fails-on-one: it leaves, and nothing leaves the log on its account before its record is durable`() throws {
    let stand = try stand(idle: 10_000_000)
    stand.submit(.write, 0..<8)
    stand.finishAll()
    stand.await { stand.members.allSatisfy { !$0.pending.isEmpty } }
    stand.members[0].deliverAll()
    stand.members[1].deliver(0, .writeFault)
    stand.pump()
    #expect(stand.surroundings.commits.map(\.members) == [[.a]])
    #expect(stand.members[0].replica.hot == [0])
    stand.settleCommit()
    #expect(stand.members[0].replica.missed[.b] == [0])
  }

  @Test func `R6: what an absent replica misses is recorded on every member before it happens`() throws {
    let stand = try NexusStand(
      memberCount: 3, outside: [2], units: 1024, isHot: false,
      prepare: { replicas in for replica in replicas { replica.missed[.c] = [9] } })
    let write = stand.submit(.write, 256..<264)
    stand.pump()
    for index in [0, 1] {
      #expect(stand.members[index].pending.count == 1)
      #expect(stand.members[index].replica.missed[.c] == [2, 9])
    }
    stand.finishAll()
    #expect(stand.status(write) == .success)
  }

  @Test func `R6: when a replica leaves, all that is in the log is recorded, and then the set, before an acknowledgement`() throws {
    let stand = try stand()
    stand.submit(.write, 0..<8)
    stand.submit(.write, 640..<648)
    stand.finishAll()
    let write = stand.submit(.write, 0..<8)
    stand.members[1].deliver(0, .connectionLost)
    stand.members[0].deliverAll()
    stand.pump()
    stand.members[0].answersByItself = false
    stand.commit()
    stand.pump()
    #expect(stand.status(write) == nil)
    #expect(stand.members[0].asked.map(\.question).first == .setRegions(.missed(peer: .b), [0..<1, 5..<6], isMember: true))
    stand.members[0].answerNext()
    stand.pump()
    #expect(stand.status(write) == nil)
    guard case .storeSet(let claim) = stand.members[0].asked.first?.question else {
      Issue.record("the set is not stored")
      return
    }
    #expect(claim.inSync == [.a] && claim.setVersion == 2 && claim.generation == 2)
    stand.members[0].answerNext()
    stand.pump()
    #expect(stand.status(write) == .success)
    #expect(stand.isAtRest)
  }
}
