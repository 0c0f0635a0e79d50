import Nexus
import Pool
import Reactor

/// A replica's disk as a process has it open: what is under way takes time, may fail, and ends with the process one way or another.
///
/// A request reads or writes the buffer it was given when it takes effect, not before: a buffer used again too early (R11) shows.
@safe final class SimulatedStorage: ReplicaStorage {
  let disk: ReplicaDisk
  private let world: World
  private let process: NodeProcess
  private var running: [Running] = []
  private var questions: [Question] = []
  private var nextNumber = 0
  /// Told when a snapshot has been taken.
  var snapshotTaken: (Identifier) -> Void = { _ in }
  /// When the latest question takes effect: they keep their order.
  private var lastQuestion: UInt64 = 0

  @safe private struct Running {
    let number: Int
    let request: BlockRequest
    let client: BlockClient
    let flushSequence: Int
    let fault: BlockStatus?
    var isStuck: Bool
  }

  private struct Question {
    let number: Int
    /// One after the other: a death may come in between.
    let effects: [() -> Void]
  }

  init(disk: ReplicaDisk, world: World, process: NodeProcess, bootID: Identifier) {
    self.disk = disk
    self.world = world
    self.process = process
    super.init(sizeBytes: disk.sizeBytes, blockSizeBytes: 512)
    disk.open(bootID: bootID)
    process.reactor.register(self)
  }

  override var id: Identifier { disk.id }
  override var metadata: ReplicaMetadata { disk.metadata }
  override var options: PoolOptions {
    PoolOptions(overcommitPercent: 0, regionBytes: disk.regionBytes, maximumHotRegions: UInt32(disk.maximumHotRegions))
  }
  override var isWriteThrough: Bool { disk.isWriteThrough }
  override var snapshots: [Identifier] { disk.snapshots.map(\.id) }

  /// Requests that have not taken effect.
  var runningCount: Int { running.count }

  /// Lets go of everything; nothing happens any more.
  func dispose() {
    running = []
    questions = []
    snapshotTaken = { _ in }
  }

  /// Reads a snapshot.
  private final class OpenSnapshot: BlockDevice {
    private let snapshot: ReplicaDisk.Snapshot
    private let world: World
    private let process: NodeProcess
    private let disk: ReplicaDisk

    init(_ snapshot: ReplicaDisk.Snapshot, world: World, process: NodeProcess, disk: ReplicaDisk) {
      self.snapshot = snapshot
      self.world = world
      self.process = process
      self.disk = disk
      super.init(sizeBytes: UInt64(snapshot.content.count * Stamp.sectorBytes), blockSizeBytes: 512)
    }

    override func submit(_ request: BlockRequest, for client: BlockClient) {
      let isFailing = world.generator.chance(disk.faults.readErrorPercent)
      world.after(world.generator.within(disk.faults.latencyNanoseconds), in: process) { [self] in
        guard request.operation == .read, accepts(request), let buffer = unsafe request.buffer else {
          return client.blockRequestCompleted(token: request.token, status: .outOfRange)
        }
        let first = Int(request.offsetBytes) / Stamp.sectorBytes
        for index in 0..<Int(request.byteCount) / Stamp.sectorBytes {
          unsafe Stamp.fill(buffer + index * Stamp.sectorBytes, snapshot.content[first + index])
        }
        client.blockRequestCompleted(token: request.token, status: isFailing ? .readFault : .success)
      }
    }
  }

  // MARK: Data

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    guard process.isAlive else { return }
    world.note(.disk, disk.node, Int(request.offsetBytes / 512)) {
      "node \(disk.node) \(request.operation) \(request.offsetBytes / 512)+\(request.byteCount / 512)"
    }
    guard accepts(request) else { return complete(request, client, .outOfRange, afterNanoseconds: 0) }
    if world.generator.chance(disk.faults.busyPercent) { return complete(request, client, .busy, afterNanoseconds: 10_000) }
    let number = nextNumber
    nextNumber += 1
    var delay = world.generator.within(disk.faults.latencyNanoseconds)
    delay += delay * UInt64(disk.faults.loadPercent * running.count) / 100
    if disk.faults.stallPercent > 0, world.generator.chance(disk.faults.stallPercent) { delay += disk.faults.stallNanoseconds }
    var isStuck = disk.faults.isStuck
    if disk.faults.sticksNextWrite, request.operation == .write {
      disk.faults.sticksNextWrite = false
      isStuck = true
    }
    running.append(
      Running(
        number: number, request: request, client: client, flushSequence: disk.sequence, fault: drawFault(request), isStuck: isStuck))
    if !isStuck { world.after(delay) { [self] in finish(number) } }
  }

  private func drawFault(_ request: BlockRequest) -> BlockStatus? {
    switch request.operation {
    case .read: world.generator.chance(disk.faults.readErrorPercent) ? .readFault : nil
    case .flush: world.generator.chance(disk.faults.flushErrorPercent) ? .writeFault : nil
    case .write, .writeZeroes, .deallocate: world.generator.chance(disk.faults.writeErrorPercent) ? .writeFault : nil
    }
  }

  /// Lets go what was stuck.
  func unstick() {
    for index in running.indices where running[index].isStuck {
      running[index].isStuck = false
      let number = running[index].number
      world.after(world.generator.within(disk.faults.latencyNanoseconds)) { [self] in finish(number) }
    }
  }

  private func finish(_ number: Int) {
    guard process.isAlive, let index = running.firstIndex(where: { $0.number == number }) else { return }
    let entry = running.remove(at: index)
    let status = takeEffect(entry)
    complete(entry.request, entry.client, status, afterNanoseconds: world.generator.chance(50) ? 0 : 20_000)
  }

  private func complete(_ request: BlockRequest, _ client: BlockClient, _ status: BlockStatus, afterNanoseconds delay: UInt64) {
    world.after(delay, in: process) { client.blockRequestCompleted(token: request.token, status: status) }
  }

  private func takeEffect(_ entry: Running) -> BlockStatus {
    let request = entry.request
    let sectors = Int(request.offsetBytes) / Stamp.sectorBytes..<Int(request.offsetBytes + request.byteCount) / Stamp.sectorBytes
    switch request.operation {
    case .read:
      guard let buffer = unsafe request.buffer else { return .readFault }
      if let fault = entry.fault { return fault }
      if !disk.rotten.isEmpty, sectors.contains(where: disk.rotten.contains) { return .readFault }
      for sector in sectors { unsafe Stamp.fill(buffer + (sector - sectors.lowerBound) * Stamp.sectorBytes, disk.current[sector]) }
    case .flush:
      if let fault = entry.fault { return fault }
      disk.flush(upTo: entry.flushSequence)
    case .write:
      if !disk.hasRoom(for: sectors) { return .capacityExceeded }
      apply(entry, sectors, isPartial: entry.fault != nil)
    case .writeZeroes, .deallocate: apply(entry, sectors, isPartial: entry.fault != nil)
    }
    return entry.fault ?? .success
  }

  /// Changes the sectors; some of them only, if the operation fails half-way.
  private func apply(_ entry: Running, _ sectors: Range<Int>, isPartial: Bool) {
    let request = entry.request
    if request.operation == .write {
      guard let buffer = unsafe request.buffer else { return }
      for sector in sectors where !isPartial || world.generator.chance(50) {
        let value = unsafe Stamp.read(buffer + (sector - sectors.lowerBound) * Stamp.sectorBytes)
        if value == Stamp.garbage { world.fail("a write to sector \(sector) of node \(disk.node) holds a mixture of commands") }
        if value != 0, value & 0xFFFF_FFFF != UInt64(sector) {
          world.fail("sector \(sector) of node \(disk.node) was given \(Stamp.describe(value))")
        }
        disk.write(sector: sector, value, durably: request.forceUnitAccess)
      }
      return
    }
    // Deallocate touches whole 4 KiB blocks only (R9).
    let isDeallocate = request.operation == .deallocate
    let first = isDeallocate ? (sectors.lowerBound + 7) / 8 * 8 : sectors.lowerBound
    let last = isDeallocate ? sectors.upperBound / 8 * 8 : sectors.upperBound
    guard first < last else { return }
    let end = isPartial ? first + (last - first) / 16 * 8 : last
    if first < end { disk.zero(first..<end, deallocating: isDeallocate, durably: request.forceUnitAccess) }
  }

  // MARK: What the pool remembers

  override func storeClaim(_ claim: ReplicaClaim, done: @escaping Done) {
    ask("claim \(claim.generation).\(claim.setVersion)", done) { [disk] in disk.claim = claim }
  }

  override func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool, done: @escaping Done) {
    if set == .activity, isMember {
      let added = regions.joined().filter { !disk.activity[$0] }
      if disk.hotRegionCount + added.count > disk.maximumHotRegions {
        return refuse(.invalid("the activity log holds at most \(disk.maximumHotRegions) regions"), done)
      }
    }
    // As a pool does, it makes only so many ranges durable at once.
    let step = disk.rangesPerRecord
    let parts =
      regions.isEmpty ? [[]] : stride(from: 0, to: regions.count, by: step).map { Array(regions[$0..<min($0 + step, regions.count)]) }
    ask(
      "\(isMember ? "add" : "drop") \(set) \(regions)", done,
      effects: parts.map { part in { [disk] in disk.setRegions(set, part, isMember: isMember) } })
  }

  override func forgetPeer(_ peer: Identifier, done: @escaping Done) {
    ask("forget peer", done) { [disk] in disk.forget(peer: peer) }
  }

  override func clearLostCache(done: @escaping Done) {
    ask("clear lost cache", done) { [disk] in disk.mayHaveLostCache = false }
  }

  override func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    disk.allocatedRanges(fromOffsetBytes: fromOffsetBytes, limit: limit)
  }

  override func changedRanges(
    of later: Identifier?, since earlier: Identifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    disk.changedRanges(of: later, since: earlier, fromOffsetBytes: fromOffsetBytes, limit: limit)
  }

  override func openSnapshot(_ id: Identifier) -> BlockDevice? {
    disk.snapshots.first { $0.id == id }.map { OpenSnapshot($0, world: world, process: process, disk: disk) }
  }

  override func closeSnapshot(_ snapshot: BlockDevice) {}

  override func createSnapshot(_ id: Identifier, sizeBytes: UInt64, done: @escaping Done) {
    ask("snapshot \(id)", done) { [self] in
      disk.createSnapshot(id, sizeBytes: sizeBytes)
      snapshotTaken(id)
    }
  }

  override func deleteSnapshot(_ id: Identifier, done: @escaping Done) {
    ask("delete snapshot \(id)", done) { [disk] in disk.deleteSnapshot(id) }
  }

  override func grow(toSizeBytes: UInt64, done: @escaping Done) {
    if toSizeBytes < disk.sizeBytes { return refuse(.invalid("a replica never shrinks"), done) }
    ask(
      "grow to \(toSizeBytes)",
      { [self] refusal in
        if refusal == nil, toSizeBytes > sizeBytes { grow(toSizeBytes: toSizeBytes) }
        done(refusal)
      }
    ) { [disk] in disk.grow(toSizeBytes: toSizeBytes) }
  }

  private func refuse(_ refusal: ReplicaRefusal, _ done: @escaping Done) { world.after(10_000, in: process) { done(refusal) } }

  /// Takes effect after those asked before, and is answered then.
  private func ask(_ text: @autoclosure () -> String, _ done: @escaping Done, effect: @escaping () -> Void) {
    ask(text(), done, effects: [effect])
  }

  private func ask(_ text: @autoclosure () -> String, _ done: @escaping Done, effects: [() -> Void]) {
    guard process.isAlive else { return }
    world.note(.disk, disk.node, nextNumber) { "node \(disk.node) \(text())" }
    let number = nextNumber
    nextNumber += 1
    questions.append(Question(number: number, effects: effects))
    lastQuestion = max(world.now + world.generator.within(disk.faults.latencyNanoseconds), lastQuestion)
    world.after(lastQuestion - world.now) { [self] in
      guard process.isAlive, let index = questions.firstIndex(where: { $0.number == number }) else { return }
      for effect in questions.remove(at: index).effects { effect() }
      world.after(0, in: process) { done(nil) }
    }
  }

  // MARK: The end of the process

  /// Settles what was under way when the process was killed: requests were done or not or in part, questions up to some point.
  func settleAfterDeath() {
    for entry in running where world.generator.chance(disk.faults.afterDeathPercent) {
      let request = entry.request
      guard request.operation != .read, request.operation != .flush else { continue }
      let sectors = Int(request.offsetBytes) / 512..<Int(request.offsetBytes + request.byteCount) / 512
      if request.operation == .write, !disk.hasRoom(for: sectors) { continue }
      apply(entry, sectors, isPartial: world.generator.chance(30))
    }
    running = []
    let effects = questions.flatMap(\.effects)
    for effect in effects.prefix(world.generator.below(effects.count + 1)) { effect() }
    questions = []
  }
}
