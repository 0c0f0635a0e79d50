import Foundation
import Testing

@testable import Control

/// What every state store must do, whatever is behind it.
@Suite struct StateStoreTests {
  @Test(arguments: StoreFactory.all) func emptyStore(_ factory: StoreFactory) throws {
    let test = try factory.make()
    let store = try test.open()
    #expect(try store.get("a") == nil)
    #expect(try store.list(prefix: "", after: nil, limit: 10) == StorePage(entries: [], revision: 0, isTruncated: false))
    #expect(!store.identity.isEmpty)
    #expect(try test.open().identity == store.identity)
    #expect(try factory.make().open().identity != store.identity)
  }

  @Test(arguments: StoreFactory.all) func countersFollowEtcd(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    #expect(try store.put("a", "1") == 1)
    #expect(try store.put("b", "1") == 2)
    #expect(try store.put("a", "2") == 3)
    var entry = try #require(try store.get("a"))
    #expect(entry == StoreEntry(key: "a", value: Data("2".utf8), createRevision: 1, modRevision: 3, version: 2))
    let outcome = try store.transact(StoreTransaction(operations: [.delete(key: "a"), .put(key: "c", value: Data())]))
    #expect(outcome == .committed(revision: 4))
    #expect(try store.put("a", "3") == 5)
    entry = try #require(try store.get("a"))
    #expect(entry.createRevision == 5 && entry.version == 1)
    #expect(try store.get("c")?.value == Data())
    #expect(try store.get("c")?.modRevision == 4)
  }

  @Test(arguments: StoreFactory.all) func nothingChangedRaisesNoRevision(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    try store.put("a", "1")
    #expect(try store.transact(StoreTransaction(operations: [])) == .committed(revision: 1))
    #expect(try store.transact(StoreTransaction(operations: [.delete(key: "b")])) == .committed(revision: 1))
    #expect(try store.put("a", "1") == 2)
  }

  @Test(arguments: StoreFactory.all) func compares(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    try store.put("a", "1")
    let operation = StoreOperation.put(key: "x", value: Data())
    func attempt(_ compares: [StoreCompare]) throws -> StoreOutcome {
      try store.transact(StoreTransaction(compares: compares, operations: [operation], readsOnRefusal: ["a", "z"]))
    }
    let entry = try store.get("a")
    let cases: [([StoreCompare], [Int])] = [
      ([.modRevision(key: "a", equals: 2)], [0]),
      ([.modRevision(key: "a", equals: 0)], [0]),
      ([.modRevision(key: "z", equals: 1)], [0]),
      ([.absent(key: "a")], [0]),
      ([.value(key: "a", equals: Data("2".utf8))], [0]),
      ([.value(key: "z", equals: Data())], [0]),
      ([.modRevision(key: "a", equals: 1), .absent(key: "a"), .absent(key: "z"), .absent(key: "a")], [1, 3]),
    ]
    for (compares, failed) in cases {
      #expect(try attempt(compares) == .refused(failedCompares: failed, reads: [entry, nil], revision: 1))
    }
    #expect(try store.get("x") == nil)
    let holding: [StoreCompare] = [
      .modRevision(key: "a", equals: 1), .absent(key: "z"), .value(key: "a", equals: Data("1".utf8)), .modRevision(key: "z", equals: 0),
    ]
    #expect(try attempt(holding) == .committed(revision: 2))
  }

  @Test(arguments: StoreFactory.all) func listsByPrefixInPages(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    for key in ["b/2", "a", "b/1", "b", "b0", "b/~", "c", "B/1"] { try store.put(key, key) }
    let all = try store.listAll(prefix: "")
    #expect(all.entries.map(\.key) == ["B/1", "a", "b", "b/1", "b/2", "b/~", "b0", "c"])
    #expect(all.revision == 8)
    var page = try store.list(prefix: "b/", after: nil, limit: 2)
    #expect(page.entries.map(\.key) == ["b/1", "b/2"] && page.isTruncated)
    page = try store.list(prefix: "b/", after: "b/2", limit: 2)
    #expect(page.entries.map(\.key) == ["b/~"] && !page.isTruncated)
    page = try store.list(prefix: "b/", after: nil, limit: 3)
    #expect(page.entries.count == 3 && !page.isTruncated)
    #expect(throws: StoreError.pageLimitOutOfRange(limit: 0)) { try store.list(prefix: "", after: nil, limit: 0) }
    #expect(throws: StoreError.self) { try store.list(prefix: "", after: nil, limit: StoreLimits.maximumPageEntries + 1) }
  }

  @Test(arguments: StoreFactory.all) func limitsAreEnforced(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    let longest = String(repeating: "k", count: StoreLimits.maximumKeyBytes)
    try store.put(longest, "ok")
    #expect(try store.text(longest) == "ok")
    for key in [longest + "k", "", "a b", "ü", "a\u{0}", "a\u{7F}"] {
      #expect(throws: StoreError.self, "\(key)") { try store.put(key, "") }
      #expect(throws: StoreError.self, "\(key)") { try store.get(key) }
    }
    let largest = Data(repeating: 7, count: StoreLimits.maximumValueBytes)
    _ = try store.transact(StoreTransaction(operations: [.put(key: "v", value: largest)]))
    #expect(try store.get("v")?.value == largest)
    #expect(throws: StoreError.valueTooLarge(key: "v", byteCount: largest.count + 1)) {
      try store.transact(StoreTransaction(operations: [.put(key: "v", value: largest + [0])]))
    }
    let operations = (0..<StoreLimits.maximumOperations).map { StoreOperation.put(key: "o/\($0)", value: Data()) }
    #expect(try store.transact(StoreTransaction(operations: operations)).committedRevision == 3)
    #expect(throws: StoreError.tooMany(what: "operations", count: 129, maximum: 128)) {
      try store.transact(StoreTransaction(operations: operations + [.delete(key: "more")]))
    }
    #expect(throws: StoreError.tooMany(what: "compares", count: 129, maximum: 128)) {
      try store.transact(StoreTransaction(compares: Array(repeating: .absent(key: "q"), count: 129), operations: []))
    }
    #expect(throws: StoreError.duplicateKey(key: "d")) {
      try store.transact(StoreTransaction(operations: [.delete(key: "d"), .put(key: "d", value: Data())]))
    }
    let many = (0..<5).map { StoreOperation.put(key: "t/\($0)", value: largest) }
    #expect(throws: StoreError.self) { try store.transact(StoreTransaction(operations: many)) }
    #expect(try store.list(prefix: "t/", after: nil, limit: 1).revision == 3)
  }

  @Test(arguments: StoreFactory.all) func watchResumesExactly(_ factory: StoreFactory) throws {
    let test = try factory.make()
    let store = try test.open()
    for number in 1...5 { try store.put("w/\(number)", "\(number)") }
    try store.put("other", "x")
    _ = try store.transact(StoreTransaction(operations: [.delete(key: "w/1"), .put(key: "w/2", value: Data("two".utf8))]))
    let watch = try test.open().watch(prefix: "w/", fromRevision: 3)
    let batch = try #require(try watch.next(timeoutNanoseconds: secondNanoseconds))
    #expect(batch.events.map(\.key) == ["w/3", "w/4", "w/5", "w/1", "w/2"])
    #expect(batch.events.map(\.revision) == [3, 4, 5, 7, 7])
    #expect(batch.events[3] == .delete(key: "w/1", revision: 7))
    #expect(
      batch.events[4] == .put(StoreEntry(key: "w/2", value: Data("two".utf8), createRevision: 2, modRevision: 7, version: 2)))
    #expect(batch.revision == 7)
    #expect(try watch.poll() == nil)
    try store.put("w/9", "nine")
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.map(\.key) == ["w/9"])
    #expect(throws: StoreError.revisionFromFuture(asked: 10, current: 8)) { try store.watch(prefix: "", fromRevision: 10) }
  }

  @Test(arguments: StoreFactory.all) func watchFromNowAndTimeout(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    try store.put("a", "old")
    let watch = try store.watch(prefix: "", fromRevision: nil)
    #expect(try watch.next(timeoutNanoseconds: 20_000_000) == nil)
    try store.put("a", "new")
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.events.count == 1)
    watch.cancel()
    #expect(throws: StoreError.watchCancelled) { try watch.next(timeoutNanoseconds: nil) }
  }

  @Test(arguments: StoreFactory.all) func watchBatchesHoldWholeRevisions(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    let revisions = 20
    for number in 0..<revisions {
      let operations = (0..<100).map { StoreOperation.put(key: "k/\($0)", value: Data("\(number)".utf8)) }
      _ = try store.transact(StoreTransaction(operations: operations))
    }
    let watch = try store.watch(prefix: "", fromRevision: 1)
    var seen: [StoreRevision] = []
    while let batch = try watch.poll() {
      #expect(batch.events.count % 100 == 0)
      #expect(batch.events.last?.revision == batch.revision)
      seen += batch.events.map(\.revision)
    }
    #expect(seen == (1...UInt64(revisions)).flatMap { Array(repeating: $0, count: 100) })
  }

  @Test(arguments: StoreFactory.all) func watchAcrossInstancesWakesAtOnce(_ factory: StoreFactory) async throws {
    let test = try factory.make()
    let (writer, reader) = (try test.open(), try test.open())
    let watch = try reader.watch(prefix: "w/", fromRevision: 1)
    async let received = Task {
      var keys: [String] = []
      for try await batch in watch.batches() {
        keys += batch.events.map(\.key)
        if keys.count >= 50 { break }
      }
      return keys
    }.value
    try await writer.run { store in for number in 0..<50 { try store.put("w/\(number)", "") } }
    #expect(try await received == (0..<50).map { "w/\($0)" })
  }

  @Test(arguments: StoreFactory.all) func cancelledTaskEndsTheWatch(_ factory: StoreFactory) async throws {
    let store = try factory.make().open()
    let watch = try store.watch(prefix: "", fromRevision: nil)
    let task = Task {
      var count = 0
      for try await _ in watch.batches() { count += 1 }
      return count
    }
    try await Task.sleep(for: .milliseconds(50))
    task.cancel()
    #expect(try await task.value == 0)
  }

  @Test(arguments: StoreFactory.all) func leaseExpiryDeletesItsKeys(_ factory: StoreFactory) throws {
    let test = try factory.make()
    let store = try test.open()
    let lease = try store.grantLease(ttlSeconds: 1)
    try store.put("mine/a", "1", lease: lease.id)
    try store.put("mine/b", "1", lease: lease.id)
    try store.put("mine/c", "1", lease: lease.id)
    try store.put("mine/c", "2")
    #expect(try store.get("mine/a")?.lease == lease.id)
    #expect(try store.get("mine/c")?.lease == 0)
    let watch = try test.open().watch(prefix: "mine/", fromRevision: nil)
    let batch = try #require(try watch.next(timeoutNanoseconds: 10 * secondNanoseconds))
    #expect(batch.events == [.delete(key: "mine/a", revision: 5), .delete(key: "mine/b", revision: 5)])
    #expect(try store.text("mine/c") == "2")
    #expect(throws: StoreError.leaseNotFound(id: lease.id)) { try store.keepAlive(lease.id) }
    #expect(throws: StoreError.leaseNotFound(id: lease.id)) { try store.put("mine/a", "1", lease: lease.id) }
    #expect(throws: StoreError.leaseNotFound(id: lease.id)) { try store.revoke(lease.id) }
  }

  @Test(arguments: StoreFactory.all) func keepAliveHoldsAndRevokeEnds(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    let lease = try store.grantLease(ttlSeconds: 2)
    try store.put("mine", "1", lease: lease.id)
    let watch = try store.watch(prefix: "", fromRevision: nil)
    for _ in 0..<8 {
      #expect(try watch.next(timeoutNanoseconds: 400_000_000) == nil)
      try store.keepAlive(lease.id)
    }
    #expect(try store.text("mine") == "1")
    try store.revoke(lease.id)
    #expect(try store.get("mine") == nil)
    #expect(try watch.next(timeoutNanoseconds: secondNanoseconds)?.events == [.delete(key: "mine", revision: 2)])
    for seconds in [0, -1, StoreLimits.maximumLeaseSeconds + 1] {
      #expect(throws: StoreError.leaseTimeOutOfRange(seconds: seconds)) { try store.grantLease(ttlSeconds: seconds) }
    }
  }

  @Test(arguments: StoreFactory.all) func concurrentIncrementsLoseNothing(_ factory: StoreFactory) async throws {
    let test = try factory.make()
    let (instances, tasks, increments) = (3, 2, 25)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<instances {
        let store = try test.open()
        for _ in 0..<tasks {
          group.addTask {
            try await store.run { store in for _ in 0..<increments { try Self.increment(store) } }
          }
        }
      }
      try await group.waitForAll()
    }
    let entry = try #require(try test.open().get("counter"))
    let total = instances * tasks * increments
    #expect(String(decoding: entry.value, as: UTF8.self) == "\(total)")
    #expect(entry.version == UInt64(total) && entry.modRevision == UInt64(total))
  }

  private static func increment(_ store: any StateStore) throws {
    for _ in 0..<10_000 {
      let entry = try store.get("counter")
      let value = entry.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
      let transaction = StoreTransaction(
        compares: [.modRevision(key: "counter", equals: entry?.modRevision ?? 0)],
        operations: [.put(key: "counter", value: Data("\(value + 1)".utf8))])
      if try store.transact(transaction).committedRevision != nil { return }
    }
    Issue.record("an increment did not get through")
  }

  @Test(arguments: StoreFactory.all) func closedStoreSaysSo(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    let watch = try store.watch(prefix: "", fromRevision: nil)
    store.close()
    store.close()
    #expect(throws: StoreError.closed) { try store.get("a") }
    #expect(throws: StoreError.closed) { try store.put("a", "") }
    #expect(throws: StoreError.closed) { try watch.next(timeoutNanoseconds: nil) }
  }

  @Test(arguments: StoreFactory.all) func mirrorFollowsTheStore(_ factory: StoreFactory) throws {
    let store = try factory.make().open()
    var random = SystemRandomNumberGenerator()
    for number in 0..<30 { try store.put("k/\(UInt8.random(in: 0..<10, using: &random))", "\(number)") }
    let page = try store.listAll(prefix: "k/")
    var mirror = StoreMirror(page)
    let watch = try store.watch(prefix: "k/", fromRevision: page.revision + 1)
    for number in 0..<30 {
      let key = "k/\(UInt8.random(in: 0..<10, using: &random))"
      if number % 3 == 0 {
        _ = try store.transact(StoreTransaction(operations: [.delete(key: key)]))
      } else {
        try store.put(key, "\(number)")
      }
    }
    while let batch = try watch.poll() {
      mirror.apply(batch)
      mirror.apply(batch)
    }
    #expect(mirror.entries == (try store.listAll(prefix: "k/").entries))
  }
}
