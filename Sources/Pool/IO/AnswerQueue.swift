import Reactor

/// Answers to be given later in the pass. A ring that doubles when it is full: its length is bounded by what clients have
/// submitted, and in steady state it never grows.
@safe struct AnswerQueue: ~Copyable {
  @safe struct Answer {
    let client: Unmanaged<BlockClient>
    let token: UInt64
    let status: BlockStatus
    /// Which device of several that share the queue.
    var device: Int32 = 0

    /// Tells the client. The caller holds nothing of the queue while this runs, for the client may submit again.
    @inline(__always)
    func give() { unsafe client._withUnsafeGuaranteedRef { $0.blockRequestCompleted(token: token, status: status) } }
  }

  private var ring: UnsafeMutablePointer<Answer>
  private var capacity = 256
  private var head = 0
  private(set) var count = 0

  init() { unsafe ring = .allocate(capacity: 256) }

  deinit { unsafe ring.deallocate() }

  mutating func append(_ answer: Answer) {
    if count == capacity {
      let larger = UnsafeMutablePointer<Answer>.allocate(capacity: capacity * 2)
      for index in 0..<count { unsafe (larger + index).initialize(to: ring[(head + index) & (capacity - 1)]) }
      unsafe ring.deallocate()
      unsafe ring = unsafe larger
      capacity *= 2
      head = 0
    }
    unsafe (ring + ((head + count) & (capacity - 1))).initialize(to: answer)
    count += 1
  }

  mutating func popFirst() -> Answer? {
    if count == 0 { return nil }
    let answer = unsafe ring[head]
    head = (head + 1) & (capacity - 1)
    count -= 1
    return answer
  }
}
