import Glibc
import Pool
import Reactor

@testable import Nexus

/// One run of a nexus on fake members and a fake store, in an order drawn from a seed, watched by checks.
///
/// Every step of it is an event of the reactor: a client submits or ends, a member answers, the store answers. Nothing waits for
/// time to pass, so the same seed gives the same run.
@safe final class NexusSimulation: EventHandler {
  let seed: UInt64
  let plan: SimulationPlan
  var generator: SeededGenerator
  let reactor: Reactor
  let nexus: Nexus
  private(set) var members: [FakeMember]
  let surroundings: FakeSurroundings
  var model: ContentModel
  var commands: [SimulatedCommand] = []
  /// Numbers of commands that have not ended, in order of submission.
  var outstanding: [Int] = []
  /// The first thing that was wrong.
  private(set) var violation: String?
  private(set) var isOver = false
  /// How many commands ended with each status, to see that a plan reaches what it is for.
  var endings: [BlockStatus: Int] = [:]

  private var clients: [SimulatedClient] = []
  private var deadClients: [SimulatedClient] = []
  private var isSubmitting = false
  private var idleSteps = 0
  /// How often a replica came back.
  private(set) var returns = 0
  private var isUnreachable: [Bool]
  private var hoarded: [UnsafeMutableRawPointer] = unsafe []
  private let arenaBytesAtStart: Int
  private var buffers: [UnsafeMutableRawPointer] = unsafe []

  init(seed: UInt64, reactor: Reactor, lie: FakeMember.Lie = .none) {
    self.seed = seed
    self.reactor = reactor
    var generator = SeededGenerator(seed: seed)
    plan = SimulationPlan(&generator)
    let plan = plan
    let names = NexusStand.names.prefix(plan.memberCount)
    let set = names.indices.filter { !plan.isOut[$0] }.map { names[$0] }
    let replicas = names.map { FakeReplica(id: $0, sizeBytes: plan.sizeBytes) }
    for replica in replicas {
      replica.claim = ReplicaClaim(generation: 1, setVersion: 1, nexusID: .formerNexus, inSync: [replica.id], storeRevision: 1)
      replica.regionBytes = 8192
    }
    members = replicas.enumerated().map {
      FakeMember(index: $0.offset, replica: $0.element, reactor: reactor, blockSizeBytes: plan.blockSizeBytes)
    }
    surroundings = FakeSurroundings(set: set)
    arenaBytesAtStart = reactor.arena.usedBytes
    var configuration = NexusConfiguration(
      sizeBytes: plan.sizeBytes, blockSizeBytes: plan.blockSizeBytes,
      claim: ReplicaClaim(generation: 2, setVersion: 1, nexusID: .thisNexus, inSync: set, storeRevision: 1),
      absent: names.indices.filter { plan.isOut[$0] }.map { Absence(names[$0], reason: "away") }, nearest: names[plan.nearest],
      minInSync: plan.minInSync)
    configuration.idleNanoseconds = plan.dropsEagerly ? 1 : 3_600_000_000_000
    // Time is no matter here: lives that are stuck are ended by another nexus.
    configuration.patienceNanoseconds = 3_600_000_000_000
    nexus = Nexus(reactor: reactor, configuration: configuration, surroundings: surroundings)
    nexus.stepBytes = plan.stepBytes
    nexus.retryNanoseconds = 0
    // Time does not pass here while nothing happens.
    nexus.budget.limits.percent = 0
    model = ContentModel(blockCount: plan.blockCount)
    isUnreachable = Array(repeating: false, count: plan.memberCount)
    self.generator = generator
    super.init()
    // Members that are away hold something else.
    for member in members where plan.isOut[member.index] {
      for block in 0..<plan.blockCount { member.fill(block: block, 0xBAD) }
    }
    if case .none = lie {} else { members[plan.nearest].lie = lie }
    for member in members { watch(member) }
    surroundings.onViolation = { [unowned self] in self.fail($0) }
    for _ in 0..<plan.clientCount { clients.append(SimulatedClient(self)) }
    if plan.isShortOfBuffers { hoardBuffers() }
  }

  deinit {
    while let buffer = unsafe buffers.popLast() { unsafe buffer.deallocate() }
  }

  private func watch(_ member: FakeMember) {
    member.onSubmit = { [unowned self] member, request in self.memberAsked(member, request) }
    member.answersByItself = false
  }

  /// A replica that could not be reached can be again.
  private func reopen(_ index: Int) {
    isUnreachable[index] = false
    let old = members[index]
    old.lose(appliedPercent: [0, 50, 100][generator.below(3)])
    reactor.unregister(old)
    members[index] = FakeMember(index: index, replica: old.replica, reactor: reactor, blockSizeBytes: plan.blockSizeBytes)
    watch(members[index])
    nexus.replicaAppeared(members[index].replica.id, members[index])
    returns += 1
  }

  /// Runs to the end and returns what was wrong, if anything.
  func run() -> String? {
    reactor.register(self)
    for member in members where !plan.isOut[member.index] || plan.hasReturns {
      nexus.replicaAppeared(member.replica.id, member)
    }
    reactor.postpone(handlerID, token: 0, result: 0)
    reactor.run(until: { isOver })
    if violation == nil { checkAtRest() }
    while let buffer = unsafe hoarded.popLast() { unsafe reactor.arena.release(buffer) }
    if violation == nil, reactor.arena.usedBytes != arenaBytesAtStart { fail("buffers were not given back") }
    if violation == nil { nexus.retire() } else { reactor.unregister(nexus) }
    for member in members { reactor.unregister(member) }
    reactor.unregister(self)
    return violation
  }

  func fail(_ message: String) {
    if violation == nil { violation = message }
    isOver = true
  }

  /// Leaves 32 KiB: the largest read-modify-write of a plan, and nothing beside it.
  private func hoardBuffers() {
    for order in stride(from: 20, through: 15, by: -1) {
      if let buffer = unsafe reactor.arena.allocate(byteCount: 1 << order) { unsafe hoarded.append(buffer) }
    }
  }

  // MARK: Steps

  override func completed(token: UInt64, result: Int32) {
    if isOver { return }
    step()
    if !isOver { reactor.postpone(handlerID, token: 0, result: 0) }
  }

  private func step() {
    let mayGo = members.contains { !$0.pending.isEmpty }
    let maySubmit = commands.count < plan.commandCount && outstanding.count < plan.queueDepth
    let mayCommit = surroundings.pending != nil
    let mayAnswer = members.contains { !$0.asked.isEmpty }
    let weights = (
      maySubmit ? plan.submitWeight : 0, mayGo ? plan.answerWeight : 0, mayCommit ? plan.commitWeight : 0,
      mayAnswer ? plan.answerWeight : 0
    )
    let sum = weights.0 + weights.1 + weights.2 + weights.3
    if sum == 0 {
      if outstanding.isEmpty && commands.count == plan.commandCount && nexus.inFlight == 0 && !isBusy {
        isOver = true
        return
      }
      // Only the nexus has something to do: events of its own.
      idleSteps += 1
      if idleSteps > 500, nexus.state != .serving, nexus.state != .fenced, outstanding.count > 0 {
        if plan.hasReturns, let index = isUnreachable.firstIndex(of: true) { reopen(index) } else { nexus.fence() }
      }
      if idleSteps > 10_000 { fail("nothing happens any more, and \(outstanding.count) commands have not ended") }
      return
    }
    idleSteps = 0
    if plan.hasReturns, generator.chance(4), let index = isUnreachable.firstIndex(of: true) { return reopen(index) }
    let drawn = generator.below(sum)
    if drawn < weights.0 {
      if generator.chance(plan.killPercent) { killClient() } else { submit() }
    } else if drawn < weights.0 + weights.1 {
      answerOne()
    } else if drawn < weights.0 + weights.1 + weights.2 {
      surroundings.answer(isFenced: generator.chance(plan.fencePercent), to: nexus)
    } else {
      let asked = members.indices.filter { !members[$0].asked.isEmpty }
      let index = asked[generator.below(asked.count)]
      members[index].answerNext(isUnreachable[index] ? .lost : nil)
    }
  }

  /// Something is copied, or on its way out of the log.
  private var isBusy: Bool { nexus.copiers.contains { $0.isBusy } || nexus.drop != nil || nexus.membershipStep != nil }

  private func answerOne() {
    let busyMembers = members.indices.filter { !members[$0].pending.isEmpty }
    let member = members[busyMembers[generator.below(busyMembers.count)]]
    let position = generator.below(member.pending.count)
    let operation = member.pending[position].request.operation
    var status = BlockStatus.success
    var applied = 0
    if isUnreachable[member.index] {
      status = .connectionLost
    } else if generator.chance(plan.busyPercent) {
      status = .busy
    } else if plan.isFaulty[member.index], generator.chance(plan.faultPercent) {
      status = plan.isSpaceShort ? .capacityExceeded : drawFault(operation)
      if status == .capacityExceeded, operation == .read || operation == .flush { status = .success }
      if status == .connectionLost, generator.chance(50) { isUnreachable[member.index] = true }
    }
    if status != .success, status != .busy, status != .refused { applied = [0, 0, 50, 100][generator.below(4)] }
    member.deliver(position, status, appliedPercent: applied)
  }

  private func drawFault(_ operation: BlockOperation) -> BlockStatus {
    switch generator.below(7) {
    case 0, 1: .connectionLost
    case 2: .refused
    case 3: .capacityExceeded
    default: operation == .read ? .readFault : .writeFault
    }
  }

  // MARK: Clients

  private func killClient() {
    let position = generator.below(clients.count)
    let client = clients[position]
    clients[position] = SimulatedClient(self)
    client.isAlive = false
    deadClients.append(client)
    nexus.discardUnstarted(of: client)
  }

  func submit() {
    let number = commands.count
    let client = clients[generator.below(clients.count)]
    let request = unsafe plan.request(number: number, &generator) { unsafe self.takeBuffer() }
    var blocks = Int(request.offsetBytes / 512)..<Int((request.offsetBytes + request.byteCount) / 512)
    if request.operation == .deallocate {
      let first = (blocks.lowerBound + 7) & ~7
      blocks = first..<max(first, blocks.upperBound & ~7)
    }
    if request.operation == .write {
      for block in blocks {
        unsafe Stamp.fill(
          request.buffer! + (block - blocks.lowerBound) * Stamp.blockBytes, Stamp.value(command: number, block: block))
      }
    }
    let lockedBytes = UInt64((blocks.upperBound + 7) & ~7 - blocks.lowerBound & ~7) * 512
    var command = SimulatedCommand(
      number: number, client: client, request: request, blocks: blocks,
      isOrdered: request.operation == .read || request.operation == .write || lockedBytes <= plan.stepBytes,
      wasServing: !nexus.isOver)
    command.memberOrders = members.map(\.replica.nextOrder)
    commands.append(command)
    outstanding.append(number)
    if nexus.accepts(request) { model.begin(command) }
    let wasSubmitting = isSubmitting
    isSubmitting = true
    nexus.submit(request, for: client)
    isSubmitting = wasSubmitting
  }

  private func takeBuffer() -> UnsafeMutableRawPointer {
    if let buffer = unsafe buffers.popLast() { return unsafe buffer }
    return .allocate(byteCount: plan.maximumTransferBytes, alignment: 4096)
  }

  func commandCompleted(_ number: Int, _ status: BlockStatus, for client: SimulatedClient) {
    if isSubmitting { fail("\(commands[number].description) ended inside submit") }
    if commands[number].isDone { fail("\(commands[number].description) ended twice") }
    if commands[number].client !== client { fail("\(commands[number].description) ended for another client") }
    if violation != nil { return }
    commands[number].isDone = true
    outstanding.remove(at: outstanding.firstIndex(of: number)!)
    endings[status, default: 0] += 1
    checkEnd(commands[number], status)
    if let buffer = unsafe commands[number].request.buffer {
      // Whoever still refers to it does so wrongly.
      unsafe memset(buffer, 0xDD, Int(commands[number].request.byteCount))
      unsafe buffers.append(buffer)
    }
    if isOver { return }
    // Clients do the next thing from inside their completion.
    if commands.count < plan.commandCount, generator.chance(25) {
      if generator.chance(plan.killPercent) { killClient() } else { submit() }
    }
  }
}
