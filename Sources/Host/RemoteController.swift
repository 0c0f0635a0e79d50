import NVMe
import Reactor
import Transport

/// A controller of a remote subsystem, as one host on one reactor sees it: connects, keeps the association alive, reconnects.
///
/// A subsystem may be had at several addresses, of which one at a time serves (NVM Express base 2.0, 8.1, Asymmetric Namespace Access): each
/// attempt goes to the next of them, and one that says Inaccessible counts as failed.
///
/// Everything happens on the reactor's thread. From `connect` until the completion of `close` the reactor keeps it alive.
/// Each loss of the association ends all commands in flight with `.connectionLost`; whether to send them again is for the
/// caller to decide, since their fate is not known (R11).
public final class RemoteController: EventHandler {
  public enum State: Equatable, Sendable {
    /// `connect` was not called yet.
    case idle
    case connecting
    case connected
    /// Lost, or never established; with a back-off policy another attempt follows.
    case disconnected(HostError)
    case closed
  }

  /// What a controller tells without being asked.
  public enum Event: Equatable, Sendable {
    /// The namespace was identified anew; its size may have grown.
    case namespaceChanged
    /// The ANA state of the namespace's group is this now.
    case accessStateChanged(ANAState)
    /// The namespace's size or format is not what it was, in a way that cannot be served; I/O goes on as before.
    case namespaceIncompatible
  }

  enum Kind { case io, discovery }

  /// In the order in which they are tried.
  public let addresses: [SocketAddress]
  /// The one in use, or tried last.
  public var address: SocketAddress { addresses[position] }
  private var position = 0
  public let subsystem: QualifiedName
  public let host: HostIdentity
  public let options: HostOptions
  public private(set) var state = State.idle
  /// The namespace, once connected; the same object over all reconnects.
  public private(set) var namespace: RemoteNamespace?
  /// Hears of `.connected`, `.closed`, and each `.disconnected` after the first success; before it `connect`'s completion does.
  public var stateChanged: ((State) -> Void)?
  public var eventReceived: ((Event) -> Void)?
  /// CNTLID, serial and model of the controller that was connected last.
  public private(set) var controllerDescription: ControllerDescription?

  let context: TransportContext
  let kind: Kind
  private(set) var association: Association?
  private var completion: ((Result<RemoteNamespace?, HostError>) -> Void)?
  private var closeCompletions: [() -> Void] = []
  private var isClosing = false
  private var nextDelayMilliseconds: UInt32 = 0
  /// Attempts since the association was lost, or from the beginning.
  private var attempts = 0

  private static let reconnectToken: UInt64 = 1

  /// What people recognise a controller by.
  public struct ControllerDescription: Equatable, Sendable {
    public let controllerIdentifier: UInt16
    public let serialNumber: String
    public let modelNumber: String
    public let firmwareRevision: String
    public let ioQueues: Int
    /// Commands outstanding per I/O queue.
    public let queueDepth: Int
    public let maximumTransferBytes: UInt64
  }

  /// For a subsystem with namespaces.
  public convenience init(
    context: TransportContext, address: SocketAddress, subsystem: QualifiedName, host: HostIdentity, options: HostOptions = HostOptions()
  ) {
    self.init(context: context, addresses: [address], subsystem: subsystem, host: host, options: options, kind: .io)
  }

  /// For a subsystem with namespaces that is to be had at each of `addresses`, of which there is one at least.
  public convenience init(
    context: TransportContext, addresses: [SocketAddress], subsystem: QualifiedName, host: HostIdentity, options: HostOptions
  ) {
    self.init(context: context, addresses: addresses, subsystem: subsystem, host: host, options: options, kind: .io)
  }

  init(
    context: TransportContext, addresses: [SocketAddress], subsystem: QualifiedName, host: HostIdentity, options: HostOptions, kind: Kind
  ) {
    options.check()
    precondition(!addresses.isEmpty, "a controller has an address")
    self.context = context
    self.addresses = addresses
    self.subsystem = subsystem
    self.host = host
    self.options = options
    self.kind = kind
    super.init()
  }

  // MARK: Connecting

  /// Connects, once. `completion` is called later with the namespace or the reason. First attempts, one at each address, are not
  /// repeated: `close` and make a new one. Reconnecting begins with the first success.
  public func connect(_ completion: @escaping (Result<RemoteNamespace, HostError>) -> Void) {
    precondition(kind == .io)
    establish { result in
      switch result {
      case .success(let namespace): completion(.success(namespace!))
      case .failure(let error): completion(.failure(error))
      }
    }
  }

  func establish(_ completion: @escaping (Result<RemoteNamespace?, HostError>) -> Void) {
    precondition(state == .idle, "a controller is connected once")
    context.reactor.register(self)
    self.completion = completion
    start()
  }

  private func start() {
    state = .connecting
    attempts += 1
    let association = Association(owner: self)
    self.association = association
    association.begin()
  }

  /// Checks what the controller said about the namespace, and makes it ours or finds ours in it.
  func adoptNamespace(_ facts: Association.Facts) throws(HostError) {
    let shape: NamespaceShape
    switch NamespaceShape.make(facts) {
    case .success(let found): shape = found
    case .failure(let reason): throw error(reason)
    }
    guard let namespace else {
      let made = RemoteNamespace(context.reactor, shape, options)
      context.reactor.register(made)
      namespace = made
      return
    }
    guard namespace.isSame(shape) else { throw error(.namespaceReplaced) }
    namespace.update(shape)
  }

  func associationEstablished(_ association: Association) {
    let facts = association.facts
    controllerDescription = ControllerDescription(
      controllerIdentifier: facts.controllerIdentifier, serialNumber: facts.controller.serialNumber,
      modelNumber: facts.controller.modelNumber, firmwareRevision: facts.controller.firmwareRevision,
      ioQueues: association.ioQueues.count, queueDepth: association.ioQueues.first?.slots.capacity ?? 0,
      maximumTransferBytes: facts.maximumTransferBytes)
    (nextDelayMilliseconds, attempts) = (0, 0)
    namespace?.start(association.ioQueues)
    if let anaState = facts.anaState { namespace?.anaState = anaState }
    state = .connected
    let completion = completion
    self.completion = nil
    completion?(.success(namespace))
    if state == .connected { stateChanged?(.connected) }
  }

  // MARK: Losing

  func associationEnded(_ association: Association, _ reason: HostError.Reason) {
    precondition(association === self.association)
    self.association = nil
    if isClosing {
      finishClosing()
      return
    }
    let error = error(reason)
    state = .disconnected(error)
    position = (position + 1) % addresses.count
    if let completion {
      if attempts < addresses.count { return schedule(afterMilliseconds: 1) }
      self.completion = nil
      completion(.failure(error))
      return
    }
    scheduleReconnect()
    stateChanged?(state)
  }

  private func scheduleReconnect() {
    guard case .backOff(let initial, let maximum) = options.reconnect else { return }
    nextDelayMilliseconds = nextDelayMilliseconds == 0 ? initial : UInt32(min(UInt64(nextDelayMilliseconds) * 2, UInt64(maximum)))
    // Those not tried since the loss are not waited for.
    schedule(afterMilliseconds: attempts < addresses.count ? initial : nextDelayMilliseconds)
  }

  private func schedule(afterMilliseconds delay: UInt32) {
    context.reactor.schedule(afterNanoseconds: UInt64(delay) * 1_000_000, handlerID, token: Self.reconnectToken)
  }

  public override func completed(token: UInt64, result: Int32) {
    guard token == Self.reconnectToken, case .disconnected = state, !isClosing else { return }
    start()
  }

  private func error(_ reason: HostError.Reason) -> HostError { HostError(reason, address: address, subsystem: subsystem) }

  // MARK: Events

  func accessStateChanged(_ anaState: ANAState) {
    namespace?.anaState = anaState
    eventReceived?(.accessStateChanged(anaState))
    if !isUsable(anaState) { association?.end(.inaccessible) }
  }

  /// Whether an association is kept in which the namespace has this state; always where there is no other address.
  func isUsable(_ anaState: ANAState?) -> Bool {
    addresses.count == 1 || anaState == nil || anaState == .optimized || anaState == .nonOptimized
  }

  func namespaceChanged(_ identified: IdentifyNamespace) {
    guard let namespace, let association else { return }
    association.facts.namespace = identified
    guard case .success(let shape) = NamespaceShape.make(association.facts), namespace.isSame(shape) else {
      eventReceived?(.namespaceIncompatible)
      return
    }
    namespace.update(shape)
    eventReceived?(.namespaceChanged)
  }

  /// Finds out soon whether the controller is still there, which keep-alive does later: somebody has reason to doubt it. An association whose
  /// controller does not answer within the time ends as by keep-alive.
  public func probe(timeoutMilliseconds: UInt32) { association?.probe(timeoutMilliseconds: timeoutMilliseconds) }

  // MARK: Closing

  /// Shuts the controller down in good order, within about four seconds, and lets everything go. Commands in flight end with
  /// `.connectionLost`; finish them before. `completion` is called once all sockets are closed, maybe from inside this call.
  public func close(_ completion: @escaping () -> Void = {}) {
    if state == .closed {
      completion()
      return
    }
    closeCompletions.append(completion)
    if isClosing { return }
    isClosing = true
    guard let association else {
      finishClosing()
      return
    }
    association.shutDown {}
  }

  /// Closes all sockets now, without telling the controller.
  public func abandon() {
    if state == .closed { return }
    isClosing = true
    if let association { association.end(.closed) } else { finishClosing() }
  }

  private func finishClosing() {
    guard state != .closed else { return }
    let wasRegistered = handlerID != .none
    state = .closed
    if let completion {
      self.completion = nil
      completion(.failure(error(.closed)))
    }
    if let namespace { namespace.retire() }
    if wasRegistered {
      let bound = ReactorBound(self)
      context.reactor.post { reactor in reactor.unregister(bound.value) }
    }
    stateChanged?(.closed)
    let completions = closeCompletions
    closeCompletions = []
    for completion in completions { completion() }
  }
}
