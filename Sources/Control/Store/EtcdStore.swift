import Foundation
import GRPC
import Protobuf
import Synchronization

/// A `StateStore` in an etcd v3 cluster, 3.4 or newer, for all nodes of a Keelson cluster.
///
/// All keys lie below `keelson/`, so that etcd's roles can be given by prefix. The key `keelson.identity` beside them names the store;
/// revisions are counted from its creation, so that a new store is at 0 as the contract says and copies keep their count. Every transaction
/// compares the identity: a cluster that was replaced by another is never written to.
///
/// Linearizable: reads and transactions go through etcd's consensus. A call is repeated at other members for at most
/// `EtcdOptions.callTimeoutNanoseconds`; a transaction only if no member can have seen it, otherwise `outcomeUnknown`.
public final class EtcdStore: StateStore {
  /// Entries asked for in one message; halved where they are too large together.
  static let pageEntries = 1_000
  static let identityKey = Array("keelson.identity".utf8)
  /// The form of the store's content; the identity's value begins with it.
  static let schema: UInt64 = 1
  /// etcd's default limit for the operations of a transaction, on either side.
  static let maximumOperations = 128

  let client: EtcdClient
  let keys: EtcdKeys
  public let identity: String
  /// The value of the identity key.
  private let identityValue: [UInt8]
  /// The last cluster whose identity was found right, and after how many connections.
  private let confirmed: Mutex<Confirmed>

  private struct Confirmed: Equatable {
    var clusterID: UInt64
    var connectionCount: UInt64
  }

  /// Connects, and founds the store if the cluster holds none. Throws `unavailable` if it cannot be reached or does not let us in.
  public init(_ options: EtcdOptions) throws(StoreError) {
    let client = try EtcdClient(options)
    self.client = client
    do throws(StoreError) {
      let connectionCount = client.connectionCount
      let found = try Self.findIdentity(client, at: options.text)
      identity = found.identity
      identityValue = found.value
      keys = EtcdKeys(foundingRevision: found.revision)
      confirmed = Mutex(Confirmed(clusterID: found.clusterID, connectionCount: connectionCount))
    } catch {
      client.close()
      throw error
    }
  }

  deinit { client.close() }

  public func close() { client.close() }

  // MARK: Keys

  public func get(_ key: String) throws(StoreError) -> StoreEntry? {
    try StoreLimits.validate(key: key)
    let response = try range(Etcd.RangeRequest(key: keys.stored(key)))
    do throws(EtcdClient.Failure) {
      guard let entry = response.entries.first else { return nil }
      return try keys.entry(entry)
    } catch {
      throw Self.error(error)
    }
  }

  public func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> StorePage {
    try StoreLimits.validate(prefix: prefix)
    if let after { try StoreLimits.validate(key: after) }
    try StoreLimits.validate(pageLimit: limit)
    var (key, end) = keys.range(prefix: prefix)
    if let after {
      let next = keys.stored(after) + [0]
      if !next.lexicographicallyPrecedes(end) {
        return StorePage(entries: [], revision: try head(), isTruncated: false)
      }
      if key.lexicographicallyPrecedes(next) { key = next }
    }
    var page = StorePage(entries: [], revision: 0, isTruncated: true)
    // All parts of the page are read at the first one's revision.
    var revision: Int64 = 0
    var partEntries = Self.pageEntries
    while page.isTruncated, page.entries.count < limit {
      let count = min(partEntries, limit - page.entries.count)
      do throws(EtcdClient.Failure) {
        let response: Etcd.RangeResponse = try client.call(
          "/etcdserverpb.KV/Range", Etcd.RangeRequest(key: key, rangeEnd: end, limit: Int64(count), revision: revision),
          .always)
        try confirm(response.header)
        if revision == 0 {
          revision = response.header.revision
          page.revision = keys.revision(revision)
        }
        for entry in response.entries { page.entries.append(try keys.entry(entry)) }
        page.isTruncated = response.hasMore
        guard let last = response.entries.last else { break }
        key = last.key + [0]
      } catch let failure {
        guard case .rejected(let error) = failure else { throw Self.error(failure) }
        if error.code == .resourceExhausted, error.fate != .answered, partEntries > 1 {
          partEntries /= 2
        } else if error.code == .outOfRange, !page.entries.isEmpty {
          // That revision was compacted meanwhile: what was read stands, the caller asks for the rest.
          break
        } else {
          throw Self.error(failure)
        }
      }
    }
    return page
  }

  // MARK: Leases

  public func grantLease(ttlSeconds: Int) throws(StoreError) -> StoreLease {
    try StoreLimits.validate(leaseSeconds: ttlSeconds)
    // The id is ours, so a grant whose answer was lost is recognised when it is repeated.
    let id = Int64.random(in: 1...Int64.max)
    var attempts = 0
    do throws(EtcdClient.Failure) {
      let response: Etcd.LeaseGrantResponse = try client.call(
        "/etcdserverpb.Lease/LeaseGrant", Etcd.LeaseGrantRequest(ttlSeconds: Int64(ttlSeconds), id: id), .always,
        attempted: { attempts = $0 })
      return StoreLease(id: UInt64(id), ttlSeconds: Int(clamping: response.ttlSeconds))
    } catch {
      if attempts > 0, case .rejected(let status) = error, status.code == .failedPrecondition {
        return StoreLease(id: UInt64(id), ttlSeconds: ttlSeconds)
      }
      throw Self.error(error)
    }
  }

  public func keepAlive(_ lease: StoreLeaseID) throws(StoreError) {
    guard let id = Int64(exactly: lease), id != 0 else { throw .leaseNotFound(id: lease) }
    do throws(EtcdClient.Failure) {
      if try client.keepAlive(id).ttlSeconds <= 0 { throw .rejected(GRPCError(.notFound, "requested lease not found")) }
    } catch {
      throw Self.error(error, lease: lease)
    }
  }

  public func revoke(_ lease: StoreLeaseID) throws(StoreError) {
    guard let id = Int64(exactly: lease), id != 0 else { throw .leaseNotFound(id: lease) }
    var attempts = 0
    do throws(EtcdClient.Failure) {
      let _: Etcd.PlainResponse = try client.call(
        "/etcdserverpb.Lease/LeaseRevoke", Etcd.LeaseRequest(id: id), .always, attempted: { attempts = $0 })
    } catch {
      // Gone after an attempt without an answer: that attempt did it.
      if attempts > 0, case .rejected(let status) = error, status.code == .notFound { return }
      throw Self.error(error, lease: lease)
    }
  }

  // MARK: Watches

  public func watch(prefix: String, fromRevision: StoreRevision?) throws(StoreError) -> any StoreWatch {
    try StoreLimits.validate(prefix: prefix)
    guard let asked = fromRevision else { return EtcdWatch(store: self, prefix: prefix, next: try head() + 1) }
    // etcd reads at any revision that is not compacted: at the one before, exactly if all later history is there.
    do throws(EtcdClient.Failure) {
      let request = Etcd.RangeRequest(key: Self.identityKey, revision: keys.etcdRevision(asked == 0 ? 0 : asked - 1))
      let response: Etcd.RangeResponse = try client.call("/etcdserverpb.KV/Range", request, .always)
      try confirm(response.header)
    } catch {
      guard case .rejected(let status) = error, status.code == .outOfRange else { throw Self.error(error) }
      let current = try head()
      if asked > current + 1 { throw .revisionFromFuture(asked: asked, current: current) }
      throw .compacted(asked: asked, oldest: try EtcdWatch.oldestRevision(of: self, asked: asked) ?? current + 1)
    }
    return EtcdWatch(store: self, prefix: prefix, next: max(asked, 1))
  }

  // MARK: Parts

  /// The revision of the last change, read through consensus.
  func head() throws(StoreError) -> StoreRevision {
    keys.revision(try range(Etcd.RangeRequest(key: Self.identityKey)).header.revision)
  }

  func range(_ request: Etcd.RangeRequest) throws(StoreError) -> Etcd.RangeResponse {
    do throws(EtcdClient.Failure) {
      let response: Etcd.RangeResponse = try client.call("/etcdserverpb.KV/Range", request, .always)
      try confirm(response.header)
      return response
    } catch {
      throw Self.error(error)
    }
  }

  /// Throws if a cluster answers that does not hold this store: one that was set up anew, say. A restored copy does hold it. etcd derives
  /// the number of a cluster from its configuration, so the identity is read again after every new connection too.
  func confirm(_ header: Etcd.Header) throws(EtcdClient.Failure) {
    let connectionCount = client.connectionCount
    if confirmed.withLock({ $0 }) == Confirmed(clusterID: header.clusterID, connectionCount: connectionCount) { return }
    let response: Etcd.RangeResponse = try client.call(
      "/etcdserverpb.KV/Range", Etcd.RangeRequest(key: Self.identityKey), .always)
    if response.entries.first?.value != identityValue { throw .unreachable(Self.foreignReason) }
    confirmed.withLock { $0 = Confirmed(clusterID: response.header.clusterID, connectionCount: connectionCount) }
  }

  static let foreignReason = "another etcd store answers at these endpoints than the one this process began with"

  /// The condition that the store is still the one that was opened.
  var identityCompare: Etcd.Compare { Etcd.Compare(key: Self.identityKey, target: .value(identityValue)) }

  func isIdentity(_ entry: Etcd.KeyValue?) -> Bool { entry?.value == identityValue }

  static func error(_ failure: EtcdClient.Failure, lease: StoreLeaseID? = nil) -> StoreError {
    switch failure {
    case .unreachable("the store is closed"): return .closed
    case .unreachable(let reason): return .unavailable(reason: "etcd: \(reason)")
    case .unknown(let reason): return .outcomeUnknown(reason: "etcd: \(reason)")
    case .rejected(let error):
      if error.code == .notFound, let lease { return .leaseNotFound(id: lease) }
      return .unavailable(reason: error.message.hasPrefix("etcd") ? error.message : "etcd: \(error.description)")
    }
  }

  private struct Found {
    var identity: String
    var value: [UInt8]
    var revision: Int64
    var clusterID: UInt64
  }

  /// Reads who the store is, and founds it if there is none: of several that try, one succeeds.
  private static func findIdentity(_ client: EtcdClient, at place: String) throws(StoreError) -> Found {
    do throws(EtcdClient.Failure) {
      for _ in 0..<3 {
        let response: Etcd.RangeResponse = try client.call(
          "/etcdserverpb.KV/Range", Etcd.RangeRequest(key: identityKey), .always)
        if let entry = response.entries.first {
          return try read(entry, clusterID: response.header.clusterID, at: place)
        }
        let value = Array("\(schema) \(UUID().uuidString.lowercased())".utf8)
        let founding = Etcd.TransactionRequest(
          compares: [Etcd.Compare(key: identityKey, target: .createRevision(0))],
          success: [.put(Etcd.PutRequest(key: identityKey, value: value))])
        // Twice is as good as once: the second finds the key.
        let _: Etcd.TransactionResponse = try client.call("/etcdserverpb.KV/Txn", founding, .always)
      }
      throw .unreachable("\(String(decoding: identityKey, as: UTF8.self)) disappears after it was written")
    } catch {
      throw Self.error(error)
    }
  }

  private static func read(_ entry: Etcd.KeyValue, clusterID: UInt64, at place: String) throws(EtcdClient.Failure) -> Found {
    let words = String(decoding: entry.value, as: UTF8.self).split(separator: " ")
    guard words.count == 2, let found = UInt64(words[0]), UUID(uuidString: String(words[1])) != nil else {
      throw .unreachable("\(place) holds a key keelson.identity that no Keelson wrote; it was left as it is")
    }
    if found > schema {
      throw .unreachable("\(place) has schema \(found), this Keelson knows \(schema); use the newer Keelson that wrote it")
    }
    return Found(identity: String(words[1]), value: entry.value, revision: entry.createRevision, clusterID: clusterID)
  }
}
