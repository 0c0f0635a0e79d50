import Foundation
import Testing

@testable import Control

/// What may be asked about snapshots, clones and sizes, and what is refused.
@Suite struct SnapshotRequestsTests {
  private let now = Date(timeIntervalSince1970: 1_000_000)

  private func makeStore(_ volumes: String...) throws -> any StateStore {
    let store = try SQLiteStore(path: try TemporaryDirectory().path + "/state.db")
    for name in volumes {
      try VolumeRequests.create(
        VolumeSpec(name: name, sizeBytes: 8 << 20, replicaCount: 2, blockSizeBytes: 4096, createdAt: now), in: store)
    }
    return store
  }

  private func spec(_ name: String, in store: any StateStore) throws -> VolumeSpec? {
    try store.object(VolumeSpec.self, at: Keys.volumeSpec(name: name))?.object
  }

  /// As the nexus would.
  private func makeReady(_ snapshot: SnapshotSpec, in store: any StateStore) throws {
    var record = InSyncRecord(generation: 1, setVersion: 1, nexusNode: "node-1", nexusIncarnation: "i", members: [])
    record.snapshots = [
      .init(id: snapshot.id, replicaSnapshot: UUID().uuidString.lowercased(), state: .ready, sizeBytes: 8 << 20, takenAt: now)
    ]
    _ = try store.transact(StoreTransaction(operations: [.put(key: Keys.inSync(snapshot.volumeID), value: record.encoded())]))
  }

  @Test func `a snapshot is asked for once, of a volume that is there`() throws {
    let store = try makeStore("db")
    #expect(throws: SnapshotRequests.Failure.volumeNotFound(name: "other")) {
      try SnapshotRequests.create(name: "one", volume: "other", now: now, in: store)
    }
    #expect(throws: ObjectError.self) { try SnapshotRequests.create(name: "One", volume: "db", now: now, in: store) }
    let snapshot = try SnapshotRequests.create(name: "one", volume: "db", now: now, in: store)
    #expect(throws: SnapshotRequests.Failure.exists(name: "one")) {
      try SnapshotRequests.create(name: "one", volume: "db", now: now, in: store)
    }
    let view = try #require(SnapshotView.all(in: ClusterState(store.listAll(prefix: "").entries)).first)
    #expect(view.state == .pending && view.volume == "db" && view.id == snapshot.id && view.size == nil && !view.isHidden)
    #expect(try SnapshotRequests.delete(name: "one", in: store) == snapshot.id)
    #expect(try SnapshotRequests.delete(name: "one", in: store) == snapshot.id)
    #expect(throws: SnapshotRequests.Failure.notFound(name: "two")) { try SnapshotRequests.delete(name: "two", in: store) }
    #expect(try SnapshotRequests.waitUntilGone(snapshot.id, nanoseconds: 1_000_000, in: store) == false)
  }

  @Test func `a volume with snapshots is not deleted`() throws {
    let store = try makeStore("db")
    try SnapshotRequests.create(name: "one", volume: "db", now: now, in: store)
    #expect(
      throws: VolumeRequests.Failure.failedPrecondition(name: "db", reason: "has snapshots (one): delete them first")
    ) { try VolumeRequests.delete(name: "db", in: store) }
    try SnapshotRequests.delete(name: "one", in: store)
    try VolumeRequests.delete(name: "db", in: store)
    #expect(throws: SnapshotRequests.Failure.volumeNotFound(name: "db")) {
      try SnapshotRequests.create(name: "two", volume: "db", now: now, in: store)
    }
  }

  @Test func `a volume has a bounded number of snapshots`() throws {
    let store = try makeStore("db")
    for number in 0..<SnapshotSpec.maximumPerVolume {
      try SnapshotRequests.create(name: "s\(number)", volume: "db", now: now, in: store)
    }
    #expect(throws: SnapshotRequests.Failure.tooMany(volume: "db")) {
      try SnapshotRequests.create(name: "more", volume: "db", now: now, in: store)
    }
  }

  @Test func `a clone takes after its snapshot, and may be larger`() throws {
    let store = try makeStore("db")
    let snapshot = try SnapshotRequests.create(name: "one", volume: "db", now: now, in: store)
    let clone = VolumeSpec(name: "copy", sizeBytes: 0, replicaCount: 2, createdAt: now)
    #expect(
      throws: VolumeRequests.Failure.failedPrecondition(name: "copy", reason: "cannot be made from snapshot one, which is not ready yet")
    ) { try VolumeRequests.create(clone, fromSnapshot: "one", in: store) }
    try makeReady(snapshot, in: store)
    var small = clone
    small.sizeBytes = 4 << 20
    #expect(throws: ObjectError.self) { try VolumeRequests.create(small, fromSnapshot: "one", in: store) }
    let made = try VolumeRequests.create(clone, fromSnapshot: "one", in: store)
    #expect(made.sizeBytes == 8 << 20 && made.blockSizeBytes == 4096 && made.source == VolumeSource(snapshot))
    #expect(try spec("copy", in: store) == made)
    #expect(throws: VolumeRequests.Failure.exists(name: "copy")) { try VolumeRequests.create(clone, fromSnapshot: "one", in: store) }
    let large = VolumeSpec(name: "large", sizeBytes: 16 << 20, replicaCount: 1, createdAt: now)
    #expect(try VolumeRequests.create(large, fromSnapshot: "one", in: store).sizeBytes == 16 << 20)
    #expect(throws: SnapshotRequests.Failure.notFound(name: "none")) {
      try VolumeRequests.create(clone, fromSnapshot: "none", in: store)
    }
    let thick = VolumeSpec(name: "thick", sizeBytes: 0, replicaCount: 1, isThick: true, createdAt: now)
    #expect(throws: ObjectError.self) { try VolumeRequests.create(thick, fromSnapshot: "one", in: store) }
  }

  @Test func `a clone of a volume brings a snapshot that nobody sees, and keeps the volume until it is made`() throws {
    let store = try makeStore("db")
    let clone = VolumeSpec(name: "copy", sizeBytes: 0, replicaCount: 2, createdAt: now)
    let made = try VolumeRequests.create(clone, fromVolume: "db", in: store)
    #expect(made.source?.isVolume == true && made.sizeBytes == 8 << 20)
    let snapshots = ClusterState(try store.listAll(prefix: "").entries).snapshots
    #expect(snapshots.count == 1 && snapshots[0].object.cloneID == clone.id && snapshots[0].object.id == made.source?.snapshotID)
    #expect(throws: VolumeRequests.Failure.self) { try VolumeRequests.delete(name: "db", in: store) }
    #expect(throws: VolumeRequests.Failure.exists(name: "copy")) { try VolumeRequests.create(clone, fromVolume: "db", in: store) }
  }

  @Test func `a volume grows and never shrinks`() throws {
    let store = try makeStore("db")
    #expect(try VolumeRequests.resize(name: "db", sizeBytes: 16 << 20, in: store).sizeBytes == 16 << 20)
    #expect(try VolumeRequests.resize(name: "db", sizeBytes: 16 << 20, in: store).sizeBytes == 16 << 20)
    #expect(throws: ObjectError.self) { try VolumeRequests.resize(name: "db", sizeBytes: 8 << 20, in: store) }
    #expect(throws: ObjectError.self) { try VolumeRequests.resize(name: "db", sizeBytes: 16 << 20 | 512, in: store) }
    #expect(throws: VolumeRequests.Failure.notFound(name: "other")) {
      try VolumeRequests.resize(name: "other", sizeBytes: 1 << 30, in: store)
    }
    #expect(try spec("db", in: store)?.sizeBytes == 16 << 20)
  }
}
