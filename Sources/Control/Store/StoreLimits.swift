/// What every state store accepts. The figures fit etcd's defaults (1.5 MiB per request, 128 operations per transaction).
public enum StoreLimits {
  public static let maximumKeyBytes = 512
  public static let maximumValueBytes = 256 << 10
  public static let maximumOperations = 128
  public static let maximumCompares = 128
  public static let maximumReads = 128
  /// Keys and values of one transaction together.
  public static let maximumTransactionBytes = 1 << 20
  public static let maximumPageEntries = 10_000
  public static let maximumLeaseSeconds = 86_400
  /// Events after which a watch batch is closed, at the next whole revision.
  public static let watchBatchEvents = 1_000

  /// Throws unless `key` may name an entry.
  public static func validate(key: String) throws(StoreError) {
    if key.isEmpty { throw .invalidKey(key: key, reason: "it is empty") }
    try validate(prefix: key)
  }

  /// Throws unless `prefix` could begin a key. The empty prefix begins all.
  public static func validate(prefix: String) throws(StoreError) {
    let count = prefix.utf8.count
    if count > maximumKeyBytes { throw .invalidKey(key: prefix, reason: "it has \(count) bytes, at most \(maximumKeyBytes) are allowed") }
    if !prefix.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
      throw .invalidKey(key: prefix, reason: "only printable ASCII characters without spaces are allowed")
    }
  }

  /// Operations in order, cut into as many transactions as the limits ask for; half of what a transaction may hold is left for its compares.
  public static func batches(_ operations: [StoreOperation], maximumOperations: Int = maximumOperations) -> [[StoreOperation]] {
    var batches: [[StoreOperation]] = []
    var byteCount = 0
    for operation in operations {
      if batches.isEmpty || batches[batches.count - 1].count == maximumOperations
        || byteCount + operation.byteCount > maximumTransactionBytes / 2
      {
        batches.append([])
        byteCount = 0
      }
      batches[batches.count - 1].append(operation)
      byteCount += operation.byteCount
    }
    return batches
  }

  /// Throws unless the transaction keeps all limits.
  public static func validate(_ transaction: StoreTransaction) throws(StoreError) {
    let counts = [
      ("operations", transaction.operations.count, maximumOperations), ("compares", transaction.compares.count, maximumCompares),
      ("reads", transaction.readsOnRefusal.count, maximumReads),
    ]
    for (what, count, maximum) in counts where count > maximum { throw .tooMany(what: what, count: count, maximum: maximum) }
    var byteCount = 0
    for compare in transaction.compares {
      try validate(key: compare.key)
      byteCount += compare.key.utf8.count
      if case .value(_, let value) = compare { byteCount += value.count }
    }
    var changed: Set<String> = []
    for operation in transaction.operations {
      try validate(key: operation.key)
      byteCount += operation.key.utf8.count
      if case .put(let key, let value, _) = operation {
        if value.count > maximumValueBytes { throw .valueTooLarge(key: key, byteCount: value.count) }
        byteCount += value.count
      }
      if !changed.insert(operation.key).inserted { throw .duplicateKey(key: operation.key) }
    }
    for key in transaction.readsOnRefusal { try validate(key: key) }
    if byteCount > maximumTransactionBytes { throw .transactionTooLarge(byteCount: byteCount) }
  }

  static func validate(pageLimit: Int) throws(StoreError) {
    if pageLimit < 1 || pageLimit > maximumPageEntries { throw .pageLimitOutOfRange(limit: pageLimit) }
  }

  static func validate(leaseSeconds: Int) throws(StoreError) {
    if leaseSeconds < 1 || leaseSeconds > maximumLeaseSeconds { throw .leaseTimeOutOfRange(seconds: leaseSeconds) }
  }
}
