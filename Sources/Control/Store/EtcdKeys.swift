import Foundation

/// How the store's keys and revisions are written in etcd.
struct EtcdKeys: Sendable {
  static let prefix = Array("keelson/".utf8)

  /// etcd's revision at which the store was founded: the store's revision 0.
  let foundingRevision: Int64

  func stored(_ key: String) -> [UInt8] { Self.prefix + Array(key.utf8) }

  /// All keys that begin with `prefix`: from the first up to, without, the second.
  func range(prefix: String) -> (start: [UInt8], end: [UInt8]) {
    let start = stored(prefix)
    var end = start
    // Never 0xFF: keys are ASCII, and the empty prefix ends with "/".
    end[end.count - 1] += 1
    return (start, end)
  }

  /// Changes of etcd before the store's founding are none of the store's.
  func revision(_ etcdRevision: Int64) -> StoreRevision { StoreRevision(max(0, etcdRevision - foundingRevision)) }

  func etcdRevision(_ revision: StoreRevision) -> Int64 {
    let (sum, overflow) = foundingRevision.addingReportingOverflow(Int64(clamping: revision))
    return overflow ? .max : sum
  }

  /// Throws `unavailable` for a key outside the store's prefix: etcd was not asked for one.
  func key(_ bytes: [UInt8]) throws(EtcdClient.Failure) -> String {
    guard bytes.starts(with: Self.prefix), let key = String(validating: bytes.dropFirst(Self.prefix.count), as: UTF8.self) else {
      throw .unreachable("etcd answered with a key that is not the store's")
    }
    return key
  }

  func entry(_ found: Etcd.KeyValue) throws(EtcdClient.Failure) -> StoreEntry {
    StoreEntry(
      key: try key(found.key), value: Data(found.value), createRevision: revision(found.createRevision),
      modRevision: revision(found.modRevision), version: UInt64(clamping: found.version), lease: UInt64(clamping: found.lease))
  }
}
