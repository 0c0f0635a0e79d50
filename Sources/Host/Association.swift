import Glibc
import NVMe
import Reactor
import Transport

/// One life of a controller as the host sees it: its connections from the first socket to the last.
///
/// Begins once, ends once. An end closes every socket before anybody hears that commands are lost (R11). It lives in the
/// reactor's table from `begin` until after its end.
final class Association: EventHandler {
  enum Phase: Equatable {
    case connecting
    case live
    /// The sockets are being closed.
    case ending
    case ended
  }

  /// What the controller said about itself.
  struct Facts {
    var controllerIdentifier: UInt16 = 0
    var capabilities = ControllerCapabilities(rawValue: 0)
    var controller = IdentifyController()
    var commandSet: IdentifyControllerNVM?
    var namespaceIdentifier: UInt32 = 0
    var namespace = IdentifyNamespace()
    var uuid: Identifier128?
    var anaState: ANAState?

    /// MDTS in bytes, as far as it is of interest to us.
    var maximumTransferBytes: UInt64 {
      let shift = UInt64(controller.maximumDataTransferShift)
      return shift == 0 || shift > 20
        ? BlockDevice.maximumTransferBytes : min(pageBytes << shift, BlockDevice.maximumTransferBytes)
    }

    /// The unit of MDTS and WZSL: 2^(12 + CAP.MPSMIN) bytes.
    var pageBytes: UInt64 { 4096 << UInt64(capabilities.minimumPageSizeShift) }
  }

  /// Timers.
  enum Timer: UInt64 {
    case failNow = 1
    case deadline
    case readyPoll
    case keepAlive
    case forceClose
    case shutdownPoll
  }

  static let adminDepth = 31
  /// In-capsule data of the admin queue are at most 8 KiB by the transport's specification.
  static let adminInCapsuleBytes: UInt32 = 8192
  /// How long a controller has to close after a termination request.
  private static let drainNanoseconds: UInt64 = 300_000_000

  unowned let owner: RemoteController
  let context: TransportContext
  let reactor: Reactor
  let options: HostOptions
  var phase = Phase.connecting
  var facts = Facts()
  var admin: HostQueue?
  var ioQueues: [HostQueue] = []
  var connectedQueues = 0
  /// What is being waited for, for messages.
  var step = "connect"
  /// When establishing the association is given up.
  var deadline: UInt64
  var readyDeadline: UInt64 = 0
  var readyPollNanoseconds: UInt64 = 1_000_000
  var shutdownCompletion: (() -> Void)?
  private var control = ControlTable()
  private var openQueues = 0
  private(set) var reason: HostError.Reason = .closed
  var isKeepAliveOutstanding = false
  var isProbed = false

  init(owner: RemoteController) {
    self.owner = owner
    context = owner.context
    reactor = context.reactor
    options = owner.options
    deadline = Clock.monotonicNanoseconds() &+ UInt64(owner.options.connectTimeoutMilliseconds) * 1_000_000
    super.init()
  }

  // MARK: Queues

  /// Opens the connection of a queue.
  func openQueue(_ identifier: UInt16, depth: Int, inCapsuleBytes: UInt32) throws(SystemError) -> HostQueue {
    let descriptor = try Socket.connect(to: owner.address)
    openQueues += 1
    return HostQueue(
      association: self, descriptor: descriptor, identifier: identifier, depth: depth, inCapsuleBytes: inCapsuleBytes,
      namespace: identifier == 0 ? nil : owner.namespace)
  }

  /// A queue's socket is closed.
  func queueClosed(_ queue: HostQueue, _ reason: PDUStream.CloseReason) {
    openQueues -= 1
    if phase == .connecting || phase == .live {
      switch reason {
      case .byPeer, .systemError(ECONNRESET), .systemError(EPIPE): end(.closedByController)
      case .systemError(let code): end(.connectionFailed(code: code))
      case .bySelf, .protocolError: end(.protocolViolation("queue \(queue.identifier)"))
      }
    }
    if openQueues == 0 { finishEnding() }
  }

  /// The controller broke the protocol on `queue`, which has yet to send its termination request.
  func violated(_ queue: HostQueue, _ what: String) { end(.protocolViolation(what), sparing: queue) }

  // MARK: Control commands

  /// Sends a command of the control path. `fill` writes the data to send; without it `byteCount` bytes are received.
  func perform(
    _ name: String, _ entry: SubmissionEntry, on queue: HostQueue? = nil, byteCount: Int = 0,
    fill: ((inout MutableRawSpan) -> Void)? = nil, timeoutMilliseconds: UInt32? = nil, isUnlimited: Bool = false,
    completion: @escaping (ControlCommand, CompletionEntry?) -> Void
  ) {
    let command = ControlCommand(name: name, byteCount: byteCount, completion: completion)
    guard let queue = queue ?? admin, queue.freeSlots > 0 else {
      completion(command, nil)
      return
    }
    if let fill { command.encode(fill) }
    let transfer: HostQueue.Transfer =
      if let memory = unsafe command.memory {
        fill == nil ? unsafe .toHost(memory, byteCount: UInt32(byteCount)) : unsafe .toController(memory, byteCount: UInt32(byteCount))
      } else {
        .none
      }
    let timeout = UInt64(timeoutMilliseconds ?? options.adminTimeoutMilliseconds) * 1_000_000
    queue.start(entry, transfer, owner: .control(control.insert(command)), timeoutNanoseconds: isUnlimited ? nil : timeout)
  }

  func controlFinished(_ index: Int, _ entry: CompletionEntry?) {
    let command = control.remove(index)
    command.completion(command, entry)
  }

  // MARK: Ends

  /// Closes everything; `sparing` closes when its termination request is out. Later calls change nothing.
  func end(_ reason: HostError.Reason, sparing: HostQueue? = nil) {
    guard phase == .connecting || phase == .live else { return }
    phase = .ending
    self.reason = reason
    owner.namespace?.stop()
    if sparing != nil { schedule(.forceClose, afterNanoseconds: Self.drainNanoseconds) }
    for queue in allQueues where queue !== sparing { queue.close(.bySelf) }
    if openQueues == 0 { finishEnding() }
  }

  private var allQueues: [HostQueue] { (admin.map { [$0] } ?? []) + ioQueues }

  /// All sockets are closed: nothing refers to anybody's memory any more.
  private func finishEnding() {
    guard phase == .ending else { return }
    phase = .ended
    let queues = allQueues
    for queue in queues { queue.abandonCommands() }
    owner.namespace?.abandonBacklog()
    for queue in queues { queue.retire() }
    let bound = ReactorBound(self)
    reactor.post { reactor in reactor.unregister(bound.value) }
    let shutdownCompletion = shutdownCompletion
    self.shutdownCompletion = nil
    owner.associationEnded(self, reason)
    shutdownCompletion?()
  }

  // MARK: Time

  func schedule(_ timer: Timer, afterNanoseconds delay: UInt64) {
    reactor.schedule(afterNanoseconds: delay, handlerID, token: timer.rawValue)
  }

  override func completed(token: UInt64, result: Int32) {
    guard let timer = Timer(rawValue: token) else { return }
    switch timer {
    case .failNow: end(.connectionFailed(code: result))
    case .deadline: deadlineReached()
    case .readyPoll: if phase == .connecting { readStatus() }
    case .keepAlive: if phase == .live { keepAlive() }
    case .forceClose: for queue in allQueues { queue.close(.bySelf) }
    case .shutdownPoll: if phase == .live { readShutdownStatus() }
    }
  }

  private func deadlineReached() {
    guard phase == .connecting else { return }
    let now = Clock.monotonicNanoseconds()
    if now >= deadline {
      end(.timeout(step))
    } else {
      schedule(.deadline, afterNanoseconds: deadline &- now)
    }
  }
}
