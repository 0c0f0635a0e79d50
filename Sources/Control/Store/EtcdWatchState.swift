/// What one watch knows: which revisions it has, which events wait for the reader, and whether silence means that nothing happened. No I/O:
/// responses in, events and verdicts out.
///
/// etcd says nothing when nothing happens, and its progress reports on request may overtake events (before 3.4.25 and 3.5.8). So where a
/// reader asks what is there *now*, a second watch of the identity key, from its founding, is begun on the same stream: what it is sent
/// comes after all events that were due before, as both take one queue at the member. That holds once the first watch follows
/// the present ("synced" in etcd); until a bulk of history is behind it, it catches up on its own, hence two barriers on a new stream.
struct EtcdWatchState {
  /// What the driver is to do after a response.
  enum Action: Equatable {
    case goOn
    /// The stream is of no more use; another one may be.
    case reopen(reason: String)
    /// The watch has ended.
    case fail(StoreError)
    /// etcd does not let this user watch; a token that is over looks the same.
    case denied(reason: String)
    /// The barrier with this id was passed and is to be cancelled.
    case endBarrier(id: Int64)
    /// The member is behind what the watch already has: is the whole store?
    case checkHead
  }

  static let watchID: Int64 = 1
  /// etcd sends history in pieces of this many revisions, and between them others' events.
  static let bulkEvents = 1_000

  let keys: EtcdKeys
  /// All events up to here were received; a new stream goes on after it.
  private(set) var received: StoreRevision
  private var events: [StoreEvent] = []
  /// Events at the front whose revisions are whole.
  private var wholeCount = 0

  // Of the present stream:
  private(set) var isCreated = false
  private var isSynced = false
  private var responseEvents = 0
  private var hadBulk = false
  private var lastBarrier = Self.watchID
  private var barrier: (id: Int64, memberRevision: Int64?)?
  /// Silence up to this revision of etcd means that nothing happened.
  private(set) var reached: Int64 = 0

  init(keys: EtcdKeys, received: StoreRevision) {
    self.keys = keys
    self.received = received
  }

  /// Forgets what belonged to the stream before.
  mutating func beginStream() {
    events.removeLast(events.count - wholeCount)
    (isCreated, isSynced, hadBulk, responseEvents) = (false, false, false, 0)
    (lastBarrier, barrier, reached) = (Self.watchID, nil, 0)
  }

  /// The id of a barrier to begin; nil if one is under way or there is nothing yet to stand behind.
  mutating func beginBarrier() -> Int64? {
    if !isCreated || barrier != nil { return nil }
    lastBarrier += 1
    barrier = (lastBarrier, nil)
    hadBulk = false
    return lastBarrier
  }

  /// Events of whole revisions for the reader; about `limit`, ending with a revision.
  mutating func takeBatch(limit: Int) -> StoreWatchBatch? {
    if wholeCount == 0 { return nil }
    var count = min(limit, wholeCount)
    while count < wholeCount, events[count].revision == events[count - 1].revision { count += 1 }
    let batch = Array(events[..<count])
    events.removeFirst(count)
    wholeCount -= count
    return StoreWatchBatch(events: batch, revision: batch[count - 1].revision)
  }

  /// Nothing happened up to `revision`, as a barrier proved.
  mutating func skip(to revision: StoreRevision) { if events.isEmpty { received = max(received, revision) } }

  mutating func take(_ response: Etcd.WatchResponse) -> Action {
    if response.watchID != Self.watchID, response.watchID != -1 { return takeBarrier(response) }
    if response.isCancelled { return takeCancellation(response) }
    if response.isCreated {
      isCreated = true
      return keys.revision(response.header.revision) < received ? .checkHead : .goOn
    }
    if response.watchID == -1 { return .goOn }
    if response.events.isEmpty {
      // A progress report of the watch itself comes in its place among the events.
      if events.count == wholeCount { received = max(received, keys.revision(response.header.revision)) }
      return .goOn
    }
    return takeEvents(response)
  }

  private mutating func takeEvents(_ response: Etcd.WatchResponse) -> Action {
    for event in response.events {
      let revision = keys.revision(event.entry.modRevision)
      if revision <= received { continue }
      if let last = events.last, revision < last.revision { return .reopen(reason: "etcd sent events out of order") }
      do throws(EtcdClient.Failure) {
        events.append(
          event.isDelete ? .delete(key: try keys.key(event.entry.key), revision: revision) : .put(try keys.entry(event.entry)))
      } catch {
        return .reopen(reason: "etcd sent an event of a key that is not watched")
      }
    }
    responseEvents += response.events.count
    if responseEvents >= Self.bulkEvents { (isSynced, hadBulk) = (false, true) }
    // The last revision of a piece may go on in the next.
    var count = events.count
    if response.isFragment, let last = events.last {
      while count > wholeCount, events[count - 1].revision == last.revision { count -= 1 }
    } else {
      responseEvents = 0
    }
    wholeCount = count
    if count > 0 { received = max(received, events[count - 1].revision) }
    return .goOn
  }

  private func takeCancellation(_ response: Etcd.WatchResponse) -> Action {
    if response.compactRevision > 0 {
      return .fail(.compacted(asked: received + 1, oldest: keys.revision(response.compactRevision) + 1))
    }
    if response.cancelReason.contains("permission denied") { return .denied(reason: response.cancelReason) }
    return .reopen(reason: "etcd ended the watch: \(response.cancelReason.prefix(200))")
  }

  private mutating func takeBarrier(_ response: Etcd.WatchResponse) -> Action {
    guard let current = barrier, response.watchID == current.id else { return .goOn }
    if response.isCreated {
      barrier?.memberRevision = response.header.revision
      return response.isCancelled ? .reopen(reason: "etcd refused a watch of the store's identity") : .goOn
    }
    // Its event, or the news that its history was compacted: either was queued behind the watch's own events.
    guard let memberRevision = current.memberRevision else { return .goOn }
    barrier = nil
    if hadBulk {
      isSynced = false
    } else if isSynced {
      reached = memberRevision
    } else {
      isSynced = true
    }
    return response.isCancelled ? .goOn : .endBarrier(id: current.id)
  }
}
