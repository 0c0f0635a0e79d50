import Foundation

/// The number of a transaction that changed the store; the first is 1, and 0 is the empty store.
public typealias StoreRevision = UInt64

/// Names a lease within its store; 0 is never one.
public typealias StoreLeaseID = UInt64

/// One key with its value and history counters.
public struct StoreEntry: Equatable, Sendable {
  public var key: String
  public var value: Data
  /// The revision that created the key (since its last deletion).
  public var createRevision: StoreRevision
  /// The revision that last changed the key.
  public var modRevision: StoreRevision
  /// 1 after creation, one more with each put.
  public var version: UInt64
  /// The lease the key is attached to, or 0.
  public var lease: StoreLeaseID

  public init(
    key: String, value: Data, createRevision: StoreRevision, modRevision: StoreRevision, version: UInt64, lease: StoreLeaseID = 0
  ) {
    self.key = key
    self.value = value
    self.createRevision = createRevision
    self.modRevision = modRevision
    self.version = version
    self.lease = lease
  }
}

/// A part of a listing, and the revision at which it was true.
public struct StorePage: Equatable, Sendable {
  public var entries: [StoreEntry]
  public var revision: StoreRevision
  /// More entries follow after the last one.
  public var isTruncated: Bool

  public init(entries: [StoreEntry], revision: StoreRevision, isTruncated: Bool) {
    self.entries = entries
    self.revision = revision
    self.isTruncated = isTruncated
  }
}

/// A condition on one key, all of which must hold for a transaction to be applied.
public enum StoreCompare: Equatable, Sendable {
  /// The key exists and was last changed at this revision; revision 0 means that the key does not exist.
  case modRevision(key: String, equals: StoreRevision)
  /// The key does not exist.
  case absent(key: String)
  /// The key exists and has exactly this value.
  case value(key: String, equals: Data)

  public var key: String {
    switch self {
    case .modRevision(let key, _), .absent(let key), .value(let key, _): key
    }
  }
}

/// A change of one key.
public enum StoreOperation: Equatable, Sendable {
  /// Creates or replaces. The key is attached to `lease` from now on, or to none if it is 0.
  case put(key: String, value: Data, lease: StoreLeaseID = 0)
  /// Deletes; deleting what is not there changes nothing.
  case delete(key: String)

  public var key: String {
    switch self {
    case .put(let key, _, _), .delete(let key): key
    }
  }

  /// Of key and value.
  var byteCount: Int {
    switch self {
    case .put(let key, let value, _): key.utf8.count + value.count
    case .delete(let key): key.utf8.count
    }
  }
}

/// A compare-and-swap over several keys. No key is changed twice in one transaction.
public struct StoreTransaction: Equatable, Sendable {
  public var compares: [StoreCompare]
  public var operations: [StoreOperation]
  /// Keys to read, in the same snapshot, if a compare fails.
  public var readsOnRefusal: [String]

  public init(compares: [StoreCompare] = [], operations: [StoreOperation], readsOnRefusal: [String] = []) {
    self.compares = compares
    self.operations = operations
    self.readsOnRefusal = readsOnRefusal
  }
}

/// How a transaction ended.
public enum StoreOutcome: Equatable, Sendable {
  /// Applied at this revision; if no operation changed anything, the revision the store had already.
  case committed(revision: StoreRevision)
  /// Not applied. `failedCompares` are indices into `compares`; `reads` answers `readsOnRefusal` one to one.
  case refused(failedCompares: [Int], reads: [StoreEntry?], revision: StoreRevision)

  /// The revision of a committed transaction, nil of a refused one.
  public var committedRevision: StoreRevision? {
    if case .committed(let revision) = self { revision } else { nil }
  }
}

/// One change of one key, as watches tell it.
public enum StoreEvent: Equatable, Sendable {
  case put(StoreEntry)
  case delete(key: String, revision: StoreRevision)

  public var key: String {
    switch self {
    case .put(let entry): entry.key
    case .delete(let key, _): key
    }
  }

  public var revision: StoreRevision {
    switch self {
    case .put(let entry): entry.modRevision
    case .delete(_, let revision): revision
    }
  }
}

/// Events of whole revisions, oldest first. A watch that is to go on after this batch begins at `revision` + 1.
public struct StoreWatchBatch: Equatable, Sendable {
  public var events: [StoreEvent]
  public var revision: StoreRevision

  public init(events: [StoreEvent], revision: StoreRevision) {
    self.events = events
    self.revision = revision
  }
}

/// A granted lease.
public struct StoreLease: Equatable, Sendable {
  public var id: StoreLeaseID
  public var ttlSeconds: Int

  public init(id: StoreLeaseID, ttlSeconds: Int) {
    self.id = id
    self.ttlSeconds = ttlSeconds
  }
}
