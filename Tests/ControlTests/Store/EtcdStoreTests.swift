import Foundation
import GRPC
import Protobuf
import Testing

@testable import Control

/// What is particular to the etcd store: founding, compaction, lost answers, members that die, history that went back.
@Suite struct EtcdStoreTests {
  /// etcd's Compact, which the store itself never asks for.
  struct CompactionRequest: ProtobufWritable {
    var revision: Int64

    func encode(into writer: inout WireWriter) {
      writer.int64(1, revision)
      writer.bool(2, true)
    }
  }

  static func compact(_ store: EtcdStore, at revision: StoreRevision) throws {
    let request = CompactionRequest(revision: store.keys.etcdRevision(revision))
    let _: Etcd.PlainResponse = try store.client.call("/etcdserverpb.KV/Compact", request, .unlessSeen)
  }

  @Test func `a store is founded once and counts from there`() async throws {
    let server = try EtcdServer()
    let first = try server.open()
    let foreign = try EtcdClient(server.options)
    let _: Etcd.PlainResponse = try foreign.call(
      "/etcdserverpb.KV/Put", Etcd.PutRequest(key: Array("others/key".utf8), value: [1]), .always)
    let stores = try await withThrowingTaskGroup(of: EtcdStore.self) { group in
      for _ in 0..<4 { group.addTask { try EtcdStore(server.options) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(stores.allSatisfy { $0.identity == first.identity && $0.keys.foundingRevision == first.keys.foundingRevision })
    #expect(try first.listAll(prefix: "").entries.isEmpty)
    // Someone else's change counts, though none of its keys are seen.
    #expect(try first.put("a", "1") == 2)
  }

  @Test func `a key that no Keelson wrote is not taken for a store`() throws {
    let server = try EtcdServer()
    let client = try EtcdClient(server.options)
    for value in ["hello", "2 7d444840-9dc0-11d1-b245-5ffdce74fad2"] {
      let put = Etcd.PutRequest(key: EtcdStore.identityKey, value: Array(value.utf8))
      let _: Etcd.PlainResponse = try client.call("/etcdserverpb.KV/Put", put, .always)
      #expect(throws: StoreError.self) { try EtcdStore(server.options) }
    }
  }

  @Test func `nobody there is unavailable in bounded time`() throws {
    var options = EtcdOptions(endpoints: [.tcp(host: "127.0.0.1", port: 1), .tcp(host: "127.0.0.1", port: 2)])
    options.callTimeoutNanoseconds = 500_000_000
    let start = ContinuousClock.now
    #expect {
      try EtcdStore(options)
    } throws: { error in
      guard case StoreError.unavailable(let reason) = error else { return false }
      return reason.contains("127.0.0.1") && reason.contains("refused")
    }
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test func `compacted history is refused exactly`() throws {
    let server = try EtcdServer()
    let store = try server.open()
    for number in 1...10 { try store.put("a", "\(number)") }
    _ = try store.transact(StoreTransaction(operations: [.delete(key: "a")]))
    let stale = try store.watch(prefix: "", fromRevision: 3)
    let onTheEdge = try store.watch(prefix: "", fromRevision: 11)
    try store.put("b", "1")
    try Self.compact(store, at: 11)
    #expect(throws: StoreError.compacted(asked: 3, oldest: 12)) { try stale.poll() }
    // The deletion at 11 itself is gone from etcd's history: silence about it would be a lie.
    #expect(throws: StoreError.compacted(asked: 11, oldest: 12)) { try onTheEdge.poll() }
    #expect(throws: StoreError.compacted(asked: 11, oldest: 12)) { try store.watch(prefix: "", fromRevision: 11) }
    #expect(try store.watch(prefix: "", fromRevision: 12).poll()?.events.map(\.key) == ["b"])
    // The present is there whatever was compacted, and silence is told from it.
    let quiet = try store.watch(prefix: "elsewhere/", fromRevision: nil)
    #expect(try quiet.next(timeoutNanoseconds: 300_000_000) == nil)
    try store.put("c", "1")
    try Self.compact(store, at: 13)
    #expect(try quiet.poll() == nil)
    #expect(try quiet.next(timeoutNanoseconds: 50_000_000) == nil)
    #expect(try store.listAll(prefix: "").entries.map(\.key) == ["b", "c"])
  }

  @Test func `large listings come in parts of one revision`() throws {
    let server = try EtcdServer()
    _ = try server.open()
    var options = server.options
    options.maximumMessageBytes = 3 << 20
    let store = try EtcdStore(options)
    let large = Data(repeating: 7, count: StoreLimits.maximumValueBytes)
    for number in 0..<20 { _ = try store.transact(StoreTransaction(operations: [.put(key: "k/\(number + 10)", value: large)])) }
    let page = try store.list(prefix: "k/", after: nil, limit: 15)
    #expect(page.entries.count == 15 && page.isTruncated && page.revision == 20)
    #expect(try store.listAll(prefix: "k/").entries.map(\.key) == (10..<30).map { "k/\($0)" })
    // Twenty changes of 256 KiB arrive through the same small messages.
    let watch = try store.watch(prefix: "k/", fromRevision: 1)
    var revisions: [StoreRevision] = []
    while let batch = try watch.poll() { revisions += batch.events.map(\.revision) }
    #expect(revisions == Array(1...20))
    for start in stride(from: 0, to: 2_500, by: 125) {
      let puts = (start..<start + 125).map { StoreOperation.put(key: "m/\($0 + 10_000)", value: Data()) }
      _ = try store.transact(StoreTransaction(operations: puts))
    }
    #expect(try store.list(prefix: "m/", after: nil, limit: 2_400).entries.count == 2_400)
    #expect(try store.listAll(prefix: "m/").entries.map(\.key) == (10_000..<12_500).map { "m/\($0)" })
  }

  /// 128 compares and 128 readings are more than one of etcd's transactions holds.
  @Test func `the largest refusal tells all`() throws {
    let server = try EtcdServer()
    let store = try server.open()
    let puts = (0..<128).map { StoreOperation.put(key: "k/\($0)", value: Data("\($0)".utf8)) }
    _ = try store.transact(StoreTransaction(operations: puts))
    let compares = (0..<128).map { StoreCompare.value(key: "k/\($0)", equals: Data("\($0 == 5 || $0 == 127 ? -1 : $0)".utf8)) }
    let reads = (0..<128).map { "k/\(127 - $0)x" } + []
    let transaction = StoreTransaction(compares: compares, operations: [.delete(key: "k/1")], readsOnRefusal: reads)
    #expect(try store.transact(transaction) == .refused(failedCompares: [5, 127], reads: Array(repeating: nil, count: 128), revision: 1))
    let all = (0..<128).map { StoreCompare.modRevision(key: "k/\($0)", equals: 1) }
    #expect(try store.transact(StoreTransaction(compares: all, operations: [.delete(key: "k/1")])) == .committed(revision: 2))
  }

  @Test func `a lost answer is an unknown outcome`() throws {
    let server = try EtcdServer()
    let direct = try server.open()
    let proxy = try TestProxy(to: server.members[0].clientPort)
    var options = EtcdOptions(endpoints: [.tcp(host: "127.0.0.1", port: proxy.port)])
    options.callTimeoutNanoseconds = 1_000_000_000
    options.attemptTimeoutNanoseconds = 300_000_000
    let store = try EtcdStore(options)
    let lease = try store.grantLease(ttlSeconds: 60)
    proxy.mode = .holdAnswers
    #expect {
      try store.put("a", "1")
    } throws: { error in
      guard case StoreError.outcomeUnknown = error else { return false }
      return true
    }
    // It was carried out: that is why the caller must read back.
    #expect(try direct.text("a") == "1")
    // Cut while the answer is under way: the same.
    let sent = proxy.requestBytes
    let cutter = Thread {
      for _ in 0..<1_000 where proxy.requestBytes < sent + 30 { usleep(1_000) }
      usleep(50_000)
      proxy.cut()
    }
    cutter.start()
    #expect {
      try store.put("b", "1")
    } throws: { error in
      guard case StoreError.outcomeUnknown = error else { return false }
      return true
    }
    // What is safe to repeat is repeated and then given up; nothing is unknown about it.
    #expect(throws: StoreError.self) { try store.get("a") }
    proxy.mode = .relay
    #expect(try store.text("a") == "1")
    try store.keepAlive(lease.id)
    // Refused connections reach nobody.
    proxy.mode = .refuse
    proxy.cut()
    #expect {
      try store.put("c", "1")
    } throws: { error in
      guard case StoreError.unavailable = error else { return false }
      return true
    }
    #expect(try direct.get("c") == nil)
    proxy.mode = .relay
    try store.put("c", "2")
  }

  @Test func `a transaction that holds once at most is sent again, and never done twice`() throws {
    let server = try EtcdServer()
    let direct = try server.open()
    let proxy = try TestProxy(to: server.members[0].clientPort)
    var options = EtcdOptions(endpoints: [.tcp(host: "127.0.0.1", port: proxy.port)])
    options.attemptTimeoutNanoseconds = 300_000_000
    let store = try EtcdStore(options)
    // The answer of the first attempt is lost: the second one is refused, and may not say that others were quicker.
    proxy.mode = .holdAnswers
    Thread {
      usleep(600_000)
      proxy.cut()
      proxy.mode = .relay
    }.start()
    let creation = StoreTransaction(compares: [.absent(key: "a")], operations: [.put(key: "a", value: Data("1".utf8))])
    #expect {
      try store.transact(creation)
    } throws: { error in
      guard case StoreError.outcomeUnknown = error else { return false }
      return true
    }
    let created = try #require(try direct.get("a"))
    #expect(created.version == 1)
    // A server that stands still for longer than an attempt may take.
    server.signal("m0", SIGSTOP)
    Thread {
      usleep(900_000)
      server.signal("m0", SIGCONT)
    }.start()
    let change = StoreTransaction(
      compares: [.modRevision(key: "a", equals: created.modRevision)], operations: [.put(key: "a", value: Data("2".utf8))])
    do {
      #expect(try store.transact(change).committedRevision != nil)
    } catch StoreError.outcomeUnknown {
      // The first attempt came through after all.
    }
    #expect(try direct.text("a") == "2" && direct.get("a")?.version == 2)
  }

  @Test func `which transactions are sent again`() {
    func repetition(_ compares: [StoreCompare], _ operations: [StoreOperation]) -> EtcdClient.Repetition {
      EtcdStore.repetition(of: StoreTransaction(compares: compares, operations: operations))
    }
    let put = StoreOperation.put(key: "a", value: Data())
    #expect(repetition([.modRevision(key: "a", equals: 3)], []) == .always)
    #expect(repetition([], [put]) == .unlessSeen)
    #expect(repetition([.modRevision(key: "b", equals: 3)], [put]) == .unlessSeen)
    #expect(repetition([.value(key: "a", equals: Data())], [put]) == .unlessSeen)
    #expect(repetition([.modRevision(key: "b", equals: 3), .modRevision(key: "a", equals: 0)], [put]) == .untilRefused)
    #expect(repetition([.absent(key: "a")], [put]) == .untilRefused)
    #expect(repetition([.modRevision(key: "a", equals: 3)], [.delete(key: "a")]) == .untilRefused)
    #expect(repetition([.modRevision(key: "a", equals: 0)], [.delete(key: "a")]) == .unlessSeen)
    #expect(repetition([.absent(key: "a")], [.delete(key: "a")]) == .unlessSeen)
  }

  @Test func `a repeated grant and revocation are one`() throws {
    let server = try EtcdServer()
    _ = try server.open()
    let proxy = try TestProxy(to: server.members[0].clientPort)
    var options = EtcdOptions(endpoints: [.tcp(host: "127.0.0.1", port: proxy.port)])
    options.attemptTimeoutNanoseconds = 400_000_000
    let store = try EtcdStore(options)
    func withFirstAnswerLost<Value>(_ body: () throws -> Value) rethrows -> Value {
      proxy.mode = .holdAnswers
      Thread {
        usleep(600_000)
        proxy.cut()
        proxy.mode = .relay
      }.start()
      return try body()
    }
    let lease = try withFirstAnswerLost { try store.grantLease(ttlSeconds: 30) }
    try store.put("mine", "1", lease: lease.id)
    try withFirstAnswerLost { try store.revoke(lease.id) }
    #expect(try store.get("mine") == nil)
    #expect(throws: StoreError.leaseNotFound(id: lease.id)) { try store.revoke(lease.id) }
  }

  @Test func `a watch goes on across cuts and restarts without a gap`() throws {
    let server = try EtcdServer()
    let direct = try server.open()
    let proxy = try TestProxy(to: server.members[0].clientPort)
    let store = try EtcdStore(EtcdOptions(endpoints: [.tcp(host: "127.0.0.1", port: proxy.port)]))
    let watch = try store.watch(prefix: "w/", fromRevision: 1)
    var seen: [StoreRevision] = []
    for round in 0..<4 {
      for number in 0..<20 {
        try direct.put("w/\(number)", "\(round)")
        if number == 7 { proxy.cut() }
        if number % 5 == 0, let batch = try watch.next(timeoutNanoseconds: 10_000_000) { seen += batch.events.map(\.revision) }
      }
      if round == 2 {
        server.kill("m0")
        try server.start("m0")
      }
    }
    while let batch = try watch.poll() { seen += batch.events.map(\.revision) }
    #expect(seen == Array(1...80))
  }

  /// R18: a store behind what was seen of it is an older copy, and says so.
  @Test func `history that went back is noticed by a watch`() throws {
    let server = try EtcdServer()
    let store = try server.open()
    try store.put("a", "1")
    server.kill("m0")
    let (data, copy) = (server.members[0].dataPath, server.members[0].dataPath + ".copy")
    try FileManager.default.copyItem(atPath: data, toPath: copy)
    try server.start("m0")
    try store.put("a", "2")
    try store.put("a", "3")
    let watch = try store.watch(prefix: "", fromRevision: 3)
    #expect(try watch.next(timeoutNanoseconds: 5 * secondNanoseconds)?.revision == 3)
    server.kill("m0")
    try FileManager.default.removeItem(atPath: data)
    try FileManager.default.moveItem(atPath: copy, toPath: data)
    try server.start("m0")
    #expect(throws: StoreError.revisionFromFuture(asked: 4, current: 1)) { try watch.next(timeoutNanoseconds: 20 * secondNanoseconds) }
    #expect(throws: StoreError.revisionFromFuture(asked: 4, current: 1)) { try watch.poll() }
    #expect(try store.text("a") == "1")
  }

  @Test func `another cluster at the same place is not written to`() throws {
    let server = try EtcdServer()
    let store = try server.open()
    try store.put("a", "1")
    server.kill("m0")
    try FileManager.default.removeItem(atPath: server.members[0].dataPath)
    try server.start("m0")
    #expect(throws: StoreError.unavailable(reason: "etcd: \(EtcdStore.foreignReason)")) {
      for _ in 0..<20 { try store.put("a", "2") }
    }
    #expect(throws: StoreError.unavailable(reason: "etcd: \(EtcdStore.foreignReason)")) { try store.get("a") }
    let other = try server.open()
    #expect(other.identity != store.identity)
    #expect(try other.listAll(prefix: "").entries.isEmpty)
  }
}
