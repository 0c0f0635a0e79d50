import Foundation

/// What the command line and CSI ask of the store about snapshots. Each is one transaction; the controller and the nexus do the rest.
public enum SnapshotRequests {
  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    case exists(name: String)
    case notFound(name: String)
    case volumeNotFound(name: String)
    case tooMany(volume: String)
    /// Others changed the snapshot or its volume again and again meanwhile.
    case contended(name: String)

    public var description: String {
      switch self {
      case .exists(let name): "there is a snapshot \(name) already"
      case .notFound(let name): "there is no snapshot \(name)"
      case .volumeNotFound(let name): "there is no volume \(name)"
      case .tooMany(let volume): "volume \(volume) has \(SnapshotSpec.maximumPerVolume) snapshots already; delete some"
      case .contended(let name): "snapshot \(name) or its volume keeps being changed by others; try again"
      }
    }
  }

  static let tries = 100

  /// All snapshots of a volume, hidden ones included, by name. Throws if one cannot be read: nothing is concluded from half a picture.
  static func snapshots(of volume: VolumeID, in store: any StateStore) throws -> [Stored<SnapshotSpec>] {
    try store.listAll(prefix: Keys.snapshotSpecs).entries.map { try Stored<SnapshotSpec>($0) }.filter { $0.object.volumeID == volume }
  }

  /// Asks for a snapshot of a volume. Throws `ObjectError.invalid`, a `Failure` or a store error.
  @discardableResult
  public static func create(name: String, volume: String, now: Date, in store: any StateStore) throws -> SnapshotSpec {
    try Names.validate(name, kind: "snapshot name")
    try Names.validate(volume, kind: "volume name")
    for _ in 0..<tries {
      guard let stored = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: volume)), !stored.object.deleting else {
        throw Failure.volumeNotFound(name: volume)
      }
      let spec = SnapshotSpec(name: name, volumeID: stored.object.id, volumeName: volume, createdAt: now)
      if try store.get(Keys.snapshotSpec(name: name)) != nil { throw Failure.exists(name: name) }
      let transaction = try creation(of: spec, volume: stored, in: store)
      if try store.transact(transaction).committedRevision != nil { return spec }
    }
    throw Failure.contended(name: name)
  }

  /// Also writes the volume's specification again, as it is: a deletion that has seen no snapshot then fails.
  static func creation(of spec: SnapshotSpec, volume: Stored<VolumeSpec>, in store: any StateStore) throws -> StoreTransaction {
    if try snapshots(of: spec.volumeID, in: store).count >= SnapshotSpec.maximumPerVolume { throw Failure.tooMany(volume: spec.volumeName) }
    let key = Keys.snapshotSpec(name: spec.name)
    return StoreTransaction(
      compares: [volume.isUnchanged, .absent(key: key)], operations: [volume.replacement, .put(key: key, value: spec.encoded())])
  }

  /// Asks for the end of a snapshot; asking again changes nothing. Volumes that were made from it stay. Throws `Failure.notFound` or a store
  /// error. Returns its id, since another one may get the name later.
  @discardableResult
  public static func delete(name: String, in store: any StateStore) throws -> SnapshotID {
    try Names.validate(name, kind: "snapshot name")
    for _ in 0..<tries {
      guard var stored = try store.object(SnapshotSpec.self, at: Keys.snapshotSpec(name: name)) else { throw Failure.notFound(name: name) }
      if stored.object.deleting { return stored.object.id }
      stored.object.deleting = true
      let transaction = StoreTransaction(compares: [stored.isUnchanged], operations: [stored.replacement])
      if try store.transact(transaction).committedRevision != nil { return stored.object.id }
    }
    throw Failure.contended(name: name)
  }

  // MARK: Waiting

  /// Waits until the snapshot is ready; the view is the last that was seen, nil if there is none of that id (any more).
  public static func waitUntilReady(_ id: SnapshotID, nanoseconds: UInt64, in store: any StateStore) throws -> SnapshotView? {
    var last: SnapshotView?
    _ = try store.wait(nanoseconds: nanoseconds) { mirror -> Bool? in
      last = SnapshotView.all(in: ClusterState(mirror.entries)).first { $0.id == id }
      return last == nil || last?.state == .ready ? true : nil
    }
    return last
  }

  /// Waits until the snapshot is gone everywhere; false if it is not when the time is over.
  public static func waitUntilGone(_ id: SnapshotID, nanoseconds: UInt64, in store: any StateStore) throws -> Bool {
    try store.wait(prefix: Keys.snapshotSpecs, nanoseconds: nanoseconds) { mirror -> Bool? in
      ClusterState(mirror.entries).snapshots.contains { $0.object.id == id } ? nil : true
    } ?? false
  }
}
