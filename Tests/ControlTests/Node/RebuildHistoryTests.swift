import Foundation
import Pool
import Testing

@testable import Control
@testable import Nexus

@Suite struct RebuildHistoryTests {
  private let replica = ReplicaID()
  private var assignment: NexusAssignment {
    NexusAssignment(
      volumeID: VolumeID(), volumeName: "db", sizeBytes: 1 << 20, blockSizeBytes: 512,
      replicas: [.init(id: replica, node: "node-2", pool: "p")])
  }

  private func report(_ rebuilds: [Rebuild], now: UInt64) -> NexusReport {
    NexusReport(
      state: .serving, members: [], sizeBytes: 1 << 20, snapshots: [], rebuilds: rebuilds, impatientCommands: 0, nowNanoseconds: now)
  }

  private func rebuild(began: UInt64) -> Rebuild {
    Rebuild(replica: PoolIdentifier(replica), kind: .full, cause: "new", beganNanoseconds: began)
  }

  @Test func `moments have the same name however late they are told`() {
    var history = RebuildHistory(assignment)
    history.note(report([rebuild(began: 5_000_000_000)], now: 6_000_000_000))
    let first = history.all
    history.note(report([rebuild(began: 5_000_000_000)], now: 90_000_000_000))
    #expect(history.all.map(\.startedAt) == first.map(\.startedAt) && first.count == 1)
    #expect(first[0].node == "node-2" && first[0].kind == .full && first[0].state == .running)
  }

  @Test func `what a nexus did not end is over with it, and the next one's come after`() {
    var history = RebuildHistory(assignment)
    history.note(report([rebuild(began: 5)], now: 6))
    history.close()
    #expect(history.all.map(\.state) == [.failed] && history.all[0].failure == "its nexus ended")
    history.note(report([rebuild(began: 5)], now: 6))
    #expect(history.all.map(\.state) == [.failed, .running])
  }

  @Test func `the list is bounded`() {
    var history = RebuildHistory(assignment)
    history.note(report((0..<40).map { rebuild(began: $0) }, now: 100))
    #expect(history.all.count == NexusStatus.maximumRebuilds)
  }
}
