import NVMe
import Reactor
import Transport

/// An association with another node's discovery service that carries nothing but keep-alives: it ends when that node's process does, at once
/// where the kernel there says so, else when a keep-alive is not answered. It is tried again until `close`.
///
/// Lives on the reactor of its transport, which keeps it from `start` to `close`.
public final class PeerAssociation: EventHandler {
  public struct Options: Equatable, Sendable {
    /// One Keep Alive in half of that time, which is also how long its answer may take.
    public var keepAliveMilliseconds: UInt32 = 1_000
    public var connectTimeoutMilliseconds: UInt32 = 1_000
    public var firstDelayMilliseconds: UInt32 = 50
    public var longestDelayMilliseconds: UInt32 = 1_000

    public init() {}
  }

  public enum News: Equatable, Sendable {
    case connected
    /// Was connected, and is no more.
    case lost
    /// Another attempt failed.
    case failed
  }

  private static let retryToken: UInt64 = 1

  private let context: TransportContext
  private let address: SocketAddress
  private let host: HostIdentity
  private let options: Options
  private let tell: (News) -> Void
  private var controller: RemoteController?
  private var delayMilliseconds: UInt32 = 0
  private var isClosed = false

  public init(
    context: TransportContext, address: SocketAddress, host: HostIdentity, options: Options = Options(), tell: @escaping (News) -> Void
  ) {
    self.context = context
    self.address = address
    self.host = host
    self.options = options
    self.tell = tell
    super.init()
  }

  public func start() {
    context.reactor.register(self)
    connect()
  }

  /// Nothing is told any more.
  public func close() {
    if isClosed { return }
    isClosed = true
    controller?.abandon()
    controller = nil
    let bound = ReactorBound(self)
    context.reactor.post { reactor in reactor.unregister(bound.value) }
  }

  private func connect() {
    var host = HostOptions()
    host.keepAliveMilliseconds = options.keepAliveMilliseconds
    host.connectTimeoutMilliseconds = options.connectTimeoutMilliseconds
    host.adminTimeoutMilliseconds = options.connectTimeoutMilliseconds
    let made = RemoteController(
      context: context, address: address, subsystem: .discovery, host: self.host, options: host, kind: .discovery)
    controller = made
    made.stateChanged = { [weak self, weak made] state in
      guard let self, let made, case .disconnected = state, made === controller else { return }
      ended(made, .lost)
    }
    made.establish { [self] result in
      guard made === controller, !isClosed else { return }
      switch result {
      case .success:
        delayMilliseconds = 0
        tell(.connected)
      case .failure: ended(made, .failed)
      }
    }
  }

  private func ended(_ old: RemoteController, _ news: News) {
    controller = nil
    let bound = ReactorBound(old)
    // Not from inside an event of its own.
    context.reactor.post { _ in bound.value.abandon() }
    delayMilliseconds =
      delayMilliseconds == 0 ? options.firstDelayMilliseconds : min(delayMilliseconds * 2, options.longestDelayMilliseconds)
    context.reactor.schedule(
      afterNanoseconds: UInt64(delayMilliseconds) * 1_000_000, handlerID, token: Self.retryToken)
    tell(news)
  }

  public override func completed(token: UInt64, result: Int32) {
    if !isClosed, controller == nil { connect() }
  }
}
