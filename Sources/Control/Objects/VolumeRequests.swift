import Foundation

/// What the command line and CSI ask of the store about volumes. Each is one transaction; the controller does the rest.
public enum VolumeRequests {
  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    case exists(name: String)
    case notFound(name: String)
    /// Others changed the volume again and again meanwhile.
    case contended(name: String)
    /// The volume is not in a state in which that can be done.
    case failedPrecondition(name: String, reason: String)

    public var description: String {
      switch self {
      case .exists(let name): "there is a volume \(name) already"
      case .notFound(let name): "there is no volume \(name)"
      case .contended(let name): "volume \(name) keeps being changed by others; try again"
      case .failedPrecondition(let name, let reason): "volume \(name) \(reason)"
      }
    }
  }

  /// Asks for a volume. Throws `ObjectError.invalid`, `Failure.exists` or a store error.
  public static func create(_ spec: VolumeSpec, in store: any StateStore) throws {
    try spec.validate()
    let key = Keys.volumeSpec(name: spec.name)
    let transaction = StoreTransaction(compares: [.absent(key: key)], operations: [.put(key: key, value: spec.encoded())])
    if try store.transact(transaction).committedRevision == nil { throw Failure.exists(name: spec.name) }
  }

  /// Asks for the volume's end; asking again changes nothing. Throws `Failure.notFound`, `Failure.failedPrecondition` while it has
  /// snapshots or, if so asked, hosts, or a store error. Returns the volume's id, since another volume may get the name later.
  @discardableResult
  public static func delete(name: String, unlessPublished: Bool = false, in store: any StateStore) throws -> VolumeID {
    try Names.validate(name, kind: "volume name")
    for _ in 0..<100 {
      guard var stored = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name)) else {
        throw Failure.notFound(name: name)
      }
      if stored.object.deleting { return stored.object.id }
      if unlessPublished, let user = stored.object.publications?.first {
        throw Failure.failedPrecondition(name: name, reason: "is attached to \(user.nodeName ?? user.hostNQN): detach it first")
      }
      // Whoever asks for a snapshot changes the volume's specification too, so that this cannot be passed by.
      let snapshots = try SnapshotRequests.snapshots(of: stored.object.id, in: store).filter { !$0.object.deleting }
      if !snapshots.isEmpty {
        let names = snapshots.map { $0.object.cloneID == nil ? $0.object.name : "\($0.object.name) (a clone is being made)" }
        throw Failure.failedPrecondition(name: name, reason: "has snapshots (\(names.joined(separator: ", "))): delete them first")
      }
      let unchanged = stored.isUnchanged
      stored.object.deleting = true
      let transaction = StoreTransaction(compares: [unchanged], operations: [stored.replacement])
      if try store.transact(transaction).committedRevision != nil { return stored.object.id }
    }
    throw Failure.contended(name: name)
  }
}
