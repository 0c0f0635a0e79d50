import CLinux
import Metrics
import Reactor

/// Keeps `depth` requests in flight on one device and measures them. Lives on the device's reactor thread.
///
/// The driver calls `start` once, then lets the reactor run; completions submit the next requests by themselves. `pump` after
/// every pass (or at least every few milliseconds) ends the run in time and submits again what a busy device did not take.
/// Slots, payloads and tables are fixed at creation: no request allocates.
///
/// In a verified run: no two writes to one block are in flight; a read is judged against the versions that the block had
/// from its submission to its completion; a block whose write failed without a known effect is left alone.
@safe public final class BenchJob: BlockClient {
  public static let maximumKeptMismatches = 16
  /// A request that the device keeps refusing as busy fails after this time.
  public static let busyTimeoutNanoseconds: UInt64 = 30_000_000_000
  /// How many blocks are tried for one that no write is in flight to.
  private static let maximumProbes = 64

  public let plan: BenchPlan
  public let number: Int
  public let meter = BenchMeter()
  let region: BenchRegion
  private let device: BlockDevice
  private let payloads: UnsafeMutableRawPointer
  private let slots: UnsafeMutablePointer<BenchSlot>
  /// A stack of the free slots' numbers.
  private let freeSlots: UnsafeMutablePointer<UInt32>
  private var freeCount: Int
  /// Slots that wait for a device that was busy or whose connection was lost.
  private var deferredCount = 0
  /// When the first request was lost for want of a connection; nil while there is one.
  private var lossNanoseconds: UInt64?
  private var pauses = BenchPauses()
  private(set) var phase = BenchPhase.idle
  private var startNanoseconds: UInt64 = 0
  private var endNanoseconds: UInt64 = 0
  private var deadlineNanoseconds = UInt64.max
  private var generator: RandomGenerator
  /// The next block of a sequential pattern, and then of reading back.
  private var cursor: UInt64 = 0
  private var remainingRequests: UInt64
  private var writesSinceFlush: UInt32 = 0
  private let readThreshold: UInt64
  private let pattern: VerifyPattern
  private var table: VerifyTable
  private var errorCounts: InlineArray<16, UInt64> = .init(repeating: 0)
  private var firstError: BenchError?
  private var mismatches: [VerifyMismatch] = []
  private var gaveUp = false
  /// The driver called `drain`.
  private var isCutShort = false
  private var sampler: BenchSampler

  /// `buffer` has `plan.bufferBytesPerJob` bytes aligned to 4096, and is the job's alone until it is finished. `region` comes
  /// from `plan.regions` for this device.
  public init(plan: BenchPlan, number: Int, region: BenchRegion, device: BlockDevice, buffer: UnsafeMutableRawBufferPointer) {
    precondition(buffer.count >= plan.bufferBytesPerJob)
    precondition(region.offsetBytes + region.blockCount * plan.blockBytes <= device.sizeBytes)
    self.plan = plan
    self.number = number
    self.region = region
    self.device = device
    unsafe payloads = buffer.baseAddress!
    unsafe slots = .allocate(capacity: plan.depth)
    unsafe slots.initialize(repeating: BenchSlot(), count: plan.depth)
    unsafe freeSlots = .allocate(capacity: plan.depth)
    for index in 0..<plan.depth { unsafe (freeSlots + index).initialize(to: UInt32(plan.depth - 1 - index)) }
    freeCount = plan.depth
    var jobSeed = plan.seed &+ UInt64(number) &* 0x9e37_79b9_7f4a_7c15
    generator = RandomGenerator(seed: RandomGenerator.splitMix(&jobSeed))
    remainingRequests = plan.stopsAfterOnePass ? region.blockCount : .max
    let readPercent = !plan.pattern.writes ? 100 : !plan.pattern.reads ? 0 : UInt64(plan.readPercent)
    readThreshold = readPercent
    pattern = VerifyPattern(run: plan.seed, job: UInt32(number))
    table = VerifyTable(blockCount: plan.verify ? region.blockCount : 0)
    mismatches.reserveCapacity(Self.maximumKeptMismatches)
    sampler = BenchSampler([meter], blockBytes: plan.blockBytes)
    super.init()
    if plan.pattern.writes && !plan.verify {
      // Data that neither compresses nor repeats.
      for word in 0..<plan.bufferBytesPerJob / 8 {
        unsafe payloads.storeBytes(of: generator.next(), toByteOffset: word * 8, as: UInt64.self)
      }
    }
  }

  deinit {
    precondition(freeCount + deferredCount == plan.depth, "a job must outlive its requests")
    unsafe slots.deallocate()
    unsafe freeSlots.deallocate()
  }

  // MARK: - The driver's side

  public var isFinished: Bool { phase == .finished }

  public var inFlightCount: Int { plan.depth - freeCount - deferredCount }

  /// Whether only `pump` can make progress: nothing is in flight whose completion would.
  public var needsPump: Bool { phase != .idle && phase != .finished && inFlightCount == 0 }

  /// Submits the first requests.
  public func start() {
    precondition(phase == .idle, "a job starts once")
    let now = Clock.monotonicNanoseconds()
    startNanoseconds = now
    endNanoseconds = now
    if let runtime = plan.runtimeNanoseconds { deadlineNanoseconds = now.addingReportingOverflow(runtime).partialValue }
    sampler = BenchSampler([meter], blockBytes: plan.blockBytes, nowNanoseconds: now)
    enter(.running)
    advance(now, retriesDeferred: true)
  }

  /// Ends the run at its time, and submits what waits.
  public func pump() {
    if phase == .idle || phase == .finished { return }
    advance(Clock.monotonicNanoseconds(), retriesDeferred: true)
  }

  /// Submits nothing more of the measured run. The final flush and reading back still follow.
  public func drain() {
    if phase != .running { return }
    isCutShort = true
    enter(.draining)
    pump()
  }

  /// The rates since the last sample.
  public func sample() -> BenchSample { sampler.sample() }

  /// Everything measured; only when finished.
  public func result() -> BenchJobResult {
    precondition(phase == .finished, "the job is not finished")
    var errors: [BenchJobResult.StatusCount] = []
    for index in errorCounts.indices {
      if errorCounts[index] > 0, let status = BlockStatus(rawValue: UInt8(index)) {
        errors.append(.init(status: status, count: errorCounts[index]))
      }
    }
    var verification: BenchJobResult.Verification?
    if plan.verify {
      verification = .init(
        blockCount: meter.blocksReadBack.value, checkedInRunCount: meter.blocksCheckedInRun.value,
        uncertainBlockCount: table.uncertainBlockCount, errorCount: meter.verifyErrors.value, mismatches: mismatches)
    }
    return BenchJobResult(
      meter: meter, runtimeNanoseconds: endNanoseconds &- startNanoseconds, errors: errors, firstError: firstError, gaveUp: gaveUp,
      verification: verification, pauses: pauses)
  }

  // MARK: - The device's side

  public override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    let now = Clock.monotonicNanoseconds()
    precondition(token < UInt64(plan.depth), "a completion of nobody's request")
    let index = Int(truncatingIfNeeded: token)
    precondition(unsafe slots[index].state == .inFlight, "a request completed twice")
    let startedAt = unsafe slots[index].startNanoseconds
    if status.isWithoutPath {
      if mayReconnect(now) {
        unsafe slots[index].wasLost = true
        putOff(index, now)
        return
      }
    } else if let lost = lossNanoseconds {
      pauses.add(now &- lost)
      lossNanoseconds = nil
    }
    if status == .busy && now &- startedAt < Self.busyTimeoutNanoseconds {
      meter.busyRetries.addAsOwner()
      putOff(index, now)
      return
    }
    if phase <= .draining { endNanoseconds = now }
    settle(index, status, now)
    release(index)
    advance(now, retriesDeferred: true)
  }

  /// Keeps a request that the device did not carry out, to submit it again.
  private func putOff(_ index: Int, _ now: UInt64) {
    unsafe slots[index].state = .deferred
    deferredCount += 1
    advance(now, retriesDeferred: false)
  }

  /// Whether a request that was just lost is kept. The time counts from the first loss.
  private func mayReconnect(_ now: UInt64) -> Bool {
    if plan.reconnectNanoseconds == 0 || isCutShort || gaveUp { return false }
    let lost = lossNanoseconds ?? now
    lossNanoseconds = lost
    return now &- lost < plan.reconnectNanoseconds
  }

  // MARK: - Phases

  private func enter(_ phase: BenchPhase) {
    self.phase = phase
    meter.enter(phase)
  }

  /// Submits what the phase asks for, and moves on to the next phase when this one has nothing left. Bounded: at most one
  /// turn per phase.
  private func advance(_ now: UInt64, retriesDeferred: Bool) {
    if phase == .running {
      if now >= deadlineNanoseconds { enter(.draining) }
      if deferredCount > 0 && retriesDeferred && phase == .running { retryDeferred() }
      while freeCount > 0 && phase == .running {
        if remainingRequests == 0 {
          enter(.draining)
        } else if !submitNext(now) {
          // Every block tried has a write in flight, or no block can be written any more.
          if inFlightCount == 0 && deferredCount == 0 { enter(.draining) }
          break
        }
      }
    }
    if phase == .draining {
      if deferredCount > 0 && (isCutShort || gaveUp || now >= deadlineNanoseconds) { cancelDeferred(now) }
      if deferredCount > 0 && retriesDeferred { retryDeferred() }
      if freeCount < plan.depth { return }
      enter(.flushing)
      if plan.flushAtEnd && !gaveUp { submitFlush(now) }
    }
    if phase == .flushing {
      if deferredCount > 0 && retriesDeferred { retryDeferred() }
      if freeCount < plan.depth { return }
      cursor = 0
      meter.blocksToReadBack.set(Int64(table.writtenBlockCount))
      enter(.verifying)
    }
    if phase == .verifying {
      if deferredCount > 0 && retriesDeferred { retryDeferred() }
      while freeCount > 0 && submitReadBack() {}
      if freeCount == plan.depth { enter(.finished) }
    }
  }

  // MARK: - Submitting

  /// Submits the next request of the run. False if a verified run finds no block that may be written now.
  private func submitNext(_ now: UInt64) -> Bool {
    if plan.flushEveryWrites > 0 && writesSinceFlush >= plan.flushEveryWrites {
      writesSinceFlush = 0
      submitFlush(now)
      return true
    }
    let reads = readThreshold == 100 || (readThreshold > 0 && generator.next(below: 100) < readThreshold)
    var block = plan.pattern.isRandom ? generator.next(below: region.blockCount) : cursor
    if plan.verify && !reads {
      var probes = 1
      while !table.isWritable(block) {
        if probes == Self.maximumProbes { return false }
        probes += 1
        block = following(block)
      }
    }
    if !plan.pattern.isRandom { cursor = following(block) }
    remainingRequests -= 1
    let index = takeSlot()
    unsafe slots[index].block = block
    unsafe slots[index].startNanoseconds = now
    unsafe slots[index].isChecked = false
    if reads {
      unsafe slots[index].operation = .read
      if plan.verify { prepareCheck(index) }
    } else {
      unsafe slots[index].operation = .write
      writesSinceFlush &+= 1
      if plan.verify {
        let version = table.beginWrite(block)
        unsafe slots[index].version = version
        unsafe pattern.fill(payload(index), byteCount: Int(plan.blockBytes), offsetBytes: offsetBytes(of: block), version: version)
        // Making the data is not the device's latency.
        unsafe slots[index].startNanoseconds = Clock.monotonicNanoseconds()
      }
    }
    submit(index)
    return true
  }

  private func submitFlush(_ now: UInt64) {
    let index = takeSlot()
    unsafe slots[index].operation = .flush
    unsafe slots[index].block = 0
    unsafe slots[index].isChecked = false
    unsafe slots[index].startNanoseconds = now
    submit(index)
  }

  /// Submits the read of the next written block; false if there is none.
  private func submitReadBack() -> Bool {
    if gaveUp { return false }
    while cursor < table.blockCount && !table.isCheckable(cursor) { cursor += 1 }
    if cursor >= table.blockCount { return false }
    let index = takeSlot()
    unsafe slots[index].operation = .read
    unsafe slots[index].block = cursor
    unsafe slots[index].startNanoseconds = Clock.monotonicNanoseconds()
    prepareCheck(index)
    cursor += 1
    submit(index)
    return true
  }

  private func prepareCheck(_ index: Int) {
    let block = unsafe slots[index].block
    unsafe slots[index].isChecked = table.isCheckable(block)
    unsafe slots[index].version = table.version(of: block)
    // What an earlier request left in the payload must not be taken for data that was read.
    unsafe payload(index).initializeMemory(as: UInt8.self, repeating: 0xa5, count: Int(plan.blockBytes))
  }

  private func submit(_ index: Int) {
    unsafe slots[index].state = .inFlight
    let operation = unsafe slots[index].operation
    let isFlush = operation == .flush
    let request = unsafe BlockRequest(
      operation, offsetBytes: isFlush ? 0 : offsetBytes(of: slots[index].block), byteCount: isFlush ? 0 : plan.blockBytes,
      buffer: isFlush ? nil : payload(index), forceUnitAccess: operation == .write && plan.forceUnitAccess, token: UInt64(index))
    device.submit(request, for: self)
  }

  private func retryDeferred() {
    let isLost = lossNanoseconds != nil
    // Without a connection one request asks for all.
    if isLost && inFlightCount > 0 { return }
    for index in 0..<plan.depth where unsafe slots[index].state == .deferred {
      deferredCount -= 1
      submit(index)
      if isLost { return }
    }
  }

  /// Gives up the requests that a busy device has not taken: nothing of them happened. Those that were lost may have happened:
  /// they are sent again as long as there is time, or fail.
  private func cancelDeferred(_ now: UInt64) {
    for index in 0..<plan.depth where unsafe slots[index].state == .deferred {
      if unsafe slots[index].wasLost {
        if !isCutShort && !gaveUp { continue }
        deferredCount -= 1
        settle(index, .connectionLost, now)
        release(index)
        continue
      }
      deferredCount -= 1
      if unsafe plan.verify && slots[index].operation == .write { unsafe table.endWrite(slots[index].block, .withoutEffect) }
      release(index)
    }
  }

  private func takeSlot() -> Int {
    freeCount -= 1
    let index = unsafe Int(freeSlots[freeCount])
    unsafe slots[index].wasLost = false
    return index
  }

  private func release(_ index: Int) {
    unsafe slots[index].state = .free
    unsafe freeSlots[freeCount] = UInt32(index)
    freeCount += 1
  }

  private func following(_ block: UInt64) -> UInt64 { block + 1 == region.blockCount ? 0 : block + 1 }

  private func offsetBytes(of block: UInt64) -> UInt64 { region.offsetBytes + block * plan.blockBytes }

  private func payload(_ index: Int) -> UnsafeMutableRawPointer { unsafe payloads + index * Int(plan.blockBytes) }

  // MARK: - Accounting

  private func settle(_ index: Int, _ status: BlockStatus, _ now: UInt64) {
    let slot = unsafe slots[index]
    if status == .success {
      if phase <= .flushing {
        let latency = now &- slot.startNanoseconds
        switch slot.operation {
        case .read: meter.reads.record(latency)
        case .write: meter.writes.record(latency)
        default: meter.flushes.record(latency)
        }
      }
    } else {
      noteError(slot, status, now)
    }
    if plan.verify { settleVerified(index, slot, status) }
  }

  private func settleVerified(_ index: Int, _ slot: BenchSlot, _ status: BlockStatus) {
    if slot.operation == .write {
      let isWithoutEffect = status.isWithoutEffect && !slot.wasLost
      table.endWrite(slot.block, status == .success ? .completed : isWithoutEffect ? .withoutEffect : .unknown)
      return
    }
    if slot.operation != .read || !slot.isChecked { return }
    let isReadBack = phase == .verifying
    if status == .success {
      // A write of unknown effect that began after the read may have changed anything.
      if !table.isCheckable(slot.block) { return }
      let versions = VersionRange(slot.version, table.newestVersion(of: slot.block))
      let mismatch = unsafe pattern.mismatch(
        in: payload(index), byteCount: Int(plan.blockBytes), offsetBytes: offsetBytes(of: slot.block), versions: versions)
      if let mismatch { note(mismatch) }
    } else if isReadBack {
      note(VerifyMismatch(offsetBytes: offsetBytes(of: slot.block), expectedVersion: slot.version, finding: .unreadable))
    }
    if isReadBack {
      meter.blocksReadBack.addAsOwner()
    } else if status == .success {
      meter.blocksCheckedInRun.addAsOwner()
    }
  }

  private func note(_ mismatch: VerifyMismatch) {
    meter.verifyErrors.addAsOwner()
    if mismatches.count < Self.maximumKeptMismatches { mismatches.append(mismatch) }
  }

  private func noteError(_ slot: BenchSlot, _ status: BlockStatus, _ now: UInt64) {
    meter.errors.addAsOwner()
    errorCounts[Int(status.rawValue)] += 1
    if firstError == nil {
      let isFlush = slot.operation == .flush
      firstError = BenchError(
        operation: slot.operation, offsetBytes: isFlush ? 0 : offsetBytes(of: slot.block), byteCount: isFlush ? 0 : plan.blockBytes,
        status: status, afterNanoseconds: now &- startNanoseconds)
    }
    if meter.errors.value >= plan.maximumErrorCount && !gaveUp {
      gaveUp = true
      if phase == .running { enter(.draining) }
    }
  }
}

extension BlockStatus {
  /// Whether nobody was there who could carry the request out.
  var isWithoutPath: Bool { self == .connectionLost || self == .inaccessible }

  /// Whether a request that ended so has had no effect and never will.
  var isWithoutEffect: Bool {
    switch self {
    case .aborted, .outOfRange, .inaccessible, .unsupported, .busy, .refused: true
    case .success, .readFault, .writeFault, .capacityExceeded, .connectionLost: false
    }
  }
}
