/// Which keys belong to which volume, node and pool: kept beside the objects of a `ClusterState`.
struct ClusterIndex: Sendable {
  private(set) var volumeByKey: [String: VolumeID] = [:]
  private var keysByVolume: [VolumeID: Set<String>] = [:]
  /// Keys of assignments of all kinds.
  private(set) var assignmentKeysByNode: [String: Set<String>] = [:]
  private(set) var nexusCountByNode: [String: Int] = [:]
  /// By the key of the pool's status, as all below.
  private(set) var replicaCountByPool: [String: Int] = [:]
  private var poolByReplicaKey: [String: String] = [:]
  private(set) var pendingByPool: [String: Pending] = [:]
  private var pendingByReplicaKey: [String: Pending] = [:]
  private(set) var poolKeysByNode: [String: Set<String>] = [:]
  private(set) var volumesByGroup: [String: Set<VolumeID>] = [:]

  /// What is assigned to a pool and not yet taken from it, in whole clusters.
  struct Pending: Equatable, Sendable {
    var bytes: UInt64 = 0
    /// Those of thick replicas.
    var thickBytes: UInt64 = 0
  }

  /// In order.
  func keys(of volume: VolumeID) -> [String] { keysByVolume[volume]?.sorted() ?? [] }

  mutating func add(_ key: String, of volume: VolumeID) {
    volumeByKey[key] = volume
    keysByVolume[volume, default: []].insert(key)
  }

  /// Returns the volume it belonged to.
  mutating func remove(_ key: String) -> VolumeID? {
    guard let volume = volumeByKey.removeValue(forKey: key) else { return nil }
    Self.remove(key, from: &keysByVolume, at: volume)
    return volume
  }

  mutating func addAssignment(_ key: String, node: String) { assignmentKeysByNode[node, default: []].insert(key) }
  mutating func removeAssignment(_ key: String, node: String) { Self.remove(key, from: &assignmentKeysByNode, at: node) }

  mutating func countNexus(_ change: Int, node: String) { nexusCountByNode[node, default: 0] += change }

  mutating func addReplica(_ key: String, pool: String) {
    poolByReplicaKey[key] = pool
    replicaCountByPool[pool, default: 0] += 1
  }
  mutating func removeReplica(_ key: String) {
    setPending(key, nil)
    guard let pool = poolByReplicaKey.removeValue(forKey: key) else { return }
    replicaCountByPool[pool, default: 0] -= 1
  }
  /// What an assigned replica has yet to take; nil for nothing.
  mutating func setPending(_ key: String, _ pending: Pending?) {
    guard let pool = poolByReplicaKey[key] else { return }
    if let old = pendingByReplicaKey.removeValue(forKey: key) {
      pendingByPool[pool]?.bytes -= old.bytes
      pendingByPool[pool]?.thickBytes -= old.thickBytes
    }
    guard let pending else { return }
    pendingByReplicaKey[key] = pending
    pendingByPool[pool, default: Pending()].bytes += pending.bytes
    pendingByPool[pool, default: Pending()].thickBytes += pending.thickBytes
  }

  mutating func addPool(_ key: String, node: String) { poolKeysByNode[node, default: []].insert(key) }
  mutating func removePool(_ key: String, node: String) { Self.remove(key, from: &poolKeysByNode, at: node) }

  mutating func addToGroup(_ group: String, _ volume: VolumeID) { volumesByGroup[group, default: []].insert(volume) }
  mutating func removeFromGroup(_ group: String, _ volume: VolumeID) { Self.remove(volume, from: &volumesByGroup, at: group) }

  private static func remove<Key: Hashable, Element: Hashable>(_ element: Element, from sets: inout [Key: Set<Element>], at key: Key) {
    sets[key]?.remove(element)
    if sets[key]?.isEmpty == true { sets[key] = nil }
  }
}
