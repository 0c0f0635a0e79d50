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
  private let serialSeed: Identifier128

  /// Starts a target on these reactors, with a discovery subsystem on the first.
  public init(
    reactors: [ReactorReference], serialSeed: Identifier128, registry: TargetRegistry = TargetRegistry(),
    log: TargetLog
  ) {
    precondition(!reactors.isEmpty)
    self.reactors = reactors
    self.registry = registry
    self.log = log
    self.serialSeed = serialSeed
    cores = Mutex([])
    for reactor in reactors {
      let core = reactor.call { [registry, self] reactor in
        ReactorBound(
          TargetCore(reactor: reactor, registry: registry, log: log) { [weak self] handed, index in self?.pass(handed, to: index) })
      }
      cores.withLock { $0.append(core) }
    }
    let description = SubsystemDescription.discovery(serialSeed: serialSeed)
    let first = core(0)
    reactors[0].call { _ in first.value.addDiscovery(description) }
    registry.insert(
      .init(nqn: description.nqn, reactorIndex: reactors[0].index, isDiscoverable: false, allowedHosts: .any))
    registry.onChange { [weak self] in self?.announceDiscoveryChange() }
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

  private func announceDiscoveryChange() {
    let core = core(0)
    reactors[0].post { _ in core.value.discoveryChanged() }
  }

  /// Listens on an address. Port 0 takes a free one; the address in use is returned.
  public func listen(on address: SocketAddress) throws(SystemError) -> SocketAddress {
    let descriptor = try Socket.listen(on: address)
    let bound = Socket.localAddress(descriptor) ?? address
    let core = core(0)
    reactors[0].call { _ in core.value.listen(descriptor) }
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
      core.value.add(Subsystem(description: description, device: device.value, usesReplicaArena: usesReplicaArena))
    }
    registry.insert(
      .init(nqn: description.nqn, reactorIndex: index, isDiscoverable: isDiscoverable, allowedHosts: description.allowedHosts))
  }

  /// Ends a subsystem: no new connections, the old ones end, and their commands are settled when this returns.
  public func remove(nqn: String) {
    guard let index = registry.reactorIndex(of: nqn), let position = position(ofReactor: index) else { return }
    registry.remove(nqn: nqn)
    let core = core(position)
    reactors[position].callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
      core.value.remove(nqn: nqn) { done(true) }
    }
  }

  /// Tells the hosts of a subsystem that its namespace changed (size).
  public func namespaceChanged(nqn: String) {
    guard let index = registry.reactorIndex(of: nqn), let position = position(ofReactor: index) else { return }
    let core = core(position)
    reactors[position].call { _ in core.value.namespaceChanged(nqn: nqn) }
  }

  /// Stops listening and ends all subsystems.
  public func stop() {
    let first = core(0)
    reactors[0].call { _ in first.value.stopListening() }
    for position in reactors.indices {
      let core = core(position)
      reactors[position].callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
        core.value.removeAll { done(true) }
      }
    }
  }
}
