import Reactor

/// Everything a node process is told when it starts.
public struct NodeOptions: Equatable, Sendable {
  public static let defaultPort: UInt16 = 4420
  /// NVMe/TCP's port for discovery controllers (NVMe/TCP transport 1.0, 1.5).
  public static let standardDiscoveryPort: UInt16 = 8009

  /// A name by the rule of `Names`, the same in every run.
  public var name: String
  public var store: StoreLocation
  /// Where the target listens.
  public var listen: SocketAddress
  /// Where hosts reach the target; announced in discovery. Differs from `listen` in containers and virtual machines.
  public var advertise: SocketAddress
  /// Where the other nodes, and tools beside them, reach the target.
  public var peer: SocketAddress
  public var pools: [PoolOption]
  public var reactorCount: Int
  public var engine: IOEngineChoice
  public var spinNanoseconds: UInt64
  /// The discovery subsystem is also served there if the port is free; nil for nowhere else than `listen`.
  public var discoveryPort: UInt16?
  /// Where the node's metrics are read, over HTTP; nil for nowhere.
  public var metrics: SocketAddress?
  /// The processors that reactors are bound to, one each, in order; empty leaves them to the kernel.
  public var processors: [Int]
  /// What rebuilds and scrubs of all its volumes may copy per second together; nil for no limit.
  public var rebuildBytesPerSecond: UInt64?
  /// Where the node stands: zone, rack, or any other label.
  public var topology: [String: String]

  public init(
    name: String, store: StoreLocation, listen: SocketAddress, advertise: SocketAddress? = nil, peer: SocketAddress? = nil,
    pools: [PoolOption] = [], reactorCount: Int = 1, engine: IOEngineChoice = .auto, spinNanoseconds: UInt64 = 30_000,
    discoveryPort: UInt16? = standardDiscoveryPort, processors: [Int] = [], topology: [String: String] = [:]
  ) {
    precondition(reactorCount > 0)
    precondition(processors.isEmpty || processors.count == reactorCount, "one processor for each reactor")
    self.name = name
    self.store = store
    self.listen = listen
    self.advertise = advertise ?? listen
    self.peer = peer ?? advertise ?? listen
    self.pools = pools
    self.reactorCount = reactorCount
    self.engine = engine
    self.spinNanoseconds = spinNanoseconds
    self.discoveryPort = discoveryPort
    self.processors = processors
    self.topology = topology
  }

  /// The configuration of the reactor with that index.
  public func reactorConfiguration(_ index: Int) -> Reactor.Configuration {
    Reactor.Configuration(engine: engine, spinNanoseconds: spinNanoseconds, processor: processors.isEmpty ? nil : processors[index])
  }
}
