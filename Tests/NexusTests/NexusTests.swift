import Reactor
import Testing

@testable import Nexus

/// Acknowledgement (R1), membership (R2) and reads (R8).
struct NexusTests {
  @Test func `R1: a write is acknowledged when every member has it, not before`() throws {
    let stand = try NexusStand(memberCount: 3)
    let write = stand.submit(.write, 8..<16)
    #expect(stand.members.map(\.pending.count) == [1, 1, 1])
    stand.members[2].deliver(0)
    stand.members[0].deliver(0)
    #expect(stand.status(write) == nil)
    stand.members[1].deliver(0)
    #expect(stand.status(write) == .success)
    for member in stand.members { #expect(member.value(block: 15) == NexusStand.stamp(write, 15)) }
    #expect(stand.isAtRest)
  }

  @Test func `R1: flush, zeroes and deallocate go to every member, and force unit access is passed on`() throws {
    let stand = try NexusStand()
    for operation in [BlockOperation.flush, .writeZeroes, .deallocate, .write] {
      let token = stand.submit(operation, operation == .flush ? 0..<0 : 0..<8, forced: true)
      stand.members[0].deliver(0)
      #expect(stand.status(token) == nil)
      stand.members[1].deliver(0)
      #expect(stand.status(token) == .success)
    }
    #expect(stand.members[1].submitted.map(\.operation) == [.flush, .writeZeroes, .deallocate, .write])
    #expect(stand.members[1].submitted.last?.forceUnitAccess == true)
    #expect(stand.members[1].submitted[1].forceUnitAccess)
  }

  @Test func `R5: the logs hold a region before the first change reaches a member, and reads need not wait`() throws {
    let stand = try NexusStand(isHot: false)
    for member in stand.members { member.answersByItself = false }
    let read = stand.submit(.read, 64..<72)
    stand.members[0].deliver(0)
    #expect(stand.status(read) == .success)
    let first = stand.submit(.write, 0..<8)
    let second = stand.submit(.deallocate, 8..<16)
    #expect(stand.members.map(\.pending.count) == [0, 0])
    #expect(
      stand.members.map { $0.questions.last } == [
        .setRegions(.activity, [0..<1], isMember: true), .setRegions(.activity, [0..<1], isMember: true),
      ])
    stand.members[0].answerNext()
    stand.pump()
    #expect(stand.members.map(\.pending.count) == [0, 0])
    stand.members[1].answerNext()
    stand.pump()
    #expect(stand.members.map(\.pending.count) == [2, 2])
    stand.finishAll()
    #expect(stand.status(first) == .success && stand.status(second) == .success)
    #expect(stand.surroundings.commits.isEmpty)
    #expect(stand.members.map(\.questions.count) == [2, 2])
    #expect(stand.isAtRest)
  }

  @Test func `R2: a write a member missed is acknowledged after the member is out of the set`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    stand.members[1].deliver(0, .writeFault)
    #expect(stand.status(write) == nil)
    stand.pump()
    #expect(stand.surroundings.commits.map(\.members) == [[.a]])
    #expect(stand.surroundings.commits.first?.leaving.map(\.replica) == [.b])
    #expect(stand.nexus.members[1].state == .leaving(reason: "write failed (writeFault)"))
    stand.settleCommit()
    #expect(stand.status(write) == .success)
    #expect(stand.nexus.members[1].state == .out(reason: "write failed (writeFault)"))
    #expect(stand.isAtRest)
  }

  @Test func `R2: a write that began after a member failed is not acknowledged before that is committed`() throws {
    let stand = try NexusStand()
    stand.submit(.flush)
    stand.members[1].deliver(0, .connectionLost)
    let write = stand.submit(.write, 0..<8)
    let flush = stand.submit(.flush)
    stand.members[0].deliverAll()
    // The old set still holds the member that has not got it.
    #expect(stand.status(write) == nil)
    #expect(stand.status(flush) == nil)
    #expect(stand.members[1].submitted.count == 1)
    stand.settleCommit()
    #expect(stand.status(write) == .success)
    #expect(stand.status(flush) == .success)
    #expect(stand.isAtRest)
  }

  @Test func `R2: a member that failed later than a write it did holds up nothing`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.submit(.write, 8..<16)
    stand.members[1].deliver(1, .writeFault)
    stand.members[0].deliver(0)
    stand.members[1].deliver(0)
    // Every member of the old set and of the new one has it.
    #expect(stand.status(write) == .success)
    stand.finishAll()
    #expect(stand.isAtRest)
  }

  @Test func `R2: members that fail during a commit leave by the next one`() throws {
    let stand = try NexusStand(memberCount: 3)
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    stand.members[1].deliver(0, .writeFault)
    stand.pump()
    stand.members[2].deliver(0, .connectionLost)
    #expect(stand.surroundings.commits.map(\.members) == [[.a, .c]])
    stand.settleCommit()
    #expect(stand.status(write) == nil)
    #expect(stand.surroundings.commits.map(\.members) == [[.a, .c], [.a]])
    stand.settleCommit()
    #expect(stand.status(write) == .success)
    #expect(stand.isAtRest)
  }

  @Test func `R2: a member that left gets nothing more`() throws {
    let stand = try NexusStand(nearest: 1)
    stand.submit(.flush)
    stand.members[1].deliver(0, .writeFault)
    stand.finishAll()
    let asked = stand.members[1].submitted.count
    for operation in [BlockOperation.read, .write, .writeZeroes, .deallocate, .flush] { stand.submit(operation, 0..<8) }
    stand.finishAll()
    #expect(stand.members[1].submitted.count == asked)
    #expect(!stand.client.endings.values.contains { !($0 == .success) })
  }

  @Test func `a member outside the set is not asked from the start`() throws {
    let stand = try NexusStand(memberCount: 3, outside: [0])
    let read = stand.submit(.read, 0..<8)
    let write = stand.submit(.write, 8..<16)
    #expect(stand.members.map(\.pending.count) == [0, 2, 1])
    stand.finishAll()
    #expect(stand.status(read) == .success && stand.status(write) == .success)
  }

  @Test func `fenced: nothing is acknowledged and nothing sent any more`() throws {
    let stand = try NexusStand(memberCount: 2)
    let write = stand.submit(.write, 0..<8)
    let waiting = stand.submit(.write, 0..<8)
    let read = stand.submit(.read, 32..<40)
    stand.members[1].deliver(0, .connectionLost)
    let late = stand.submit(.write, 64..<72)
    stand.settleCommit(isFenced: true)
    #expect(stand.nexus.state == .fenced)
    let asked = stand.members[0].submitted.count
    stand.members[0].deliverAll()
    stand.pump()
    for token in [write, waiting, read, late] { #expect(stand.status(token) == .inaccessible) }
    let after = stand.submit(.read, 0..<8)
    stand.pump()
    #expect(stand.status(after) == .inaccessible)
    #expect(stand.members[0].submitted.count == asked)
    #expect(stand.isAtRest)
  }

  @Test func `fenced by a replica: those that waited are told`() throws {
    let stand = try NexusStand(isHot: false)
    let first = stand.submit(.write, 0..<8)
    let second = stand.submit(.write, 0..<8)
    stand.members[1].sessionEnded?(.claimed(generation: 3))
    stand.pump()
    #expect(stand.nexus.state == .fenced)
    #expect(stand.status(first) == .inaccessible && stand.status(second) == .inaccessible)
    #expect(stand.askedNobody)
    #expect(stand.isAtRest)
  }

  // MARK: Errors

  @Test func `the last member's error is told to the host, and it stays`() throws {
    let stand = try NexusStand(memberCount: 1)
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0, .writeFault)
    #expect(stand.status(write) == .writeFault)
    let full = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0, .capacityExceeded)
    #expect(stand.status(full) == .capacityExceeded)
    #expect(stand.nexus.members[0].state == .inSync && stand.nexus.state == .serving)
    #expect(stand.surroundings.commits.isEmpty)
    #expect(stand.isAtRest)
  }

  @Test func `an error of every member is told after all but one are out`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0, .writeFault)
    stand.members[1].deliver(0, .writeFault)
    #expect(stand.status(write) == nil)
    stand.pump()
    #expect(stand.surroundings.commits.map(\.members) == [[.b]])
    stand.settleCommit()
    #expect(stand.status(write) == .writeFault)
    #expect(stand.nexus.members[1].state == .inSync)
    #expect(stand.isAtRest)
  }

  @Test func `the last member lost: blocked, the set is not emptied, and after 20 seconds at most the hosts are told (R12)`() throws {
    let stand = try NexusStand(configure: { $0.patienceNanoseconds = 500_000_000 })
    let write = stand.submit(.write, 0..<8)
    let waiting = stand.submit(.read, 0..<8)
    for member in stand.members { member.refuse = { if case .claim = $0 { .faulted("not now") } else { nil } } }
    stand.members[1].deliver(0, .connectionLost)
    stand.members[0].deliver(0, .connectionLost)
    guard case .blocked = stand.nexus.state else {
      Issue.record("the state is \(stand.nexus.state)")
      return
    }
    stand.settleCommit()
    #expect(stand.status(write) == nil && stand.status(waiting) == nil)
    stand.await { stand.status(write) != nil && stand.status(waiting) != nil }
    #expect(stand.status(write) == .inaccessible && stand.status(waiting) == .inaccessible)
    #expect(stand.nexus.impatientCommands == 2)
    // Nobody was there to say so when the first was to leave.
    #expect(stand.surroundings.knownSet == [.a, .b])
    let later = stand.submit(.read, 0..<8)
    #expect(stand.status(later) == nil)
    stand.await { stand.status(later) != nil }
    #expect(stand.status(later) == .inaccessible)
    #expect(stand.isAtRest, "\(stand.nexus.inFlight) \(stand.nexus.locks.count) \(stand.nexus.locks.waitingCount) \(stand.complaints)")
  }

  @Test func `R7: nobody leaves on the word of members that are gone themselves`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.members[0].answersByItself = false
    stand.members[1].deliver(0, .connectionLost)
    stand.pump()
    #expect(stand.state(1) == .leaving(reason: "the connection was lost"))
    #expect(stand.surroundings.commits.isEmpty)
    stand.members[0].lose()
    stand.pump()
    #expect(stand.surroundings.commits.isEmpty && stand.nexus.state != .serving)
    // Both return, and nobody has left.
    stand.members[1].lose()
    stand.open(0)
    stand.open(1)
    stand.work { stand.status(write) != nil }
    #expect(stand.status(write) == .success)
    #expect(stand.surroundings.commits.isEmpty && stand.state(0) == .inSync && stand.state(1) == .inSync)
    stand.finishAll()
    #expect(stand.isAtRest)
  }

  @Test func `R1: below the least number of members nothing is served`() throws {
    let stand = try NexusStand(minInSync: 2, configure: { $0.patienceNanoseconds = 10_000_000 })
    let write = stand.submit(.write, 0..<8)
    stand.members[0].deliver(0)
    stand.members[1].deliver(0, .writeFault)
    #expect(stand.nexus.state != .serving)
    stand.await { stand.status(write) != nil }
    #expect(stand.status(write) == .inaccessible)
    #expect(stand.surroundings.commits.isEmpty)
    let short = try NexusStand(outside: [1], minInSync: 2, configure: { $0.patienceNanoseconds = 10_000_000 })
    let read = short.submit(.read, 0..<8)
    short.await { short.status(read) != nil }
    #expect(short.status(read) == .inaccessible)
    #expect(short.askedNobody)
  }

  @Test func `R8: a block that one member could not read is written to it anew`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<16)
    stand.finishAll()
    stand.members[0].fill(block: 9, 0xBAD)
    let read = stand.submit(.read, 8..<16)
    stand.members[0].deliver(0, .readFault)
    stand.members[1].deliver(0)
    #expect(stand.status(read) == .success)
    stand.finishAll()
    #expect(stand.nexus.repairedReads == 1)
    #expect(stand.members[0].value(block: 9) == NexusStand.stamp(write, 9))
    #expect(stand.members[0].submitted.last?.operation == .write)
    #expect(stand.isAtRest)
  }

  // MARK: Space and back-pressure

  @Test func `R16: a member without space leaves`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.members[1].deliver(0, .capacityExceeded)
    stand.members[0].deliver(0)
    stand.settleCommit()
    #expect(stand.status(write) == .success)
    #expect(stand.nexus.members[1].state == .out(reason: "no space for a write"))
  }

  @Test func `R16: without space on a member that must stay, the host is told and the members are equal`() throws {
    let stand = try NexusStand(minInSync: 2)
    let old = stand.submit(.write, 0..<16)
    stand.finishAll()
    let write = stand.submit(.write, 0..<16)
    let read = stand.submit(.read, 0..<16)
    stand.members[0].deliver(0)
    stand.members[1].deliver(0, .capacityExceeded, appliedPercent: 50)
    #expect(stand.status(write) == nil && stand.status(read) == nil)
    stand.finishAll()
    #expect(stand.status(write) == .capacityExceeded)
    #expect(stand.status(read) == .success)
    #expect(stand.nexus.state == .serving)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.readValue(read, 0) == NexusStand.stamp(write, 0))
    #expect(stand.readValue(read, 15) == NexusStand.stamp(old, 15))
    #expect(stand.isAtRest)
  }

  @Test func `R12, R16: who waits for long while members are made equal is told, and they are made equal all the same`() throws {
    let stand = try NexusStand(minInSync: 2, configure: { $0.patienceNanoseconds = 20_000_000 })
    stand.finishAll()
    let write = stand.submit(.write, 0..<16)
    stand.members[0].deliver(0)
    var hoarded: [UnsafeMutableRawPointer] = unsafe []
    for byteCount in [BufferArena.maximumBufferBytes, 4096] {
      while let buffer = unsafe stand.reactor.arena.allocate(byteCount: byteCount) { unsafe hoarded.append(buffer) }
      while let buffer = unsafe stand.reactor.reserveArena.allocate(byteCount: byteCount) { unsafe hoarded.append(buffer) }
    }
    stand.nexus.retryNanoseconds = 1_000_000
    stand.members[1].deliver(0, .capacityExceeded, appliedPercent: 50)
    stand.await { stand.status(write) != nil }
    #expect(stand.status(write) == .inaccessible)
    let read = stand.submit(.read, 0..<16)
    stand.pump()
    #expect(stand.status(read) == nil)
    while let buffer = unsafe hoarded.popLast() {
      if unsafe stand.reactor.reserveArena.contains(buffer, byteCount: 1) {
        unsafe stand.reactor.reserveArena.release(buffer)
      } else {
        unsafe stand.reactor.arena.release(buffer)
      }
    }
    stand.work { stand.members[0].hasSameBytes(as: stand.members[1]) && stand.nexus.inFlight == 0 }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.isAtRest)
  }

  @Test func `R16: a hole where space ran out stays a hole`() throws {
    let stand = try NexusStand(minInSync: 2)
    let write = stand.submit(.write, 0..<16)
    stand.members[0].deliver(0, .capacityExceeded, appliedPercent: 50)
    stand.members[1].deliver(0, .capacityExceeded)
    stand.finishAll()
    #expect(stand.status(write) == .capacityExceeded)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    let zeroes = stand.submit(.write, 32..<48)
    stand.members[0].deliver(0, .capacityExceeded)
    stand.members[1].deliver(0)
    stand.finishAll()
    #expect(stand.status(zeroes) == .capacityExceeded)
    #expect(stand.members[1].submitted.last?.operation == .deallocate)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.isAtRest)
  }

  @Test func `R16: a busy member is asked again and stays`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    let read = stand.submit(.read, 64..<72)
    stand.members[1].deliver(0)
    stand.members[0].deliver(0, .busy)
    stand.members[0].deliver(0, .busy)
    #expect(stand.status(write) == nil)
    #expect(stand.members[0].pending.isEmpty)
    stand.pump()
    #expect(stand.members[0].pending.count == 2)
    #expect(stand.members[1].submitted.count == 1)
    stand.members[0].deliverAll()
    #expect(stand.status(write) == .success && stand.status(read) == .success)
    #expect(!stand.nexus.members.contains { !($0.state == .inSync) })
    #expect(stand.nexus.readErrors == 0)
    #expect(stand.isAtRest)
  }

  @Test func `R16: a member that leaves while busy is not asked again`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    stand.submit(.flush)
    stand.members[1].deliver(0, .busy)
    stand.members[1].deliver(0, .connectionLost)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    #expect(stand.members[1].submitted.count == 2)
    #expect(stand.isAtRest)
  }

  // MARK: Reads

  @Test func `R8: reads go to the nearest, and elsewhere on an error`() throws {
    let stand = try NexusStand(memberCount: 3, nearest: 2)
    let write = stand.submit(.write, 0..<8)
    stand.finishAll()
    let read = stand.submit(.read, 2..<5)
    #expect(stand.members.map(\.pending.count) == [0, 0, 1])
    stand.members[2].deliver(0, .readFault)
    #expect(stand.members.map(\.pending.count) == [1, 0, 0])
    stand.members[0].deliver(0)
    #expect(stand.status(read) == .success)
    #expect(stand.readValue(read, 2) == NexusStand.stamp(write, 4))
    #expect(!stand.nexus.members.contains { !($0.state == .inSync) })
    #expect(stand.nexus.readErrors == 1)
  }

  @Test func `R8: a read error is told when every member returned one`() throws {
    let stand = try NexusStand()
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliver(0, .readFault)
    #expect(stand.status(read) == nil)
    stand.members[1].deliver(0, .readFault)
    stand.pump()
    #expect(stand.status(read) == .readFault)
    #expect(stand.nexus.state == .serving && stand.surroundings.commits.isEmpty)
    #expect(stand.isAtRest)
  }

  @Test func `R8: a lost path on a read makes the member leave, and the read goes on`() throws {
    let stand = try NexusStand()
    let read = stand.submit(.read, 0..<8)
    stand.members[0].deliver(0, .connectionLost)
    stand.pump()
    #expect(stand.surroundings.commits.map(\.members) == [[.b]])
    stand.members[1].deliver(0)
    #expect(stand.status(read) == .success)
    stand.finishAll()
    #expect(stand.isAtRest)
  }

  @Test func `R8: a read waits for a change under way and sees it, wherever it is read`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8)
    let read = stand.submit(.read, 4..<6)
    stand.members[0].deliver(0)
    #expect(stand.members[0].pending.isEmpty)
    #expect(stand.status(read) == nil)
    stand.members[1].deliver(0)
    #expect(stand.members[0].pending.count == 1)
    stand.members[0].deliver(0)
    #expect(stand.status(read) == .success)
    #expect(stand.readValue(read, 0) == NexusStand.stamp(write, 4))
  }

  // MARK: The door

  @Test func `what lies outside is refused later, never from inside submit`() throws {
    let stand = try NexusStand(units: 16)
    let tokens = [
      stand.submit(.read, 120..<136), stand.submit(.write, 128..<129), stand.submit(.deallocate, 0..<0),
      stand.submit(.writeZeroes, 0..<129),
    ]
    for token in tokens { #expect(stand.status(token) == nil) }
    stand.pump()
    for token in tokens { #expect(stand.status(token) == .outOfRange) }
    let large = try NexusStand(units: 1024)
    let tooLong = large.submit(.read, 0..<2049)
    large.pump()
    #expect(large.status(tooLong) == .outOfRange)
    #expect(stand.isAtRest && large.isAtRest)
  }

  @Test func `more commands than there are slots are refused as busy, and no other is harmed`() throws {
    let stand = try NexusStand(memberCount: 1)
    for _ in 0..<Nexus.maximumCommands { stand.submit(.flush) }
    let tooMany = [stand.submit(.flush), stand.submit(.flush)]
    #expect(stand.nexus.inFlight == Nexus.maximumCommands)
    #expect(stand.status(tooMany[0]) == nil)
    stand.pump()
    #expect(tooMany.map { stand.status($0) } == [.busy, .busy])
    while !stand.members[0].pending.isEmpty { stand.members[0].deliver(stand.members[0].pending.count - 1) }
    #expect(stand.client.endings.values.count { $0 == .success } == Nexus.maximumCommands)
    #expect(stand.isAtRest)
  }

  @Test func `a client may submit from inside its completion`() throws {
    let stand = try NexusStand()
    var chained = 0
    stand.client.onEnd = { [unowned stand] _, _ in
      if chained < 300 {
        chained += 1
        stand.submit(.write, 0..<8)
      }
    }
    stand.submit(.write, 0..<8)
    stand.finishAll()
    #expect(chained == 300)
    #expect(stand.client.endings.count == 301)
    #expect(stand.isAtRest)
  }
}
