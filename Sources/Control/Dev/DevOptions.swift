import Pool
import Reactor

/// What `keelson dev` is told when it starts.
public struct DevOptions: Equatable, Sendable {
  public static let maximumNodeCount = 32
  public static let defaultPoolBytes: UInt64 = 20 << 30

  public var directory: DevDirectory
  public var nodeCount: Int
  /// Each node has a pool in a sparse file of this size; nil for none.
  public var poolBytes: UInt64?
  /// What pool files that are created keep of their data.
  public var integrity = PoolIntegrity.none
  /// Pools in memory that each node has.
  public var memoryPools: [PoolOption]
  /// Where nodes listen: a numeric address. Each has a port of its own, from `basePort` on.
  public var listenHost: String
  public var basePort: UInt16
  /// What nodes announce instead of `listenHost`: a numeric address.
  public var advertiseHost: String?
  public var engine: IOEngineChoice
  /// Of each node.
  public var reactorCount: Int
  public var spinMicroseconds: Int
  /// What its controller is told.
  public var policy = ControllerPolicy()

  public init(
    directory: DevDirectory, nodeCount: Int = 3, poolBytes: UInt64? = defaultPoolBytes, memoryPools: [PoolOption] = [],
    listenHost: String = "127.0.0.1", basePort: UInt16 = NodeOptions.defaultPort, advertiseHost: String? = nil,
    engine: IOEngineChoice = .auto, reactorCount: Int = 1, spinMicroseconds: Int = 30
  ) {
    precondition((1...Self.maximumNodeCount).contains(nodeCount))
    precondition(Int(basePort) + nodeCount - 1 <= Int(UInt16.max))
    self.directory = directory
    self.nodeCount = nodeCount
    self.poolBytes = poolBytes
    self.memoryPools = memoryPools
    self.listenHost = listenHost
    self.basePort = basePort
    self.advertiseHost = advertiseHost
    self.engine = engine
    self.reactorCount = reactorCount
    self.spinMicroseconds = spinMicroseconds
  }

  /// `node-1` and so on.
  public var nodeNames: [String] { (1...nodeCount).map { "node-\($0)" } }

  func port(ofNode index: Int) -> UInt16 { basePort + UInt16(index) }

  /// Where the node with that index listens; nil if `listenHost` is no address.
  func listenAddress(ofNode index: Int) -> SocketAddress? { SocketAddress(host: listenHost, port: port(ofNode: index)) }

  /// An address of this machine that reaches the listener.
  private var localHost: String {
    switch listenHost {
    case "0.0.0.0": "127.0.0.1"
    case "::": "::1"
    default: listenHost
    }
  }

  /// The arguments of the node with that index.
  func arguments(ofNode index: Int) -> [String] {
    let name = nodeNames[index]
    let port = port(ofNode: index)
    func place(_ host: String) -> String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    var arguments = [
      "node", "--name", name, "--store", "\(StoreLocation.sqlite(path: directory.storePath))", "--listen", place(listenHost),
      "--advertise", place(advertiseHost ?? localHost), "--peer", place(localHost), "--reactors", "\(reactorCount)",
      "--io-engine", engine.rawValue, "--spin-microseconds", "\(spinMicroseconds)",
      // One node is enough to be found at the standard port.
      // A port that is free: the node's status tells which.
      "--metrics", "127.0.0.1:0",
      "--discovery-port", index == 0 ? "\(NodeOptions.standardDiscoveryPort)" : "none", "--stop-with-stdin",
    ]
    if let poolBytes {
      arguments += ["--pool", "disk=\(directory.poolPath(node: name))", "--pool-size", "\(poolBytes)"]
      if integrity != .none { arguments += ["--integrity", integrity.rawValue] }
    }
    for pool in memoryPools { arguments += ["--pool", pool.text] }
    return arguments
  }
}
