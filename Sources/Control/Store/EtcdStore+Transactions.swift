import Foundation

extension EtcdStore {
  public func transact(_ transaction: StoreTransaction) throws(StoreError) -> StoreOutcome {
    try StoreLimits.validate(transaction)
    let leases = transaction.operations.compactMap { if case .put(_, _, let lease) = $0, lease != 0 { lease } else { nil } }
    if let impossible = leases.first(where: { $0 > Int64.max }) { throw .leaseNotFound(id: impossible) }
    // One try is enough unless history is compacted under the readings of a refusal.
    for _ in 0..<3 {
      do throws(EtcdClient.Failure) {
        if let outcome = try attempt(transaction) { return outcome }
      } catch {
        throw Self.error(error, lease: leases.first)
      }
    }
    throw .unavailable(reason: "etcd: history was compacted three times in a row while a refused transaction was read back")
  }

  /// Nil if the transaction was refused, but what it is to tell could not be read at that revision any more.
  private func attempt(_ transaction: StoreTransaction) throws(EtcdClient.Failure) -> StoreOutcome? {
    var request = Etcd.TransactionRequest()
    // etcd does not say which compare failed: all their keys are read at the same revision, and compared here.
    var readings: [String] = []
    var seen: Set<String> = []
    for key in transaction.compares.map(\.key) + transaction.readsOnRefusal where seen.insert(key).inserted { readings.append(key) }
    let isGuarded = transaction.compares.count < Self.maximumOperations
    if isGuarded {
      request.compares.append(identityCompare)
      request.failure.append(.range(Etcd.RangeRequest(key: Self.identityKey)))
    }
    request.compares += transaction.compares.map(etcdCompare)
    request.success = transaction.operations.map(etcdOperation)
    let inline = readings.prefix(Self.maximumOperations - request.failure.count)
    request.failure += inline.map { .range(Etcd.RangeRequest(key: keys.stored($0))) }

    var seenCount = 0
    let response: Etcd.TransactionResponse = try client.call(
      "/etcdserverpb.KV/Txn", request, Self.repetition(of: transaction), attempted: { seenCount = $0 })
    let revision = response.header.revision
    if response.hasSucceeded { return .committed(revision: keys.revision(revision)) }
    if seenCount > 0, !transaction.operations.isEmpty {
      throw .unknown("a transaction whose first attempt got no answer was refused: that attempt may be the reason, or others")
    }

    var found = response.results.map { $0.range?.entries.first }
    if found.count != request.failure.count { throw .unreachable("etcd answered a refused transaction with the wrong number of readings") }
    if isGuarded, !isIdentity(found.removeFirst()) { throw .unreachable(Self.foreignReason) }
    for key in readings.dropFirst(inline.count) {
      do throws(EtcdClient.Failure) {
        let reading: Etcd.RangeResponse = try client.call(
          "/etcdserverpb.KV/Range", Etcd.RangeRequest(key: keys.stored(key), revision: revision), .always)
        found.append(reading.entries.first)
      } catch {
        if case .rejected(let status) = error, status.code == .outOfRange { return nil }
        throw error
      }
    }
    var entries: [String: StoreEntry] = [:]
    for (key, entry) in zip(readings, found) {
      if let entry { entries[key] = try keys.entry(entry) }
    }
    let failed = transaction.compares.indices.filter { !Self.holds(transaction.compares[$0], entries[transaction.compares[$0].key]) }
    return .refused(
      failedCompares: failed, reads: transaction.readsOnRefusal.map { entries[$0] }, revision: keys.revision(revision))
  }

  /// One that compares the revision of a key that it changes holds once at most, however late any of its attempts arrives.
  static func repetition(of transaction: StoreTransaction) -> EtcdClient.Repetition {
    if transaction.operations.isEmpty { return .always }
    for compare in transaction.compares {
      guard let operation = transaction.operations.first(where: { $0.key == compare.key }) else { continue }
      switch (compare, operation) {
      case (.modRevision, .put), (.absent, .put): return .untilRefused
      case (.modRevision(_, let revision), .delete) where revision > 0: return .untilRefused
      default: continue
      }
    }
    return .unlessSeen
  }

  private func etcdCompare(_ compare: StoreCompare) -> Etcd.Compare {
    switch compare {
    case .absent(let key), .modRevision(let key, 0): Etcd.Compare(key: keys.stored(key), target: .createRevision(0))
    case .modRevision(let key, let revision): Etcd.Compare(key: keys.stored(key), target: .modRevision(keys.etcdRevision(revision)))
    case .value(let key, let value): Etcd.Compare(key: keys.stored(key), target: .value(Array(value)))
    }
  }

  private func etcdOperation(_ operation: StoreOperation) -> Etcd.Operation {
    switch operation {
    case .put(let key, let value, let lease):
      .put(Etcd.PutRequest(key: keys.stored(key), value: Array(value), lease: Int64(clamping: lease)))
    case .delete(let key): .delete(Etcd.DeleteRequest(key: keys.stored(key)))
    }
  }

  private static func holds(_ compare: StoreCompare, _ found: StoreEntry?) -> Bool {
    switch compare {
    case .modRevision(_, let revision): (found?.modRevision ?? 0) == revision
    case .absent: found == nil
    case .value(_, let value): found?.value == value
    }
  }
}
