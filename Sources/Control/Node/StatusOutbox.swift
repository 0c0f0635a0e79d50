import Foundation
import Glibc
import Reactor
import Synchronization

/// What a node has to say of itself, on its way to the state store: in order, several at a time, and again until the store has it.
///
/// Who writes never waits and never fails: while the store is away the news wait here. Every transaction compares the revision of a key that
/// it changes: one whose answer is late is sent again soon, and cannot take back what was said after it.
final class StatusOutbox: Sendable {
  private static let firstDelayMilliseconds = 50
  private static let maximumDelayMilliseconds = 1_000
  private static let maximumKeys = 64
  /// After a transaction, until the next: the first news go at once, and what follows close behind goes together.
  private static let gatheringMilliseconds = 25

  private struct Pending {
    var operations: [StoreOperation] = []
    var isSending = false
    var delayMilliseconds = StatusOutbox.firstDelayMilliseconds
  }

  private let store: any StateStore
  private let log: NodeLog
  private let pending = Mutex(Pending())
  private let queue = DispatchQueue(label: "keelson.status")
  /// The revisions of keys as this process left them.
  private let revisions = Mutex<[String: StoreRevision]>([:])

  init(store: any StateStore, log: NodeLog) {
    self.store = store
    self.log = log
  }

  func add(_ operation: StoreOperation) {
    let begins = pending.withLock { pending in
      pending.operations.append(operation)
      defer { pending.isSending = true }
      return !pending.isSending
    }
    if begins { queue.async { self.send() } }
  }

  /// Waits until all is in the store, but not for long.
  func drain() {
    for _ in 0..<200 {
      if pending.withLock({ $0.operations.isEmpty }) { return }
      usleep(10_000)
    }
  }

  /// The oldest operations as one transaction, in which the last one for a key stands for all, and how many they are.
  private static func batch(of operations: [StoreOperation]) -> (batch: [StoreOperation], count: Int) {
    var batch: [StoreOperation] = []
    var count = 0
    for operation in operations {
      if let position = batch.firstIndex(where: { $0.key == operation.key }) {
        batch[position] = operation
      } else if batch.count < maximumKeys {
        batch.append(operation)
      } else {
        break
      }
      count += 1
    }
    // Not more than fits into one: the last ones for a key may be large.
    guard let first = StoreLimits.batches(batch).first, first.count < batch.count else { return (batch, count) }
    return (first, operations.firstIndex { $0.key == batch[first.count].key }!)
  }

  private func send() {
    let (batch, count) = pending.withLock { pending in
      if pending.operations.isEmpty { pending.isSending = false }
      return Self.batch(of: pending.operations)
    }
    if batch.isEmpty { return }
    do {
      if try commit(batch) {
        pending.withLock { pending in
          pending.operations.removeFirst(count)
          pending.delayMilliseconds = Self.firstDelayMilliseconds
        }
      }
      queue.asyncAfter(deadline: .now() + .milliseconds(Self.gatheringMilliseconds)) { self.send() }
    } catch StoreError.closed {
      return
    } catch {
      let delay = pending.withLock { pending in
        defer { pending.delayMilliseconds = min(pending.delayMilliseconds * 2, Self.maximumDelayMilliseconds) }
        return pending.delayMilliseconds
      }
      log.write("\(count) change(s) of status wait for the state store: \(error)")
      queue.asyncAfter(deadline: .now() + .milliseconds(delay)) { self.send() }
    }
  }

  /// False if another had changed the key that was compared: its revision is read again then.
  private func commit(_ batch: [StoreOperation]) throws(StoreError) -> Bool {
    // A deletion of what is not there would hold again and again.
    let anchor = batch.first { if case .put = $0 { true } else { false } } ?? batch[0]
    let known = revisions.withLock { $0[anchor.key] }
    let revision: StoreRevision
    if let known { revision = known } else { revision = try store.get(anchor.key)?.modRevision ?? 0 }
    let outcome: StoreOutcome
    do throws(StoreError) {
      outcome = try store.transact(
        StoreTransaction(compares: [.modRevision(key: anchor.key, equals: revision)], operations: batch))
    } catch {
      revisions.withLock { $0[anchor.key] = nil }
      throw error
    }
    guard let committed = outcome.committedRevision else {
      revisions.withLock { $0[anchor.key] = nil }
      return false
    }
    revisions.withLock { revisions in
      for operation in batch {
        if case .put = operation { revisions[operation.key] = committed } else { revisions[operation.key] = nil }
      }
    }
    return true
  }
}
