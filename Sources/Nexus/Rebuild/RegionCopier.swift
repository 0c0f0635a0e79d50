import Glibc
import Pool
import Reactor

/// Makes one region equal on several replicas: compares its blocks by checksum, reads from the source where they differ, writes to
/// the targets. What is zero at the source becomes a hole at the targets.
///
/// Where the region is in service, each copy holds its range alone from before the source is read to the fate of the last target
/// write (R9). The checksums need no lock then: every change goes to source and targets alike, so a block found equal stays equal.
///
/// Its buffer is its own, so that it never waits for commands that wait for it (R14).
@safe final class RegionCopier: BlockClient {
  struct Job {
    enum Purpose: Equatable {
      case reconciliation
      /// Of which replica, and which of its resyncs that is.
      case resync(Int, number: Int)
    }

    let purpose: Purpose
    let region: Int
    let range: Range<UInt64>
    let source: Int
    var targetMask: UInt8
    /// False where the targets are known to hold nothing.
    let isCompared: Bool
    /// Whether the region is in service meanwhile.
    let isLocked: Bool
    let epoch: Int
    /// Sources that could not be read.
    var failedSourceMask: UInt8 = 0
  }

  enum Outcome: Equatable {
    case done
    case sourceFailed
    case targetFailed
    /// Service ended, or what it is for.
    case pointless
  }

  /// Read and compared together.
  static let pieceBytes: UInt64 = 1 << 20
  /// Copied together.
  static let chunkBytes: UInt64 = 256 << 10

  let number: Int
  private unowned(unsafe) let nexus: Nexus
  private let buffer: UnsafeMutableRawPointer
  private(set) var job: Job?
  private var position: UInt64 = 0
  private var pieceEnd: UInt64 = 0
  /// What differs in the piece, from its end to its beginning.
  private var runs: [Range<UInt64>] = []
  private var chunk: Range<UInt64> = 0..<0
  private var holdsRange = false
  private var isWaiting = false
  private var written: UInt64 = 0
  private var pending = 0
  private var outcome: Outcome?
  private var checksums: [[UInt32]] = []
  /// A target cannot be read in the piece: all of it is copied.
  private var isBlind = false
  private var isReading = false
  private var step = Step.copy
  /// The step begins no sooner.
  private var dueNanoseconds: UInt64 = 0
  private var stepBegan: UInt64 = 0
  /// Waits for a timer between two steps.
  private var isResting = false
  /// The governor counts the step as under way.
  private var isCounted = false

  private enum Step {
    case compare
    case copy
  }

  private static let longestWaitNanoseconds: UInt64 = 10_000_000

  init(nexus: Nexus, number: Int) {
    unsafe self.nexus = nexus
    self.number = number
    unsafe buffer = .allocate(byteCount: Int(Self.chunkBytes), alignment: 4096)
  }

  deinit { unsafe buffer.deallocate() }

  var isBusy: Bool { job != nil }
  private var lockID: Int { Nexus.maximumCommands + number }

  func start(_ job: Job) {
    precondition(self.job == nil && job.range.lowerBound % Nexus.unitBytes == 0 && !job.range.isEmpty)
    self.job = job
    position = job.range.lowerBound
    runs = []
    outcome = nil
    nextPiece()
  }

  // MARK: Pieces

  private func nextPiece() {
    guard let job else { return }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    if position == job.range.upperBound { return end(.done) }
    pieceEnd = min(position + Self.pieceBytes, job.range.upperBound)
    guard job.isCompared else {
      runs = split(position..<pieceEnd)
      return nextRun()
    }
    step = .compare
    dueNanoseconds = 0
    beginStep()
  }

  /// Begins to compare or to copy, as soon as that is due and does not burden the hosts.
  private func beginStep() {
    guard let job else { return }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    let now = unsafe nexus.reactor.now
    // In short steps: somebody may need this copier for something else.
    var wait = dueNanoseconds > now ? min(dueNanoseconds - now, Self.longestWaitNanoseconds) : 0
    if wait == 0, unsafe nexus.isGoverned(job) {
      wait = unsafe nexus.budget.begin(for: nexus, now: now) ?? 0
      isCounted = wait == 0
    }
    if wait > 0 {
      isResting = true
      return unsafe nexus.after(nanoseconds: wait) { [self] in
        isResting = false
        beginStep()
      }
    }
    stepBegan = now
    switch step {
    case .compare: compare()
    case .copy: lockChunk()
    }
  }

  private func stepEnded() {
    guard isCounted else { return }
    isCounted = false
    unsafe nexus.budget.end(for: nexus, began: stepBegan, now: nexus.reactor.now)
  }

  private func compare() {
    guard let job else { return }
    checksums = []
    isBlind = false
    pending = 0
    let question = ReplicaQuestion.checksums(offsetBytes: position, byteCount: pieceEnd - position)
    for index in 0..<Nexus.maximumMembers where (job.targetMask | Nexus.bit(job.source)) & Nexus.bit(index) != 0 {
      pending += 1
      unsafe nexus.ask(index, question) { [self] in compared(index, $0) }
    }
  }

  private func compared(_ index: Int, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    guard let job else { return }
    pending -= 1
    switch result {
    case .success(.checksums(let sums)) where sums.count == Int((pieceEnd - position) / Nexus.unitBytes): checksums.append(sums)
    case .success: failed(index, .invalid("checksums of another length"))
    // What cannot be read there is written anew; if that fails too, it has a fault.
    case .failure(.faulted) where index != job.source: isBlind = true
    case .failure(let refusal): failed(index, refusal)
    }
    if pending > 0 { return }
    stepEnded()
    if let outcome { return end(outcome) }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    unsafe nexus.noteRead(pieceEnd - position, for: job)
    runs = isBlind ? split(position..<pieceEnd) : split(differences(from: position))
    nextRun()
  }

  private func failed(_ index: Int, _ refusal: ReplicaRefusal) {
    let isSource = index == job!.source
    // A path that is lost is noticed by itself.
    if !isSource, refusal != .lost { unsafe nexus.copyTargetFailed(index, refusal) }
    outcome = isSource ? .sourceFailed : (outcome ?? .targetFailed)
  }

  /// Ranges of blocks whose checksums are not all equal, ascending.
  private func differences(from start: UInt64) -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    for block in checksums[0].indices where checksums.dropFirst().contains(where: { $0[block] != checksums[0][block] }) {
      let offset = start + UInt64(block) * Nexus.unitBytes
      if let last = ranges.last, last.upperBound == offset {
        ranges[ranges.count - 1] = last.lowerBound..<offset + Nexus.unitBytes
      } else {
        ranges.append(offset..<offset + Nexus.unitBytes)
      }
    }
    return ranges
  }

  private func split(_ range: Range<UInt64>) -> [Range<UInt64>] { split([range]) }

  /// In chunks, last one first.
  private func split(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    var chunks: [Range<UInt64>] = []
    for range in ranges {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: Int(Self.chunkBytes)) {
        chunks.append(start..<min(start + Self.chunkBytes, range.upperBound))
      }
    }
    return chunks.reversed()
  }

  // MARK: Chunks

  private func nextRun() {
    guard let job else { return }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    guard let next = runs.popLast() else {
      position = pieceEnd
      return nextPiece()
    }
    chunk = next
    step = .copy
    dueNanoseconds = unsafe nexus.copyDue(UInt64(chunk.count), for: job)
    beginStep()
  }

  private func lockChunk() {
    guard let job else { return }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    if !job.isLocked { return readChunk() }
    holdsRange = true
    if unsafe nexus.locks.insert(slot: lockID, start: chunk.lowerBound, end: chunk.upperBound, isShared: false) {
      readChunk()
    } else {
      isWaiting = true
    }
  }

  /// No timer will come any more. Between two steps nothing is in flight.
  func timersEnded() {
    guard isResting else { return }
    isResting = false
    job = nil
    runs = []
  }

  /// Service ended: those that hold ranges may wait for this one.
  func giveUpWaiting() {
    guard isWaiting else { return }
    isWaiting = false
    unsafe nexus.locks.forgetUnblocked(slot: lockID)
    end(.pointless)
  }

  func rangeGranted() {
    isWaiting = false
    guard let job else { return }
    if unsafe nexus.isWanted(job) { readChunk() } else { end(.pointless) }
  }

  private func readChunk() {
    guard let job else { return }
    isReading = true
    pending = 1
    submit(
      unsafe BlockRequest(
        .read, offsetBytes: chunk.lowerBound, byteCount: UInt64(chunk.count), buffer: buffer, token: UInt64(job.source)), to: job.source)
  }

  private func submit(_ request: BlockRequest, to index: Int) {
    if let door = unsafe nexus.replicas[index].door {
      door.submit(request, for: self)
    } else {
      unsafe nexus.after { [self] in blockRequestCompleted(token: request.token, status: .connectionLost) }
    }
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    guard let job else { return }
    if status == .busy {
      unsafe nexus.after(nanoseconds: max(nexus.retryNanoseconds, 1)) { [self] in retry(Int(token)) }
      return
    }
    let index = Int(token)
    pending -= 1
    if isReading {
      isReading = false
      if status != .success {
        if Nexus.isPathLost(status) { unsafe nexus.fault(index, status, .read) }
        return end(.sourceFailed)
      }
      unsafe nexus.noteRead(UInt64(chunk.count), for: job)
      written = 0
      writeSegment()
    } else {
      if status != .success {
        outcome = .targetFailed
        unsafe nexus.fault(index, status, .write)
      }
      if pending == 0 { segmentDone() }
    }
  }

  private var segment: Range<UInt64> = 0..<0
  private var isHole = false

  /// Asks a busy replica again for what it did not do.
  private func retry(_ index: Int) {
    guard let job else { return }
    if isReading {
      pending = 1
      submit(
        unsafe BlockRequest(
          .read, offsetBytes: chunk.lowerBound, byteCount: UInt64(chunk.count), buffer: buffer, token: UInt64(job.source)), to: job.source)
    } else {
      submit(segmentRequest(index), to: index)
    }
  }

  /// Writes the next blocks of the chunk that are alike: data, or zeros.
  private func writeSegment() {
    guard let job else { return }
    if let outcome { return end(outcome) }
    let count = UInt64(chunk.count)
    if written == count {
      unlock()
      stepEnded()
      return nextRun()
    }
    guard unsafe nexus.isWanted(job) else { return end(.pointless) }
    isHole = isZero(written)
    var length = Nexus.unitBytes
    while written + length < count, isZero(written + length) == isHole { length += Nexus.unitBytes }
    segment = chunk.lowerBound + written..<chunk.lowerBound + written + length
    written += length
    if isHole && !job.isCompared {
      // The target holds nothing there either.
      return writeSegment()
    }
    pending = job.targetMask.nonzeroBitCount
    for index in 0..<Nexus.maximumMembers where job.targetMask & Nexus.bit(index) != 0 { submit(segmentRequest(index), to: index) }
  }

  private func segmentRequest(_ index: Int) -> BlockRequest {
    unsafe BlockRequest(
      isHole ? .deallocate : .write, offsetBytes: segment.lowerBound, byteCount: UInt64(segment.count),
      buffer: isHole ? nil : buffer + Int(segment.lowerBound - chunk.lowerBound), token: UInt64(index))
  }

  private func segmentDone() {
    guard let job else { return }
    if outcome == nil, !isHole { unsafe nexus.noteSent(UInt64(segment.count), for: job) }
    writeSegment()
  }

  private func isZero(_ offset: UInt64) -> Bool {
    let block = unsafe buffer + Int(offset)
    return unsafe block.load(as: UInt64.self) == 0 && memcmp(block, block + 8, Int(Nexus.unitBytes) - 8) == 0
  }

  // MARK: Ends

  private func unlock() {
    guard holdsRange else { return }
    holdsRange = false
    unsafe nexus.locks.remove(slot: lockID)
    unsafe nexus.runUnblocked()
  }

  private func end(_ outcome: Outcome) {
    guard let ended = job else { return }
    job = nil
    runs = []
    checksums = []
    stepEnded()
    unlock()
    unsafe nexus.copied(ended, outcome)
  }
}
