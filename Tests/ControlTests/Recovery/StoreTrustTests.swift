import Foundation
import Pool
import Testing

@testable import Control

/// old-store: one that went back in time, or is another one, serves nothing and deletes nothing until it is confirmed (R18).
@Suite struct StoreTrustTests {
  private let own = PoolIdentifier("11111111-1111-4111-8111-111111111111")!
  private let other = PoolIdentifier("22222222-2222-4222-8222-222222222222")!

  private func doubt(_ pools: [(PoolIdentifier, UInt64, UInt64)], revision: UInt64 = 50, trust: StoreTrust? = nil) -> StoreDoubt? {
    let recollection = StoreRecollection(
      pools: pools.map { .init(memory: StoreMemory(identity: $0.0, revision: $0.1), claimedRevision: $0.2) })
    return StoreDoubt(recollection, identity: own, revision: revision, trust: trust)
  }

  @Test func `a store behind what pools remember is doubted`() {
    #expect(doubt([]) == nil && doubt([(.none, 0, 0)]) == nil)
    #expect(doubt([(own, 50, 50)]) == nil)
    #expect(doubt([(own, 51, 0)])?.revision == 51 && doubt([(own, 51, 0)])?.concernsAll == true)
    #expect(doubt([(own, 40, 0), (own, 51, 0)])?.message.contains("revision 50, they know of 51") == true)
    // What replicas were told with their claims counts as well, also in pools from before there was a memory.
    #expect(doubt([(own, 40, 51)])?.revision == 51 && doubt([(.none, 0, 51)])?.revision == 51)
    #expect(doubt([(own, 51, 0)], trust: StoreTrust(upToRevision: 50)) != nil)
    #expect(doubt([(own, 51, 0)], trust: StoreTrust(upToRevision: 51)) == nil)
    #expect(doubt([(own, 500, 0)], revision: 300, trust: StoreTrust(upToRevision: 51)) != nil, "once trusted is not trusted for ever")
  }

  @Test func `another store is doubted, however far it is`() {
    let found = doubt([(other, 10, 0), (.none, 0, 0)], revision: 1_000_000)
    #expect(found?.identities == [other.description] && found?.concernsAll == false && found?.revision == 10)
    #expect(doubt([(other, 10, 0)], trust: StoreTrust(upToRevision: 10)) != nil)
    #expect(doubt([(other, 10, 0)], trust: StoreTrust(upToRevision: 10, identities: [other.description])) == nil)
    #expect(doubt([(other, 10, 70)], trust: StoreTrust(upToRevision: 10, identities: [other.description])) != nil)
    // A disk of another cluster beside disks of this one: nothing on it is assigned here, and its revisions are not this store's.
    #expect(doubt([(own, 40, 0), (other, 900, 900)]) == nil)
    #expect(doubt([(own, 60, 0), (other, 900, 900)])?.revision == 60)
    // Where there is no replica, nothing can be stale or be lost.
    let empty = StoreRecollection(pools: [.init(memory: StoreMemory(identity: other, revision: 900), claimedRevision: 0, isEmpty: true)])
    #expect(StoreDoubt(empty, identity: own, revision: 1, trust: nil) == nil)
  }

  @Test func `trust only grows, and keeps the latest stores`() throws {
    let directory = try TemporaryDirectory()
    let store = try SQLiteStore(path: directory.path + "/state.db")
    defer { store.close() }
    func trust() throws -> StoreTrust? { try store.object(StoreTrust.self, at: Keys.storeTrust)?.object }
    try StoreRecovery.trust(upTo: 7, identities: ["a"], in: store)
    try StoreRecovery.trust(upTo: 3, identities: ["b", "a"], in: store)
    #expect(try trust() == StoreTrust(upToRevision: 7, identities: ["a", "b"]))
    let revision = try store.listAll(prefix: "").revision
    try StoreRecovery.trust(upTo: 7, identities: ["a"], in: store)
    #expect(try store.listAll(prefix: "").revision == revision, "nothing new is not written")
    try StoreRecovery.trust(upTo: 7, identities: (0..<100).map { "s\($0)" }, in: store)
    let kept = try #require(trust()?.identities)
    #expect(kept.count == StoreTrust.maximumIdentities && kept.last == "s99")
  }

  @Test func `one node's word holds the whole cluster still, until it is overruled`() throws {
    var store = SimulatedStore()
    var nodes = (1...3).map { SimulatedNode(name: "node-\($0)", capacityBytes: 1 << 30) }
    for index in nodes.indices { try nodes[index].start(&store) }
    let spec = VolumeSpec(name: "db", sizeBytes: 1 << 20, replicaCount: 2, createdAt: Date(timeIntervalSince1970: 0))
    try store.put(Keys.volumeSpec(name: "db"), spec)
    var random = SeededGenerator(state: 1)
    func work(_ queue: inout ControlQueue) throws {
      for _ in 0..<100 {
        guard let batch = queue.next(now: .now, using: &random) else { return }
        #expect(try store.apply(batch.transaction))
        queue.committed(batch.transaction, at: store.revision)
      }
      Issue.record("the controller does not come to rest")
    }
    var queue = ControlQueue(store.state)
    try work(&queue)
    let assigned = store.state.replicaAssignments.map(\.object)
    #expect(assigned.count == 2)
    // The store went back, node-3 knows, and it would have the controller delete and place.
    try store.put(Keys.storeDoubt(of: "node-3"), StoreDoubt(message: "it is old", revision: 900))
    var deleted = try #require(store.state.volume(name: "db"))
    deleted.object.deleting = true
    #expect(try store.apply(StoreTransaction(operations: [deleted.replacement])))
    try store.put(Keys.volumeSpec(name: "new"), VolumeSpec(name: "new", sizeBytes: 1 << 20, replicaCount: 2, createdAt: .now))
    queue = ControlQueue(store.state)
    try work(&queue)
    #expect(store.state.statedDoubt?.message.contains("as node-3 says: it is old") == true)
    #expect(store.state.replicaAssignments.map(\.object) == assigned, "nothing is deleted, and nothing placed")
    // Who would begin to serve compares that nothing is said.
    let record = try #require(store.state.inSync(spec.id))
    let claim = StoreTransaction(
      compares: [record.isUnchanged, .absent(key: Keys.storeDoubt(of: Keys.controllerName))], operations: [record.replacement])
    #expect(try !store.apply(claim))
    // A later leader holds still as well, and a word that covers less is none.
    try store.put(Keys.storeTrust, StoreTrust(upToRevision: 899))
    queue = ControlQueue(store.state)
    #expect(queue.next(now: .now, using: &random) == nil)
    try store.put(Keys.storeTrust, StoreTrust(upToRevision: 900))
    queue = ControlQueue(store.state)
    try work(&queue)
    #expect(store.state.statedDoubt == nil && store.state.volume(name: "new") != nil)
    #expect(store.state.replicaAssignments.contains { $0.object.volumeName == "new" })
    #expect(try store.apply(claim))
  }

  @Test func `that pools of one node are another store's is that node's affair`() throws {
    var store = SimulatedStore()
    try store.put(Keys.storeDoubt(of: "node-1"), StoreDoubt(message: "another store", revision: 900, identities: ["x"]))
    #expect(store.state.doubtForAll == nil && store.state.doubts.map(\.node) == ["node-1"])
    var queue = ControlQueue(store.state)
    var random = SeededGenerator(state: 1)
    #expect(queue.next(now: .now, using: &random) == nil && store.state.statedDoubt == nil)
  }
}
