import Glibc
import Reactor

@testable import Nexus

/// A nexus on members and a store that do only what the test says, one step at a time.
@safe final class NexusStand {
  let reactor: Reactor
  let members: [FakeMember]
  let surroundings: FakeSurroundings
  let nexus: Nexus
  let client = StandClient()
  let otherClient = StandClient()
  private(set) var complaints: [String] = []
  private var buffers: [UnsafeMutableRawPointer] = unsafe []
  private var nextToken: UInt64 = 0

  init(
    memberCount: Int = 2, outside: Set<Int> = [], units: Int = 16, blockSizeBytes: UInt32 = 512, isDirty: Bool = true,
    minInSync: Int = 1, nearest: Int? = 0
  ) throws {
    reactor = try Reactor(configuration: Reactor.Configuration(arenaBytes: 4 << 20, spinNanoseconds: 1_000_000_000))
    let sizeBytes = UInt64(units) * 4096
    members = (0..<memberCount).map { FakeMember(index: $0, sizeBytes: sizeBytes) }
    let names = ["a", "b", "c", "d"].prefix(memberCount)
    surroundings = FakeSurroundings(set: names.indices.filter { !outside.contains($0) }.map { names[$0] }, isDirty: isDirty)
    nexus = Nexus(
      reactor: reactor, sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes,
      members: names.indices.map { FormerMember(replica: names[$0], state: outside.contains($0) ? .out(reason: "away") : .inSync) },
      devices: members, nearest: nearest, isDirty: isDirty, minInSync: minInSync, surroundings: surroundings)
    nexus.retryNanoseconds = 0
    surroundings.onViolation = { [unowned self] in self.complaints.append($0) }
  }

  deinit {
    while let buffer = unsafe buffers.popLast() { unsafe buffer.deallocate() }
  }

  /// Submits for 512-byte blocks; a write's blocks are stamped with the token, which is returned.
  @discardableResult
  func submit(_ operation: BlockOperation, _ blocks: Range<Int> = 0..<0, forced: Bool = false, by other: StandClient? = nil) -> UInt64 {
    let token = nextToken
    nextToken += 1
    var request = unsafe BlockRequest(
      operation, offsetBytes: UInt64(blocks.lowerBound) * 512, byteCount: UInt64(blocks.count) * 512, forceUnitAccess: forced,
      token: token)
    if operation == .read || operation == .write {
      let buffer = UnsafeMutableRawPointer.allocate(byteCount: max(blocks.count, 1) * 512, alignment: 4096)
      unsafe buffers.append(buffer)
      unsafe request.buffer = unsafe buffer
      for block in blocks {
        unsafe Stamp.fill(
          buffer + (block - blocks.lowerBound) * 512, operation == .write ? Self.stamp(token, block) : 0xDEAD)
      }
      unsafe (other ?? client).buffers[token] = unsafe buffer
    }
    nexus.submit(request, for: other ?? client)
    return token
  }

  static func stamp(_ token: UInt64, _ block: Int) -> UInt64 { Stamp.value(command: Int(token), block: block) }

  /// Lets the events of the nexus happen.
  func pump() {
    var passes = 0
    reactor.run(until: {
      passes += 1
      return passes > 8
    })
  }

  func status(_ token: UInt64) -> BlockStatus? { client.endings[token] ?? otherClient.endings[token] }

  /// The stamp a read brought for its block number `block`, counted from its first.
  func readValue(_ token: UInt64, _ block: Int) -> UInt64? {
    unsafe client.buffers[token].flatMap { unsafe Stamp.read($0 + block * 512) }
  }

  func commit(_ outcome: FormerOutcome = .committed) { surroundings.answer(outcome, to: nexus) }

  /// Answers everything with success until nothing is left.
  func finishAll() {
    for _ in 0..<200 {
      for member in members { member.deliverAll() }
      commit()
      pump()
      if nexus.inFlight == 0 { return }
    }
  }

  /// No member was ever asked for anything.
  var askedNobody: Bool { members.allSatisfy { $0.submitted.isEmpty } }

  /// Nothing is left behind.
  var isAtRest: Bool {
    nexus.inFlight == 0 && nexus.locks.count == 0 && nexus.locks.waitingCount == 0 && reactor.arena.usedBytes == 0
      && reactor.reserveArena.usedBytes == 0
      && complaints.isEmpty && client.doubleEndings == 0 && otherClient.doubleEndings == 0
  }
}

/// Remembers how its requests ended.
@safe final class StandClient: BlockClient {
  var endings: [UInt64: BlockStatus] = [:]
  var order: [UInt64] = []
  var doubleEndings = 0
  var buffers: [UInt64: UnsafeMutableRawPointer] = unsafe [:]
  /// What it does when a request ends.
  var onEnd: (UInt64, BlockStatus) -> Void = { _, _ in }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    if endings[token] != nil { doubleEndings += 1 }
    endings[token] = status
    order.append(token)
    onEnd(token, status)
  }
}
