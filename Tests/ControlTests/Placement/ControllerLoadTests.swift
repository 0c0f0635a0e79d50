import Foundation
import Testing

@testable import Control

/// Several controllers on a real store, with many volumes at once.
@Suite(.serialized) struct ControllerLoadTests {
  private func addNode(_ name: String, to store: any StateStore) throws {
    let status = NodeStatus(
      name: name, pid: 1, incarnation: "process of \(name)", addresses: [.init(adrfam: "ipv4", traddr: "127.0.0.1", trsvcid: "4420")],
      ioEngine: "io_uring", state: .ready, startedAt: Date())
    let pool = PoolStatus(
      name: "default", uuid: "u", kind: .file, path: "/p", sizeBytes: 1 << 40, freeBytes: 1 << 40, promisedBytes: 0, clusterBytes: 1 << 20,
      state: .ready)
    _ = try store.transact(
      StoreTransaction(operations: [
        .put(key: Keys.nodeStatus(name), value: status.encoded()), .put(key: Keys.poolStatus(node: name, "default"), value: pool.encoded()),
      ]))
  }

  @Test(arguments: StoreFactory.all) func `100 volumes at once, while leaders come and go`(factory: StoreFactory) throws {
    let made = try factory.make()
    let store = try made.open()
    for number in 1...5 { try addNode("node-\(number)", to: store) }
    let controllers = try (0..<3).map { Controller(store: try made.open(), name: "c\($0)", leaseSeconds: 2) }
    for controller in controllers { controller.start() }
    let names = (0..<100).map { "v\($0)" }
    let group = DispatchGroup()
    for slice in 0..<4 {
      DispatchQueue.global().async(group: group) {
        for name in names[(25 * slice)..<(25 * slice + 25)] {
          let spec = VolumeSpec(name: name, sizeBytes: 1 << 30, replicaCount: 3, createdAt: Date())
          do { try VolumeRequests.create(spec, in: store) } catch { Issue.record("\(name): \(error)") }
        }
      }
    }
    group.wait()
    // The one that leads ends, wherever it is; another goes on.
    controllers.first(where: \.isLeading)?.stop()
    let isPlaced = try store.wait(nanoseconds: 60 * secondNanoseconds) { mirror -> Bool? in
      ClusterState(mirror.entries).nexusAssignments.count == names.count ? true : nil
    }
    #expect(isPlaced == true)
    let state = ClusterState(try store.listAll(prefix: "").entries)
    #expect(Set(state.nexusAssignments.map(\.object.volumeName)) == Set(names))
    #expect(state.replicaAssignments.count == 300 && state.problems.isEmpty)
    for volume in state.volumes {
      #expect(Set(state.replicaAssignments(of: volume.object.id).map(\.node)).count == 3)
      #expect(state.nexusAssignments(of: volume.object.id).count == 1)
    }
    // At rest nothing is written, but events that are still on their way.
    Thread.sleep(forTimeInterval: 3)
    let before = try store.listAll(prefix: "spec/").revision
    Thread.sleep(forTimeInterval: 3)
    #expect(try store.listAll(prefix: "spec/").revision - before <= 3)
    for controller in controllers { controller.stop() }
  }
}
