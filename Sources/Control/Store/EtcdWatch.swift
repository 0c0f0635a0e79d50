import Foundation
import GRPC
import Synchronization

/// A position in the history of an etcd store. It pulls from a stream of its own, whose flow control holds etcd back while nobody reads; a
/// stream that ends is replaced by one that goes on where it ended, at another member if need be.
final class EtcdWatch: StoreWatch {
  /// What the one reader holds.
  private struct Reader {
    var state: EtcdWatchState
    var call: GRPCCall?
    var failuresInRow = 0
    var isReauthenticated = false
  }

  /// What `cancel` reaches while a reader waits.
  private struct Control {
    var isCancelled = false
    var call: GRPCCall?
  }

  /// Kept, so that the store stays open as long as it is watched.
  private let store: EtcdStore
  private let prefix: String
  private let reader: Mutex<Reader>
  private let control = Mutex(Control())

  /// The longest wait for a member to begin a watch.
  private static let beginNanoseconds: UInt64 = 5_000_000_000

  init(store: EtcdStore, prefix: String, next: StoreRevision) {
    self.store = store
    self.prefix = prefix
    reader = Mutex(Reader(state: EtcdWatchState(keys: store.keys, received: next - 1)))
  }

  deinit { cancel() }

  func cancel() {
    control.withLock { control in
      control.isCancelled = true
      return control.call
    }?.cancel()
  }

  func next(timeoutNanoseconds: UInt64?) throws(StoreError) -> StoreWatchBatch? {
    let (sum, overflow) = BootClock.nanoseconds().addingReportingOverflow(timeoutNanoseconds ?? .max)
    let deadline = overflow ? UInt64.max : sum
    return try reader.withLock { (reader) throws(StoreError) in
      while true {
        try check()
        if let batch = reader.state.takeBatch(limit: StoreLimits.watchBatchEvents) { return batch }
        if BootClock.nanoseconds() >= deadline { return nil }
        try pump(&reader, deadline: deadline)
      }
    }
  }

  func poll() throws(StoreError) -> StoreWatchBatch? {
    try reader.withLock { (reader) throws(StoreError) in
      try check()
      if let batch = reader.state.takeBatch(limit: StoreLimits.watchBatchEvents) { return batch }
      let head = try store.head()
      try check(head, reader.state)
      let deadline = BootClock.nanoseconds() + 2 * Self.beginNanoseconds
      while reader.state.received < head, reader.state.reached < store.keys.etcdRevision(head) {
        if let id = reader.state.beginBarrier() { send(barrier(id), &reader) }
        try pump(&reader, deadline: deadline)
        try check()
        if let batch = reader.state.takeBatch(limit: StoreLimits.watchBatchEvents) { return batch }
        if BootClock.nanoseconds() >= deadline { throw .unavailable(reason: "etcd: a watch of \(prefix) did not catch up in time") }
      }
      reader.state.skip(to: head)
      return nil
    }
  }

  /// The oldest revision a watch may ask for, where it asked for an older one; nil if etcd does not say.
  static func oldestRevision(of store: EtcdStore, asked: StoreRevision) throws(StoreError) -> StoreRevision? {
    let watch = EtcdWatch(store: store, prefix: "", next: max(asked, 1))
    do throws(StoreError) {
      _ = try watch.next(timeoutNanoseconds: 2_000_000_000)
    } catch {
      if case .compacted(_, let oldest) = error { return oldest }
      throw error
    }
    return nil
  }

  private func check() throws(StoreError) {
    if store.client.isClosed { throw .closed }
    if control.withLock({ $0.isCancelled }) { throw .watchCancelled }
  }

  private func check(_ head: StoreRevision, _ state: EtcdWatchState) throws(StoreError) {
    if state.received > head { throw .revisionFromFuture(asked: state.received + 1, current: head) }
  }

  /// Opens a stream if there is none, and takes what comes next, if it comes in time.
  private func pump(_ reader: inout Reader, deadline: UInt64) throws(StoreError) {
    if reader.call == nil { try open(&reader, deadline: deadline) }
    guard let call = reader.call else { return }
    let now = BootClock.nanoseconds()
    var wait = deadline > now ? deadline - now : 0
    let isBeginning = !reader.state.isCreated
    if isBeginning { wait = min(wait, Self.beginNanoseconds) }
    let received: GRPCCall.Received
    do throws(GRPCError) {
      received = try call.next(timeoutNanoseconds: deadline == .max && !isBeginning ? nil : wait)
    } catch {
      try check()
      if error.code == .unauthenticated { store.client.forgetToken() }
      if error.code == .permissionDenied { throw .unavailable(reason: error.message) }
      return drop(&reader)
    }
    switch received {
    case .timedOut: if isBeginning, wait == Self.beginNanoseconds { drop(&reader) }
    case .ended: drop(&reader)
    case .message(let bytes):
      guard let response: Etcd.WatchResponse = try? EtcdClient.decode(bytes) else { return drop(&reader) }
      try act(on: reader.state.take(response), response, &reader)
    }
  }

  private func act(on action: EtcdWatchState.Action, _ response: Etcd.WatchResponse, _ reader: inout Reader) throws(StoreError) {
    do throws(EtcdClient.Failure) {
      try store.confirm(response.header)
    } catch {
      try check()
      if case .unreachable(EtcdStore.foreignReason) = error { throw EtcdStore.error(error) }
      return drop(&reader)
    }
    switch action {
    case .goOn:
      if response.isCreated { reader.failuresInRow = 0 }
      if !response.events.isEmpty { reader.isReauthenticated = false }
    case .fail(let error): throw error
    case .reopen: drop(&reader)
    case .denied(let reason):
      // A user without a password cannot hold a token that is over.
      if reader.isReauthenticated { throw .unavailable(reason: "etcd: a watch of \(prefix) was refused: \(reason)") }
      reader.isReauthenticated = true
      store.client.forgetToken()
      drop(&reader)
    case .endBarrier(let id): send(.cancel(watchID: id), &reader)
    case .checkHead:
      // The member may only be late; the store as a whole must not be behind what was seen of it (R18).
      try check(try store.head(), reader.state)
    }
  }

  /// Begins a stream; if none can be had now, it is tried again later.
  private func open(_ reader: inout Reader, deadline: UInt64) throws(StoreError) {
    if reader.failuresInRow > 0 { try pause(reader.failuresInRow, deadline: deadline) }
    let call: GRPCCall
    do throws(EtcdClient.Failure) {
      call = try store.client.watch()
    } catch {
      try check()
      if case .rejected = error { throw EtcdStore.error(error) }
      return drop(&reader)
    }
    let isCancelled = control.withLock { control in
      control.call = call
      return control.isCancelled
    }
    if isCancelled { throw .watchCancelled }
    reader.call = call
    reader.state.beginStream()
    let (start, end) = store.keys.range(prefix: prefix)
    // From the last revision that is known already: where compaction has come as far as that, what follows it may lack deletions, and
    // etcd says so only for a watch that begins below the compacted revision.
    send(
      .create(
        Etcd.WatchCreateRequest(
          key: start, rangeEnd: end, startRevision: store.keys.etcdRevision(reader.state.received), watchID: EtcdWatchState.watchID)),
      &reader)
  }

  private func barrier(_ id: Int64) -> Etcd.WatchRequest {
    .create(Etcd.WatchCreateRequest(key: EtcdStore.identityKey, startRevision: store.keys.foundingRevision, watchID: id))
  }

  /// What cannot be sent is told by the next receiving.
  private func send(_ request: Etcd.WatchRequest, _ reader: inout Reader) { try? reader.call?.send(request.encoded()) }

  private func drop(_ reader: inout Reader) {
    reader.call?.cancel()
    reader.call = nil
    reader.failuresInRow += 1
    control.withLock { $0.call = nil }
    // The first failure may be the connection's alone.
    if reader.failuresInRow > 1 { store.client.moveOn() }
  }

  /// Sleeps in steps, so that a cancelled watch ends soon.
  private func pause(_ failuresInRow: Int, deadline: UInt64) throws(StoreError) {
    let stepNanoseconds: UInt64 = 20_000_000
    for _ in 0..<min(1 << min(failuresInRow, 6), 50) {
      let now = BootClock.nanoseconds()
      if now >= deadline { return }
      usleep(UInt32(min(stepNanoseconds, deadline - now) / 1_000))
      try check()
    }
  }
}
