import Glibc
import Reactor

/// A block device in memory that does what a test says: at once, only when told, or never begun.
@safe final class TestDevice: BlockDevice {
  enum Mode: Sendable {
    case direct
    /// Requests begin and stay with the device until `release`: their buffers are read or written only then.
    case hold
    /// Requests wait unbegun; `discardUnstarted` may still take them back.
    case park
  }

  /// A request as it came.
  struct Submission: Equatable, Sendable {
    let operation: BlockOperation
    let offsetBytes: UInt64
    let byteCount: UInt64
    let forceUnitAccess: Bool
  }

  @safe private struct Pending {
    let request: BlockRequest
    unowned let client: BlockClient
    var status = BlockStatus.success
  }

  private unowned let reactor: Reactor
  private let memory: UnsafeMutableRawPointer
  var mode = Mode.direct
  /// The status of requests that follow; other than success they have no effect.
  var answer = BlockStatus.success
  private var begun: [Pending] = []
  private var parked: [Pending] = []
  private var finished: [Pending] = []
  private(set) var submissions: [Submission] = []
  private(set) var executed: [Submission] = []
  private(set) var discardCount = 0

  /// Registers with the reactor.
  init(reactor: Reactor, sizeBytes: UInt64, blockSizeBytes: UInt32) {
    self.reactor = reactor
    unsafe memory = calloc(1, Int(sizeBytes))!
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
    reactor.register(self)
  }

  deinit { unsafe free(memory) }

  var begunCount: Int { begun.count }
  var parkedCount: Int { parked.count }

  override func submit(_ request: BlockRequest, for client: BlockClient) {
    submissions.append(Self.submission(request))
    let pending = Pending(request: request, client: client)
    switch mode {
    case .direct: execute(pending)
    case .hold: begun.append(pending)
    case .park: parked.append(pending)
    }
  }

  override func discardUnstarted(of client: BlockClient) {
    discardCount += 1
    for var pending in parked where pending.client === client {
      pending.status = .aborted
      finish(pending)
    }
    parked.removeAll { $0.client === client }
  }

  /// Executes everything that was held back, in the order of its coming; `count` limits it.
  func release(_ count: Int = .max) {
    for _ in 0..<min(count, begun.count) { execute(begun.removeFirst()) }
    for _ in 0..<min(count, parked.count) { execute(parked.removeFirst()) }
  }

  func bytes(offsetBytes: Int, count: Int) -> [UInt8] {
    unsafe [UInt8](UnsafeRawBufferPointer(start: memory + offsetBytes, count: count))
  }

  func fill(offsetBytes: Int, _ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBytes { source in unsafe (memory + offsetBytes).copyMemory(from: source.baseAddress!, byteCount: source.count) }
  }

  private static func submission(_ request: BlockRequest) -> Submission {
    Submission(
      operation: request.operation, offsetBytes: request.offsetBytes, byteCount: request.byteCount,
      forceUnitAccess: request.forceUnitAccess)
  }

  private func execute(_ pending: Pending) {
    var pending = pending
    let request = pending.request
    if answer != .success {
      pending.status = answer
    } else if !accepts(request) {
      pending.status = .outOfRange
    } else {
      executed.append(Self.submission(request))
      let place = unsafe memory + Int(request.offsetBytes)
      switch request.operation {
      case .read: unsafe request.buffer!.copyMemory(from: place, byteCount: Int(request.byteCount))
      case .write: unsafe place.copyMemory(from: request.buffer!, byteCount: Int(request.byteCount))
      case .writeZeroes, .deallocate: unsafe memset(place, 0, Int(request.byteCount))
      case .flush: break
      }
    }
    finish(pending)
  }

  private func finish(_ pending: Pending) {
    finished.append(pending)
    reactor.postpone(handlerID, token: 1, result: 0)
  }

  override func completed(token: UInt64, result: Int32) {
    let pending = finished.removeFirst()
    pending.client.blockRequestCompleted(token: pending.request.token, status: pending.status)
  }
}
