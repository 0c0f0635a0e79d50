import Glibc
import NVMe
import Reactor
import Synchronization

/// The NVMe/TCP target of a process: listeners, subsystems, discovery, over all its reactors.
///
/// Methods may be called from any thread but a reactor's; they wait until it is true.
public final class TargetServer: Sendable {
  public let registry: TargetRegistry
  private let reactors: [ReactorReference]
  private let log: TargetLog
  private let cores: Mutex<[ReactorBound<TargetCore>]>

  /// Starts a target on these reactors, with a discovery subsystem on the first.
  public init(
    reactors: [ReactorReference], serialNumber: String, registry: TargetRegistry = TargetRegistry(),
    log: TargetLog
  ) {
    precondition(!reactors.isEmpty)
    self.reactors = reactors
    self.registry = registry
    self.log = log
    cores = Mutex([])
    for reactor in reactors {
      let core = reactor.call { [registry, self] reactor in
        ReactorBound(
          TargetCore(reactor: reactor, registry: registry, log: log) { [weak self] handed, index in self?.pass(handed, to: index) })
      }
      cores.withLock { $0.append(core) }
    }
    let description = SubsystemDescription.discovery(serialNumber: serialNumber)
    let first = core(0)
    reactors[0].call { _ in
      first.value.add(ServedSubsystem(core: Subsystem(description), device: nil, usesReplicaArena: false))
    }
    registry.insert(
      .init(name: description.name, reactorIndex: reactors[0].index, isDiscoverable: false, allowedHosts: .any))
    let reactor = reactors[0]
    registry.onChange { records in reactor.post { _ in first.value.setDiscoveryRecords(records) } }
  }

  private func core(_ position: Int) -> ReactorBound<TargetCore> { cores.withLock { $0[position] } }

  private func position(ofReactor index: Int) -> Int? { reactors.firstIndex { $0.index == index } }

  private func pass(_ handed: HandedConnection, to index: Int) {
    guard let position = position(ofReactor: index) else {
      close(handed.descriptor)
      return
    }
    let core = core(position)
    reactors[position].post { _ in core.value.take(handed) }
  }

  /// Listens on an address. Port 0 takes a free one; the address in use is returned.
  /// `portID` tells listeners apart: a host is one and the same only through the same one.
  public func listen(on address: SocketAddress, portID: UInt16) throws(SystemError) -> SocketAddress {
    let descriptor = try Socket.listen(on: address)
    let bound = Socket.localAddress(descriptor) ?? address
    let core = core(0)
    reactors[0].call { _ in core.value.listen(descriptor, portal: portID) }
    return bound
  }

  /// What discovery announces for every subsystem.
  public func announce(_ portals: [TargetPortal]) { registry.setPortals(portals) }

  /// Serves a namespace as a subsystem of its own, on the reactor that `device` lives on.
  ///
  /// - Parameters:
  ///   - usesReplicaArena: for replicas' subsystems, whose hosts are nexuses (R14).
  public func add(
    _ description: SubsystemDescription, device: ReactorBound<BlockDevice>, onReactor index: Int, isDiscoverable: Bool,
    usesReplicaArena: Bool
  ) {
    guard let position = position(ofReactor: index) else { preconditionFailure("no reactor \(index)") }
    let core = core(position)
    reactors[position].call { _ in
      core.value.add(
        ServedSubsystem(core: Subsystem(description), device: device.value, usesReplicaArena: usesReplicaArena))
    }
    registry.insert(
      .init(name: description.name, reactorIndex: index, isDiscoverable: isDiscoverable, allowedHosts: description.allowedHosts))
  }

  /// As above, for a subsystem whose controllers each have a device of their own: `attach` is called on the reactor for each.
  public func add(
    _ description: SubsystemDescription, attach: ReactorBound<(ControllerAttachment.Host) -> ControllerAttachment>, onReactor index: Int,
    isDiscoverable: Bool, usesReplicaArena: Bool
  ) {
    guard let position = position(ofReactor: index) else { preconditionFailure("no reactor \(index)") }
    let core = core(position)
    reactors[position].call { _ in
      core.value.add(
        ServedSubsystem(core: Subsystem(description), device: nil, usesReplicaArena: usesReplicaArena, attach: attach.value))
    }
    registry.insert(
      .init(name: description.name, reactorIndex: index, isDiscoverable: isDiscoverable, allowedHosts: description.allowedHosts))
  }

  /// Ends a subsystem: no new connections, the old ones end, and their commands are settled when this returns.
  public func remove(_ name: QualifiedName) {
    guard let index = registry.reactorIndex(of: name), let position = position(ofReactor: index) else { return }
    registry.remove(name)
    let core = core(position)
    _ = reactors[position].callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
      core.value.remove(name) { done(true) }
    }
  }

  /// Describes a subsystem's namespace anew (size, ANA state) and tells its hosts.
  public func setNamespace(_ namespace: NamespaceDescription, of name: QualifiedName) {
    guard let index = registry.reactorIndex(of: name), let position = position(ofReactor: index) else { return }
    let core = core(position)
    reactors[position].call { _ in core.value.setNamespace(namespace, of: name) }
  }

  /// Another device on the same reactor serves a subsystem's namespace from when this returns, on the same connections, and hosts are told of the
  /// path's new state. Commands that the old one has begun go on there to their end; those it has not are answered as the state says.
  public func setDevice(_ device: ReactorBound<BlockDevice>, _ namespace: NamespaceDescription, of name: QualifiedName) {
    guard let index = registry.reactorIndex(of: name), let position = position(ofReactor: index) else { return }
    let core = core(position)
    reactors[position].call { _ in core.value.setDevice(device.value, namespace, of: name) }
  }

  /// Where else a subsystem is served, for discovery to tell.
  public func setOtherPortals(_ portals: [TargetPortal], of name: QualifiedName) { registry.setOtherPortals(portals, of: name) }

  /// Sets who may connect. Hosts that now may not are out, and their commands settled, when this returns (R13).
  public func setAllowedHosts(_ hosts: HostFilter, of name: QualifiedName) {
    guard let index = registry.reactorIndex(of: name), let position = position(ofReactor: index) else { return }
    registry.setAllowedHosts(hosts, of: name)
    let core = core(position)
    _ = reactors[position].callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
      core.value.setAllowedHosts(hosts, of: name) { done(true) }
    }
  }

  /// Live connections to the subsystems of replicas, or to all others.
  public func connectionCount(usingReplicas: Bool) -> Int {
    reactors.indices.reduce(0) { count, position in
      let core = core(position)
      return count + reactors[position].call { _ in core.value.connectionCount(usingReplicas: usingReplicas) }
    }
  }

  /// What all subsystems have had of their hosts: one message to each reactor, however many there are.
  public func figures() -> TargetFigures {
    var all = TargetFigures()
    for position in reactors.indices {
      let core = core(position)
      let part = reactors[position].call { _ in core.value.figures() }
      all.subsystems += part.subsystems
      all.pastHostTraffic.add(part.pastHostTraffic)
      all.pastReplicaTraffic.add(part.pastReplicaTraffic)
    }
    return all
  }

  /// Stops listening and ends all subsystems, for good.
  public func stop() {
    let first = core(0)
    reactors[0].call { _ in first.value.stopListening() }
    for position in reactors.indices {
      let core = core(position)
      _ = reactors[position].callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
        core.value.removeAll {
          core.value.retire()
          done(true)
        }
      }
    }
  }
}
