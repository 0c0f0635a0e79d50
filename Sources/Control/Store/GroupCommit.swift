import Dispatch
import Glibc
import Synchronization

/// Makes few transactions of many: what comes while one is on its way to the store goes with the next one, together.
///
/// A node's end or return concerns all its volumes at once. Each claims or changes its own record, on a queue of its own, and needs an answer of its own:
/// together they cost the store a transaction for some forty volumes, not one for each. Alone, a transaction goes at once; the next one a moment
/// after it, with all that came until then.
///
/// A transaction whose compares do not hold is refused alone: the others of its group are sent again, without it.
final class GroupCommit: Sendable {
  /// One compare is left to stores that add one of their own (etcd's identity).
  static let maximumCompares = StoreLimits.maximumCompares - 1
  static let targetBytes = StoreLimits.maximumTransactionBytes / 2

  private struct Waiting {
    let transaction: StoreTransaction
    let answer: Answer
  }

  private final class Answer: Sendable {
    private let outcome = Mutex<Result<StoreOutcome, StoreError>?>(nil)
    private let bell = DispatchSemaphore(value: 0)

    func give(_ result: Result<StoreOutcome, StoreError>) {
      outcome.withLock { $0 = result }
      bell.signal()
    }

    func wait() throws(StoreError) -> StoreOutcome {
      bell.wait()
      guard let result = outcome.withLock({ $0 }) else { preconditionFailure("the bell rings after the answer") }
      return try result.get()
    }
  }

  /// Between the beginnings of two transactions, so long at least: what concerns many volumes comes within milliseconds, not at once.
  static let gatheringNanoseconds: UInt64 = 10_000_000

  private let store: any StateStore
  private let queue = DispatchQueue(label: "keelson.commits")
  private let line = Mutex<[Waiting]>([])
  private let sent = Atomic(0)
  private let lastSentAt = Atomic<UInt64>(0)

  init(store: any StateStore) { self.store = store }

  /// How many transactions the store was given.
  var sentCount: Int { sent.load(ordering: .relaxed) }
  /// How many wait to be sent.
  var waitingCount: Int { line.withLock { $0.count } }

  /// As the store's own, and blocks as long. Without `readsOnRefusal`.
  func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
    precondition(transaction.readsOnRefusal.isEmpty, "what is read in a group is nobody's")
    let answer = Answer()
    line.withLock { $0.append(Waiting(transaction: transaction, answer: answer)) }
    queue.async { self.sendNext() }
    return try answer.wait()
  }

  /// Sends what waits, as much as fits; nothing if it went with an earlier one.
  private func sendNext() {
    if line.withLock({ $0.isEmpty }) { return }
    let passed = BootClock.nanoseconds() &- lastSentAt.load(ordering: .relaxed)
    if passed < Self.gatheringNanoseconds { usleep(useconds_t((Self.gatheringNanoseconds - passed) / 1000)) }
    lastSentAt.store(BootClock.nanoseconds(), ordering: .relaxed)
    var group = line.withLock { line -> [Waiting] in
      let taken = Self.group(line.map(\.transaction))
      defer { line = line.indices.filter { !taken.contains($0) }.map { line[$0] } }
      return taken.map { line[$0] }
    }
    // Each round answers one at least.
    while !group.isEmpty {
      let whole = StoreTransaction(
        compares: group.flatMap(\.transaction.compares), operations: group.flatMap(\.transaction.operations))
      sent.wrappingAdd(1, ordering: .relaxed)
      do throws(StoreError) {
        switch try store.transact(whole) {
        case .committed(let revision):
          for one in group { one.answer.give(.success(.committed(revision: revision))) }
          return
        case .refused(let failed, _, let revision): group = refuse(group, failed: failed, revision)
        }
      } catch {
        for one in group { one.answer.give(.failure(error)) }
        return
      }
    }
  }

  /// Answers those whose compares failed; returns the others.
  private func refuse(_ group: [Waiting], failed: [Int], _ revision: StoreRevision) -> [Waiting] {
    var rest: [Waiting] = []
    var begin = 0
    for one in group {
      let end = begin + one.transaction.compares.count
      let own = failed.filter { (begin..<end).contains($0) }.map { $0 - begin }
      if own.isEmpty { rest.append(one) } else { one.answer.give(.success(.refused(failedCompares: own, reads: [], revision: revision))) }
      begin = end
    }
    guard rest.count == group.count else { return rest }
    // A store that does not say which: the first is told, and asks again.
    rest.removeFirst().answer.give(.success(.refused(failedCompares: [], reads: [], revision: revision)))
    return rest
  }

  /// Which of those that wait go together, in their order: the first always, others as far as there is room and no key that one changes is another's.
  static func group(_ line: [StoreTransaction]) -> [Int] {
    var taken: [Int] = []
    var (compares, operations, bytes) = (0, 0, 0)
    var (changed, compared): (Set<String>, Set<String>) = ([], [])
    for (index, transaction) in line.enumerated() {
      let (ownChanged, ownCompared) = (Set(transaction.operations.map(\.key)), Set(transaction.compares.map(\.key)))
      let size = transaction.operations.reduce(0) { size, operation in
        if case .put(let key, let value, _) = operation { return size + key.utf8.count + value.count }
        return size + operation.key.utf8.count
      }
      if !taken.isEmpty {
        let isTooLarge =
          compares + transaction.compares.count > maximumCompares
          || operations + transaction.operations.count > StoreLimits.maximumOperations
          || bytes + size > targetBytes
        // What comes later for the same keys must not overtake.
        if isTooLarge { break }
        if !changed.isDisjoint(with: ownChanged.union(ownCompared)) || !compared.isDisjoint(with: ownChanged) { break }
      }
      taken.append(index)
      compares += transaction.compares.count
      operations += transaction.operations.count
      bytes += size
      changed.formUnion(ownChanged)
      compared.formUnion(ownCompared)
    }
    return taken
  }
}
