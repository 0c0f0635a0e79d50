import Host
import NVMe
import Nexus
import Pool
import Reactor
import Transport

/// A nexus's session with a replica on another node: one association with the replica's subsystem, from its first connection to its
/// last. Data go through the namespace, questions as vendor specific commands of the admin queue, apart from data (R14).
///
/// A lost connection ends it for good (R11): whoever wants to go on connects a new one and claims again. It is to be closed in any
/// case. Lives on the reactor of its transport.
final class RemoteDoor: ReplicaDoor {
  /// How a nexus connects to a replica unless told otherwise.
  static var options: HostOptions {
    var options = HostOptions()
    options.keepAliveMilliseconds = 4_000
    options.ioTimeoutMilliseconds = 10_000
    return options
  }

  private let reactor: Reactor
  private let controller: RemoteController
  private let namespace: RemoteNamespace
  private var line: [Waiting] = []
  private var lineStart = 0
  private var outstanding = 0
  private var isOver = false

  private struct Waiting {
    let message: [UInt8]
    let answer: (Result<ReplicaAnswer, ReplicaRefusal>) -> Void
  }

  private init(reactor: Reactor, controller: RemoteController, namespace: RemoteNamespace) {
    self.reactor = reactor
    self.controller = controller
    self.namespace = namespace
    super.init(sizeBytes: namespace.sizeBytes, blockSizeBytes: namespace.blockSizeBytes)
    controller.stateChanged = { [weak self] state in if state != .connected { self?.lost() } }
    controller.eventReceived = { [weak self] event in
      guard let self, event == .namespaceChanged, self.namespace.sizeBytes > sizeBytes else { return }
      grow(toSizeBytes: self.namespace.sizeBytes)
    }
  }

  /// Connects to a replica's subsystem. `host` is the nexus: its identifier is another one for every nexus, so that a new one does not
  /// end the connections of the one before by connecting, but by its claim alone (R3).
  static func connect(
    context: TransportContext, address: SocketAddress, subsystem: QualifiedName, host: HostIdentity,
    options: HostOptions = RemoteDoor.options,
    completion: @escaping (Result<RemoteDoor, HostError>) -> Void
  ) {
    precondition(options.reconnect == .never, "a session does not outlive its connection")
    let controller = RemoteController(context: context, address: address, subsystem: subsystem, host: host, options: options)
    controller.connect { result in
      switch result {
      case .success(let namespace):
        completion(.success(RemoteDoor(reactor: context.reactor, controller: controller, namespace: namespace)))
      case .failure(let error): controller.close { completion(.failure(error)) }
      }
    }
  }

  /// Closes the connections in good order. `sessionEnded` is not told; requests in flight end as lost.
  func close(_ completion: @escaping () -> Void = {}) {
    sessionEnded = nil
    controller.close { [self] in withExtendedLifetime(self) { completion() } }
  }

  /// The replica's node may be gone, as others say: one that does not answer within a second is lost.
  func probe() { controller.probe(timeoutMilliseconds: 1_000) }

  // MARK: Data

  override func submit(_ request: BlockRequest, for client: BlockClient) { namespace.submit(request, for: client) }
  override func discardUnstarted(of client: BlockClient) { namespace.discardUnstarted(of: client) }

  // MARK: Questions

  override func ask(_ question: ReplicaQuestion, then answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void) {
    if case .setRegions(let set, let regions, let isMember) = question, regions.count > ReplicaQuestion.maximumMessageRanges {
      return askInParts(set, regions, isMember, answer)
    }
    do throws(MessageFlaw) {
      var told = answer
      switch question {
      case .grow(let size): told = { [self] in grown(to: $0 == .success(.done) ? size : 0, $0, answer) }
      case .claim, .claimFrom:
        // An older nexus may have made it larger since this one connected.
        told = { [self] in if case .success(.claimed(let claimed)) = $0 { grown(to: claimed.sizeBytes, $0, answer) } else { answer($0) } }
      default: break
      }
      line.append(Waiting(message: try question.encoded(), answer: told))
      sendNext()
    } catch {
      later { answer(.failure(.invalid("the question cannot be sent: \(error)"))) }
    }
  }

  /// As many questions as the regions take. Each is durable by itself, and so are all when the last one is.
  private func askInParts(
    _ set: RegionSetName, _ regions: [Range<Int>], _ isMember: Bool, _ answer: @escaping (Result<ReplicaAnswer, ReplicaRefusal>) -> Void
  ) {
    let step = ReplicaQuestion.maximumMessageRanges
    let starts = stride(from: 0, to: regions.count, by: step)
    var open = (regions.count + step - 1) / step
    var outcome: Result<ReplicaAnswer, ReplicaRefusal> = .success(.done)
    for start in starts {
      ask(.setRegions(set, Array(regions[start..<min(start + step, regions.count)]), isMember: isMember)) { result in
        if case .failure = result { outcome = result }
        open -= 1
        if open == 0 { answer(outcome) }
      }
    }
  }

  /// The replica has so many bytes at least. The target tells of it too, only later.
  private func grown(
    to size: UInt64, _ result: Result<ReplicaAnswer, ReplicaRefusal>, _ answer: (Result<ReplicaAnswer, ReplicaRefusal>) -> Void
  ) {
    if size > namespace.sizeBytes { namespace.grow(toSizeBytes: size) }
    if size > sizeBytes { grow(toSizeBytes: size) }
    answer(result)
  }

  /// Sends questions in order, as far as there are slots.
  private func sendNext() {
    while outstanding < RemoteController.maximumVendorCommands, lineStart < line.count {
      let next = line[lineStart]
      lineStart += 1
      if lineStart == line.count {
        line = []
        lineStart = 0
      }
      outstanding += 1
      if isOver {
        later { [self] in conclude(next, .failure(.lost)) }
        continue
      }
      controller.vendorCommand(opcode: ReplicaWire.askOpcode, data: next.message) { [self] outcome in asked(next, outcome) }
    }
  }

  private func asked(_ question: Waiting, _ outcome: RemoteController.VendorOutcome) {
    switch outcome {
    case .success(let result, _):
      switch ReplicaWire.Completion(result: result) {
      case .done: conclude(question, .success(.done))
      case .leased(let milliseconds): conclude(question, .success(.leased(nanoseconds: UInt64(milliseconds) * 1_000_000)))
      case .message(let byteCount, let ticket):
        guard byteCount <= UInt32(ReplicaReply.maximumMessageBytes) else {
          return conclude(question, .failure(.faulted("the replica's reply would have \(byteCount) bytes")))
        }
        fetch(question, ticket: ticket, byteCount: Int(byteCount), had: [])
      }
    default: failed(question, outcome)
    }
  }

  private func fetch(_ question: Waiting, ticket: UInt32, byteCount: Int, had: [UInt8]) {
    let piece = min(ReplicaWire.maximumPieceBytes, byteCount - had.count)
    controller.vendorCommand(
      opcode: ReplicaWire.fetchOpcode, dword10: ticket, dword11: UInt32(had.count), replyBytes: piece
    ) { [self] outcome in
      guard case .success(_, let data) = outcome else { return failed(question, outcome) }
      let bytes = had + data
      if bytes.count < byteCount { return fetch(question, ticket: ticket, byteCount: byteCount, had: bytes) }
      do throws(MessageFlaw) {
        conclude(question, try ReplicaReply(decoding: bytes).result)
      } catch {
        conclude(question, .failure(.faulted("the replica's reply cannot be read: \(error)")))
      }
    }
  }

  private func failed(_ question: Waiting, _ outcome: RemoteController.VendorOutcome) {
    switch outcome {
    case .refused(let status) where status.matches(.commandInterrupted): conclude(question, .failure(.busy))
    case .refused(let status): conclude(question, .failure(.faulted("the replica's node refused the question: \(status)")))
    // It may come from inside the call that sent it.
    case .lost, .success: later { [self] in conclude(question, .failure(.lost)) }
    }
  }

  private func conclude(_ question: Waiting, _ result: Result<ReplicaAnswer, ReplicaRefusal>) {
    outstanding -= 1
    question.answer(result)
    sendNext()
  }

  // MARK: Ends

  private func lost() {
    if isOver { return }
    isOver = true
    sendNext()
    let told = sessionEnded
    sessionEnded = nil
    told?(.lost)
  }

  private func later(_ body: @escaping () -> Void) {
    let bound = ReactorBound(body)
    reactor.post { _ in bound.value() }
  }
}
