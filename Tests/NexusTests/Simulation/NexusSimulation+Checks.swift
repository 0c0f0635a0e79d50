import Reactor

@testable import Nexus

/// What must hold whatever happens.
extension NexusSimulation {
  /// Where the nexus has a replica: members of the set come first there.
  private func position(_ member: FakeMember) -> Int { nexus.replicas.firstIndex { $0.id == member.replica.id }! }

  // MARK: When a member is asked

  func memberAsked(_ member: FakeMember, _ request: BlockRequest) {
    let name = "member \(member.index), \(request.operation) at \(request.offsetBytes)+\(request.byteCount)"
    let isOfCommand = member.submittingClient === nexus
    let state = nexus.memberState(position(member))
    if isOfCommand {
      if nexus.state != .serving { fail("\(name): asked by a nexus that does not serve (\(nexus.state))") }
      if state != .inSync, request.operation == .read || (state != .syncing && state != .joining) { fail("\(name): asked when \(state)") }
    }
    if nexus.isOver { fail("\(name): asked by a nexus at its end") }
    if !member.accepts(request) { fail("\(name): a request the member cannot take") }
    let isTransfer = request.operation == .read || request.operation == .write
    if isTransfer, request.byteCount > BlockDevice.maximumTransferBytes { fail("\(name): larger than a transfer may be") }
    if request.operation == .flush { return }
    let range = request.offsetBytes..<request.offsetBytes + request.byteCount
    let isRead = request.operation == .read
    for other in member.pending where other.request.operation != .flush {
      let otherRange = other.request.offsetBytes..<other.request.offsetBytes + other.request.byteCount
      if range.overlaps(otherRange), !(isRead && other.request.operation == .read) {
        fail("\(name): overlaps a \(other.request.operation) at \(otherRange) in flight on the same member (R8, R9)")
      }
    }
    if !isOfCommand { return }
    if !isRead { checkLogs(member, range, name) }
    if nexus.slots[Int(request.token >> 8)].isRepair { return }
    let command = Int(nexus.slots[Int(request.token >> 8)].request.token)
    if isRead {
      // A read that runs on after its client's end is one that had begun.
      if !commands[command].client.isAlive, !commands[command].hasBegunBeforeEnd, commands[command].changesSent.isEmpty {
        fail("\(name): for \(commands[command].description) after its client ended (R12)")
      }
      if commands[command].client.isAlive { commands[command].hasBegunBeforeEnd = true }
      return
    }
    if request.offsetBytes % 4096 != 0 || request.byteCount % 4096 != 0 { fail("\(name): parts of units (R9)") }
    if !commands[command].client.isAlive, !commands[command].changesSent.contains(where: { $0.clamped(to: range) == range }) {
      fail("\(name): a change of \(commands[command].description) after its client ended (R12)")
    }
    if commands[command].changesSent.last != range { commands[command].changesSent.append(range) }
  }

  /// The logs hold what is changed, and the records what is missed (R5, R6).
  private func checkLogs(_ member: FakeMember, _ range: Range<UInt64>, _ name: String) {
    let regions = Set(Int(range.lowerBound / 8192)...Int((range.upperBound - 1) / 8192))
    if !member.replica.hot.isSuperset(of: regions) { fail("\(name): not in its activity log (R5)") }
    // One on its way in takes over the records of others before it is made equal (R4).
    if nexus.resyncs[position(member)]?.stage == .preparing { return }
    for other in members {
      switch nexus.memberState(position(other)) {
      case .inSync, .syncing, .joining, .unreached, .leaving: continue
      case .out:
        if nexus.recordedMask & Nexus.bit(position(other)) == 0 { continue }
        let record = member.replica.missed[other.replica.id] ?? []
        // While it is being recorded, the region is in the log.
        if nexus.unrecordedMask & Nexus.bit(position(other)) == 0, !record.isSuperset(of: regions) {
          fail("\(name): what member \(other.index) misses is not recorded (R6)")
        }
      }
    }
  }

  // MARK: When a command ends

  func checkEnd(_ command: SimulatedCommand, _ status: BlockStatus) {
    if !nexus.accepts(command.request) {
      if status != .outOfRange { fail("\(command.description) lies outside and ended with \(status)") }
      return
    }
    if status == .aborted, command.client.isAlive { fail("\(command.description) was aborted for nothing") }
    if status != .success, status != .aborted, plan.isAlwaysServed {
      fail("\(command.description) ended with \(status) although a member is well")
    }
    if status == .busy { fail("\(command.description): a member's back-pressure reached the client") }
    if status == .success, nexus.isOver || !command.wasServing {
      fail("\(command.description) succeeded though the nexus does not serve")
    }
    if command.wasServing, status != .aborted { checkOrder(command) }
    switch command.request.operation {
    case .read: if status == .success { checkRead(command) }
    case .flush: if status == .success { checkFlush(command) }
    case .write, .writeZeroes, .deallocate: checkChange(command, status)
    }
  }

  /// Overlapping commands end in the order they came, reads among each other in any.
  private func checkOrder(_ command: SimulatedCommand) {
    guard command.isOrdered, command.request.operation != .flush else { return }
    for number in outstanding where number < command.number {
      let earlier = commands[number]
      if earlier.isOrdered, earlier.wasServing, earlier.isChange || command.isChange, earlier.request.operation != .flush,
        earlier.blocks.overlaps(command.blocks), nexus.accepts(earlier.request), !isEnding(earlier)
      {
        fail("\(command.description) overtook \(earlier.description) (R9)")
      }
    }
  }

  /// Its end is decided and under way: it stands in nobody's way.
  private func isEnding(_ command: SimulatedCommand) -> Bool {
    for slot in 0..<nexus.slots.capacity where nexus.slots.isInUse(slot) {
      if nexus.slots[slot].request.token == UInt64(command.number) { return nexus.slots[slot].isEnding }
    }
    return false
  }

  private func checkRead(_ command: SimulatedCommand) {
    for block in command.blocks {
      let value = unsafe Stamp.read(command.request.buffer! + (block - command.blocks.lowerBound) * Stamp.blockBytes)
      if !model.observe(value, block: block) {
        let seen = value.map(Stamp.describe) ?? "a mixture"
        fail("\(command.description) returned \(seen) for block \(block), which holds \(model.describe(block: block))")
        return
      }
    }
  }

  private func checkFlush(_ command: SimulatedCommand) {
    for member in members where surroundings.knownSet.contains(member.replica.id) {
      if member.replica.flushedOrder < command.memberOrders[member.index] {
        fail("\(command.description) succeeded, but member \(member.index) of the set did not flush (R1)")
      }
    }
  }

  private func checkChange(_ command: SimulatedCommand, _ status: BlockStatus) {
    // What a command did that was given up is done in whole steps; one step is all or nothing.
    let mayHaveHappened = status != .outOfRange && command.wasServing && (status != .aborted || !command.isOrdered || isInSteps(command))
    for number in outstanding where number < command.number && !commands[number].isOrdered {
      let overlap = commands[number].blocks.clamped(to: command.blocks)
      if !overlap.isEmpty, status == .success || mayHaveHappened { commands[number].overtaken.formUnion(overlap) }
    }
    model.end(command, isSuccess: status == .success, mayHaveHappened: mayHaveHappened)
    guard status == .success, command.isOrdered else { return }
    for member in members where surroundings.knownSet.contains(member.replica.id) {
      for block in command.blocks where member.value(block: block) != command.value(block: block) {
        // A longer command may take its turn in between.
        if member.value(block: block) == 0, model.mayBecomeZero(block: block) { continue }
        fail("\(command.description) was acknowledged, but member \(member.index) of the set lacks block \(block) (R1, R2)")
        return
      }
    }
  }

  /// Zeroes with partial units at their ends are done piece by piece under one lock.
  private func isInSteps(_ command: SimulatedCommand) -> Bool {
    command.request.operation == .writeZeroes && (command.blocks.lowerBound % 8 != 0 || command.blocks.upperBound % 8 != 0)
  }

  // MARK: At the end

  func checkAtRest() {
    if nexus.inFlight != 0 { fail("\(nexus.inFlight) slots are in use at the end") }
    if nexus.state != .fenced, nexus.locks.count != 0 || nexus.locks.waitingCount != 0 { fail("ranges are locked at the end") }
    if commands.contains(where: { !$0.isDone }) { fail("a command never ended") }
    let set = members.filter { surroundings.knownSet.contains($0.replica.id) }
    if set.count < plan.minInSync { fail("the set has \(set.count) members, fewer than \(plan.minInSync)") }
    for member in members {
      let isMember = surroundings.knownSet.contains(member.replica.id)
      let state = nexus.memberState(position(member))
      let isSaid: Bool
      switch state {
      case .inSync, .unreached, .joining, .leaving: isSaid = true
      case .out, .syncing: isSaid = false
      }
      if nexus.state != .fenced, isMember != isSaid {
        fail("member \(member.index) is \(nexus.memberState(position(member))), but the store's set is \(surroundings.knownSet)")
      }
      if !plan.isFaulty[member.index], !plan.isOut[member.index], !isMember { fail("member \(member.index) is well, but left") }
    }
    // One that stopped serving cannot make its members equal; its successor does.
    if nexus.state != .serving || nexus.log.awaitingCount > 0 { return }
    for member in set where !member.hasSameBytes(as: set[0]) { fail("members \(set[0].index) and \(member.index) differ at rest") }
    for block in 0..<plan.blockCount where !model.observe(set[0].value(block: block), block: block) {
      let found = set[0].value(block: block).map(Stamp.describe) ?? "a mixture"
      fail("block \(block) holds \(found) at rest, where \(model.describe(block: block)) is expected")
      return
    }
  }
}
