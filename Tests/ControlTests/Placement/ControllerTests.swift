import Foundation
import Testing

@testable import Control

/// The controller on a real store.
@Suite struct ControllerTests {
  private func open(_ directory: TemporaryDirectory) throws -> SQLiteStore { try SQLiteStore(path: directory.path + "/state.db") }

  private func addNode(_ name: String, to store: any StateStore) throws {
    let status = NodeStatus(
      name: name, pid: 1, incarnation: "i", addresses: [], ioEngine: "io_uring", state: .ready, startedAt: Date())
    let pool = PoolStatus(
      name: "default", uuid: "u", kind: .file, path: "/p", sizeBytes: 1 << 30, freeBytes: 1 << 30, promisedBytes: 0, clusterBytes: 1 << 20,
      state: .ready)
    _ = try store.transact(
      StoreTransaction(operations: [
        .put(key: Keys.nodeStatus(name), value: status.encoded()), .put(key: Keys.poolStatus(node: name, "default"), value: pool.encoded()),
      ]))
  }

  /// Waits, by the store's own watch, until the whole state satisfies `condition`.
  private func wait(_ store: any StateStore, until condition: (ClusterState) -> Bool) throws -> Bool {
    let page = try store.listAll(prefix: "")
    var mirror = StoreMirror(page)
    let watch = try store.watch(prefix: "", fromRevision: page.revision + 1)
    let end = BootClock.nanoseconds() + 20 * secondNanoseconds
    while !condition(ClusterState(mirror.entries)) {
      if BootClock.nanoseconds() >= end { return false }
      if let batch = try watch.next(timeoutNanoseconds: secondNanoseconds) { mirror.apply(batch) }
    }
    return true
  }

  @Test func placesWhatIsAskedFor() throws {
    let directory = try TemporaryDirectory()
    let controller = Controller(store: try open(directory), name: "one")
    controller.start()
    let store = try open(directory)
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 20, replicaCount: 2, createdAt: Date())
    try VolumeRequests.create(spec, in: store)
    #expect(throws: VolumeRequests.Failure.exists(name: "db")) { try VolumeRequests.create(spec, in: store) }
    #expect(try wait(store) { $0.note(volumeName: "db") != nil })
    try addNode("node-1", to: store)
    try addNode("node-2", to: store)
    #expect(try wait(store) { $0.replicaAssignments.count == 2 && $0.note(volumeName: "db") == nil })
    #expect(try VolumeRequests.delete(name: "db", in: store) == spec.id)
    #expect(try VolumeRequests.delete(name: "db", in: store) == spec.id)
    #expect(try wait(store) { $0.replicaAssignments.count == 2 && $0.replicaAssignments.allSatisfy(\.object.deleting) })
    for assignment in try ClusterState(store.listAll(prefix: "assign/").entries).replicaAssignments {
      let status = ReplicaStatus(id: assignment.object.id, volumeID: spec.id, pool: "default", state: .deleted)
      _ = try store.transact(
        StoreTransaction(operations: [
          .put(key: Keys.replicaStatus(node: assignment.node, assignment.object.id), value: status.encoded())
        ]))
    }
    #expect(try wait(store) { $0.volumes.isEmpty && $0.replicaAssignments.isEmpty && $0.nexusAssignments.isEmpty })
    #expect(throws: VolumeRequests.Failure.notFound(name: "db")) { try VolumeRequests.delete(name: "db", in: store) }
    controller.stop()
    #expect(try store.get(Keys.controllerLease) == nil)
  }

  @Test func oneLeadsAndAnotherFollows() throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try addNode("node-1", to: store)
    let controllers = try (0..<3).map { Controller(store: try open(directory), name: "c\($0)", leaseSeconds: 2) }
    for controller in controllers { controller.start() }
    for number in 0..<controllers.count {
      let name = "v\(number)"
      try VolumeRequests.create(VolumeSpec(name: name, sizeBytes: 1 << 20, replicaCount: 1, createdAt: Date()), in: store)
      #expect(try wait(store) { state in state.nexusAssignments.contains { $0.object.volumeName == name } })
      let leading = controllers.filter(\.isLeading)
      #expect(leading.count == 1)
      leading.first?.stop()
    }
    #expect(try store.listAll(prefix: "insync/").entries.count == 3)
  }

  @Test func aLeaderWhoseLeaseIsGoneStopsAndComesBack() throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    try addNode("node-1", to: store)
    let controller = Controller(store: try open(directory), name: "c", leaseSeconds: 3)
    controller.start()
    #expect(try wait(store) { $0.contains(key: Keys.controllerLease) })
    let first = try #require(try store.get(Keys.controllerLease))
    try store.revoke(first.lease)
    #expect(try wait(store) { $0.contains(key: Keys.controllerLease) })
    #expect(try #require(try store.get(Keys.controllerLease)).lease != first.lease)
    controller.stop()
  }

  @Test func leaseKeeperKeepsAndTells() throws {
    let directory = try TemporaryDirectory()
    let store = try open(directory)
    let lost = StopSignal()
    let keeper = try LeaseKeeper(store: store, ttlSeconds: 2) { lost.stop() }
    try store.put("mine", "1", lease: keeper.lease.id)
    #expect(!lost.wait(nanoseconds: 3 * secondNanoseconds))
    #expect(try store.get("mine") != nil)
    try store.revoke(keeper.lease.id)
    #expect(lost.wait(nanoseconds: 5 * secondNanoseconds))
    let other = try LeaseKeeper(store: store, ttlSeconds: 60) { Issue.record("a revoked keeper is not lost") }
    try store.put("mine", "2", lease: other.lease.id)
    other.revoke()
    #expect(try store.get("mine") == nil)
  }
}
