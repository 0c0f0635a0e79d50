import Foundation
import Host
import NVMe
import Nexus
import Pool
import Reactor
import Target

/// The start of a nexus: which replicas, claim, connect, serve.
extension VolumeRunner {
  /// One try. False when something is not there yet; errors are reasons to try again too.
  ///
  /// The members stay what they are until it is known which of them can be reached: what leaves, leaves by a commit under the new
  /// generation, before anything is served (R2, R3).
  func startNexus(waitedNanoseconds: UInt64) throws -> Bool {
    guard let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID)) else { return false }
    let isNew = record.object.generation == 0
    let places = try record.object.members.map { try place(of: $0) }
    let ready = places.filter { $0.isReady }
    if ready.isEmpty {
      let missing = places.map { "replica \($0.id) on \($0.node): \($0.why)" }.joined(separator: "; ")
      // A volume that never served is being created; any other is blocked.
      publish(isNew ? .starting : .blocked, "no in-sync replica can be reached (\(missing))")
      return false
    }
    let mayDrop = !isNew && waitedNanoseconds >= Self.graceNanoseconds
    if record.object.clean, ready.count < places.count, !mayDrop {
      publish(.starting, "waiting for " + places.filter { !$0.isReady }.map { "\($0.node) (\($0.why))" }.joined(separator: ", "))
      return false
    }
    guard let claim = try claim(record) else { return false }
    var links: [Link] = []
    var leaving: [(replica: String, reason: String)] = []
    if record.object.clean {
      for place in places {
        switch place.isReady ? link(place) : .failure(Unreachable(reason: place.why)) {
        case .success(let link): links.append(link)
        case .failure(let error): leaving.append((place.id.description, error.reason))
        }
      }
      if !leaving.isEmpty, !mayDrop {
        publish(.starting, "waiting for its replicas: " + leaving.map(\.reason).joined(separator: ", "))
        links.forEach(close)
        return false
      }
    } else {
      // After an unclean stop the members may differ in writes that were never acknowledged: one of them is the truth from
      // now on. Every member holds all that was acknowledged, so any will do; the nearest serves best.
      for place in ready.filter({ $0.node == node.name }) + ready.filter({ $0.node != node.name }) {
        if case .success(let link) = link(place) {
          links = [link]
          break
        }
      }
      for place in places where place.id != links.first?.id {
        leaving.append((place.id.description, "the nexus stopped uncleanly"))
      }
    }
    if links.isEmpty {
      publish(.blocked, "no in-sync replica can be reached (" + leaving.map(\.reason).joined(separator: ", ") + ")")
      return false
    }
    if !leaving.isEmpty || !record.object.clean {
      let gone = leaving.compactMap { entry in ReplicaID(entry.replica).map { (replica: $0, reason: entry.reason) } }
      if claim.commit(members: links.map(\.id), leaving: gone, isClean: true) == .fenced {
        links.forEach(close)
        return false
      }
    }
    // From here on the members may differ.
    if claim.commit(members: links.map(\.id), leaving: [], isClean: false) == .fenced {
      links.forEach(close)
      return false
    }
    serve(links, claim)
    return true
  }

  /// The claim of this runner: the one of an earlier try while the record is as it left it, else a new one.
  private func claim(_ record: Stored<InSyncRecord>) throws -> MembershipRecord? {
    if let held = held.withLock({ $0 }), held.holds(record.object) { return held }
    let made = try MembershipRecord.claim(node: node, volume: assignment.volumeID, record: record)
    held.withLock { $0 = made }
    return made
  }

  /// Where a replica is and whether it can be used now.
  struct Place: Sendable {
    let id: ReplicaID
    let node: String
    var address: SocketAddress?
    var isReady = false
    var why = ""
  }

  private func place(of id: ReplicaID) throws -> Place {
    guard let replica = assignment.replicas.first(where: { $0.id == id }) else {
      return Place(id: id, node: "?", why: "it is not assigned to any node")
    }
    var place = Place(id: id, node: replica.node)
    if replica.node == node.name {
      // What is open here is known better than the store knows it.
      place.isReady = keeper.replica(id) != nil
      place.why = keeper.trouble(with: id) ?? "it is not open"
      return place
    }
    guard let status = try node.store.object(NodeStatus.self, at: Keys.nodeStatus(replica.node)) else {
      place.why = "the node is down"
      return place
    }
    guard let state = try node.store.object(ReplicaStatus.self, at: Keys.replicaStatus(node: replica.node, id)) else {
      place.why = "the node has not opened it yet"
      return place
    }
    guard state.object.state == .ready else {
      place.why = state.object.message ?? "it is \(state.object.state.rawValue)"
      return place
    }
    if let address = status.object.addresses.last, let port = UInt16(address.trsvcid) {
      place.address = SocketAddress(host: address.traddr, port: port)
      place.isReady = place.address != nil
      place.why = "the node tells no usable address"
    }
    return place
  }

  /// Where its local replica is, so that a local write never changes threads.
  var reactorPosition: Int {
    guard let local = assignment.replicas.first(where: { $0.node == node.name }) else {
      return node.reactorPosition(of: assignment.volumeID)
    }
    return node.reactorPosition(ofPool: local.pool)
  }

  /// A replica that this nexus can do I/O on.
  struct Link {
    let id: ReplicaID
    let node: String
    let device: ReactorBound<BlockDevice>
    /// Nil for the replica on this node.
    let remote: ReactorBound<RemoteController>?
  }

  struct Unreachable: Error {
    let reason: String
  }

  private func link(_ place: Place) -> Result<Link, Unreachable> {
    if place.node == node.name {
      guard let local = keeper.replica(place.id) else { return .failure(Unreachable(reason: "it is not open")) }
      return .success(Link(id: place.id, node: place.node, device: ReactorBound(local.device.value), remote: nil))
    }
    guard let address = place.address else { return .failure(Unreachable(reason: place.why)) }
    let position = reactorPosition
    let remote = makeRemote(place.id, address, position)
    let outcome = node.reactors[position].callAsynchronously {
      (_, done: @escaping @Sendable (Result<ReactorBound<BlockDevice>, HostError>) -> Void) in
      remote.value.connect { result in done(result.map { ReactorBound($0) }) }
    }
    switch outcome {
    case .success(let device): return .success(Link(id: place.id, node: place.node, device: device, remote: remote))
    case .failure(let error):
      close(remote)
      return .failure(Unreachable(reason: "could not connect: \(error)"))
    }
  }

  private func makeRemote(_ id: ReplicaID, _ address: SocketAddress, _ position: Int) -> ReactorBound<RemoteController> {
    var options = HostOptions()
    options.ioQueues = 1
    options.queueDepth = 128
    options.keepAliveMilliseconds = 4_000
    options.ioTimeoutMilliseconds = 10_000
    let (transport, fixed) = (node.transports[position], options)
    let host = HostIdentity(
      name: QualifiedName(NQN.nexus(assignment.volumeID))!, identifier: Identifier128(assignment.volumeID.description)!)
    return node.reactors[position].call { _ in
      ReactorBound(
        RemoteController(
          context: transport.value, address: address, subsystem: QualifiedName(NQN.replica(id))!, host: host, options: fixed))
    }
  }

  private func close(_ link: Link) { if let remote = link.remote { close(remote) } }

  func close(_ remote: ReactorBound<RemoteController>) {
    let reactor = node.reactors[reactorPosition]
    _ = reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in
      remote.value.stateChanged = nil
      remote.value.close { done(true) }
    }
  }

  private func serve(_ links: [Link], _ claim: MembershipRecord) {
    let reactor = node.reactors[reactorPosition]
    let (size, blockSize) = (assignment.sizeBytes, assignment.blockSizeBytes)
    let members = links.map { PoolIdentifier($0.id.description)! }
    let bound = ReactorBound(links)
    let nearest = links.firstIndex { $0.node == node.name }.map { members[$0] }
    let (nexus, surroundings, doors) = reactor.call { [self] inside in
      let links = bound.value
      let surroundings = VolumeSurroundings(runner: self, record: claim, reactor: reactor)
      let nexus = Nexus(
        reactor: inside,
        configuration: NexusConfiguration(
          sizeBytes: size, blockSizeBytes: blockSize,
          claim: ReplicaClaim(
            generation: claim.generation, setVersion: 0, nexusID: .random(), inSync: members, storeRevision: 0), nearest: nearest),
        surroundings: surroundings)
      surroundings.nexus = nexus
      let doors = links.map { PlainDoor($0.device.value, on: inside) }
      for (position, link) in links.enumerated() {
        let door = doors[position]
        nexus.replicaAppeared(members[position], door)
        guard let remote = link.remote?.value else { continue }
        // A lost connection is news even when nothing is being written. Until `tearDown` takes it back.
        remote.stateChanged = { state in if state != .connected { door.sessionEnded?(.lost) } }
        // It may have been lost while the others were being connected to.
        if remote.state != .connected { door.sessionEnded?(.lost) }
      }
      return (ReactorBound(nexus), ReactorBound(surroundings), ReactorBound(doors))
    }
    serving = Serving(
      record: claim, reactor: reactor, nexus: nexus, surroundings: surroundings, remotes: links.compactMap(\.remote), doors: doors)
    let description = node.description(
      name: NQN.volume(assignment.volumeID), identifier: Identifier128(assignment.volumeID.description)!, sizeBytes: size,
      blockSizeBytes: blockSize, allowedHosts: .any)
    node.target.add(
      description, device: ReactorBound(nexus.value), onReactor: reactor.index, isDiscoverable: true, usesReplicaArena: false)
    publishMembers(members.map { NexusMember(replica: $0, state: .inSync) }, generation: claim.generation)
  }
}
