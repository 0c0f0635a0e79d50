import Foundation
import NVMe
import Nexus
import Pool
import Reactor
import Synchronization
import Target
import Transport

/// What the parts of a node share.
final class NodeContext: Sendable {
  let name: String
  /// Different for each run of the process.
  let incarnation: String
  let store: any StateStore
  let target: TargetServer
  let reactors: [ReactorReference]
  /// For the host side, one per reactor.
  let transports: [ReactorBound<TransportContext>]
  /// What copies of all nexuses on a reactor may take, one per reactor.
  let budgets: [ReactorBound<RebuildBudget>]
  let log: NodeLog
  let events: EventLog
  /// For what each volume changes by itself and all may at the same time.
  let commits: GroupCommit
  private let outbox: StatusOutbox
  /// What was last said of each pool.
  private let publishedPools = Mutex<[String: PoolStatus]>([:])
  /// What was last said of each nexus here, by key.
  private let publishedNexuses = Mutex<[String: NexusStatus]>([:])
  /// The names of volumes with a path here.
  private let volumeNames = Mutex<[VolumeID: String]>([:])

  init(
    name: String, incarnation: String, store: any StateStore, target: TargetServer, reactors: [ReactorReference], log: NodeLog,
    controllerIdentifiers: ClosedRange<UInt16>,
    rebuildBytesPerSecond: UInt64? = nil
  ) {
    self.controllerIdentifiers = controllerIdentifiers
    self.name = name
    self.incarnation = incarnation
    self.store = store
    self.target = target
    self.reactors = reactors
    self.log = log
    events = EventLog(store: store, source: name)
    commits = GroupCommit(store: store)
    outbox = StatusOutbox(store: store, log: log)
    transports = reactors.map { $0.call { ReactorBound(TransportContext(reactor: $0)) } }
    let bandwidth = rebuildBytesPerSecond.map { RebuildBudget.Bandwidth(bytesPerSecond: $0) }
    budgets = reactors.map { $0.call { _ in ReactorBound(RebuildBudget(bandwidth: bandwidth)) } }
  }

  /// Which reactor serves the nexus of a volume that has no replica here; one that has is with its replica.
  func reactorPosition(of volume: VolumeID) -> Int {
    Int(Identifier128(volume.description)!.low % UInt64(reactors.count))
  }

  /// Which reactor serves a pool: all its replicas, as they share its metadata without locks.
  func reactorPosition(ofPool name: String) -> Int {
    Int(name.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } % UInt32(reactors.count))
  }

  /// Controller ids of this node, apart from those of all other nodes (R19).
  let controllerIdentifiers: ClosedRange<UInt16>

  /// The subsystem of a volume or replica: one namespace, its identifiers the object's own.
  func description(
    name: String, identifier: Identifier128, sizeBytes: UInt64, blockSizeBytes: UInt32, allowedHosts: HostFilter
  ) -> SubsystemDescription {
    guard let name = QualifiedName(name) else { preconditionFailure("names of ours are valid") }
    let serial = String(identifier.description.filter { $0 != "-" }.prefix(20))
    return SubsystemDescription(
      name: name, kind: .nvm, serialNumber: serial, controllerIdentifiers: controllerIdentifiers,
      namespace: NamespaceDescription(
        sizeBytes: sizeBytes, blockBytes: blockSizeBytes, uuid: identifier, guid: identifier),
      allowedHosts: allowedHosts)
  }

  /// Writes a status object, soon, in order with all others.
  func publish(_ object: some StoredObject, at key: String) { outbox.add(.put(key: key, value: object.encoded())) }

  /// Writes what a pool has and has left.
  func publish(_ pool: Pool) { publish(status(of: pool)) }

  func publish(_ status: PoolStatus) {
    publishedPools.withLock { published in
      published[status.name] = status
      publish(status, at: Keys.poolStatus(node: name, status.name))
    }
  }

  /// Writes what a nexus is like, soon, in order with all others.
  func publish(_ status: NexusStatus, at key: String) {
    publishedNexuses.withLock { published in
      published[key] = status
      outbox.add(.put(key: key, value: status.encoded()))
    }
  }

  /// A volume has a path here from now on; nil when it has none any more.
  func name(_ volume: VolumeID, _ name: String?) { volumeNames.withLock { $0[volume] = name } }

  /// What this node tells of itself: one message to each reactor, and what was last published. From any thread but a reactor's.
  func figures(startedAt: Date) -> NodeFigures {
    let target = target.figures()
    return NodeFigures(
      node: name, ioEngine: reactors[0].engineKind.rawValue, startedAt: startedAt, atNanoseconds: Clock.bootNanoseconds(), target: target,
      names: volumeNames.withLock { $0 }, nexuses: publishedNexuses.withLock { $0.values.sorted { $0.volumeID < $1.volumeID } },
      pools: publishedPools.withLock { $0.values.sorted { $0.name < $1.name } })
  }

  /// What was last published of a pool.
  func publishedStatus(ofPool name: String) -> PoolStatus? { publishedPools.withLock { $0[name] } }

  /// Deletes a status object, soon, in order with all others.
  func withdraw(_ key: String) {
    publishedNexuses.withLock { published in
      published[key] = nil
      outbox.add(.delete(key: key))
    }
  }

  /// Waits until all that was published is in the store, but not for long.
  func drainStatus() { outbox.drain() }

  func status(of pool: Pool) -> PoolStatus {
    let location = pool.location
    let errors = pool.report.errors
    let usage = pool.usage
    return PoolStatus(
      name: pool.name, uuid: pool.id.description,
      kind: pool.isDrill ? .drill : pool.isVolatile ? .memory : location.hasPrefix("/dev/") ? .block : .file,
      path: location, sizeBytes: pool.totalBytes, freeBytes: usage?.freeBytes ?? 0,
      promisedBytes: usage?.promisedBytes ?? 0, clusterBytes: pool.clusterBytes,
      state: pool.report.isFaulted ? .faulted : .ready, message: pool.report.message,
      contents: usage.map { contents(of: pool, $0) },
      errors: errors.reads + errors.writes == 0 ? nil : .init(reads: errors.reads, writes: errors.writes, last: errors.last))
  }

  private func contents(of pool: Pool, _ usage: PoolUsage) -> PoolStatus.Contents {
    let replicas = pool.replicas.prefix(PoolStatus.Contents.maximumItems).map {
      PoolStatus.Item(
        id: "\($0.id)", volumeID: "\($0.volumeID)", isSnapshot: false, sizeBytes: $0.sizeBytes, ownBytes: $0.allocatedBytes,
        sharedBytes: $0.sharedBytes)
    }
    let snapshots = pool.snapshots.prefix(PoolStatus.Contents.maximumItems - replicas.count).map {
      PoolStatus.Item(
        id: "\($0.id)", volumeID: "\($0.volumeID)", isSnapshot: true, sizeBytes: $0.sizeBytes, ownBytes: $0.allocatedBytes,
        sharedBytes: $0.sharedBytes)
    }
    return PoolStatus.Contents(
      overcommitPercent: usage.options.overcommitPercent, regionBytes: usage.options.regionBytes,
      maximumHotRegions: usage.options.maximumHotRegions,
      integrity: pool.integrity == .none ? nil : pool.integrity.rawValue, replicaCount: usage.replicaCount,
      snapshotCount: usage.snapshotCount,
      items: replicas + snapshots)
  }
}
