import Foundation

/// Which hosts may use a volume (R13).
///
/// A volume without `publications` is open to any host: so `keelson volume create` makes them beside a `keelson dev`. The first
/// publication closes it; from then on only published hosts may connect, none where the list is empty.
extension VolumeRequests {
  /// What to do when a single-writer volume is published to another host.
  public enum Conflict: Sendable {
    /// Throw `PublishingFailure.publishedElsewhere`: CSI's way.
    case refuse
    /// Take it from the other host (R13).
    case fence
  }

  public enum PublishingFailure: Error, Equatable, Sendable, CustomStringConvertible {
    case publishedElsewhere(name: String, hostNQN: String, nodeName: String?)
    /// The host has it already, in another way.
    case incompatible(name: String, existing: Publication)
    /// Another node has it, and calls itself by the same name as a host.
    case sharedIdentity(name: String, hostNQN: String, nodeNames: [String])
    case tooMany(name: String)
    case deleting(name: String)
    /// The request stays written down.
    case timeout(name: String, waitingFor: String)

    public var description: String {
      switch self {
      case .publishedElsewhere(let name, let host, let node):
        "volume \(name) is published to \(node.map { "\($0) (\(host))" } ?? host), which is its only writer"
      case .incompatible(let name, let existing):
        "volume \(name) is already published to \(existing.hostNQN), \(existing.readOnly ? "read-only" : "for writing"), \(existing.mode.rawValue)"
      case .sharedIdentity(let name, let host, let nodes):
        "volume \(name) is published to \(nodes[0]), and \(nodes[1]) says that it is the same host (\(host)): give every node an identity of its own (/etc/machine-id, or --host-id)"
      case .tooMany(let name): "volume \(name) is published to \(Publication.maximumCount) hosts, and that is the most"
      case .deleting(let name): "volume \(name) is being deleted"
      case .timeout(let name, let waitingFor): "volume \(name): waiting for \(waitingFor)"
      }
    }
  }

  /// Gives a host a volume. The same publication again changes nothing. With `.fence`, hosts that exclude the new one lose it, and a host
  /// that has it in another way gets it in the new one. Throws `PublishingFailure`, `Failure`, `ObjectError` or a store error.
  @discardableResult
  public static func publish(
    name: String, _ publication: Publication, onConflict: Conflict = .fence, in store: any StateStore
  ) throws -> VolumeSpec {
    try publication.validate()
    return try change(name, in: store) { spec in
      if spec.deleting { throw PublishingFailure.deleting(name: name) }
      var all = spec.publications ?? []
      if all.contains(publication) { return }
      if let existing = all.first(where: { $0.hostNQN == publication.hostNQN }) {
        var sameButNode = existing
        sameButNode.nodeName = publication.nodeName
        if sameButNode != publication, onConflict == .refuse { throw PublishingFailure.incompatible(name: name, existing: existing) }
        // Two machines that call themselves alike, as copies of one installation do, are two hosts all the same.
        if let node = existing.nodeName, let other = publication.nodeName, node != other, onConflict == .refuse {
          throw PublishingFailure.sharedIdentity(name: name, hostNQN: existing.hostNQN, nodeNames: [node, other])
        }
        all.removeAll { $0.hostNQN == publication.hostNQN }
      }
      let others = all.filter { $0.mode == .singleWriter || publication.mode == .singleWriter }
      if let other = others.first, onConflict == .refuse {
        throw PublishingFailure.publishedElsewhere(name: name, hostNQN: other.hostNQN, nodeName: other.nodeName)
      }
      all.removeAll { other in others.contains(other) }
      if all.count >= Publication.maximumCount { throw PublishingFailure.tooMany(name: name) }
      spec.publications = all + [publication]
    }
  }

  /// Takes a volume from a host, or from all hosts. A host that does not have it changes nothing; a volume that is open to any host is
  /// closed. Throws `Failure` or a store error.
  @discardableResult
  public static func unpublish(name: String, hostNQN: String?, in store: any StateStore) throws -> VolumeSpec {
    try change(name, in: store) { spec in
      spec.publications = (spec.publications ?? []).filter { hostNQN != nil && $0.hostNQN != hostNQN }
    }
  }

  /// `publish`, and waits until it is in force: the nexus serves and admits the host, every other path that runs does so, and hosts that lost
  /// the volume are out, with their commands settled (R13).
  public static func publishWaiting(
    name: String, _ publication: Publication, onConflict: Conflict = .fence, nanoseconds: UInt64, in store: any StateStore
  ) throws -> PublishedVolume {
    let spec = try publish(name: name, publication, onConflict: onConflict, in: store)
    var reason = "the controller"
    let result = try store.wait(nanoseconds: nanoseconds) { mirror -> PublishedVolume? in
      let cluster = ClusterState(mirror.entries)
      guard let current = cluster.volume(name: name)?.object, current.id == spec.id, !current.deleting else {
        throw PublishingFailure.deleting(name: name)
      }
      let progress = PublicationProgress(current, in: cluster)
      if let trouble = progress.publishing(publication) {
        reason = trouble
        return nil
      }
      return PublishedVolume(current, publication, paths: progress.paths)
    }
    guard let result else { throw PublishingFailure.timeout(name: name, waitingFor: reason) }
    return result
  }

  /// `unpublish`, and waits until the host is out: no path admits it, its controllers have ended and their commands are settled (R13).
  /// A volume that is gone counts as unpublished.
  public static func unpublishWaiting(name: String, hostNQN: String?, nanoseconds: UInt64, in store: any StateStore) throws {
    let spec = try unpublish(name: name, hostNQN: hostNQN, in: store)
    var reason = "the controller"
    let isDone = try store.wait(nanoseconds: nanoseconds) { mirror -> Bool? in
      let cluster = ClusterState(mirror.entries)
      guard let current = cluster.volume(name: name)?.object, current.id == spec.id else { return true }
      if let trouble = PublicationProgress(current, in: cluster).withholding(from: hostNQN) {
        reason = trouble
        return nil
      }
      return true
    }
    if isDone == nil { throw PublishingFailure.timeout(name: name, waitingFor: reason) }
  }

  /// Changes a specification, again and again until nobody else changed it meanwhile.
  static func change(_ name: String, in store: any StateStore, _ body: (inout VolumeSpec) throws -> Void) throws -> VolumeSpec {
    try Names.validate(name, kind: "volume name")
    for _ in 0..<100 {
      guard var stored = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name)) else { throw Failure.notFound(name: name) }
      let (unchanged, old) = (stored.isUnchanged, stored.object)
      try body(&stored.object)
      if stored.object == old { return old }
      let transaction = StoreTransaction(compares: [unchanged], operations: [stored.replacement])
      if try store.transact(transaction).committedRevision != nil { return stored.object }
    }
    throw Failure.contended(name: name)
  }
}
