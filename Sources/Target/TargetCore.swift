import Glibc
import NVMe
import Reactor
import Transport

/// The target on one reactor: its connections and its subsystems.
final class TargetCore: EventHandler {
  let reactor: Reactor
  let index: Int
  let context: TransportContext
  let registry: TargetRegistry
  let log: TargetLog
  /// Every namespace of ours has this id: a subsystem serves one volume.
  let namespaceID: UInt32 = 1
  private(set) var subsystems: [ServedSubsystem] = []
  /// Connections that have not said yet what they are.
  private var newcomers: [Connection] = []
  /// Payload buffers for hosts' commands, and for those of nexuses.
  let hostMemory: PayloadMemory
  let replicaMemory: PayloadMemory
  /// What connections hold before they belong to a controller.
  let newcomerShare = MemoryShare()
  private var listeners: [Int32] = []
  private var portals: [UInt16] = []
  /// Finds the core of another reactor, to hand a connection over.
  private let handOver: @Sendable (HandedConnection, Int) -> Void

  private static let tickToken: UInt64 = 1
  private static let listenerToken: UInt64 = 2

  init(
    reactor: Reactor, registry: TargetRegistry, log: TargetLog, handOver: @escaping @Sendable (HandedConnection, Int) -> Void
  ) {
    self.reactor = reactor
    index = reactor.index
    context = TransportContext(reactor: reactor)
    hostMemory = PayloadMemory(reactor: reactor, isForReplicas: false)
    replicaMemory = PayloadMemory(reactor: reactor, isForReplicas: true)
    self.registry = registry
    self.log = log
    self.handOver = handOver
    super.init()
    reactor.register(self)
    reactor.schedule(afterNanoseconds: registry.limits.tickNanoseconds, handlerID, token: Self.tickToken)
  }

  // MARK: Subsystems

  func add(_ subsystem: ServedSubsystem) { subsystems.append(subsystem) }

  func subsystem(name: QualifiedName) -> ServedSubsystem? { subsystems.first { $0.core.name == name } }

  /// Takes over what discovery tells, and lets hosts know that asked to be.
  func setDiscoveryRecords(_ records: [DiscoveryRecord]) {
    guard let subsystem = subsystem(name: .discovery) else { return }
    subsystem.core.setDiscoveryRecords(records)
    subsystem.deliverEvents()
  }

  /// The namespace is another size now, or is reached otherwise.
  func setNamespace(_ namespace: NamespaceDescription, of name: QualifiedName) {
    guard let subsystem = subsystem(name: name) else { return }
    subsystem.core.setNamespace(namespace)
    subsystem.deliverEvents()
  }

  /// Another device serves the namespace, which is reached otherwise from now on.
  func setDevice(_ device: BlockDevice, _ namespace: NamespaceDescription, of name: QualifiedName) {
    subsystem(name: name)?.setDevice(device, namespace)
  }

  /// Sets who may connect; hosts that now may not are ended, and `body` is called when their commands are settled (R13).
  func setAllowedHosts(_ hosts: HostFilter, of name: QualifiedName, then body: @escaping () -> Void) {
    guard let subsystem = subsystem(name: name) else {
      body()
      return
    }
    subsystem.end(subsystem.core.setAllowedHosts(hosts), then: body)
  }

  /// Ends everything of a subsystem; `body` is called when its last command is settled.
  func remove(_ name: QualifiedName, then body: @escaping () -> Void) {
    guard let index = subsystems.firstIndex(where: { $0.core.name == name }) else {
      body()
      return
    }
    let subsystem = subsystems.remove(at: index)
    leaving.append(subsystem)
    subsystem.endAll { [self] in
      leaving.removeAll { $0 === subsystem }
      if subsystem.usesReplicaArena { pastReplicaTraffic.add(subsystem.traffic) } else { pastHostTraffic.add(subsystem.traffic) }
      body()
    }
  }

  /// Ends all subsystems.
  func removeAll(then body: @escaping () -> Void) {
    for connection in newcomers { connection.close(.bySelf) }
    guard let first = subsystems.first else {
      body()
      return
    }
    remove(first.core.name) { [self] in removeAll(then: body) }
  }

  /// Leaves the reactor, after `removeAll`. Connections that other reactors hand over from now on are closed.
  func retire() {
    guard !isRetired else { return }
    isRetired = true
    // What another reactor handed over meanwhile: nobody would look at its deadline any more.
    for connection in newcomers { connection.close(.bySelf) }
    for handler in [self, hostMemory, replicaMemory] as [EventHandler] { reactor.unregister(handler) }
  }

  private var isRetired = false

  /// Removed subsystems with commands still running.
  private var leaving: [ServedSubsystem] = []

  /// Of subsystems that are gone.
  private var pastHostTraffic = Traffic()
  private var pastReplicaTraffic = Traffic()

  /// What is to be told of this reactor's part; subsystems on their way out are still among the others.
  func figures() -> TargetFigures {
    var figures = TargetFigures()
    for subsystem in subsystems + leaving where subsystem.core.name != .discovery {
      figures.subsystems.append(
        SubsystemFigures(
          name: subsystem.core.name, usesReplicaArena: subsystem.usesReplicaArena,
          connections: subsystem.connections.filter { !$0.isClosed }.count, isOptimized: subsystem.pathStatus == nil,
          traffic: subsystem.traffic))
    }
    figures.pastHostTraffic = pastHostTraffic
    figures.pastReplicaTraffic = pastReplicaTraffic
    return figures
  }

  func connectionCount(usingReplicas: Bool) -> Int {
    subsystems.reduce(0) { $0 + ($1.usesReplicaArena == usingReplicas ? $1.connections.filter { !$0.isClosed }.count : 0) }
  }

  // MARK: Connections

  func listen(_ descriptor: Int32, portal: UInt16) {
    listeners.append(descriptor)
    portals.append(portal)
    reactor.armReadable(descriptor, handlerID, token: Self.listenerToken + UInt64(listeners.count - 1))
  }

  func stopListening() {
    for (offset, descriptor) in listeners.enumerated() {
      reactor.disarm(descriptor, handlerID, token: Self.listenerToken + UInt64(offset))
      close(descriptor)
    }
    listeners = []
  }

  override func completed(token: UInt64, result: Int32) {
    if token == Self.tickToken {
      tick()
      reactor.schedule(afterNanoseconds: registry.limits.tickNanoseconds, handlerID, token: Self.tickToken)
      return
    }
    let offset = Int(token - Self.listenerToken)
    guard offset < listeners.count else { return }
    // Bounded per pass, so that a flood of connections leaves room for I/O.
    for _ in 0..<64 {
      guard let descriptor = Socket.accept(listeners[offset]) else {
        if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
          // The connection stays in the backlog and readable: look again when there may be a descriptor.
          reactor.schedule(afterNanoseconds: registry.limits.tickNanoseconds, handlerID, token: token)
          return
        }
        break
      }
      accept(descriptor, portal: portals[offset])
    }
    reactor.armReadable(listeners[offset], handlerID, token: token)
  }

  private func accept(_ descriptor: Int32, portal: UInt16) {
    let peer = Socket.peerAddress(descriptor)
    guard let admission = registry.admit(peer?.host ?? "") else {
      log.write("refused a connection from \(peer?.description ?? "?"): too many connections")
      close(descriptor)
      return
    }
    let connection = Connection(
      core: self, descriptor: descriptor, peer: peer, portal: portal, admission: admission,
      deadline: reactor.now + registry.limits.handshakeNanoseconds)
    newcomers.append(connection)
    connection.open()
  }

  /// Gives a connection that wants a subsystem of another reactor to that reactor.
  func handOver(_ connection: Connection, entry: SubmissionEntry, request: ConnectRequest, to reactorIndex: Int) {
    guard let descriptor = connection.detach() else {
      connection.close(.protocolError)
      return
    }
    let handed = HandedConnection(
      descriptor: descriptor, peer: connection.peer, portal: connection.portal, admission: connection.admission,
      usesHeaderDigest: connection.usesHeaderDigest, usesDataDigest: connection.usesDataDigest,
      hostDataAlignment: connection.hostDataAlignment, deadline: connection.deadline, entry: entry, request: request)
    connection.admission = nil
    newcomers.removeAll { $0 === connection }
    connection.retire()
    handOver(handed, reactorIndex)
  }

  func take(_ handed: HandedConnection) {
    if isRetired {
      close(handed.descriptor)
      return
    }
    let connection = Connection(
      core: self, descriptor: handed.descriptor, peer: handed.peer, portal: handed.portal, admission: handed.admission,
      deadline: handed.deadline)
    connection.usesHeaderDigest = handed.usesHeaderDigest
    connection.usesDataDigest = handed.usesDataDigest
    connection.hostDataAlignment = handed.hostDataAlignment
    connection.stage = .connecting
    newcomers.append(connection)
    connection.open()
    connection.connect(handed.entry, handed.request)
  }

  /// A connection has become a queue of a subsystem.
  func connectionServes(_ connection: Connection) { newcomers.removeAll { $0 === connection } }

  func connectionClosed(_ connection: Connection) {
    newcomers.removeAll { $0 === connection }
    if let subsystem = connection.subsystem, let controller = connection.controller, connection.queueID == 0 {
      // The admin queue is the controller: without it, its I/O queues end too. A lost I/O queue ends nothing but itself: a host
      // that resets its controller closes those first, and then writes CC through the admin queue.
      subsystem.end(controller)
    }
    if connection.executingCount == 0 { connectionSettled(connection) }
  }

  /// The connection is closed and its last command has ended.

  func connectionSettled(_ connection: Connection) {
    let subsystem = connection.subsystem
    connection.retire()
    subsystem?.connectionSettled(connection)
    connection.subsystem = nil
  }

  private func tick() {
    let now = reactor.now
    for connection in newcomers where connection.deadline <= now { connection.close(.bySelf) }
    for subsystem in subsystems { subsystem.tick(now: now) }
    for subsystem in leaving { subsystem.tick(now: now) }
  }
}

/// A connection on its way from one reactor to another.
struct HandedConnection: Sendable {
  let descriptor: Int32
  let peer: SocketAddress?
  let portal: UInt16
  let admission: Admission?
  let usesHeaderDigest: Bool
  let usesDataDigest: Bool
  let hostDataAlignment: UInt32
  /// When the handshake must be over, wherever it takes place.
  let deadline: UInt64
  let entry: SubmissionEntry
  let request: ConnectRequest
}
