import Host
import NVMe
import Nexus
import Pool
import Reactor
import Transport

/// Keeps a nexus in doors to one of its replicas: finds out where the replica is, opens a session, hands it over, and when that ends
/// begins anew, until it is closed.
///
/// Lives on the nexus's reactor, which keeps it from `start` to the completion of `close`. Every door that it opened it closes.
final class ReplicaLink: EventHandler {
  /// Where a replica is now.
  enum Place: Sendable {
    /// On this reactor.
    case here(ReactorBound<ReplicaGate>)
    case there(SocketAddress)
    /// Nowhere to be reached, and why.
    case nowhere(String)
  }

  /// Looks on a thread where waiting is allowed; the answer may come from any.
  typealias Locate = @Sendable (@escaping @Sendable (Place) -> Void) -> Void

  private enum Door {
    case here(ReplicaSession)
    case there(RemoteDoor)
  }

  /// The first try after a loss is soon, since most are a process that is started again; then once a second.
  private static let firstDelayNanoseconds: UInt64 = 50_000_000
  private static let longestDelayNanoseconds: UInt64 = 1_000_000_000
  private static let settleStepNanoseconds: UInt64 = 1_000_000
  private static let retryToken: UInt64 = 1
  private static let settleToken: UInt64 = 2

  private let context: TransportContext
  private let nexus: Nexus
  private let replica: PoolIdentifier
  private let subsystem: QualifiedName
  private let host: HostIdentity
  private let locate: Locate
  private let tell: (String?) -> Void
  private var door: Door?
  private var openedNanoseconds: UInt64 = 0
  private var delayNanoseconds = ReplicaLink.firstDelayNanoseconds
  private var trouble: String?
  private var isClosed = false
  private var closing: (() -> Void)?

  /// - Parameters:
  ///   - host: the nexus, with an identifier that no other nexus has.
  ///   - tell: hears why the replica cannot be reached, and nil when it is.
  init(
    context: TransportContext, nexus: Nexus, replica: PoolIdentifier, subsystem: QualifiedName, host: HostIdentity,
    locate: @escaping Locate, tell: @escaping (String?) -> Void
  ) {
    self.context = context
    self.nexus = nexus
    self.replica = replica
    self.subsystem = subsystem
    self.host = host
    self.locate = locate
    self.tell = tell
    super.init()
  }

  private var reactor: Reactor { context.reactor }

  func start() {
    reactor.register(self)
    look()
  }

  /// Ends the session; told when nothing of it is under way any more. A connection that is being made is closed as soon as it is there.
  func close(_ completion: @escaping () -> Void) {
    precondition(!isClosed, "a link is closed twice")
    isClosed = true
    closing = completion
    switch door {
    case .there(let remote): remote.close { [self] in closed() }
    case .here(let session):
      session.close()
      settle()
    case nil: closed()
    }
  }

  /// The replica's node may be gone.
  func probe() { if case .there(let remote) = door { remote.probe() } }

  private func settle() {
    if case .here(let session) = door, session.inFlight > 0 {
      reactor.schedule(afterNanoseconds: Self.settleStepNanoseconds, handlerID, token: Self.settleToken)
    } else {
      closed()
    }
  }

  private func closed() {
    door = nil
    let completion = closing
    closing = nil
    let bound = ReactorBound(self)
    // Not from inside an event of its own.
    reactor.post { reactor in reactor.unregister(bound.value) }
    completion?()
  }

  // MARK: Opening

  private func look() {
    let bound = ReactorBound(self)
    let reference = ReactorReference(reactor)
    locate { place in reference.post { _ in bound.value.located(place) } }
  }

  private func located(_ place: Place) {
    guard !isClosed else { return }
    switch place {
    case .nowhere(let why): failed(why)
    case .here(let gate): offer(.here(gate.value.makeSession()))
    case .there(let address):
      RemoteDoor.connect(context: context, address: address, subsystem: subsystem, host: host) { [self] result in
        switch result {
        case .failure(let error): failed("could not connect to \(address): \(error.sentence)")
        case .success(let remote): if isClosed { remote.close() } else { offer(.there(remote)) }
        }
      }
    }
  }

  private func offer(_ opened: Door) {
    let door: ReplicaDoor
    switch opened {
    case .here(let session): door = session
    case .there(let remote): door = remote
    }
    self.door = opened
    openedNanoseconds = reactor.now
    guard nexus.replicaAppeared(replica, door) else { return ended(nil) }
    let told = door.sessionEnded
    door.sessionEnded = { [unowned self] refusal in
      told?(refusal)
      ended(refusal)
    }
    say(nil)
  }

  // MARK: Losing

  private func ended(_ refusal: ReplicaRefusal?) {
    let over = door
    door = nil
    switch over {
    case .here(let session): session.close()
    case .there(let remote): remote.close()
    case nil: break
    }
    if isClosed || refusal == nil { return }
    // One that ends as soon as it is open is not tried at once again.
    if reactor.now - openedNanoseconds >= Self.longestDelayNanoseconds { delayNanoseconds = Self.firstDelayNanoseconds }
    failed(refusal == .lost ? "the connection was lost" : "its session ended: \(refusal!)")
  }

  private func failed(_ why: String) {
    if isClosed { return }
    say(why)
    reactor.schedule(afterNanoseconds: delayNanoseconds, handlerID, token: Self.retryToken)
    delayNanoseconds = min(delayNanoseconds * 2, Self.longestDelayNanoseconds)
  }

  private func say(_ why: String?) {
    if why == trouble { return }
    trouble = why
    tell(why)
  }

  override func completed(token: UInt64, result: Int32) {
    if token == Self.settleToken { settle() } else if !isClosed { look() }
  }
}
