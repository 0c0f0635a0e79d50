/// What a snapshot or replica uses of a pool, in whole clusters.
public struct SpaceUse: Equatable, Sendable {
  /// What its deletion would give back.
  public var uniqueBytes: UInt64 = 0
  /// The rest of what it can see.
  public var sharedBytes: UInt64 = 0
}

extension PoolState {
  /// Clusters for some of the logical clusters of a layer: those that deleting what names it would free, and others that hold a
  /// block that is visible through it.
  ///
  /// A layer with two children or more stays. One with a child gives up what the child does not need, and what it needs in a cluster that
  /// it has too. One without children goes whole; and where its parent was kept by two children alone, the other one inherits.
  func use(layerIndex: Int, logicals: Range<UInt32>) -> (unique: Int, shared: Int) {
    guard let layer = layers[layerIndex] else { return (0, 0) }
    let heir = layer.childCount == 1 ? onlyChild(of: layerIndex).flatMap { layers[$0] } : nil
    var orphan: (parent: Layer, heir: Layer)?
    if layer.childCount == 0, layer.parent != Layer.none, let parent = layers[layer.parent], parent.nameCount == 0, parent.childCount == 2,
      let other = layers.indices.first(where: { $0 != layerIndex && layers[$0]?.parent == layer.parent }).flatMap({ layers[$0] })
    {
      orphan = (parent, other)
    }
    var (unique, shared) = (0, 0)
    for logical in logicals where logical < layer.clusterCount {
      let own = clusters.find(layer.id, logical)
      let freed = own.flatMap { layer.childCount <= 1 && isFreed($0, heir) ? $0 : nil }
      let freedToo = orphan.flatMap { orphan in
        clusters.find(orphan.parent.id, logical).flatMap { isFreed($0, orphan.heir) ? $0 : nil }
      }
      unique += (freed == nil ? 0 : 1) + (freedToo == nil ? 0 : 1)
      var decided = BlockMask(repeating: 0, count: geometry.wordsPerCluster)
      var index = layerIndex
      while index != Layer.none, let current = layers[index] {
        if let cluster = clusters.find(current.id, logical) {
          let mask = clusters.mask(cluster)
          if cluster != freed, cluster != freedToo, !mask.subtracting(decided).isBlank { shared += 1 }
          decided = decided.union(mask)
        }
        if current.holeCount > 0, let mask = holes[HoleKey(layer: current.id, logical: logical)] { decided = decided.union(mask) }
        index = current.parent
      }
    }
    return (unique, shared)
  }

  /// Whether a cluster of a layer that is taken apart is freed, and not handed to the only child.
  private func isFreed(_ cluster: Int, _ heir: Layer?) -> Bool {
    let logical = clusters.logical(cluster)
    guard let heir, logical < heir.clusterCount, clusters.find(heir.id, logical) == nil else { return true }
    let mask = clusters.mask(cluster)
    guard let hidden = holes[HoleKey(layer: heir.id, logical: logical)] else { return mask.isBlank }
    return mask.subtracting(hidden).isBlank
  }
}

extension Pool {
  /// What a snapshot or replica uses. Counted in steps, so that requests go on meanwhile; changes meanwhile may be seen or not.
  public func spaceUse(of id: Identifier) throws(PoolError) -> SpaceUse {
    var use = SpaceUse()
    var first: UInt32? = 0
    while let start = first {
      let step: (unique: Int, shared: Int, next: UInt32?) = try perform { [name] engine, done in
        guard let layer = engine.state.replicas[id]?.header.layer ?? engine.state.snapshots[id]?.layer,
          let index = engine.state.layerIndexes[layer], let count = engine.state.layers[index]?.clusterCount
        else { return done(.failure(.unknownReplica(pool: name, id: id))) }
        let end = UInt32(min(UInt64(count), UInt64(start) + UInt64(PoolState.listedClusters)))
        let (unique, shared) = engine.state.use(layerIndex: index, logicals: min(start, end)..<end)
        done(.success((unique, shared, end < count ? end : nil)))
      }
      use.uniqueBytes += UInt64(step.unique) * clusterBytes
      use.sharedBytes += UInt64(step.shared) * clusterBytes
      first = step.next
    }
    return use
  }
}
