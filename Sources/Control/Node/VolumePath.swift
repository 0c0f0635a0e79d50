import Dispatch
import NVMe
import Reactor
import Synchronization
import Target

/// A node's way for hosts to a volume: the volume's subsystem in the node's target, with the nexus behind it or without (R19).
///
/// It outlives nexuses: a host stays connected while the nexus comes and goes, and is told by the ANA state. Methods may be called from any
/// thread that may wait for a reactor.
final class VolumePath: Sendable {
  private let node: NodeContext
  let volume: VolumeID
  let volumeName: String
  /// Where the nexus is, or would be.
  let reactorPosition: Int
  private let state: Mutex<State>
  /// Apart from the state: it takes as long as the commands of hosts that lose the volume.
  private let hostsQueue: DispatchQueue

  private struct State {
    /// What the subsystem was described as last, its namespace as hosts see it.
    var description: SubsystemDescription
    var isOpen = false
    /// Stands in while there is no nexus.
    var standIn: ReactorBound<InaccessibleDevice>?
    var otherPortals: [TargetPortal] = []
    /// In force, and wanted.
    var hosts: [Publication]?
    var wantedHosts: [Publication]?
  }

  init(
    node: NodeContext, volume: VolumeID, volumeName: String, sizeBytes: UInt64, blockSizeBytes: UInt32, pool: String?,
    publications: [Publication]?, otherPaths: [PathAddress]
  ) {
    self.node = node
    self.volume = volume
    self.volumeName = volumeName
    // A local replica's reactor, so that a local write never changes threads.
    reactorPosition = pool.map { node.reactorPosition(ofPool: $0) } ?? node.reactorPosition(of: volume)
    hostsQueue = DispatchQueue(label: "keelson.hosts.\(volume)")
    let description = node.description(
      name: NQN.volume(volume), identifier: Identifier128(volume.description)!, sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes,
      allowedHosts: HostFilter(publications))
    state = Mutex(
      State(
        description: description, otherPortals: otherPaths.compactMap(TargetPortal.init), hosts: publications, wantedHosts: publications))
  }

  private var name: QualifiedName { QualifiedName(NQN.volume(volume))! }
  private var reactor: ReactorReference { node.reactors[reactorPosition] }

  /// Who is admitted: others are out, their commands settled.
  var hosts: [Publication]? { state.withLock { $0.hosts } }
  var isOpen: Bool { state.withLock { $0.isOpen } }

  // MARK: Ways in

  /// Lets hosts connect, with nothing to be had yet.
  func openAsStandby() {
    state.withLock { state in
      if state.isOpen { return }
      state.description.namespace?.anaState = .inaccessible
      let standIn = standIn(&state)
      open(&state, standIn.device)
    }
  }

  /// A nexus serves from now on.
  func serve(_ device: ReactorBound<BlockDevice>) {
    let isNews = state.withLock { state -> Bool in
      let isNews = state.description.namespace?.anaState != .optimized || !state.isOpen
      state.description.namespace?.anaState = .optimized
      if state.isOpen {
        node.target.setDevice(device, state.description.namespace!, of: name)
        retireStandIn(&state)
      } else {
        open(&state, device)
      }
      return isNews
    }
    if isNews { tell(.optimized) }
  }

  /// The nexus is still there, and can be used or cannot.
  func setState(_ ana: ANAState) {
    let isNews = state.withLock { state -> Bool in
      guard state.isOpen, state.description.namespace?.anaState != ana else { return false }
      state.description.namespace?.anaState = ana
      node.target.setNamespace(state.description.namespace!, of: name)
      return true
    }
    if isNews { tell(ana) }
  }

  /// The nexus is at its end: nothing new reaches it, and what it has not begun is answered Inaccessible. Hosts stay connected.
  func withdrawNexus() {
    let isNews = state.withLock { state -> Bool in
      guard state.isOpen, state.standIn == nil else { return false }
      let isNews = state.description.namespace?.anaState != .inaccessible
      state.description.namespace?.anaState = .inaccessible
      node.target.setDevice(standIn(&state).device, state.description.namespace!, of: name)
      return isNews
    }
    if isNews { tell(.inaccessible) }
  }

  /// Ends the path: hosts are disconnected, and their commands settled when this returns.
  func close() {
    hostsQueue.sync {}
    state.withLock { state in
      guard state.isOpen else { return }
      state.isOpen = false
      node.name(volume, nil)
      node.target.remove(name)
      retireStandIn(&state)
    }
  }

  private func open(_ state: inout State, _ device: ReactorBound<BlockDevice>) {
    state.isOpen = true
    node.name(volume, volumeName)
    node.target.add(state.description, device: device, onReactor: reactor.index, isDiscoverable: true, usesReplicaArena: false)
    node.target.setOtherPortals(state.otherPortals, of: name)
  }

  private func standIn(_ state: inout State) -> ReactorBound<InaccessibleDevice> {
    if let standIn = state.standIn { return standIn }
    guard let namespace = state.description.namespace else { preconditionFailure("a volume has a namespace") }
    let standIn = reactor.call { reactor in
      ReactorBound(InaccessibleDevice(reactor: reactor, sizeBytes: namespace.sizeBytes, blockSizeBytes: namespace.blockBytes))
    }
    state.standIn = standIn
    return standIn
  }

  private func retireStandIn(_ state: inout State) {
    guard let standIn = state.standIn else { return }
    state.standIn = nil
    reactor.call { _ in standIn.value.retire() }
  }

  private func tell(_ state: ANAState) {
    node.log.write("volume \(volumeName): its path is \(state == .optimized ? "optimized" : "inaccessible")")
  }

  // MARK: Changes

  /// Says who may connect. `done` is called, on a queue of its own, when hosts that now may not are out and their commands settled (R13); the
  /// last call counts.
  func admit(_ publications: [Publication]?, done: @escaping @Sendable () -> Void) {
    let isNews = state.withLock { state in
      defer { state.wantedHosts = publications }
      return state.wantedHosts != publications
    }
    guard isNews else { return }
    hostsQueue.async { [self] in
      let wanted = state.withLock { state in
        // What opens meanwhile opens with these.
        state.description.allowedHosts = HostFilter(state.wantedHosts)
        return state.wantedHosts
      }
      node.target.setAllowedHosts(HostFilter(wanted), of: name)
      state.withLock { $0.hosts = wanted }
      done()
    }
  }

  /// Where else the volume is to be had.
  func setOtherPaths(_ paths: [PathAddress]) {
    let portals = paths.compactMap(TargetPortal.init)
    state.withLock { state in
      guard state.otherPortals != portals else { return }
      state.otherPortals = portals
      if state.isOpen { node.target.setOtherPortals(portals, of: name) }
    }
  }

  /// The volume grew: hosts are told on every path.
  func grow(toSizeBytes size: UInt64) {
    state.withLock { state in
      guard let namespace = state.description.namespace, namespace.sizeBytes < size else { return }
      state.description.namespace = namespace.resized(to: size)
      if let standIn = state.standIn { reactor.call { _ in standIn.value.grow(toSizeBytes: size) } }
      if state.isOpen { node.target.setNamespace(state.description.namespace!, of: name) }
    }
  }
}

extension ReactorBound where Value == InaccessibleDevice {
  var device: ReactorBound<BlockDevice> { ReactorBound<BlockDevice>(value) }
}

extension TargetPortal {
  /// Another node's; nil for an address that makes no sense. The number is the same wherever it is told of.
  init?(_ path: PathAddress) {
    guard let port = UInt16(path.address.trsvcid), let address = SocketAddress(host: path.address.traddr, port: port) else { return nil }
    let hash = address.description.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    self.init(address: address, portID: UInt16(truncatingIfNeeded: hash) | 0x8000)
  }
}
