/// Who uses how much of a pool.
extension PoolState {
  /// The replicas, oldest first.
  var replicaInfos: [ReplicaInfo] {
    replicas.values.sorted { $0.header.order < $1.header.order }.map { replica in
      let header = replica.header
      let (own, shared) = bytes(ofLayer: header.layer)
      return ReplicaInfo(
        id: header.id, volumeID: header.volumeID, sizeBytes: header.sizeBytes, blockSizeBytes: header.blockSizeBytes,
        isThick: header.isThick, volumeName: replica.volumeName, allocatedBytes: own, sharedBytes: shared)
    }
  }

  /// The snapshots, oldest first. `countsUnique` looks at every cluster of those with one child.
  func snapshotInfos(countsUnique: Bool) -> [SnapshotInfo] {
    let unique = countsUnique ? uniqueClusters : [:]
    return snapshots.values.sorted { $0.order < $1.order }.map { header in
      let (own, shared) = bytes(ofLayer: header.layer)
      return SnapshotInfo(
        id: header.id, volumeID: header.volumeID, sizeBytes: header.sizeBytes, allocatedBytes: own, sharedBytes: shared,
        uniqueBytes: countsUnique ? UInt64(unique[header.layer] ?? 0) << geometry.clusterShift : nil)
    }
  }

  /// Bytes of a layer's own clusters, and of those of the layers below it.
  func bytes(ofLayer id: UInt32) -> (own: UInt64, shared: UInt64) {
    guard let index = layerIndexes[id], let layer = layers[index] else { return (0, 0) }
    var shared = 0
    var parent = layer.parent
    while parent != Layer.none, let below = layers[parent] {
      shared += below.allocated
      parent = below.parent
    }
    return (UInt64(layer.allocated) << geometry.clusterShift, UInt64(shared) << geometry.clusterShift)
  }

  /// How many clusters the deletion of each snapshot's layer would free: all of one that has no child; of one that has one, those that
  /// the child does not need or has a cluster of its own for; none of one that has more, as it stays.
  private var uniqueClusters: [UInt32: Int] {
    var counts: [UInt32: Int] = [:]
    var heirs: [Int: Int] = [:]
    for (index, layer) in layers.enumerated() {
      if let layer, layer.parent != Layer.none, layers[layer.parent]?.childCount == 1 { heirs[layer.parent] = index }
    }
    for cluster in 0..<clusters.highWater {
      let owner = clusters.owner(cluster)
      guard owner != 0, let index = layerIndexes[owner], let layer = layers[index], layer.childCount <= 1 else { continue }
      if isFreed(cluster, withLayerOver: heirs[index].flatMap { layers[$0] }) { counts[owner, default: 0] += 1 }
    }
    return counts
  }

  private func isFreed(_ cluster: Int, withLayerOver heir: Layer?) -> Bool {
    let logical = clusters.logical(cluster)
    guard let heir, logical < heir.clusterCount else { return true }
    if clusters.find(heir.id, logical) != nil { return true }
    guard let holes = holes[HoleKey(layer: heir.id, logical: logical)] else { return !clusters.hasData(cluster) }
    return clusters.mask(cluster).subtracting(holes).isBlank
  }

  var usage: PoolUsage {
    let clusterCount = UInt64(geometry.clusterCount)
    let totalBytes = clusterCount << geometry.clusterShift
    // Data that lost its name and is being taken apart counts as used until it is free.
    let used = UInt64(usedCount)
    return PoolUsage(
      totalBytes: totalBytes, allocatedBytes: used << geometry.clusterShift, freeBytes: (clusterCount - used) << geometry.clusterShift,
      promisedBytes: promisedBytes, options: options, replicaCount: replicas.count, snapshotCount: snapshots.count)
  }
}

/// How much of a pool is taken, free and promised.
public struct PoolUsage: Equatable, Sendable {
  /// Bytes of all clusters.
  public let totalBytes: UInt64
  /// Bytes of clusters that replicas and snapshots have.
  public let allocatedBytes: UInt64
  /// Bytes of clusters that nobody has.
  public let freeBytes: UInt64
  /// Sizes of all replicas together.
  public let promisedBytes: UInt64
  public let options: PoolOptions
  public let replicaCount: Int
  public let snapshotCount: Int

  /// What may be promised at most; nil for any.
  public var promiseLimitBytes: UInt64? { options.promiseLimitBytes(totalBytes: totalBytes) }
}

extension PoolOptions {
  /// What a pool of `totalBytes` may promise; nil for any.
  public func promiseLimitBytes(totalBytes: UInt64) -> UInt64? {
    if overcommitPercent == 0 { return nil }
    let (product, isHuge) = totalBytes.multipliedReportingOverflow(by: UInt64(overcommitPercent))
    return isHuge ? .max : product / 100
  }
}
