extension PoolState {
  /// Clusters that can be given out now.
  var availableCount: Int { clean.count + ready.count + dirty.count }

  /// Clusters that nobody owns, those included that cannot be given out yet.
  var freeCount: Int { availableCount + quarantinedCount + cleaningCount }

  /// Clusters that are being zeroed: free, and in no set.
  var cleaningCount: Int { geometry.clusterCount - usedCount - availableCount - quarantinedCount }

  /// Clusters that layers have.
  var usedCount: Int { layers.reduce(0) { $0 + ($1?.allocated ?? 0) } }

  /// Bytes promised to replicas.
  var promisedBytes: UInt64 { replicas.values.reduce(0) { $0 &+ $1.header.sizeBytes } }

  /// Gives a free cluster to a layer, before any record says so. Nil if there is none now. While clean ones can be made ready, those
  /// of unknown content are left alone: writing to them costs a flush.
  mutating func reserve(layerIndex: Int, logical: UInt32) -> Int? {
    let id = layers[layerIndex]!.id
    // Next to its neighbour, so that what is sequential stays so.
    let preferred = logical == 0 ? nil : clusters.find(id, logical - 1).map { $0 + 1 }
    var isStale = false
    var found = ready.take(preferring: preferred)
    if found == nil {
      if clean.count > 0 { return nil }
      isStale = true
      found = dirty.take(preferring: preferred)
    }
    guard let cluster = found else { return nil }
    clusters.assign(cluster, owner: id, logical: logical)
    clusters.clearMask(cluster)
    clusters.index(cluster)
    clusters.unrecorded.insert(cluster)
    if isStale { clusters.stale.insert(cluster) } else { clusters.stale.remove(cluster) }
    layers[layerIndex]!.allocated += 1
    return cluster
  }

  /// Lets those freed clusters be given out whose record is durable and of whose time no request is left.
  mutating func release(durableSequence: UInt64, epoch: UInt64) {
    var done = 0
    while done < quarantine.count, quarantine[done].sequence <= durableSequence, quarantine[done].epoch + 2 <= epoch {
      for cluster in quarantine[done].first..<quarantine[done].first + quarantine[done].count { dirty.insert(cluster) }
      quarantinedCount -= quarantine[done].count
      done += 1
    }
    if done > 0 { quarantine.removeFirst(done) }
  }

  /// Bytes of a checkpoint that a replica of this size may come to need: names, logs, and what two peers missed.
  func objectBytes(sizeBytes: UInt64) -> UInt64 {
    1024 + UInt64(1 + Self.promisedPeers) * regionSetBytes(sizeBytes: sizeBytes)
  }

  /// Every replica has room for what so many peers missed; for more there may be.
  static let promisedPeers = 2

  /// Bytes of a checkpoint that one set of regions may take.
  func regionSetBytes(sizeBytes: UInt64) -> UInt64 {
    let regions = sizeBytes.roundedUpQuotient(by: options.regionBytes)
    return regions / 8 + regions / 128 + 64
  }

  var promisedObjectBytes: UInt64 {
    replicas.values.reduce(UInt64(snapshots.count) * 128 + UInt64(layers.count) * 16) {
      $0 + objectBytes(sizeBytes: $1.header.sizeBytes)
        + UInt64(max($1.missed.count - Self.promisedPeers, 0)) * regionSetBytes(sizeBytes: $1.header.sizeBytes)
    }
  }
}
