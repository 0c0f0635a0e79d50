import Foundation
import Glibc
import Synchronization
import Testing

@testable import Control

@Suite struct GroupCommitTests {
  /// A store whose first transaction waits until it is let through; it counts, and may lose a reply.
  private final class GatedStore: StateStore {
    let inner: SQLiteStore
    private let gate = DispatchSemaphore(value: 0)
    let transactions = Atomic(0)
    let losesReplies = Atomic(false)

    init(_ inner: SQLiteStore) { self.inner = inner }

    func open() { gate.signal() }

    var identity: String { inner.identity }
    func get(_ key: String) throws(StoreError) -> StoreEntry? { try inner.get(key) }
    func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
      try inner.list(prefix: prefix, after: after, limit: limit)
    }
    func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
      if transactions.wrappingAdd(1, ordering: .sequentiallyConsistent).oldValue == 0 { gate.wait() }
      let outcome = try inner.transact(transaction)
      if losesReplies.load(ordering: .sequentiallyConsistent) { throw .outcomeUnknown(reason: "lost") }
      return outcome
    }
    func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
      try inner.watch(prefix: prefix, fromRevision: fromRevision)
    }
    func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease { try inner.grantLease(ttlSeconds: ttlSeconds) }
    func keepAlive(_ lease: StoreLeaseID) throws(StoreError) { try inner.keepAlive(lease) }
    func revoke(_ lease: StoreLeaseID) throws(StoreError) { try inner.revoke(lease) }
    func close() { inner.close() }
  }

  private func key(_ number: Int) -> String { "insync/\(number)" }

  private func change(_ number: Int, expects value: String?, _ next: String) -> StoreTransaction {
    let compare: StoreCompare = value.map { .value(key: key(number), equals: Data($0.utf8)) } ?? .absent(key: key(number))
    return StoreTransaction(compares: [compare], operations: [.put(key: key(number), value: Data(next.utf8))])
  }

  /// Sends all at the same time, while one is under way; returns what became of each, but for that first one.
  private func sendTogether(_ transactions: [StoreTransaction], _ store: GatedStore) -> [Result<StoreOutcome, StoreError>] {
    let group = GroupCommit(store: store)
    let outcomes = Mutex<[Int: Result<StoreOutcome, StoreError>]>([:])
    let ended = DispatchGroup()
    func send(_ index: Int, _ transaction: StoreTransaction) {
      ended.enter()
      let thread = Thread {
        let outcome = Result { () throws(StoreError) in try group.transact(transaction) }
        outcomes.withLock { $0[index] = outcome }
        ended.leave()
      }
      thread.stackSize = 256 << 10
      thread.start()
    }
    send(-1, StoreTransaction(operations: [.put(key: "first", value: Data())]))
    while store.transactions.load(ordering: .sequentiallyConsistent) == 0 { usleep(1000) }
    for (index, transaction) in transactions.enumerated() { send(index, transaction) }
    while group.waitingCount < transactions.count { usleep(1000) }
    store.open()
    ended.wait()
    return outcomes.withLock { outcomes in transactions.indices.map { outcomes[$0]! } }
  }

  private func with(_ body: (GatedStore) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    let store = GatedStore(try SQLiteStore(path: directory.path + "/state.db"))
    defer { store.close() }
    try body(store)
  }

  @Test func `what comes at the same time goes together, in few transactions`() throws {
    try with { store in
      let outcomes = try sendTogether((0..<300).map { change($0, expects: nil, "a") }, store).map { try $0.get() }
      #expect(outcomes.allSatisfy { $0.committedRevision != nil })
      #expect(store.transactions.load(ordering: .sequentiallyConsistent) == 1 + 3, "300 of at most 127 compares each, after the first")
      let written = try store.inner.listAll(prefix: "insync/").entries.count
      #expect(written == 300)
    }
  }

  @Test func `one that is refused is refused alone`() throws {
    try with { store in
      for number in [3, 40] { _ = try store.inner.transact(change(number, expects: nil, "others")) }
      let outcomes = try sendTogether((0..<50).map { change($0, expects: nil, "mine") }, store).map { try $0.get() }
      for (number, outcome) in outcomes.enumerated() {
        if number == 3 || number == 40 {
          guard case .refused(let failed, _, _) = outcome else {
            Issue.record("\(number) was committed")
            continue
          }
          #expect(failed == [0], "as places in its own list")
        } else {
          #expect(outcome.committedRevision != nil)
        }
        #expect(try store.inner.get(key(number))?.value == Data((number == 3 || number == 40 ? "others" : "mine").utf8))
      }
      #expect(store.transactions.load(ordering: .sequentiallyConsistent) == 3)
    }
  }

  @Test func `a lost reply is unknown to all that it was for`() throws {
    try with { store in
      store.losesReplies.store(true, ordering: .sequentiallyConsistent)
      let outcomes = sendTogether((0..<10).map { change($0, expects: nil, "a") }, store)
      for outcome in outcomes { #expect(throws: StoreError.outcomeUnknown(reason: "lost")) { try outcome.get() } }
      let written = try store.inner.listAll(prefix: "insync/").entries.count
      #expect(written == 10)
    }
  }

  @Test func `changes of one key keep their order, and one is not judged by another's`() throws {
    try with { store in
      // All depend on the state before: exactly one may win, in whichever order they came.
      let outcomes = try sendTogether((0..<20).map { change(7, expects: nil, "\($0)") }, store).map { try $0.get() }
      let winners = outcomes.indices.filter { outcomes[$0].committedRevision != nil }
      try #require(winners.count == 1)
      #expect(try store.inner.get(key(7))?.value == Data("\(winners[0])".utf8))
    }
  }

  @Test func `a group keeps the limits of a transaction`() {
    func put(_ key: String, _ size: Int) -> StoreTransaction {
      StoreTransaction(operations: [.put(key: key, value: Data(count: size))])
    }
    #expect(GroupCommit.group([]) == [])
    #expect(GroupCommit.group([put("a", 2 << 20), put("b", 1)]) == [0], "the first always: the store says what is wrong with it")
    #expect(GroupCommit.group([put("a", 200 << 10), put("b", 200 << 10), put("c", 200 << 10)]) == [0, 1])
    #expect(GroupCommit.group((0..<200).map { put("\($0)", 1) }).count == StoreLimits.maximumOperations)
    let compared = StoreTransaction(compares: [.absent(key: "a")], operations: [.put(key: "z", value: Data())])
    #expect(GroupCommit.group([put("a", 1), put("b", 1), compared, put("c", 1)]) == [0, 1], "nothing overtakes")
  }
}
