import Pool
import Reactor

/// Compares what all members hold, piece by piece, and repairs what a verdict allows (R20).
///
/// A piece is compared while its range is held with the reads of hosts and against their changes (R9). What differs is compared once more,
/// and repaired, while the range is held alone. Nothing is logged for a repair: if it is cut short, the members differ as they did.
@safe final class Scrubber: BlockClient {
  static let pieceBytes: UInt64 = 256 << 10

  enum Outcome: Equatable {
    case done
    /// Members or service are not what they were: once more, later.
    case again
  }

  private unowned(unsafe) let nexus: Nexus
  private let buffer: UnsafeMutableRawPointer
  private(set) var piece: Range<UInt64>?
  private var members: UInt8 = 0
  private var epoch = 0
  private var trusted: Int?
  private var isSecond = false
  private var holdsRange = false
  private var isWaiting = false
  private var pending = 0
  private var sums: [(index: Int, sums: [UInt32]?)] = []
  private var repairs: [(range: Range<UInt64>, mask: UInt8, source: Int)] = []
  private var isReading = false
  private var isLost = false
  private var stepBegan: UInt64 = 0
  private(set) var differing: UInt64 = 0
  private(set) var repaired: UInt64 = 0
  private(set) var unresolved: [UInt64] = []

  init(nexus: Nexus) {
    unsafe self.nexus = nexus
    unsafe buffer = .allocate(byteCount: Int(Self.pieceBytes), alignment: 4096)
  }

  deinit { unsafe buffer.deallocate() }

  var isBusy: Bool { piece != nil }
  static let lockID = Nexus.maximumCommands + Nexus.maximumCopiers

  /// The governor has let it begin at `now`.
  func start(_ piece: Range<UInt64>, members: UInt8, trusted: Int?, epoch: Int, now: UInt64) {
    precondition(self.piece == nil && !piece.isEmpty && UInt64(piece.count) <= Self.pieceBytes)
    self.piece = piece
    self.members = members
    self.trusted = trusted
    self.epoch = epoch
    stepBegan = now
    isSecond = false
    isLost = false
    differing = 0
    repaired = 0
    unresolved = []
    repairs = []
    lock(isShared: true)
  }

  // MARK: Ranges

  private func lock(isShared: Bool) {
    guard let piece else { return }
    holdsRange = true
    if unsafe nexus.locks.insert(slot: Self.lockID, start: piece.lowerBound, end: piece.upperBound, isShared: isShared) {
      compare()
    } else {
      isWaiting = true
    }
  }

  func rangeGranted() {
    isWaiting = false
    compare()
  }

  /// Service ended: those that hold ranges may wait for this one.
  func giveUpWaiting() {
    guard isWaiting else { return }
    isWaiting = false
    unsafe nexus.locks.forgetUnblocked(slot: Self.lockID)
    end(.again)
  }

  private func unlock() {
    guard holdsRange else { return }
    holdsRange = false
    unsafe nexus.locks.remove(slot: Self.lockID)
    unsafe nexus.runUnblocked()
  }

  // MARK: Comparison

  private func compare() {
    guard let piece else { return }
    guard unsafe nexus.mayScrub(members, epoch) else { return end(.again) }
    sums = []
    pending = members.nonzeroBitCount
    let question = ReplicaQuestion.checksums(offsetBytes: piece.lowerBound, byteCount: UInt64(piece.count))
    for index in 0..<Nexus.maximumMembers where members & Nexus.bit(index) != 0 {
      unsafe nexus.ask(index, question) { [self] in compared(index, $0) }
    }
  }

  private func compared(_ index: Int, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    guard let piece else { return }
    switch result {
    case .success(.checksums(let found)) where found.count == piece.count / Int(Nexus.unitBytes): sums.append((index, found))
    case .failure(.faulted): sums.append((index, nil))
    case .success, .failure: isLost = true
    }
    pending -= 1
    if pending > 0 { return }
    guard !isLost, unsafe nexus.mayScrub(members, epoch) else { return end(.again) }
    judge(piece)
  }

  private func judge(_ piece: Range<UInt64>) {
    for block in 0..<piece.count / Int(Nexus.unitBytes) {
      let offset = piece.lowerBound + UInt64(block) * Nexus.unitBytes
      guard let verdict = ScrubVerdict.of(sums.map { ($0.index, $0.sums?[block]) }, trusted: trusted) else { continue }
      if !isSecond {
        // Once more, alone.
        isSecond = true
        unlock()
        return lock(isShared: false)
      }
      differing += 1
      switch verdict {
      case .unresolved: unresolved.append(offset)
      case .repair(let mask, let sources):
        let source = sources.trailingZeroBitCount
        if let last = repairs.last, last.range.upperBound == offset, last.mask == mask, last.source == source {
          repairs[repairs.count - 1].range = last.range.lowerBound..<offset + Nexus.unitBytes
        } else {
          repairs.append((offset..<offset + Nexus.unitBytes, mask, source))
        }
      }
    }
    nextRepair()
  }

  // MARK: Repair

  private func nextRepair() {
    guard let next = repairs.last else { return end(.done) }
    guard unsafe nexus.mayScrub(members, epoch) else { return end(.again) }
    isReading = true
    pending = 1
    submit(.read, to: next.source)
  }

  private func submit(_ operation: BlockOperation, to index: Int) {
    guard let next = repairs.last else { return }
    let request = unsafe BlockRequest(
      operation, offsetBytes: next.range.lowerBound, byteCount: UInt64(next.range.count), buffer: buffer, token: UInt64(index))
    if let door = unsafe nexus.replicas[index].door {
      door.submit(request, for: self)
    } else {
      unsafe nexus.after { [self] in blockRequestCompleted(token: request.token, status: .connectionLost) }
    }
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    guard piece != nil, let next = repairs.last else { return }
    let index = Int(token)
    if status == .busy {
      return unsafe nexus.after(nanoseconds: max(nexus.retryNanoseconds, 1)) { [self] in submit(isReading ? .read : .write, to: index) }
    }
    pending -= 1
    if isReading {
      isReading = false
      // Its checksums could be read a moment ago.
      guard status == .success else { return end(.again) }
      pending = next.mask.nonzeroBitCount
      for index in 0..<Nexus.maximumMembers where next.mask & Nexus.bit(index) != 0 { submit(.write, to: index) }
      return
    }
    if status != .success {
      isLost = true
      unsafe nexus.fault(index, status, .write)
    }
    if pending > 0 { return }
    if isLost { return end(.again) }
    repaired += UInt64(next.range.count) / Nexus.unitBytes
    repairs.removeLast()
    nextRepair()
  }

  private func end(_ outcome: Outcome) {
    guard let ended = piece else { return }
    piece = nil
    sums = []
    repairs = []
    unsafe nexus.budget.end(for: nexus, began: stepBegan, now: nexus.reactor.now)
    unlock()
    unsafe nexus.scrubbed(ended, outcome, self)
  }
}
