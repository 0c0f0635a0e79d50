import Glibc
import Reactor

/// A copy of the volume in memory. What it was asked waits until the test delivers it, in any order and with any outcome.
@safe final class FakeMember: BlockDevice {
  /// How a member lies, to show that the checks see it.
  enum Lie {
    case none
    /// Acknowledges this many changes, then one that it forgets.
    case loseChange(after: Int)
    /// Acknowledges this many changes, then one that it does a block too far.
    case misplaceChange(after: Int)
    /// Answers this many reads, then one without data.
    case readNothing(after: Int)
  }

  struct Pending {
    let request: BlockRequest
    let client: BlockClient
    let order: Int
  }

  let index: Int
  let memory: UnsafeMutableRawBufferPointer
  var pending: [Pending] = []
  var lie = Lie.none
  /// Told before a request is taken in.
  var onSubmit: (FakeMember, BlockRequest) -> Void = { _, _ in }
  /// Every request that was taken in, in order.
  private(set) var submitted: [BlockRequest] = []
  private var changeCount = 0
  private var readCount = 0
  /// The order number of the latest flush that was done.
  private(set) var flushedOrder = -1

  init(index: Int, sizeBytes: UInt64, blockSizeBytes: UInt32 = 512) {
    self.index = index
    unsafe memory = .allocate(byteCount: Int(sizeBytes), alignment: 4096)
    unsafe memset(memory.baseAddress!, 0, Int(sizeBytes))
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
  }

  deinit { unsafe memory.deallocate() }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    onSubmit(self, request)
    pending.append(Pending(request: request, client: client, order: submitted.count))
    submitted.append(request)
  }

  /// Carries out what waits at `position` and tells its client. A failure leaves `appliedPercent` of a change done.
  func deliver(_ position: Int, _ status: BlockStatus = .success, appliedPercent: Int = 0) {
    let entry = pending.remove(at: position)
    let request = entry.request
    if request.operation == .flush {
      if status == .success { flushedOrder = max(flushedOrder, entry.order) }
    } else if status == .success {
      carryOut(request)
    } else if request.operation == .read {
      // Whatever is in the buffer after a failure is not data.
      unsafe memset(request.buffer!, 0xEE, Int(request.byteCount))
    } else if appliedPercent > 0 {
      var part = request
      part.byteCount = request.byteCount * UInt64(appliedPercent) / 100 & ~511
      apply(part)
    }
    entry.client.blockRequestCompleted(token: request.token, status: status)
  }

  /// Delivers all there is, oldest first, and what that brings.
  func deliverAll(_ status: BlockStatus = .success) {
    var limit = 10_000
    while !pending.isEmpty, limit > 0 {
      deliver(0, status)
      limit -= 1
    }
  }

  private func carryOut(_ request: BlockRequest) {
    if request.operation == .read {
      readCount += 1
      if case .readNothing(let count) = lie, count + 1 == readCount { return }
      unsafe memcpy(request.buffer!, memory.baseAddress! + Int(request.offsetBytes), Int(request.byteCount))
      return
    }
    changeCount += 1
    var request = request
    switch lie {
    case .loseChange(let count) where count + 1 == changeCount: return
    case .misplaceChange(let count) where count + 1 == changeCount && request.offsetBytes + request.byteCount < sizeBytes:
      request.offsetBytes += 512
    default: break
    }
    apply(request)
  }

  private func apply(_ request: BlockRequest) {
    let place = unsafe memory.baseAddress! + Int(request.offsetBytes)
    switch request.operation {
    case .write: unsafe memcpy(place, request.buffer!, Int(request.byteCount))
    case .writeZeroes, .deallocate: unsafe memset(place, 0, Int(request.byteCount))
    case .read, .flush: break
    }
  }

  /// The stamp of a 512-byte block.
  func value(block: Int) -> UInt64? { unsafe Stamp.read(memory.baseAddress! + block * Stamp.blockBytes) }

  func fill(block: Int, _ value: UInt64) { unsafe Stamp.fill(memory.baseAddress! + block * Stamp.blockBytes, value) }

  func hasSameBytes(as other: FakeMember) -> Bool {
    unsafe memcmp(memory.baseAddress!, other.memory.baseAddress!, memory.count) == 0
  }
}
