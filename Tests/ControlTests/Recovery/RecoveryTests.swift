import Foundation
import Testing

@testable import Control

@Suite struct RecoveryTests {
  private let volume = VolumeID("0d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")!
  private let ids = (1...3).map { ReplicaID("\($0)d8a1a3e-5a2f-4b0e-9f57-6d2d0f3c9a11")! }
  private let now = Date(timeIntervalSince1970: 1_000_000)

  /// A replica on node-`index` + 1.
  private func found(
    _ index: Int, generation: UInt64, setVersion: UInt64 = 1, inSync: [Int], run: String = "r", size: UInt64 = 1 << 30, node: String? = nil
  ) throws -> Placed<FoundReplica> {
    let replica = FoundReplica(
      id: ids[index], volumeID: volume, pool: "p", sizeBytes: size, blockSizeBytes: 512, generation: generation, setVersion: setVersion,
      nexusRun: "\(run)\(generation)", inSync: inSync.map { ids[$0] }, storeRevision: 100 * generation)
    let entry = StoreEntry(
      key: Keys.foundReplica(node: node ?? "node-\(index + 1)", replica.id), value: replica.encoded(), createRevision: 1, modRevision: 1,
      version: 1)
    return Placed(node: node ?? "node-\(index + 1)", stored: try Stored(entry))
  }

  private func recover(
    _ found: [Placed<FoundReplica>], names: [VolumeID: String] = [:], forced: Set<VolumeID> = [],
    in cluster: ClusterState = ClusterState([])
  ) -> Recovery {
    Recovery(found, names: names, forced: forced, in: cluster, now: now)
  }

  @Test func `all replicas are there: the volume is as it was`() throws {
    let recovery = try recover([found(0, generation: 4, inSync: [0, 1]), found(1, generation: 4, inSync: [0, 1])], names: [volume: "db"])
    let made = try #require(recovery.volumes.first)
    #expect(recovery.refusals.isEmpty)
    #expect(made.spec.name == "db" && made.spec.id == volume && made.spec.replicaCount == 2 && made.spec.sizeBytes == 1 << 30)
    #expect(made.record.generation == 4 && made.record.members == [ids[0], ids[1]] && made.record.confirmedGeneration == 4)
    #expect(made.storeRevision == 400)
    var store = SimulatedStore()
    #expect(try store.apply(made.transaction))
    #expect(try !store.apply(made.transaction), "what is there is not written over")
    #expect(store.state.replicaAssignments.map(\.node) == ["node-1", "node-2"] && store.state.problems.isEmpty)
    // The controller has nothing to mend but paths.
    var random = SeededGenerator(state: 1)
    for step in Reconciler.reconcile(store.state, using: &random) { #expect(!step.reason.contains("delet")) }
  }

  @Test func `one that left the set is not in sync, whatever it thinks`() throws {
    let recovery = try recover([found(0, generation: 3, inSync: [0, 1]), found(1, generation: 5, setVersion: 7, inSync: [1])])
    let made = try #require(recovery.volumes.first)
    #expect(made.record.members == [ids[1]] && made.record.out.map(\.id) == [ids[0]])
    #expect(made.record.generation == 5 && made.nexusNode == "node-2")
    #expect(made.spec.name == "recovered-0d8a1a3e")
  }

  @Test func `the set version decides within a generation`() throws {
    let recovery = try recover([
      found(0, generation: 5, setVersion: 2, inSync: [0, 1]), found(1, generation: 5, setVersion: 3, inSync: [1]),
    ])
    #expect(recovery.volumes.first?.record.members == [ids[1]])
  }

  @Test func `a member that was not found may have gone on alone`() throws {
    let old = try [found(0, generation: 3, inSync: [0, 1])]
    let recovery = recover(old)
    #expect(recovery.volumes.isEmpty)
    let refusal = try #require(recovery.refusals.first)
    #expect(refusal.canBeForced)
    #expect(refusal.reason == "replica \(ids[1]), in sync under generation 3, was not found and may hold later writes: bring back its node")
    let forced = recover(old, forced: [volume])
    #expect(forced.volumes.first?.record.members == [ids[0]] && forced.refusals.isEmpty)
  }

  @Test func `what is ambiguous is refused`() throws {
    func reason(_ found: [Placed<FoundReplica>]) -> String {
      let recovery = recover(found, forced: [volume])
      #expect(recovery.volumes.isEmpty)
      return recovery.refusals.first?.reason ?? ""
    }
    #expect(try reason([found(0, generation: 0, inSync: []), found(1, generation: 0, inSync: [])]).contains("was ever used"))
    #expect(
      try reason([found(0, generation: 4, inSync: [0], run: "x"), found(1, generation: 4, inSync: [1], run: "y")]).contains("two nexuses"))
    #expect(
      try reason([found(0, generation: 4, inSync: [0]), found(1, generation: 4, inSync: [1])]).contains("do not agree on who was in sync"))
    #expect(
      try reason([found(0, generation: 4, inSync: [0, 1]), found(0, generation: 4, inSync: [0, 1], node: "node-9")]).contains("found twice")
    )
    #expect(try reason([found(2, generation: 4, inSync: [0, 1])]).contains("may lack acknowledged writes"))
    #expect(
      try reason([found(0, generation: 4, inSync: [0, 1]), found(1, generation: 4, inSync: [0, 1], size: 2 << 30)])
        .contains("different sizes: 1 GiB, 2 GiB"))
    #expect(
      try reason([found(0, generation: 4, inSync: [0, 1], node: "n"), found(1, generation: 4, inSync: [0, 1], node: "n")])
        .contains("on one node"))
  }

  @Test func `a volume that the store knows is never overruled`() throws {
    let known = try SampleVolume().healthy()
    let recovery = try recover([found(2, generation: 9, inSync: [2])], in: known.state)
    #expect(recovery.volumes.isEmpty)
    #expect(recovery.refusals.first?.reason == "the store has it already, as db; what is there is not overruled")
  }

  @Test func `a volume is called what its replicas remember, unless the operator says otherwise`() throws {
    var (old, new) = try (found(0, generation: 3, inSync: [0, 1]), found(1, generation: 5, setVersion: 7, inSync: [1]))
    old.stored.object.volumeName = "before"
    new.stored.object.volumeName = "after"
    #expect(recover([old, new]).volumes.first?.spec.name == "after")
    #expect(recover([old, new], names: [volume: "asked"]).volumes.first?.spec.name == "asked")
    new.stored.object.volumeName = nil
    #expect(recover([old, new]).volumes.first?.spec.name == "before")
    old.stored.object.volumeName = "No Name/"
    #expect(recover([old, new]).volumes.first?.spec.name == "recovered-0d8a1a3e", "what a pool says is not taken for a name unseen")
  }
}
