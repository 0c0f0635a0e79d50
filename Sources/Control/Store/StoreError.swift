/// Why a store call failed. Everything but `outcomeUnknown` means that nothing was changed.
public enum StoreError: Error, Equatable, Sendable {
  /// The key is not 1...`maximumKeyBytes` printable ASCII characters without spaces.
  case invalidKey(key: String, reason: String)
  case valueTooLarge(key: String, byteCount: Int)
  /// Too many of `what` (operations, compares, reads) in one transaction.
  case tooMany(what: String, count: Int, maximum: Int)
  case transactionTooLarge(byteCount: Int)
  /// One transaction changes the same key twice.
  case duplicateKey(key: String)
  case leaseTimeOutOfRange(seconds: Int)
  case leaseNotFound(id: StoreLeaseID)
  case pageLimitOutOfRange(limit: Int)
  /// The history a watch asked for is gone: list again and watch from there.
  case compacted(asked: StoreRevision, oldest: StoreRevision)
  /// The store has never reached that revision: it is another store, or an older copy of it (R18).
  case revisionFromFuture(asked: StoreRevision, current: StoreRevision)
  case watchCancelled
  case closed
  /// Another process held the store for longer than the time-out.
  case busy(path: String)
  /// The file is not a Keelson store.
  case foreignFile(path: String, reason: String)
  /// The file was written by a newer Keelson.
  case newerSchema(path: String, found: UInt64, known: UInt64)
  /// The file is a damaged Keelson store.
  case corrupt(path: String, reason: String)
  /// The store cannot be reached or written now.
  case unavailable(reason: String)
  /// The store failed while it committed: the change may or may not be there. Read back.
  case outcomeUnknown(reason: String)
}

extension StoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidKey(let key, let reason):
      "the store key \(key.prefix(80)) is not valid: \(reason)"
    case .valueTooLarge(let key, let byteCount):
      "the value for \(key) has \(byteCount) bytes; a store value has at most \(StoreLimits.maximumValueBytes)"
    case .tooMany(let what, let count, let maximum):
      "the transaction has \(count) \(what); a store transaction has at most \(maximum)"
    case .transactionTooLarge(let byteCount):
      "the transaction has \(byteCount) bytes of keys and values; the limit is \(StoreLimits.maximumTransactionBytes)"
    case .duplicateKey(let key):
      "the transaction changes \(key) more than once"
    case .leaseTimeOutOfRange(let seconds):
      "a lease of \(seconds) s was asked for; it may last 1 to \(StoreLimits.maximumLeaseSeconds) s"
    case .leaseNotFound(let id):
      "lease \(String(id, radix: 16)) expired or was revoked; ask for a new one"
    case .pageLimitOutOfRange(let limit):
      "a page of \(limit) entries was asked for; it may have 1 to \(StoreLimits.maximumPageEntries)"
    case .compacted(let asked, let oldest):
      "the watch asked for revision \(asked), but the store keeps its history only from \(oldest) on; list again and watch from there"
    case .revisionFromFuture(let asked, let current):
      "the watch asked for revision \(asked), but the store is only at \(current): it is another store or an older copy of it"
    case .watchCancelled: "the watch was cancelled"
    case .closed: "the state store is closed"
    case .busy(let path):
      "the state store \(path) stayed locked by another process; see what holds it (fuser \(path)) and try again"
    case .foreignFile(let path, let reason):
      "\(path) is not a Keelson state store (\(reason)); it was left as it is, name another file"
    case .newerSchema(let path, let found, let known):
      "\(path) has schema \(found), this Keelson knows \(known); it was left as it is, use the newer Keelson that wrote it"
    case .corrupt(let path, let reason):
      "the state store \(path) is damaged (\(reason)); restore it from a copy"
    case .unavailable(let reason): "the state store cannot be used now: \(reason)"
    case .outcomeUnknown(let reason): "the state store failed while committing, the change may or may not be there: \(reason)"
    }
  }
}
