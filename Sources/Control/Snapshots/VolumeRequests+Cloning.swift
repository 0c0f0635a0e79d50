import Foundation

/// Volumes that begin as others were, and larger ones.
extension VolumeRequests {
  /// Asks for a volume with a snapshot's data. Of `spec`, `sizeBytes` 0 stands for the snapshot's size, and the block size becomes the
  /// source's. It shares space with the snapshot and so lies on nodes that hold it. Throws `ObjectError.invalid`, a `Failure`, a
  /// `SnapshotRequests.Failure` or a store error; returns what was asked for.
  @discardableResult
  public static func create(_ spec: VolumeSpec, fromSnapshot name: String, in store: any StateStore) throws -> VolumeSpec {
    try Names.validate(name, kind: "snapshot name")
    for _ in 0..<SnapshotRequests.tries {
      guard let snapshot = try store.object(SnapshotSpec.self, at: Keys.snapshotSpec(name: name)), !snapshot.object.deleting else {
        throw SnapshotRequests.Failure.notFound(name: name)
      }
      let record = try store.object(InSyncRecord.self, at: Keys.inSync(snapshot.object.volumeID))
      guard let taken = record?.object.snapshots.first(where: { $0.id == snapshot.object.id }), taken.state == .ready else {
        throw Failure.failedPrecondition(name: spec.name, reason: "cannot be made from snapshot \(name), which is not ready yet")
      }
      guard let volume = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: snapshot.object.volumeName)) else {
        throw Failure.notFound(name: snapshot.object.volumeName)
      }
      let whole = try complete(spec, from: VolumeSource(snapshot.object), sizeBytes: taken.sizeBytes, volume.object)
      let key = Keys.volumeSpec(name: spec.name)
      // The snapshot's specification is written again, so that a deletion at the same time is one before or after.
      let transaction = StoreTransaction(
        compares: [.absent(key: key), snapshot.isUnchanged], operations: [.put(key: key, value: whole.encoded()), snapshot.replacement])
      if try store.transact(transaction).committedRevision != nil { return whole }
      if try store.get(key) != nil { throw Failure.exists(name: spec.name) }
    }
    throw Failure.contended(name: spec.name)
  }

  /// Asks for a volume with the data that another one has now: a snapshot that nobody sees is taken for it, and goes when it is made.
  @discardableResult
  public static func create(_ spec: VolumeSpec, fromVolume name: String, in store: any StateStore) throws -> VolumeSpec {
    try Names.validate(name, kind: "volume name")
    for _ in 0..<SnapshotRequests.tries {
      guard let volume = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name)), !volume.object.deleting else {
        throw Failure.notFound(name: name)
      }
      let snapshot = SnapshotSpec(
        name: "clone-\(spec.id)", volumeID: volume.object.id, volumeName: name, createdAt: spec.createdAt, cloneID: spec.id)
      let whole = try complete(spec, from: VolumeSource(snapshot), sizeBytes: volume.object.sizeBytes, volume.object)
      let key = Keys.volumeSpec(name: spec.name)
      var transaction = try SnapshotRequests.creation(of: snapshot, volume: volume, in: store)
      transaction.compares.append(.absent(key: key))
      transaction.operations.append(.put(key: key, value: whole.encoded()))
      if try store.transact(transaction).committedRevision != nil { return whole }
      if try store.get(key) != nil { throw Failure.exists(name: spec.name) }
    }
    throw Failure.contended(name: spec.name)
  }

  private static func complete(
    _ spec: VolumeSpec, from source: VolumeSource, sizeBytes: UInt64, _ volume: VolumeSpec
  ) throws -> VolumeSpec {
    var whole = spec
    whole.source = source
    whole.blockSizeBytes = volume.blockSizeBytes
    if whole.sizeBytes == 0 { whole.sizeBytes = sizeBytes }
    if whole.sizeBytes < sizeBytes {
      let what = source.isVolume == true ? "volume \(source.volumeName)" : "snapshot \(source.snapshotName)"
      throw ObjectError.invalid(
        what: "volume \(spec.name)",
        reason: "its size is \(ByteText.of(whole.sizeBytes)), that of \(what) \(ByteText.of(sizeBytes)); it must not be smaller")
    }
    try whole.validate()
    return whole
  }

  /// Asks for a larger volume; asking for the size that it has, or is to have, changes nothing. Throws `ObjectError.invalid` for a smaller
  /// one or none that a volume can have, `Failure.notFound` or a store error. Returns the specification.
  @discardableResult
  public static func resize(name: String, sizeBytes: UInt64, in store: any StateStore) throws -> VolumeSpec {
    try Names.validate(name, kind: "volume name")
    for _ in 0..<SnapshotRequests.tries {
      guard var stored = try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name)), !stored.object.deleting else {
        throw Failure.notFound(name: name)
      }
      if stored.object.sizeBytes == sizeBytes { return stored.object }
      guard sizeBytes > stored.object.sizeBytes else {
        throw ObjectError.invalid(
          what: "volume \(name)",
          reason: "it has \(ByteText.of(stored.object.sizeBytes)) and cannot be made smaller, as \(ByteText.of(sizeBytes)) would be")
      }
      stored.object.sizeBytes = sizeBytes
      try stored.object.validate()
      let transaction = StoreTransaction(compares: [stored.isUnchanged], operations: [stored.replacement])
      if try store.transact(transaction).committedRevision != nil { return stored.object }
    }
    throw Failure.contended(name: name)
  }

  /// Waits until hosts see the volume with at least this size; false if they do not when the time is over, or it is gone.
  public static func waitUntilGrown(_ id: VolumeID, sizeBytes: UInt64, nanoseconds: UInt64, in store: any StateStore) throws -> Bool {
    try store.wait(prefix: Keys.inSync(id), nanoseconds: nanoseconds) { mirror -> Bool? in
      guard let record = ClusterState(mirror.entries).inSync(id)?.object else { return false }
      return record.sizeBytes ?? 0 >= sizeBytes ? true : nil
    } ?? false
  }
}
