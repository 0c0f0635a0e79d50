import NVMe

/// Who a host says it is, in Connect.
public struct HostIdentity: Equatable, Sendable {
  public var name: QualifiedName
  /// HOSTID, the same for all connections of one host, and not zero.
  public var identifier: Identifier128

  public init(name: QualifiedName, identifier: Identifier128) {
    self.name = name
    self.identifier = identifier
  }
}

/// What happens when an established association is lost.
public enum ReconnectPolicy: Equatable, Sendable {
  /// The controller stays disconnected; `close` it.
  case never
  /// Try again after `initialMilliseconds`, then twice that, and so on up to `maximumMilliseconds`, until `close`.
  case backOff(initialMilliseconds: UInt32, maximumMilliseconds: UInt32)
}

/// How a host connects to a controller.
public struct HostOptions: Equatable, Sendable {
  /// Queue depths above this are refused: the command identifier has that many places.
  public static let maximumQueueDepth = 1024

  /// I/O queues wanted, 1 to 64; the controller may grant fewer.
  public var ioQueues = 1
  /// Commands outstanding per I/O queue, 1 to 1024; the controller may allow fewer.
  public var queueDepth = 128
  /// Requests that wait in memory of ours while all queues are full; beyond it they are answered `.busy`.
  public var backlog = 1024
  public var headerDigest = false
  public var dataDigest = false
  /// KATO; 0 for none. A Keep Alive is sent every half of it.
  public var keepAliveMilliseconds: UInt32 = 10_000
  /// From the start of the connection to the last queue; the controller's own time to become ready (CAP.TO) comes on top.
  public var connectTimeoutMilliseconds: UInt32 = 5_000
  public var adminTimeoutMilliseconds: UInt32 = 10_000
  public var ioTimeoutMilliseconds: UInt32 = 30_000
  /// Which namespace; nil for the first active one.
  public var namespaceIdentifier: UInt32?
  public var reconnect = ReconnectPolicy.never

  public init() {}

  /// These are the program's own; nothing here comes from a peer.
  func check() {
    precondition((1...64).contains(ioQueues), "1 to 64 I/O queues")
    precondition((1...Self.maximumQueueDepth).contains(queueDepth), "a queue depth of 1 to 1024")
    precondition((0...(1 << 16)).contains(backlog), "a backlog of at most 65,536 requests")
    precondition(connectTimeoutMilliseconds > 0 && adminTimeoutMilliseconds > 0 && ioTimeoutMilliseconds > 0)
    if case .backOff(let initial, let maximum) = reconnect { precondition(initial > 0 && maximum >= initial) }
  }
}
