import Foundation
import Host
import NVMe
import Nexus
import Reactor
import Target

/// The start of a nexus: which replicas, claim, connect, serve.
extension VolumeRunner {
  /// One try. False when something is not there yet; errors are reasons to try again too.
  func startNexus(waitedNanoseconds: UInt64) throws -> Bool {
    guard let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID)) else { return false }
    let places = try record.object.members.map { try place(of: $0) }
    let ready = places.filter { $0.isReady }
    guard !ready.isEmpty else {
      let missing = places.map { "replica \($0.id) on \($0.node): \($0.why)" }.joined(separator: "; ")
      // A volume that never served is being created; any other is blocked.
      publish(record.object.generation == 0 ? .starting : .blocked, "no in-sync replica can be reached (\(missing))")
      return false
    }
    let isNew = record.object.generation == 0
    let chosen: [Place]
    var leaving: [InSyncRecord.Absent] = []
    if record.object.clean {
      if ready.count < places.count, isNew || waitedNanoseconds < Self.graceNanoseconds { return false }
      chosen = ready
      for place in places where !place.isReady {
        leaving.append(.init(id: place.id, reason: place.why, atGeneration: record.object.generation + 1))
      }
    } else {
      // After an unclean stop the members may differ in writes that were never acknowledged: one of them is the truth from
      // now on. Every member holds all that was acknowledged, so any will do; the nearest serves best.
      chosen = [ready.first { $0.node == node.name } ?? ready[0]]
      for place in places where place.id != chosen[0].id {
        leaving.append(
          .init(id: place.id, reason: "the nexus stopped uncleanly", atGeneration: record.object.generation + 1))
      }
    }
    guard
      let claim = try MembershipRecord.claim(
        node: node, volume: assignment.volumeID, record: record, members: chosen.map(\.id), leaving: leaving)
    else { return false }
    return try connect(chosen, claim)
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
    if replica.node == node.name {
      place.isReady = keeper.replica(id) != nil
      place.why = "it is being opened"
    } else if let address = status.object.addresses.last, let port = UInt16(address.trsvcid) {
      place.address = SocketAddress(host: address.traddr, port: port)
      place.isReady = place.address != nil
      place.why = "the node tells no usable address"
    }
    return place
  }

  private func connect(_ places: [Place], _ claim: MembershipRecord) throws -> Bool {
    // Where its local replica is, so that a local write never changes threads.
    let local = places.compactMap { $0.node == node.name ? keeper.replica($0.id)?.reactorPosition : nil }.first
    let position = local ?? node.reactorPosition(of: assignment.volumeID)
    let reactor = node.reactors[position]
    var devices: [ReactorBound<BlockDevice>] = []
    var remotes: [(id: ReplicaID, controller: ReactorBound<RemoteController>)] = []
    var members: [NexusMember] = []
    var lost: [(replica: String, reason: String)] = []
    for place in places {
      if let local = keeper.replica(place.id), place.node == node.name {
        devices.append(ReactorBound(local.device.value))
        members.append(NexusMember(replica: place.id.description, state: .inSync))
        continue
      }
      guard let address = place.address else { continue }
      let remote = makeRemote(place.id, address, position)
      let outcome = reactor.callAsynchronously { (_, done: @escaping @Sendable (Result<ReactorBound<BlockDevice>, HostError>) -> Void) in
        remote.value.connect { result in done(result.map { ReactorBound($0) }) }
      }
      switch outcome {
      case .success(let device):
        devices.append(device)
        remotes.append((place.id, remote))
        members.append(NexusMember(replica: place.id.description, state: .inSync))
      case .failure(let error):
        node.log.write("volume \(assignment.volumeName): replica \(place.id) on \(place.node): \(error)")
        close(remote, reactor)
        lost.append((place.id.description, "could not connect: \(error)"))
      }
    }
    if !lost.isEmpty {
      // The volume goes on without them, if any is left; that must be known before anything is served.
      let change = MembershipChange(members: members.map(\.replica), leaving: lost, isClean: true)
      if members.isEmpty || claim.commit(change) != .committed {
        for (_, remote) in remotes { close(remote, reactor) }
        return false
      }
    }
    serve(members, devices, remotes, claim, reactor, nearest: places.firstIndex { $0.node == node.name })
    return true
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

  private func close(_ remote: ReactorBound<RemoteController>, _ reactor: ReactorReference) {
    _ = reactor.callAsynchronously { (_, done: @escaping @Sendable (Bool) -> Void) in remote.value.close { done(true) } }
  }

  private func serve(
    _ members: [NexusMember], _ devices: [ReactorBound<BlockDevice>],
    _ remotes: [(id: ReplicaID, controller: ReactorBound<RemoteController>)], _ claim: MembershipRecord,
    _ reactor: ReactorReference, nearest: Int?
  ) {
    let (size, blockSize) = (assignment.sizeBytes, assignment.blockSizeBytes)
    let (nexus, surroundings) = reactor.call { [self] inside in
      let surroundings = VolumeSurroundings(runner: self, record: claim, reactor: reactor)
      let nexus = Nexus(
        reactor: inside, sizeBytes: size, blockSizeBytes: blockSize, members: members, devices: devices.map(\.value),
        nearest: nearest, isDirty: false, surroundings: surroundings)
      surroundings.nexus = nexus
      for (id, remote) in remotes {
        let name = id.description
        remote.value.stateChanged = { [weak nexus] state in
          // A lost connection is news even when nothing is being written.
          if state != .connected { nexus?.memberLost(name) }
        }
      }
      return (ReactorBound(nexus), ReactorBound(surroundings))
    }
    serving = Serving(
      record: claim, reactor: reactor, nexus: nexus, surroundings: surroundings, remotes: remotes.map(\.controller))
    let description = node.description(
      name: NQN.volume(assignment.volumeID), identifier: Identifier128(assignment.volumeID.description)!, sizeBytes: size,
      blockSizeBytes: blockSize, allowedHosts: .any)
    node.target.add(
      description, device: ReactorBound(nexus.value), onReactor: reactor.index, isDiscoverable: true, usesReplicaArena: false)
    publishMembers(members, generation: claim.generation)
  }
}
