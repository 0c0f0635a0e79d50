import Glibc
import Pool
import Reactor

/// Makes a replica that is sent no changes equal to a snapshot on a member, piece by piece: compares by checksum, reads what differs
/// from the snapshot, writes it. What is zero there becomes a hole. It gives way to hosts as all copies do.
@safe final class SnapshotRestorer: BlockClient {
  /// Compared together.
  static let pieceBytes: UInt64 = 1 << 20

  enum Outcome: Equatable {
    case done
    case sourceFailed(ReplicaRefusal)
    case targetFailed(String)
    /// Nobody needs it any more, or not so.
    case pointless
  }

  private unowned(unsafe) let nexus: Nexus
  private let target: Int
  private let session: Int
  private let source: Int
  private let snapshot: Identifier
  private let isWanted: () -> Bool
  private let told: (_ done: UInt64, _ sent: UInt64) -> Void
  /// The next one last.
  private var pieces: [Range<UInt64>]
  private var piece: Range<UInt64> = 0..<0
  /// What differs in the piece, the next one last.
  private var runs: [Range<UInt64>] = []
  private var sums: [[UInt32]] = []
  /// The target's part of the piece cannot be read.
  private var isUnreadable = false
  private var pending = 0
  private var sent: UInt64 = 0
  private var failure: Outcome?
  private var finish: ((Outcome) -> Void)?
  private let buffer: UnsafeMutableRawPointer
  private var stepBegan: UInt64 = 0
  private var isCounted = false
  private var segments: [BlockRequest] = []
  private(set) var isBusy = false

  private static let longestWaitNanoseconds: UInt64 = 10_000_000

  init(
    nexus: Nexus, target: Int, source: Int, snapshot: Identifier, pieces: [Range<UInt64>], isWanted: @escaping () -> Bool,
    told: @escaping (_ done: UInt64, _ sent: UInt64) -> Void
  ) {
    unsafe self.nexus = nexus
    self.target = target
    session = nexus.replicas[target].session
    self.source = source
    self.snapshot = snapshot
    self.pieces = pieces.reversed()
    self.isWanted = isWanted
    self.told = told
    unsafe buffer = .allocate(byteCount: Int(ReplicaQuestion.maximumDataBytes), alignment: 4096)
  }

  deinit { unsafe buffer.deallocate() }

  func start(then finish: @escaping (Outcome) -> Void) {
    self.finish = finish
    isBusy = true
    unsafe nexus.after { [self] in nextPiece() }
  }

  /// No timer will come any more.
  func timersEnded() {
    if pending == 0 { isBusy = false }
  }

  private func end(_ outcome: Outcome) {
    stepEnded()
    isBusy = false
    let told = finish
    finish = nil
    told?(outcome)
  }

  // MARK: Comparison

  private func nextPiece() {
    guard isWanted() else { return end(.pointless) }
    guard let next = pieces.popLast() else { return end(.done) }
    piece = next
    sent = 0
    beginStep(due: unsafe nexus.reactor.now + nexus.bandwidthDelay(UInt64(next.count))) { [self] in compare() }
  }

  /// As soon as that is due and does not burden the hosts.
  private func beginStep(due: UInt64, _ body: @escaping () -> Void) {
    guard isWanted() else { return end(.pointless) }
    let now = unsafe nexus.reactor.now
    var wait = due > now ? min(due - now, Self.longestWaitNanoseconds) : 0
    if wait == 0 { wait = unsafe nexus.budget.begin(for: nexus, now: now) ?? 0 }
    if wait > 0 { return unsafe nexus.after(nanoseconds: wait) { [self] in beginStep(due: due, body) } }
    isCounted = true
    stepBegan = now
    body()
  }

  private func stepEnded() {
    guard isCounted else { return }
    isCounted = false
    unsafe nexus.budget.end(for: nexus, began: stepBegan, now: nexus.reactor.now)
  }

  private func compare() {
    sums = [[], []]
    isUnreadable = false
    failure = nil
    pending = 2
    let count = UInt64(piece.count)
    unsafe nexus.ask(source, .snapshotChecksums(snapshot, offsetBytes: piece.lowerBound, byteCount: count)) { [self] in compared(0, $0) }
    unsafe nexus.ask(target, .checksums(offsetBytes: piece.lowerBound, byteCount: count)) { [self] in compared(1, $0) }
  }

  private func compared(_ side: Int, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    pending -= 1
    switch result {
    case .success(.checksums(let found)) where found.count == piece.count / Int(Nexus.unitBytes): sums[side] = found
    case .success: failure = side == 0 ? .sourceFailed(.faulted("checksums of another length")) : .targetFailed("its checksums are too few")
    // What cannot be read there is written anew.
    case .failure(.faulted) where side == 1: isUnreadable = true
    case .failure(let refusal):
      if side == 1 {
        failure = .targetFailed("its checksums could not be had: \(refusal)")
      } else {
        failure = failure ?? .sourceFailed(refusal)
      }
    }
    if pending > 0 { return }
    if let failure { return end(failure) }
    stepEnded()
    runs = []
    let (one, other) = (sums[0], isUnreadable ? sums[0].map { ~$0 } : sums[1])
    for block in one.indices.reversed() where one[block] != other[block] {
      let offset = piece.lowerBound + UInt64(block) * Nexus.unitBytes
      if let next = runs.last, next.lowerBound == offset + Nexus.unitBytes, UInt64(next.count) < ReplicaQuestion.maximumDataBytes {
        runs[runs.count - 1] = offset..<next.upperBound
      } else {
        runs.append(offset..<offset + Nexus.unitBytes)
      }
    }
    nextRun()
  }

  // MARK: Copies

  private func nextRun() {
    guard isWanted() else { return end(.pointless) }
    guard let run = runs.popLast() else {
      told(UInt64(piece.count), sent)
      return unsafe nexus.after { [self] in nextPiece() }
    }
    beginStep(due: 0) { [self] in
      pending = 1
      unsafe nexus.ask(source, .readSnapshot(snapshot, offsetBytes: run.lowerBound, byteCount: UInt64(run.count))) { [self] in
        read(run, $0)
      }
    }
  }

  private func read(_ run: Range<UInt64>, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    pending = 0
    switch result {
    case .success(.data(let bytes)) where bytes.count == run.count:
      guard isWanted() else { return end(.pointless) }
      unsafe bytes.withUnsafeBytes { unsafe buffer.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      write(run)
    case .success: end(.sourceFailed(.faulted("a snapshot's bytes of another length")))
    case .failure(let refusal): end(.sourceFailed(refusal))
    }
  }

  /// Blocks that are alike, data or zeros, together.
  private func write(_ run: Range<UInt64>) {
    segments = []
    var offset: UInt64 = 0
    while offset < UInt64(run.count) {
      let isHole = isZero(offset)
      var length = Nexus.unitBytes
      while offset + length < UInt64(run.count), isZero(offset + length) == isHole { length += Nexus.unitBytes }
      unsafe segments.append(
        BlockRequest(
          isHole ? .deallocate : .write, offsetBytes: run.lowerBound + offset, byteCount: length,
          buffer: isHole ? nil : buffer + Int(offset), token: UInt64(segments.count)))
      if !isHole { sent += length }
      offset += length
    }
    pending = segments.count
    for segment in segments { submit(segment) }
  }

  private func isZero(_ offset: UInt64) -> Bool {
    let block = unsafe buffer + Int(offset)
    return unsafe block.load(as: UInt64.self) == 0 && memcmp(block, block + 8, Int(Nexus.unitBytes) - 8) == 0
  }

  private func submit(_ request: BlockRequest) {
    if unsafe nexus.replicas[target].session == session, let door = unsafe nexus.replicas[target].door {
      door.submit(request, for: self)
    } else {
      unsafe nexus.after { [self] in blockRequestCompleted(token: request.token, status: .connectionLost) }
    }
  }

  override func blockRequestCompleted(token: UInt64, status: BlockStatus) {
    if status == .busy {
      return unsafe nexus.after(nanoseconds: max(nexus.retryNanoseconds, 1)) { [self] in submit(segments[Int(token)]) }
    }
    pending -= 1
    if status != .success { failure = .targetFailed("a write of a snapshot's data to it failed (\(status))") }
    if pending > 0 { return }
    if let failure { return end(failure) }
    stepEnded()
    nextRun()
  }
}
