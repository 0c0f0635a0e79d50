import Glibc
import Pool
import Reactor

@testable import Nexus

/// A door to a copy of the volume in memory. What it was sent waits until the test delivers it, in any order and with any outcome.
/// Questions are answered in order: by themselves, soon, unless the test wants to.
@safe final class FakeMember: ReplicaDoor {
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

  struct Asked {
    let question: ReplicaQuestion
    let answer: (Result<ReplicaAnswer, ReplicaRefusal>) -> Void
  }

  let index: Int
  let replica: FakeReplica
  let reactor: Reactor
  /// Questions that wait for the test.
  var asked: [Asked] = []
  /// Every question, in order.
  private(set) var questions: [ReplicaQuestion] = []
  var answersByItself = true
  /// Refusals to give before anything else, by the test's judgement of the question.
  var refuse: (ReplicaQuestion) -> ReplicaRefusal? = { _ in nil }
  private(set) var isOver = false
  var pending: [Pending] = []
  var lie = Lie.none
  /// Told before a request is taken in.
  var onSubmit: (FakeMember, BlockRequest) -> Void = { _, _ in }
  /// Every request that was taken in, in order.
  private(set) var submitted: [BlockRequest] = []
  private var changeCount = 0
  private var readCount = 0
  /// The order number of the latest flush that was done.
  var flushedOrder: Int { replica.flushedOrder }
  /// Whose request is being taken in.
  private(set) var submittingClient: BlockClient?

  init(index: Int, replica: FakeReplica, reactor: Reactor, blockSizeBytes: UInt32 = 512) {
    self.index = index
    self.replica = replica
    self.reactor = reactor
    unsafe super.init(sizeBytes: UInt64(replica.memory.count), blockSizeBytes: blockSizeBytes)
    reactor.register(self)
  }

  // MARK: Questions

  override func ask(_ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    questions.append(question)
    asked.append(Asked(question: question, answer: answer))
    if answersByItself { reactor.postpone(handlerID, token: 0, result: 0) }
  }

  override func completed(token: UInt64, result: Int32) { if answersByItself { answerNext() } }

  /// Answers the oldest question: with `refusal`, or as a well replica does.
  func answerNext(_ refusal: ReplicaRefusal? = nil) {
    guard !asked.isEmpty else { return }
    let next = asked.removeFirst()
    if isOver { return next.answer(.failure(.lost)) }
    if let refusal = refusal ?? refuse(next.question) { return next.answer(.failure(refusal)) }
    next.answer(replica.answer(next.question))
  }

  /// The connection is lost: what was sent ends with that, done or not.
  func lose(appliedPercent: Int = 0) {
    isOver = true
    deliverAll(.connectionLost, appliedPercent: appliedPercent)
    while !asked.isEmpty { answerNext() }
    sessionEnded?(.lost)
    deliverAll(.connectionLost)
  }

  // MARK: Data

  private var memory: UnsafeMutableRawBufferPointer { unsafe replica.memory }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    submittingClient = client
    onSubmit(self, request)
    submittingClient = nil
    pending.append(Pending(request: request, client: client, order: replica.nextOrder))
    replica.nextOrder += 1
    submitted.append(request)
  }

  /// Carries out what waits at `position` and tells its client. A failure leaves `appliedPercent` of a change done.
  func deliver(_ position: Int, _ status: BlockStatus = .success, appliedPercent: Int = 0) {
    let entry = pending.remove(at: position)
    let request = entry.request
    if request.operation == .flush {
      if status == .success { replica.flushedOrder = max(replica.flushedOrder, entry.order) }
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
  func deliverAll(_ status: BlockStatus = .success, appliedPercent: Int = 0) {
    var limit = 10_000
    while !pending.isEmpty, limit > 0 {
      deliver(0, status, appliedPercent: appliedPercent)
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

  func value(block: Int) -> UInt64? { replica.value(block: block) }

  func fill(block: Int, _ value: UInt64) { replica.fill(block: block, value) }

  func hasSameBytes(as other: FakeMember) -> Bool { replica.hasSameBytes(as: other.replica) }
}
