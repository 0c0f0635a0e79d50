import Glibc
import Reactor

/// A replica in memory: data is copied in `submit`, and the answer comes later in the pass.
///
/// Zeroing and deallocation of more than `pieceBytes` go in pieces of that size, one per pass and in turns, so that they hold up
/// nobody. Nothing else allocates, takes a lock, or counts references.
final class MemoryReplica: PoolReplica {
  static let pieceBytes: UInt64 = 16 << 20
  private static let answerToken: UInt64 = 0
  private static let bulkToken: UInt64 = 1

  @safe private struct Bulk {
    let client: Unmanaged<BlockClient>
    let token: UInt64
    var offset: UInt64
    let end: UInt64
  }

  private let region: MemoryRegion
  private let extents: ExtentMap
  private let reactor: Reactor
  /// A copy of `handlerID`: reading that of another module costs an exclusivity check.
  private var eventID = HandlerID.none
  /// Unchecked, as its methods call nobody.
  @exclusivity(unchecked) private var answers = AnswerQueue()
  private var isAnswerPosted = false
  /// Large zeroings, the next one first.
  private var bulk: [Bulk] = []
  private var count = 0

  init(_ info: ReplicaInfo, pool: Pool, region: MemoryRegion, extents: ExtentMap, reactor: Reactor) {
    self.region = region
    self.extents = extents
    self.reactor = reactor
    super.init(info, pool: pool)
    eventID = reactor.register(self)
  }

  override var inFlight: Int { count }

  override func leaveReactor() {
    precondition(count == 0, "a device is closed with requests in flight")
    // Later, as this may be called from inside one of this object's completions.
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
  }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    count += 1
    var status = BlockStatus.success
    if !accepts(request) {
      status = .outOfRange
    } else {
      switch request.operation {
      case .read, .write:
        if request.byteCount > Self.maximumTransferBytes { status = .outOfRange } else { copy(request) }
      case .flush: break
      case .writeZeroes, .deallocate:
        var offset = request.offsetBytes
        var end = request.offsetBytes + request.byteCount
        if request.operation == .deallocate {
          // Only whole 4 KiB blocks (R9).
          offset = (offset + 4095) & ~4095
          end &= ~4095
        }
        if offset < end && end - offset > Self.pieceBytes {
          unsafe bulk.append(Bulk(client: .passUnretained(client), token: request.token, offset: offset, end: end))
          if bulk.count == 1 { reactor.postpone(eventID, token: Self.bulkToken, result: 0) }
          return
        }
        if offset < end { zero(offset: offset, end: end) }
      }
    }
    unsafe answer(.passUnretained(client), request.token, status)
  }

  private func copy(_ request: BlockRequest) {
    var offset = request.offsetBytes
    var buffer = unsafe request.buffer!
    var remaining = request.byteCount
    while remaining > 0 {
      let (storageOffset, contiguousBytes) = extents.locate(offset)
      let piece = min(remaining, contiguousBytes)
      let storage = unsafe region.base + Int(storageOffset)
      if request.operation == .read { unsafe memcpy(buffer, storage, Int(piece)) } else { unsafe memcpy(storage, buffer, Int(piece)) }
      unsafe buffer += Int(piece)
      offset += piece
      remaining -= piece
    }
  }

  private func zero(offset: UInt64, end: UInt64) {
    var offset = offset
    while offset < end {
      let (storageOffset, contiguousBytes) = extents.locate(offset)
      let piece = min(end - offset, contiguousBytes)
      region.zero(offsetBytes: storageOffset, byteCount: piece)
      offset += piece
    }
  }

  private func answer(_ client: Unmanaged<BlockClient>, _ token: UInt64, _ status: BlockStatus) {
    unsafe answers.append(.init(client: client, token: token, status: status))
    if isAnswerPosted { return }
    isAnswerPosted = true
    reactor.postpone(eventID, token: Self.answerToken, result: 0)
  }

  override func completed(token: UInt64, result: Int32) {
    if token == Self.bulkToken { return continueBulk() }
    isAnswerPosted = false
    // Only those of before: a client that submits again at once must not keep this loop going; its answers posted their own event.
    var remaining = unsafe answers.count
    while remaining > 0, let answer = unsafe answers.popFirst() {
      remaining -= 1
      count -= 1
      answer.give()
    }
  }

  private func continueBulk() {
    var job = bulk.removeFirst()
    let end = min(job.end, job.offset + Self.pieceBytes)
    zero(offset: job.offset, end: end)
    job.offset = end
    if end < job.end { bulk.append(job) } else { unsafe answer(job.client, job.token, .success) }
    if !bulk.isEmpty { reactor.postpone(eventID, token: Self.bulkToken, result: 0) }
  }
}
