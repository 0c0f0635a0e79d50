import Foundation
import NVMe
import Pool
import Reactor
import Synchronization
import Target

/// The replicas of a node: makes, opens, serves and deletes what is assigned. Called on the agent's queue.
final class ReplicaKeeper: Sendable {
  /// A replica being served.
  struct Open: Sendable {
    let assignment: ReplicaAssignment
    let reactorPosition: Int
    let device: ReactorBound<PoolReplica>
    let service: ReplicaService
  }

  private let node: NodeContext
  private let pools: [String: Pool]
  private let open = Mutex<[ReplicaID: Open]>([:])
  private let reported = Mutex<[ReplicaID: ReplicaStatus]>([:])
  /// Thick replicas that are being filled, beside the agent's queue as that takes long; and why those failed that did.
  private let filling = Mutex<[ReplicaID: Filling]>([:])
  private let origins = Mutex<[ReplicaID: Origin]>([:])
  private let making = DispatchQueue(label: "keelson.thick")
  private let callback = Mutex<(@Sendable () -> Void)?>(nil)

  private enum Filling {
    case running
    case failed(String)
  }

  /// Called when a replica was made that took long.
  var whenMade: (@Sendable () -> Void)? {
    get { callback.withLock { $0 } }
    set { callback.withLock { $0 = newValue } }
  }

  init(node: NodeContext, pools: [Pool]) {
    self.node = node
    self.pools = Dictionary(uniqueKeysWithValues: pools.map { ($0.name, $0) })
  }

  /// The replica, if it is open on this node.
  func replica(_ id: ReplicaID) -> Open? { open.withLock { $0[id] } }

  /// Why the replica cannot be used, if there is something to say.
  func trouble(with id: ReplicaID) -> String? { reported.withLock { $0[id]?.message } }

  /// Makes what is assigned true. A replica that is not assigned is kept and served to nobody (R18). One that a nexus here
  /// may use is deleted once `isUnused` says so.
  func reconcile(_ assignments: [ReplicaAssignment], isUnused: (ReplicaAssignment) -> Bool) {
    for assignment in assignments {
      if !assignment.deleting {
        serve(assignment)
      } else if isUnused(assignment) {
        delete(assignment)
      }
    }
    let assigned = Set(assignments.map(\.id))
    let stale = reported.withLock { $0.keys.filter { !assigned.contains($0) } }.sorted()
    for id in stale {
      node.withdraw(Keys.replicaStatus(node: node.name, id))
      reported.withLock { $0[id] = nil }
    }
  }

  /// Replicas in the pools that nobody assigned: kept, and told.
  func reportUnknown(_ assignments: [ReplicaAssignment]) {
    let assigned = Set(assignments.map { $0.id.description })
    for (name, pool) in pools.sorted(by: { $0.key < $1.key }) {
      for replica in pool.replicas where !assigned.contains(replica.id.description) {
        node.log.write("pool \(name) holds replica \(replica.id), which is not assigned to this node: kept, not served")
        guard let claim = try? pool.metadata(of: replica.id).claim else { continue }
        let found = FoundReplica(replica, claim, pool: name)
        node.publish(found, at: Keys.foundReplica(node: node.name, found.id))
      }
    }
  }

  /// What the pools here remember of the state store (R18).
  var recollection: StoreRecollection {
    StoreRecollection(
      pools: pools.sorted { $0.key < $1.key }.map(\.value).filter { !$0.isVolatile }.map { pool in
        let claims = pool.replicas.map { (try? pool.metadata(of: $0.id).claim.storeRevision) ?? 0 }
        return .init(memory: pool.storeMemory, claimedRevision: claims.max() ?? 0, isEmpty: claims.isEmpty)
      })
  }

  /// Makes the pools remember how far the store has come; those that live by another one keep what they know, unless that is overruled.
  func remember(_ memory: StoreMemory, instead overruled: [String]) {
    for (name, pool) in pools.sorted(by: { $0.key < $1.key }) where !pool.isVolatile && !pool.report.isFaulted {
      let old = pool.storeMemory
      let isOurs =
        old.identity == memory.identity || old.identity == .none || overruled.contains(old.identity.description) || pool.replicas.isEmpty
      guard isOurs, old != memory else { continue }
      do { try pool.remember(memory) } catch { node.log.write("pool \(name) does not remember the state store's revision: \(error)") }
    }
  }

  private func report(_ assignment: ReplicaAssignment, _ state: ReplicaStatus.State, _ message: String? = nil, isLost: Bool = false) {
    let status = ReplicaStatus(
      id: assignment.id, volumeID: assignment.volumeID, pool: assignment.pool, state: state, message: message, isLost: isLost)
    let isNews = reported.withLock { reported in
      defer { reported[assignment.id] = status }
      return reported[assignment.id] != status
    }
    guard isNews else { return }
    node.publish(status, at: Keys.replicaStatus(node: node.name, assignment.id))
    if let message { node.log.write("replica \(assignment.id) of \(assignment.volumeName): \(message)") }
  }

  private func serve(_ assignment: ReplicaAssignment) {
    if replica(assignment.id) != nil {
      report(assignment, .ready)
      return
    }
    switch filling.withLock({ $0[assignment.id] }) {
    case nil: break
    case .running?: return
    case .failed(let message)?: return report(assignment, .faulted, message)
    }
    guard let pool = pools[assignment.pool], let id = PoolIdentifier(assignment.id.description),
      let volume = PoolIdentifier(assignment.volumeID.description)
    else {
      report(assignment, .faulted, "this node has no pool named \(assignment.pool)", isLost: true)
      return
    }
    do throws(PoolError) {
      if !pool.replicas.contains(where: { $0.id == id }) {
        switch origin(of: assignment, pool) {
        case .unknown: return
        case .lost:
          return report(assignment, .faulted, "pool \(assignment.pool) no longer holds it; its data are gone", isLost: !pool.isVolatile)
        case .new: break
        }
        report(assignment, .creating)
        if assignment.isThick { return fill(assignment, pool, id, volume) }
        if let source = assignment.sourceSnapshot {
          try clone(source, pool, to: id, volume)
        } else {
          try pool.createReplica(
            id: id, volumeID: volume, sizeBytes: assignment.sizeBytes, blockSizeBytes: assignment.blockSizeBytes)
        }
      }
      if assignment.sourceSnapshot != nil, pool.replicas.contains(where: { $0.id == id && $0.sizeBytes < assignment.sizeBytes }) {
        // A clone begins as large as its snapshot.
        try pool.growReplica(id: id, toSizeBytes: assignment.sizeBytes)
      }
      // For when the store is lost (R18).
      if (try? Names.validate(assignment.volumeName, kind: "volume name")) != nil { try? pool.setVolumeName(assignment.volumeName, of: id) }
      let position = node.reactorPosition(ofPool: assignment.pool)
      let opened = node.reactors[position].call { reactor -> Result<ReactorBound<PoolReplica>, PoolError> in
        do throws(PoolError) {
          return .success(ReactorBound(try pool.openReplica(id, on: reactor)))
        } catch {
          return .failure(error)
        }
      }
      let device = try opened.get()
      let sizeBytes = node.reactors[position].call { _ in device.value.sizeBytes }
      let description = node.description(
        name: NQN.replica(assignment.id), identifier: Identifier128(assignment.id.description)!,
        sizeBytes: sizeBytes, blockSizeBytes: assignment.blockSizeBytes,
        allowedHosts: .only([QualifiedName(NQN.nexus(assignment.volumeID))!]))
      let service = ReplicaService(
        replica: device, description: description, target: node.target, reactor: node.reactors[position],
        incarnation: PoolIdentifier(node.incarnation)!)
      open.withLock {
        $0[assignment.id] = Open(assignment: assignment, reactorPosition: position, device: device, service: service)
      }
      // First the space it took: what is assigned and not yet ready is subtracted from what a pool says is free.
      node.publish(pool)
      report(assignment, .ready)
    } catch {
      report(assignment, .faulted, error.description)
    }
  }

  private func clone(_ source: String, _ pool: Pool, to id: PoolIdentifier, _ volume: PoolIdentifier) throws(PoolError) {
    guard let snapshot = PoolIdentifier(source) else { throw .unknownSnapshot(pool: pool.name, id: .none) }
    for _ in 0..<100 {
      do throws(PoolError) {
        return try pool.cloneSnapshot(id: snapshot, to: id, volumeID: volume)
      } catch {
        // Another clone of it is just being made.
        guard case .replicaInUse = error else { throw error }
        usleep(20_000)
      }
    }
    try pool.cloneSnapshot(id: snapshot, to: id, volumeID: volume)
  }

  /// Makes a thick replica on a thread of its own; the agent looks again when that is done. The pool names it when all of its space is
  /// taken: one that has a name is whole, and is never made anew.
  private func fill(_ assignment: ReplicaAssignment, _ pool: Pool, _ id: PoolIdentifier, _ volume: PoolIdentifier) {
    filling.withLock { $0[assignment.id] = .running }
    making.async { [self] in
      do throws(PoolError) {
        _ = try node.reactors[node.reactorPosition(ofPool: assignment.pool)].call { reactor -> Result<Bool, PoolError> in
          do throws(PoolError) {
            try pool.bind(to: reactor)
            return .success(true)
          } catch { return .failure(error) }
        }.get()
        try pool.createReplica(
          id: id, volumeID: volume, sizeBytes: assignment.sizeBytes, blockSizeBytes: assignment.blockSizeBytes, isThick: true)
        filling.withLock { $0[assignment.id] = nil }
      } catch {
        filling.withLock { $0[assignment.id] = .failed(error.description) }
      }
      whenMade?()
    }
  }

  /// What a replica is that its pool does not hold.
  private enum Origin {
    /// The store does not say now.
    case unknown
    /// To be made, empty.
    case new
    /// An earlier run had it ready. Empty where data were it must not appear while it is in the in-sync set.
    case lost
  }

  /// What is found once holds for this process, but that a volatile pool's replica is made anew when it has left the set: its nexus knows
  /// then that it holds nothing.
  private func origin(of assignment: ReplicaAssignment, _ pool: Pool) -> Origin {
    if origins.withLock({ $0[assignment.id] }) == .new { return .new }
    var origin = Origin.unknown
    do {
      origin = try wasReadyBefore(assignment) ? .lost : .new
      if origin == .lost, pool.isVolatile,
        let record = try node.store.object(InSyncRecord.self, at: Keys.inSync(assignment.volumeID))?.object,
        record.out.contains(where: { $0.id == assignment.id }), !record.members.contains(assignment.id)
      {
        node.log.write(
          "replica \(assignment.id) of \(assignment.volumeName) went with the last process and is out of sync: made anew, empty")
        origin = .new
      }
    } catch {
      node.log.write("replica \(assignment.id): the state store does not say whether it is new: \(error)")
      origin = .unknown
    }
    let known = origin
    origins.withLock { $0[assignment.id] = known }
    return origin
  }

  /// Whether looking again may change what a replica is that its pool does not hold.
  var isUnsettled: Bool {
    let unsettled = origins.withLock { $0.filter { $0.value != .new }.keys.sorted() }
    return unsettled.contains { id in
      origins.withLock { $0[id] } == .unknown || pools[reported.withLock { $0[id]?.pool } ?? ""]?.isVolatile == true
    }
  }

  /// Whether an earlier run of this node had the replica ready: then its absence from the pool is a loss, not a beginning.
  private func wasReadyBefore(_ assignment: ReplicaAssignment) throws -> Bool {
    if origins.withLock({ $0[assignment.id] }) == .lost { return true }
    guard let status = try node.store.object(ReplicaStatus.self, at: Keys.replicaStatus(node: node.name, assignment.id)) else {
      return false
    }
    return status.object.state == .ready || status.object.state == .faulted
  }

  private func delete(_ assignment: ReplicaAssignment) {
    if case .running? = filling.withLock({ $0[assignment.id] }) { return }
    filling.withLock { $0[assignment.id] = nil }
    origins.withLock { $0[assignment.id] = nil }
    stopServing(assignment.id)
    guard let pool = pools[assignment.pool], let id = PoolIdentifier(assignment.id.description) else {
      report(assignment, .deleted)
      return
    }
    do throws(PoolError) {
      if pool.replicas.contains(where: { $0.id == id }) { try pool.deleteReplica(id: id) }
      // What is left of its volume's: nobody but this replica could have read them.
      for snapshot in pool.snapshots where snapshot.volumeID.description == assignment.volumeID.description {
        try pool.deleteSnapshot(id: snapshot.id)
      }
      node.publish(pool)
      report(assignment, .deleted)
    } catch {
      report(assignment, .faulted, error.description)
    }
  }

  private func stopServing(_ id: ReplicaID) {
    guard let replica = replica(id) else { return }
    replica.service.stop()
    node.reactors[replica.reactorPosition].call { _ in replica.device.value.close() }
    open.withLock { $0[id] = nil }
  }

  /// Serves no replica any more; the pools can be closed.
  func stop() {
    making.sync {}
    for id in open.withLock({ $0.keys.sorted() }) { stopServing(id) }
  }
}
