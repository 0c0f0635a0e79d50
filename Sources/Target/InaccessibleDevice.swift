import Reactor

/// What serves a volume's namespace where its nexus is not: commands are answered Inaccessible, and nothing is touched (R19).
///
/// Commands that come while the path says Inaccessible are refused before they reach a device; this one answers those that were on their way in.
/// Lives on one reactor, from `init` to `retire`.
public final class InaccessibleDevice: BlockDevice {
  private let reactor: Reactor
  private var waiting: [(client: BlockClient, token: UInt64)] = []
  private var isRetired = false

  public init(reactor: Reactor, sizeBytes: UInt64, blockSizeBytes: UInt32) {
    self.reactor = reactor
    super.init(sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes)
    reactor.register(self)
  }

  public override func submit(_ request: BlockRequest, for client: BlockClient) {
    // A completion never comes from inside of `submit`; these are few, so a reference each does no harm.
    waiting.append((client, request.token))
    reactor.postpone(handlerID, token: 0, result: 0)
  }

  public override func completed(token: UInt64, result: Int32) {
    let next = waiting.removeFirst()
    next.client.blockRequestCompleted(token: next.token, status: .inaccessible)
    if isRetired, waiting.isEmpty { reactor.unregister(self) }
  }

  /// Leaves the reactor when what was submitted has been answered. Nothing is submitted any more.
  public func retire() {
    isRetired = true
    if waiting.isEmpty { reactor.unregister(self) }
  }
}
