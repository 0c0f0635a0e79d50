import Foundation
import Host
import NVMe
import Nexus
import Pool
import Reactor
import Target

/// The start of a nexus, and the way of hosts to it.
extension VolumeRunner {
  /// One try. False when something is not there yet; errors are reasons to try again too.
  ///
  /// The nexus begins as soon as the volume is claimed in the store, whatever can be reached: who may serve, and without whom, is its
  /// decision (R2, R3, R7).
  func startNexus() throws -> Bool {
    guard let assigned = try node.store.object(NexusAssignment.self, at: Keys.nexusAssignment(node: node.name, assignment.volumeID)) else {
      // Another node's by now; the agent will hear of it.
      publish(.starting, "it is no longer assigned to this node")
      return false
    }
    if assigned.object.deleting { return false }
    if assigned.object.handsOver == true, !ignoresHandOver {
      // What an earlier run of this process was told.
      handOver()
      return false
    }
    assignment = assigned.object
    guard let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID)) else { return false }
    if let doubt = try node.store.object(StoreDoubt.self, at: Keys.storeDoubt(of: Keys.controllerName)) {
      publish(.blocked, doubt.object.message)
      return false
    }
    if record.object.generation == 0 {
      // A new volume begins with all its replicas: one that is still being made has missed nothing yet.
      let waiting = assignment.replicas.compactMap { replica in
        if case .nowhere(let why) = place(of: replica.id) { "replica \(replica.id) on \(replica.node): \(why)" } else { nil }
      }
      if !waiting.isEmpty {
        publish(.starting, "its replicas are being made (\(waiting.joined(separator: "; ")))")
        return false
      }
    }
    guard
      let claim = try MembershipRecord.claim(
        node: node, volume: assignment.volumeID, record: record, assignment: assigned.isUnchanged)
    else { return false }
    held.withLock { $0 = claim }
    begin(claim)
    return true
  }

  /// Where a replica is now. Looks into the store.
  func place(of id: ReplicaID) -> ReplicaLink.Place { place(of: id, in: assignment) }

  /// The same, from any thread.
  func place(of id: ReplicaID, in assignment: NexusAssignment) -> ReplicaLink.Place {
    guard let replica = assignment.replicas.first(where: { $0.id == id }) else { return .nowhere("it is not assigned to any node") }
    if replica.node == node.name {
      // What is open here is known better than the store knows it.
      guard let open = keeper.replica(id) else { return .nowhere(keeper.trouble(with: id) ?? "it is not open") }
      if open.reactorPosition == path.reactorPosition { return .here(open.service.gate) }
      // It lives on another core than the volume's path, which was there before it: only a connection may go from one to the other.
    }
    do {
      guard let status = try node.store.object(NodeStatus.self, at: Keys.nodeStatus(replica.node)) else {
        return .nowhere("the node is down")
      }
      guard let state = try node.store.object(ReplicaStatus.self, at: Keys.replicaStatus(node: replica.node, id)) else {
        return .nowhere("the node has not opened it yet")
      }
      if state.object.state != .ready { return .nowhere(state.object.message ?? "it is \(state.object.state.rawValue)") }
      guard let address = status.object.addresses.last, let port = UInt16(address.trsvcid),
        let place = SocketAddress(host: address.traddr, port: port)
      else { return .nowhere("the node tells no usable address") }
      return .there(place)
    } catch {
      return .nowhere("the state store does not say where it is: \(error)")
    }
  }

  private func configuration(_ claim: MembershipRecord, nexusID: PoolIdentifier) -> NexusConfiguration {
    let record = claim.claimed
    var absent = record.out.filter { !record.members.contains($0.id) }
      .map { Absence(PoolIdentifier($0.id), reason: $0.reason, generation: $0.acceptedGeneration ?? 0, isForeign: $0.isForeign) }
    for replica in assignment.replicas where !record.members.contains(replica.id) && !record.out.contains(where: { $0.id == replica.id }) {
      absent.append(Absence(PoolIdentifier(replica.id), reason: "new"))
    }
    var configuration = NexusConfiguration(
      sizeBytes: record.sizeBytes ?? assignment.sizeBytes, blockSizeBytes: assignment.blockSizeBytes,
      claim: ReplicaClaim(
        generation: claim.generation, setVersion: record.setVersion, nexusID: nexusID, inSync: record.members.map(PoolIdentifier.init),
        storeRevision: claim.storeRevision),
      absent: absent, nearest: assignment.replicas.first { $0.node == node.name }.map { PoolIdentifier($0.id) },
      minInSync: assignment.effectiveMinInSync)
    configuration.confirmedGeneration = record.confirmedGeneration ?? 0
    configuration.snapshots = record.volumeSnapshots
    // Those on nodes that are known to be dead are not waited for as long as those that may just be starting.
    let missing = assignment.replicas.filter { record.members.contains($0.id) && isLost($0.node) }
    if !missing.isEmpty { configuration.graceNanoseconds = Self.graceWithoutLostNanoseconds }
    return configuration
  }

  private func begin(_ claim: MembershipRecord) {
    let position = path.reactorPosition
    let (reactor, transport, budget) = (node.reactors[position], node.transports[position], node.budgets[position])
    let nexusID = PoolIdentifier.random()
    let configuration = configuration(claim, nexusID: nexusID)
    let host = HostIdentity(name: QualifiedName(NQN.nexus(assignment.volumeID))!, identifier: Identifier128(nexusID.description)!)
    let parts = reactor.call { [self] inside in
      let surroundings = VolumeSurroundings(runner: self, record: claim, reactor: reactor)
      let nexus = Nexus(reactor: inside, configuration: configuration, surroundings: surroundings, budget: budget.value)
      surroundings.nexus = nexus
      return (ReactorBound(nexus), ReactorBound(surroundings))
    }
    let serving = Serving(
      record: claim, reactor: reactor, transport: transport, host: host, nexus: parts.0, surroundings: parts.1)
    self.serving = serving
    kept = Dictionary(uniqueKeysWithValues: claim.claimed.out.compactMap { absent in absent.keptBy.map { (absent.id, $0) } })
    scrubs.last = claim.claimed.lastScrub
    lastForce = claim.claimed.lastForce?.id
    // Taken from the volume while no nexus ran.
    serving.goers = (claim.claimed.members + claim.claimed.out.map(\.id)).filter { assignment.node(of: $0) == nil }
    applyOrders()
    followReplicas()
    publish(.starting, "claiming its replicas")
  }

  private func isLost(_ name: String) -> Bool {
    guard name != node.name else { return false }
    if assignment.lostNodes?.contains(name) == true { return true }
    // Only a store that says so is believed. One that is stopping answers at once or not any more.
    do {
      let status = try node.store.object(NodeStatus.self, at: Keys.nodeStatus(name))
      return status == nil || status?.object.state == .stopping
    } catch {
      return false
    }
  }

  // MARK: Paths

  /// Hosts come from the first moment of service on. One that is out for so long that commands were turned away is told so (R12), and at once
  /// where another node may serve by now.
  func updatePath(_ serving: Serving, _ report: NexusReport) {
    if report.isCutOff {
      if serving.isPublished { path.setState(.inaccessible) }
      return
    }
    if report.state == .serving {
      serving.isOut = false
      if serving.isPublished { return path.setState(.optimized) }
      serving.isPublished = true
      return path.serve(ReactorBound(serving.nexus.value))
    }
    guard serving.isPublished, !serving.isOut else { return }
    serving.isOut = true
    serving.outages += 1
    let outage = serving.outages
    // As long as a command would wait inside.
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(serving.nexus.value.configuration.patienceNanoseconds))) { [self] in
      guard let current = self.serving, current === serving, current.isOut, current.outages == outage else { return }
      path.setState(.inaccessible)
    }
  }
}

extension PoolIdentifier {
  init(_ id: ReplicaID) { self = PoolIdentifier(id.description)! }
}

extension ReplicaID {
  init(_ id: PoolIdentifier) { self = ReplicaID(id.description)! }
}
