import Foundation

/// Rebuilds what the state store knew of volumes from what replicas remember (R18). Pure: what was found goes in, what is to be written
/// comes out, and for each volume that cannot be told for sure, why.
///
/// The claim with the highest generation and set version says who is in sync. All that it names must have been found: one that was not may
/// have gone on alone, under a later claim that no other replica knows of. Where a member's own claim is older, the later claim was
/// never complete, and so never served. Those outside of the set come back as absent, and are made equal.
public struct Recovery: Sendable {
  public struct Volume: Equatable, Sendable {
    public var spec: VolumeSpec
    public var nexusNode: String
    public var nexus: NexusAssignment
    public var record: InSyncRecord
    /// The highest revision of the lost store that its replicas remember.
    public var storeRevision: UInt64
  }

  public struct Refusal: Equatable, Sendable {
    public var volumeID: VolumeID
    public var name: String?
    public var reason: String
    /// Whether the operator's word is enough.
    public var canBeForced: Bool
  }

  public private(set) var volumes: [Volume] = []
  public private(set) var refusals: [Refusal] = []

  /// - Parameters:
  ///   - found: replicas with their nodes.
  ///   - names: names of volumes that are known from elsewhere, as from an export.
  ///   - forced: volumes of which the operator says that the replicas not found are lost for good.
  ///   - cluster: what the store knows already; it is never overruled.
  /// `publications` are those of every volume. Without any, no host is let in before somebody says so: who was fenced before the store was lost
  /// may still want to write (R13).
  public init(
    _ found: [Placed<FoundReplica>], names: [VolumeID: String], forced: Set<VolumeID>, publications: [Publication]? = [],
    in cluster: ClusterState, now: Date
  ) {
    var byVolume: [VolumeID: [Placed<FoundReplica>]] = [:]
    for replica in found { byVolume[replica.object.volumeID, default: []].append(replica) }
    for (id, replicas) in byVolume.sorted(by: { $0.key < $1.key }) {
      // What the latest claim's replica was told last; the operator's list is stronger.
      let told = replicas.map(\.object).filter { $0.volumeName != nil }
        .max { ($0.generation, $0.setVersion, $1.id) < ($1.generation, $1.setVersion, $0.id) }?.volumeName
      let name = names[id] ?? told.flatMap { (try? Names.validate($0, kind: "volume name")) == nil ? nil : $0 }
      do throws(Doubt) {
        let sorted = replicas.sorted { $0.object.id < $1.object.id }
        volumes.append(try Self.volume(id, sorted, name, forced.contains(id), cluster, now))
      } catch {
        refusals.append(Refusal(volumeID: id, name: name, reason: error.reason, canBeForced: error.canBeForced))
      }
    }
    refuseTwins()
    for index in volumes.indices {
      volumes[index].spec.publications = publications
      volumes[index].nexus.publications = publications
    }
  }

  private struct Doubt: Error {
    var reason: String
    var canBeForced = false
  }

  private static func volume(
    _ id: VolumeID, _ replicas: [Placed<FoundReplica>], _ name: String?, _ isForced: Bool, _ cluster: ClusterState, _ now: Date
  ) throws(Doubt) -> Volume {
    if let known = cluster.volumeKeys(of: id).first {
      throw Doubt(reason: "the store has it already, as \(known.dropFirst(Keys.volumeSpecs.count)); what is there is not overruled")
    }
    let name = name ?? "recovered-\(id.description.prefix(8))"
    if cluster.volume(name: name) != nil { throw Doubt(reason: "another volume has its name, \(name)") }
    guard Set(replicas.map(\.object.id)).count == replicas.count else {
      throw Doubt(reason: "the same replica was found twice: a disk was copied; take the copy away")
    }
    guard let latest = replicas.map(\.object).max(by: { ($0.generation, $0.setVersion) < ($1.generation, $1.setVersion) }),
      latest.generation > 0
    else { throw Doubt(reason: "none of its \(replicas.count) replicas was ever used, so who holds what is not known") }
    for other in replicas.map(\.object) where other.generation == latest.generation {
      if other.nexusRun != latest.nexusRun { throw Doubt(reason: "two nexuses claimed it under generation \(latest.generation)") }
      if other.setVersion == latest.setVersion, Set(other.inSync) != Set(latest.inSync) {
        throw Doubt(reason: "its replicas do not agree on who was in sync under generation \(latest.generation)")
      }
    }
    let members = replicas.filter { latest.inSync.contains($0.object.id) }
    let missing = latest.inSync.filter { member in !replicas.contains { $0.object.id == member } }
    if members.isEmpty {
      throw Doubt(
        reason: "none of the replicas that were in sync was found (\(list(missing))); what was found may lack acknowledged writes")
    }
    if !missing.isEmpty, !isForced {
      throw Doubt(
        reason:
          "\(list(missing)), in sync under generation \(latest.generation), was not found and may hold later writes: bring back its node",
        canBeForced: true)
    }
    if Set(members.map(\.object.sizeBytes)).count > 1 || Set(members.map(\.object.blockSizeBytes)).count > 1 {
      throw Doubt(reason: "its replicas have different sizes: \(members.map { ByteText.of($0.object.sizeBytes) }.joined(separator: ", "))")
    }
    if Set(replicas.map(\.node)).count < replicas.count { throw Doubt(reason: "two of its replicas are on one node") }
    let usable = replicas.filter { $0.object.sizeBytes <= members[0].object.sizeBytes && $0.object.blockSizeBytes == latest.blockSizeBytes }
    return try made(id, name, usable, members, latest, now)
  }

  private static func made(
    _ id: VolumeID, _ name: String, _ replicas: [Placed<FoundReplica>], _ members: [Placed<FoundReplica>], _ latest: FoundReplica,
    _ now: Date
  ) throws(Doubt) -> Volume {
    let count = min(max(members.count, replicas.count), VolumeSpec.maximumReplicaCount)
    let spec = VolumeSpec(
      id: id, name: name, sizeBytes: members[0].object.sizeBytes, replicaCount: count, blockSizeBytes: latest.blockSizeBytes,
      isThick: members.contains { $0.object.isThick }, createdAt: now)
    do { try spec.validate() } catch { throw Doubt(reason: error.description) }
    // Each that is in the latest set accepted at least its own claim.
    let served = members.map(\.object.generation).min() ?? 0
    let record = InSyncRecord(
      generation: latest.generation, setVersion: latest.setVersion, nexusNode: members[0].node, nexusIncarnation: "",
      members: members.map(\.object.id),
      out: replicas.filter { replica in !members.contains { $0.object.id == replica.object.id } }.map {
        .init(id: $0.object.id, reason: "it was not in sync when the state store was lost", atGeneration: $0.object.generation)
      }, confirmedGeneration: served)
    let ordered = members + replicas.filter { replica in !members.contains { $0.object.id == replica.object.id } }
    let nexus = NexusAssignment(
      volumeID: id, volumeName: name, sizeBytes: spec.sizeBytes, blockSizeBytes: spec.blockSizeBytes, minInSync: spec.effectiveMinInSync,
      replicas: ordered.map { .init(id: $0.object.id, node: $0.node, pool: $0.object.pool) })
    return Volume(
      spec: spec, nexusNode: members[0].node, nexus: nexus, record: record,
      storeRevision: replicas.map(\.object.storeRevision).max() ?? 0)
  }

  /// Two volumes cannot have one name.
  private mutating func refuseTwins() {
    let counts = Dictionary(grouping: volumes, by: \.spec.name).mapValues(\.count)
    for volume in volumes where counts[volume.spec.name] ?? 0 > 1 {
      refusals.append(
        Refusal(volumeID: volume.spec.id, name: volume.spec.name, reason: "another volume found has the same name", canBeForced: false))
    }
    volumes.removeAll { counts[$0.spec.name] ?? 0 > 1 }
  }

  private static func list(_ replicas: [ReplicaID]) -> String {
    (replicas.count == 1 ? "replica " : "replicas ") + replicas.sorted().map(\.description).joined(separator: ", ")
  }
}

extension Recovery.Volume {
  /// Writes it, provided that nobody else has meanwhile.
  public var transaction: StoreTransaction {
    var operations: [StoreOperation] = [
      .put(key: Keys.volumeSpec(name: spec.name), value: spec.encoded()), .put(key: Keys.inSync(spec.id), value: record.encoded()),
      .put(key: Keys.nexusAssignment(node: nexusNode, spec.id), value: nexus.encoded()),
    ]
    for replica in nexus.replicas { operations.append(Reconciler.assignment(of: replica, spec, nexusNode: nexusNode)) }
    return StoreTransaction(compares: operations.map { .absent(key: $0.key) }, operations: operations)
  }
}
