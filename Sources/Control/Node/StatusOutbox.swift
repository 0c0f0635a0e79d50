import Foundation
import Glibc
import Reactor
import Synchronization

/// What a node has to say of itself, on its way to the state store: in order, several at a time, and again until the store has it.
///
/// Who writes never waits and never fails: while the store is away the news wait here.
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
      _ = try store.transact(StoreTransaction(operations: batch))
      pending.withLock { pending in
        pending.operations.removeFirst(count)
        pending.delayMilliseconds = Self.firstDelayMilliseconds
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
}
