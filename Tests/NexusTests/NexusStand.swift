import Glibc
import Pool
import Reactor

@testable import Nexus

/// A nexus on members and a store that do only what the test says, one step at a time.
@safe final class NexusStand {
  let reactor: Reactor
  private(set) var members: [FakeMember]
  let surroundings: FakeSurroundings
  let nexus: Nexus
  let client = StandClient()
  let otherClient = StandClient()
  private(set) var complaints: [String] = []
  private var buffers: [UnsafeMutableRawPointer] = unsafe []
  private var nextToken: UInt64 = 0

  static let names: [Identifier] = [.a, .b, .c, .d]

  /// A nexus that serves, with all regions in the log already unless `isHot` is false. `isStarted` false leaves the doors shut.
  init(
    memberCount: Int = 2, outside: Set<Int> = [], units: Int = 16, blockSizeBytes: UInt32 = 512, isHot: Bool = true,
    minInSync: Int = 1, nearest: Int? = 0, isStarted: Bool = true, clock: FakeSurroundings.ClockBox? = nil,
    prepare: ([FakeReplica]) -> Void = { _ in }, configure: (inout NexusConfiguration) -> Void = { _ in }
  ) throws {
    let reactor = try Reactor(configuration: Reactor.Configuration(arenaBytes: 4 << 20, spinNanoseconds: 1_000_000_000))
    self.reactor = reactor
    let sizeBytes = UInt64(units) * 4096
    let names = Self.names.prefix(memberCount)
    let replicas = names.map { FakeReplica(id: $0, sizeBytes: sizeBytes) }
    let set = names.indices.filter { !outside.contains($0) }.map { names[$0] }
    for replica in replicas where set.contains(replica.id) {
      replica.claim = ReplicaClaim(generation: 1, setVersion: 1, nexusID: .formerNexus, inSync: set, storeRevision: 1)
    }
    prepare(replicas)
    members = replicas.enumerated().map { FakeMember(index: $0.offset, replica: $0.element, reactor: reactor) }
    surroundings = FakeSurroundings(set: set)
    surroundings.clock = clock
    var configuration = NexusConfiguration(
      sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes,
      claim: ReplicaClaim(generation: 2, setVersion: 1, nexusID: .thisNexus, inSync: set, storeRevision: 1),
      absent: outside.sorted().map { Absence(names[$0], reason: "away") }, nearest: nearest.map { names[$0] }, minInSync: minInSync)
    configuration.idleNanoseconds = 3_600_000_000_000
    configure(&configuration)
    nexus = Nexus(reactor: reactor, configuration: configuration, surroundings: surroundings)
    nexus.retryNanoseconds = 0
    surroundings.onViolation = { [unowned self] in self.complaints.append($0) }
    guard isStarted else { return }
    for member in members where !outside.contains(member.index) { open(member.index) }
    pump()
    if isHot { heat() }
  }

  /// A door to a replica opens: the first, or after one was lost, another.
  func open(_ index: Int) {
    if members[index].isOver || members[index].questions.count > 0 {
      members[index] = FakeMember(index: index, replica: members[index].replica, reactor: reactor)
    }
    nexus.replicaAppeared(members[index].replica.id, members[index])
  }

  /// Puts all regions into the logs.
  func heat() {
    for region in 0..<nexus.log.regionCount {
      _ = nexus.log.adopt(region)
      nexus.log.setHot(region, now: reactor.now)
      for member in members where nexus.setMask & Nexus.bit(member.index) != 0 { member.replica.hot.insert(region) }
    }
  }

  func state(_ index: Int) -> NexusMember.State? { nexus.members.first { $0.replica == members[index].replica.id }?.state }

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
  func pump(_ count: Int = 24) {
    var passes = 0
    reactor.run(until: {
      passes += 1
      return passes > count
    })
  }

  /// Lets time pass until something holds.
  @discardableResult
  func await(_ nanoseconds: UInt64 = 5_000_000_000, _ condition: () -> Bool) -> Bool {
    reactor.run(until: condition, timeoutNanoseconds: nanoseconds)
  }

  /// Delivers and commits everything until something holds; commits nothing while the store is away.
  @discardableResult
  func work(_ nanoseconds: UInt64 = 5_000_000_000, isStoreAway: Bool = false, until condition: () -> Bool) -> Bool {
    reactor.run(
      until: {
        for member in members { member.deliverAll() }
        if !isStoreAway { commit() }
        return condition()
      }, timeoutNanoseconds: nanoseconds)
  }

  func status(_ token: UInt64) -> BlockStatus? { client.endings[token] ?? otherClient.endings[token] }

  /// The stamp a read brought for its block number `block`, counted from its first.
  func readValue(_ token: UInt64, _ block: Int) -> UInt64? {
    unsafe client.buffers[token].flatMap { unsafe Stamp.read($0 + block * 512) }
  }

  /// Answers the commit that waits, and lets the replicas store what follows.
  func commit(isFenced: Bool = false) {
    guard surroundings.pending != nil else { return }
    surroundings.answer(isFenced: isFenced, to: nexus)
  }

  /// The same, once those that stay have said that they are there.
  func settleCommit(isFenced: Bool = false) {
    pump()
    commit(isFenced: isFenced)
    pump()
  }

  /// Answers everything with success until nothing is left.
  func finishAll() {
    for _ in 0..<200 {
      for member in members { member.deliverAll() }
      commit()
      pump()
      if nexus.inFlight == 0 { return }
    }
  }

  /// No member was ever sent anything.
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
