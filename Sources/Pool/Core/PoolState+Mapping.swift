extension PoolState {
  /// Where bytes of a layer are to be read.
  struct Place: Equatable {
    /// Nil: they are zeros.
    var storageOffset: UInt64?
    /// For how many bytes that is so; at least one.
    var byteCount: UInt64
  }

  /// Where the byte `offset` of a layer is, and how many after it, before `end`, lie behind it. Goes up to the parents for what a layer does not hold.
  @inline(__always)
  func locate(layerIndex: Int, offset: UInt64, end: UInt64) -> Place {
    let logical = UInt32(truncatingIfNeeded: offset >> geometry.clusterShift)
    let within = offset & (geometry.clusterBytes &- 1)
    let limit = min(end &- offset, geometry.clusterBytes &- within)
    let block = Int(within >> PoolGeometry.blockShift)
    var endBlock = Int((within &+ limit &+ PoolGeometry.blockBytes &- 1) >> PoolGeometry.blockShift)
    var index = layerIndex
    while index != Layer.none {
      guard let layer = layers[index] else { break }
      if let cluster = clusters.find(layer.id, logical) {
        let run = clusters.run(cluster, from: block, to: endBlock)
        if run.isData {
          let bytes = UInt64(block &+ run.count) << PoolGeometry.blockShift &- within
          return Place(
            storageOffset: geometry.storageOffset(cluster: cluster) &+ within, byteCount: min(limit, bytes))
        }
        endBlock = block &+ run.count
      }
      if layer.holeCount > 0, let mask = holes[HoleKey(layer: layer.id, logical: logical)] {
        let isHole = mask.contains(block: block)
        var stop = block + 1
        while stop < endBlock, mask.contains(block: stop) == isHole { stop += 1 }
        endBlock = stop
        if isHole { break }
      }
      index = layer.parent
    }
    return Place(storageOffset: nil, byteCount: min(limit, UInt64(endBlock) << PoolGeometry.blockShift &- within))
  }

  /// The cluster with all bytes of `offset..<end`, which is inside one cluster, if the layer itself holds all of these blocks.
  @inline(__always)
  func ownCluster(layerIndex: Int, offset: UInt64, end: UInt64) -> (cluster: Int?, isWhole: Bool) {
    guard let layer = layers[layerIndex] else { return (nil, false) }
    let logical = UInt32(truncatingIfNeeded: offset >> geometry.clusterShift)
    guard let cluster = clusters.find(layer.id, logical) else { return (nil, false) }
    let mask = geometry.clusterBytes &- 1
    let first = Int((offset & mask) >> PoolGeometry.blockShift)
    let stop = Int(((end &- 1) & mask) >> PoolGeometry.blockShift) &+ 1
    let run = clusters.run(cluster, from: first, to: stop)
    return (cluster, run.isData && run.count == stop &- first)
  }

  /// Which blocks of a logical cluster the layers from `layerIndex` upwards, before `stop`, give data for.
  func visibleMask(layerIndex: Int, logical: UInt32, before stop: Int = Layer.none) -> BlockMask {
    var visible = BlockMask(repeating: 0, count: geometry.wordsPerCluster)
    var decided = visible
    var index = layerIndex
    while index != stop, index != Layer.none, let layer = layers[index] {
      if logical < layer.clusterCount {
        if let cluster = clusters.find(layer.id, logical) {
          let data = clusters.mask(cluster).subtracting(decided)
          visible = visible.union(data)
          decided = decided.union(data)
        }
        if layer.holeCount > 0, let mask = holes[HoleKey(layer: layer.id, logical: logical)] { decided = decided.union(mask) }
      }
      index = layer.parent
    }
    return visible
  }

  /// Which blocks the layers from `layerIndex` upwards, before `stop`, decided, be it to data or to zeros.
  func decidedMask(layerIndex: Int, logical: UInt32, before stop: Int) -> BlockMask {
    var decided = BlockMask(repeating: 0, count: geometry.wordsPerCluster)
    var index = layerIndex
    while index != stop, index != Layer.none, let layer = layers[index] {
      if let cluster = clusters.find(layer.id, logical) { decided = decided.union(clusters.mask(cluster)) }
      if layer.holeCount > 0, let mask = holes[HoleKey(layer: layer.id, logical: logical)] { decided = decided.union(mask) }
      index = layer.parent
    }
    return decided
  }

  // MARK: Plans

  /// What a power loss that keeps the record of a first write without its data would show.
  enum Loss {
    /// Zeros, as before.
    case none
    /// What was on the storage before, or zeros instead of what the parent has (R17b); without the record all would be right.
    case mapping
    /// What the parent has instead of zeros, and only the record of a hole can help.
    case hole
  }

  /// What a record without its data would do to blocks `first..<stop`, as far as the layer does not hold them yet.
  func loss(layerIndex: Int, cluster: Int, logical: UInt32, first: Int, stop: Int) -> Loss {
    let isStale = clusters.stale.contains(cluster)
    guard let layer = layers[layerIndex], layer.parent != Layer.none else { return isStale ? .mapping : .none }
    if layer.holeCount > 0, let mask = holes[HoleKey(layer: layer.id, logical: logical)],
      !mask.intersection(geometry.mask(first, stop - first)).isBlank
    {
      return .hole
    }
    if isStale { return .mapping }
    let base = UInt64(logical) << geometry.clusterShift
    var position = first
    while position < stop {
      let run = clusters.run(cluster, from: position, to: stop)
      if !run.isData {
        var offset = base &+ UInt64(position) << PoolGeometry.blockShift
        let end = offset &+ UInt64(run.count) << PoolGeometry.blockShift
        while offset < end {
          let place = locate(layerIndex: layer.parent, offset: offset, end: end)
          if place.storageOffset != nil { return .mapping }
          offset &+= place.byteCount
        }
      }
      position += run.count
    }
    return .none
  }

  /// The entries of a first write to blocks `first..<stop` of a cluster that was found or reserved.
  mutating func planWritten(layerIndex: Int, cluster: Int, logical: UInt32, first: Int, stop: Int, _ emit: (MetadataEntry) -> Void) {
    let id = layers[layerIndex]!.id
    planAllocated(layerIndex: layerIndex, cluster: cluster, logical: logical, emit)
    emit(.written(cluster: UInt32(cluster), first: UInt32(first), count: UInt32(stop - first)))
    if layers[layerIndex]!.holeCount > 0, let mask = holes[HoleKey(layer: id, logical: logical)] {
      let rest = mask.subtracting(geometry.mask(first, stop - first))
      if rest != mask { emit(.holes(layer: id, logical: logical, mask: rest)) }
    }
  }

  /// The entry that says whose a cluster is, if no record does yet.
  mutating func planAllocated(layerIndex: Int, cluster: Int, logical: UInt32, _ emit: (MetadataEntry) -> Void) {
    guard clusters.unrecorded.contains(cluster) else { return }
    clusters.unrecorded.remove(cluster)
    emit(
      .allocated(
        cluster: UInt32(cluster), layer: layers[layerIndex]!.id, logical: logical, isStale: clusters.stale.contains(cluster)))
  }

  /// The entries that make blocks `first..<stop` of a logical cluster read zeros; none if they do already.
  func planTrim(layerIndex: Int, logical: UInt32, first: Int, stop: Int, _ emit: (MetadataEntry) -> Void) {
    guard let layer = layers[layerIndex] else { return }
    let trimmed = geometry.mask(first, stop - first)
    if let cluster = clusters.find(layer.id, logical) {
      let data = clusters.mask(cluster)
      let touched = data.intersection(trimmed)
      if data == touched {
        emit(.freed(first: UInt32(cluster), count: 1))
      } else if !touched.isBlank {
        emit(.cleared(cluster: UInt32(cluster), first: UInt32(first), count: UInt32(stop - first)))
      }
    }
    guard layer.parent != Layer.none else { return }
    let below = visibleMask(layerIndex: layer.parent, logical: logical).intersection(trimmed)
    let old = holes[HoleKey(layer: layer.id, logical: logical)] ?? BlockMask(repeating: 0, count: geometry.wordsPerCluster)
    let new = old.union(below)
    if new != old { emit(.holes(layer: layer.id, logical: logical, mask: new)) }
  }
}
