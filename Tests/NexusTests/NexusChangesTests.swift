import Reactor
import Testing

@testable import Nexus

/// Order and partial units (R9), steps, and clients that end (R12).
struct NexusChangesTests {
  @Test func `R9: overlapping commands take effect in the order they came`() throws {
    let stand = try NexusStand()
    let first = stand.submit(.write, 0..<16)
    let second = stand.submit(.write, 8..<24)
    let third = stand.submit(.write, 16..<32)
    let apart = stand.submit(.write, 64..<72)
    #expect(stand.members[0].pending.count == 2)
    stand.finishAll()
    #expect(stand.client.order == [first, apart, second, third] || stand.client.order == [first, second, third, apart])
    for member in stand.members {
      #expect(member.value(block: 7) == NexusStand.stamp(first, 7))
      #expect(member.value(block: 15) == NexusStand.stamp(second, 15))
      #expect(member.value(block: 16) == NexusStand.stamp(third, 16))
    }
    #expect(stand.isAtRest)
  }

  @Test func `R9: writes of parts of one unit do not lose each other`() throws {
    let stand = try NexusStand()
    let tokens = (0..<8).map { stand.submit(.write, $0..<$0 + 1) }
    stand.finishAll()
    for block in 0..<8 { #expect(stand.members[1].value(block: block) == NexusStand.stamp(tokens[block], block)) }
    #expect(stand.members[1].submitted.allSatisfy { $0.offsetBytes % 4096 == 0 && $0.byteCount % 4096 == 0 })
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.isAtRest)
  }

  @Test func `R9: a write across units keeps what is around it`() throws {
    let stand = try NexusStand()
    let old = stand.submit(.write, 0..<32)
    stand.finishAll()
    let write = stand.submit(.write, 3..<29)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    for block in 0..<32 {
      let expected = NexusStand.stamp((3..<29).contains(block) ? write : old, block)
      #expect(stand.members[0].value(block: block) == expected)
      #expect(stand.members[1].value(block: block) == expected)
    }
    // One write of whole units for each member, and the units at the ends read once.
    #expect(stand.members[0].submitted.dropFirst().map(\.operation) == [.read, .read, .write])
    #expect(stand.members[0].submitted.dropFirst().map(\.byteCount) == [4096, 4096, 16384])
    #expect(stand.isAtRest)
  }

  @Test func `R9: a partial write reads from another member on an error, and fails if none can`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 1..<2)
    stand.members[0].deliver(0, .readFault)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    let hopeless = stand.submit(.write, 1..<2)
    stand.members[0].deliver(0, .readFault)
    stand.members[1].deliver(0, .readFault)
    stand.pump()
    #expect(stand.status(hopeless) == .readFault)
    #expect(!stand.nexus.members.contains { !($0.state == .inSync) })
    #expect(stand.members[1].value(block: 1) == NexusStand.stamp(write, 1))
    #expect(stand.isAtRest)
  }

  @Test func `the largest write with partial ends goes in pieces a member takes`() throws {
    let stand = try NexusStand(units: 512)
    let write = stand.submit(.write, 3..<2051)
    #expect(stand.nexus.inFlight == 1)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    for member in stand.members {
      #expect(!member.submitted.contains { !($0.byteCount <= BlockDevice.maximumTransferBytes) })
      #expect(member.value(block: 2) == 0 && member.value(block: 2051) == 0)
      #expect(member.value(block: 3) == NexusStand.stamp(write, 3))
      #expect(member.value(block: 2048) == NexusStand.stamp(write, 2048))
      #expect(member.value(block: 2050) == NexusStand.stamp(write, 2050))
    }
    #expect(stand.isAtRest)
  }

  @Test(arguments: [0, 1]) func `a member that does one of two pieces has not done the write`(piece: Int) throws {
    let stand = try NexusStand(units: 512)
    let write = stand.submit(.write, 3..<2051)
    stand.members[0].deliverAll()
    #expect(stand.members[1].pending.count == 2)
    stand.members[1].deliver(piece, .writeFault)
    stand.members[1].deliverAll()
    #expect(stand.status(write) == nil)
    stand.pump()
    #expect(stand.surroundings.commits.map(\.members) == [[.a]])
    stand.finishAll()
    #expect(stand.status(write) == .success)
    #expect(stand.isAtRest)
  }

  @Test func `partial writes wait for a buffer in their order`() throws {
    let stand = try NexusStand()
    var hoarded: [UnsafeMutableRawPointer] = unsafe []
    while let buffer = unsafe stand.reactor.arena.allocate(byteCount: 4096) { unsafe hoarded.append(buffer) }
    let reserve = unsafe try #require(unsafe stand.reactor.reserveArena.allocate(byteCount: BufferArena.maximumBufferBytes))
    let first = stand.submit(.write, 1..<2)
    let second = stand.submit(.write, 9..<10)
    stand.pump()
    #expect(stand.askedNobody)
    unsafe stand.reactor.arena.release(hoarded.removeLast())
    stand.pump()
    #expect(stand.members[0].submitted.map(\.offsetBytes) == [0])
    stand.finishAll()
    #expect(stand.client.order == [first, second])
    while let buffer = unsafe hoarded.popLast() { unsafe stand.reactor.arena.release(buffer) }
    unsafe stand.reactor.reserveArena.release(reserve)
    #expect(stand.isAtRest)
  }

  @Test func `partial writes go on although the arena is full`() throws {
    let stand = try NexusStand()
    var hoarded: [UnsafeMutableRawPointer] = unsafe []
    while let buffer = unsafe stand.reactor.arena.allocate(byteCount: 4096) { unsafe hoarded.append(buffer) }
    let writes = (0..<8).map { stand.submit(.write, ($0 * 8 + 1)..<($0 * 8 + 2)) }
    stand.finishAll()
    for write in writes { #expect(stand.status(write) == .success) }
    #expect(stand.reactor.reserveArena.usedBytes == 0)
    while let buffer = unsafe hoarded.popLast() { unsafe stand.reactor.arena.release(buffer) }
    #expect(stand.isAtRest)
  }

  // MARK: Steps

  @Test func `zeroes cover exactly their range`() throws {
    let stand = try NexusStand()
    stand.nexus.stepBytes = 8192
    let old = stand.submit(.write, 0..<128)
    stand.finishAll()
    let zeroes = stand.submit(.writeZeroes, 5..<99)
    stand.finishAll()
    #expect(stand.status(zeroes) == .success)
    for block in 0..<128 {
      let expected = (5..<99).contains(block) ? 0 : NexusStand.stamp(old, block)
      #expect(stand.members[0].value(block: block) == expected, "\(block)")
      #expect(stand.members[1].value(block: block) == expected, "\(block)")
    }
    #expect(stand.members[0].submitted.filter { $0.operation == .writeZeroes }.allSatisfy { $0.byteCount <= 8192 })
    #expect(stand.isAtRest)
  }

  @Test(arguments: [1..<2, 0..<1, 7..<9, 3..<16, 8..<24, 8..<25]) func `zeroes of few blocks`(blocks: Range<Int>) throws {
    let stand = try NexusStand()
    let old = stand.submit(.write, 0..<32)
    stand.finishAll()
    let zeroes = stand.submit(.writeZeroes, blocks)
    stand.finishAll()
    #expect(stand.status(zeroes) == .success)
    for block in 0..<32 {
      #expect(stand.members[1].value(block: block) == (blocks.contains(block) ? 0 : NexusStand.stamp(old, block)))
    }
    #expect(stand.isAtRest)
  }

  @Test func `R9: deallocate zeroes whole units and leaves partial ones as they are`() throws {
    let stand = try NexusStand()
    stand.nexus.stepBytes = 8192
    let old = stand.submit(.write, 0..<128)
    stand.finishAll()
    let some = stand.submit(.deallocate, 5..<99)
    let nothing = stand.submit(.deallocate, 105..<111)
    stand.finishAll()
    #expect(stand.status(some) == .success && stand.status(nothing) == .success)
    for block in 0..<128 {
      #expect(stand.members[0].value(block: block) == ((8..<96).contains(block) ? 0 : NexusStand.stamp(old, block)))
    }
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.isAtRest)
  }

  @Test func `a long deallocate lets others in between its steps`() throws {
    let stand = try NexusStand()
    stand.nexus.stepBytes = 8192
    let long = stand.submit(.deallocate, 0..<128)
    let write = stand.submit(.write, 0..<8)
    #expect(stand.members[0].pending.count == 1)
    for member in stand.members { member.deliver(0) }
    // The first step is done: its range is free.
    #expect(stand.members[0].pending.contains { $0.request.operation == .write })
    let position = try #require(stand.members[0].pending.firstIndex { $0.request.operation == .write })
    for member in stand.members { member.deliver(position) }
    #expect(stand.status(write) == .success && stand.status(long) == nil)
    stand.finishAll()
    #expect(stand.status(long) == .success)
    #expect(stand.members[1].value(block: 0) == NexusStand.stamp(write, 0))
    #expect(stand.isAtRest)
  }

  @Test func `R9: zeroes within a step keep their place before a later write, partial units included`() throws {
    let stand = try NexusStand()
    let zeroes = stand.submit(.writeZeroes, 5..<99)
    let write = stand.submit(.write, 97..<98)
    stand.finishAll()
    #expect(stand.client.order == [zeroes, write])
    #expect(stand.members[0].value(block: 97) == NexusStand.stamp(write, 97))
  }

  // MARK: Clients that end

  @Test func `R12: what waits for its range never executes`() throws {
    let stand = try NexusStand()
    let running = stand.submit(.write, 0..<8)
    let parked = stand.submit(.write, 0..<16, by: stand.otherClient)
    let parkedRead = stand.submit(.read, 0..<8, by: stand.otherClient)
    let behind = stand.submit(.write, 8..<16)
    stand.nexus.discardUnstarted(of: stand.otherClient)
    // The one behind it need not wait any more.
    #expect(stand.members[0].pending.count == 2)
    stand.pump()
    #expect(stand.status(parked) == .aborted && stand.status(parkedRead) == .aborted)
    stand.finishAll()
    #expect(stand.status(running) == .success && stand.status(behind) == .success)
    #expect(stand.members[0].submitted.count == 2)
    #expect(stand.members[0].value(block: 0) == NexusStand.stamp(running, 0))
    #expect(stand.isAtRest)
  }

  @Test func `R12: what is given up just as its turn comes never executes`() throws {
    let stand = try NexusStand()
    stand.submit(.write, 0..<8)
    let parked = stand.submit(.write, 0..<8, by: stand.otherClient)
    stand.client.onEnd = { [unowned stand] _, _ in stand.nexus.discardUnstarted(of: stand.otherClient) }
    stand.finishAll()
    #expect(stand.status(parked) == .aborted)
    #expect(stand.members[0].submitted.count == 1)
    #expect(stand.isAtRest)
  }

  @Test func `R12: what waits for the store or for a buffer never executes`() throws {
    let stand = try NexusStand(isHot: false)
    let parked = stand.submit(.write, 0..<8, by: stand.otherClient)
    stand.nexus.discardUnstarted(of: stand.otherClient)
    stand.settleCommit()
    stand.pump()
    #expect(stand.status(parked) == .aborted)
    var hoarded: [UnsafeMutableRawPointer] = unsafe []
    while let buffer = unsafe stand.reactor.arena.allocate(byteCount: 4096) { unsafe hoarded.append(buffer) }
    let reserve = unsafe try #require(unsafe stand.reactor.reserveArena.allocate(byteCount: BufferArena.maximumBufferBytes))
    let starved = stand.submit(.write, 1..<2, by: stand.otherClient)
    stand.nexus.discardUnstarted(of: stand.otherClient)
    while let buffer = unsafe hoarded.popLast() { unsafe stand.reactor.arena.release(buffer) }
    unsafe stand.reactor.reserveArena.release(reserve)
    stand.pump()
    #expect(stand.status(starved) == .aborted)
    #expect(stand.askedNobody)
    #expect(stand.isAtRest)
  }

  @Test func `R12: a partial write that is still reading changes nothing, and long zeroes end after their step`() throws {
    let stand = try NexusStand()
    stand.nexus.stepBytes = 8192
    let partial = stand.submit(.write, 1..<2, by: stand.otherClient)
    let long = stand.submit(.writeZeroes, 32..<128, by: stand.otherClient)
    stand.nexus.discardUnstarted(of: stand.otherClient)
    stand.finishAll()
    #expect(stand.status(partial) == .aborted && stand.status(long) == .aborted)
    #expect(stand.members[1].submitted.map(\.operation) == [.writeZeroes])
    #expect(stand.members[1].submitted.map(\.byteCount) == [8192])
    #expect(stand.isAtRest)
  }

  @Test func `R12: what runs goes on to its end`() throws {
    let stand = try NexusStand()
    let write = stand.submit(.write, 0..<8, by: stand.otherClient)
    stand.nexus.discardUnstarted(of: stand.otherClient)
    stand.finishAll()
    #expect(stand.status(write) == .success)
    #expect(stand.members[0].hasSameBytes(as: stand.members[1]))
    #expect(stand.isAtRest)
  }
}
