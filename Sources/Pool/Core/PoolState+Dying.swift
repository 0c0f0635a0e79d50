/// Taking layers apart that nobody names: what no child needs becomes free, the rest becomes the only child's.
///
/// Crash steps: the record that removes the name makes the layer nameless, which is all that is needed to find it again; each
/// step's record leaves every visible byte as it was; the last one hangs the child to the grandparent and removes the layer.
extension PoolState {
  /// What to do for one logical cluster of a dying layer.
  enum DyingStep: Equatable {
    /// Only the metadata changes.
    case entries([MetadataEntry])
    /// Blocks of one cluster must be copied to another before the entries.
    case copy(from: Int, to: Int, mask: BlockMask, then: [MetadataEntry])

    var entries: [MetadataEntry] {
      switch self {
      case .entries(let entries), .copy(_, _, _, let entries): entries
      }
    }
  }

  /// The only child of a layer.
  func onlyChild(of index: Int) -> Int? { layers.firstIndex { $0?.parent == index } }

  /// What to do about a logical cluster of the dying layer at `index`, whose child, if any, is at `child`.
  func planDying(_ index: Int, child: Int?, logical: UInt32) -> DyingStep? {
    guard let layer = layers[index] else { return nil }
    let cluster = clusters.find(layer.id, logical)
    let key = HoleKey(layer: layer.id, logical: logical)
    let ownHoles = layer.holeCount > 0 ? holes[key] : nil
    if cluster == nil && ownHoles == nil { return nil }
    let blank = BlockMask(repeating: 0, count: geometry.wordsPerCluster)
    var entries: [MetadataEntry] = []
    if ownHoles != nil { entries.append(.holes(layer: layer.id, logical: logical, mask: blank)) }
    let heir = child.flatMap { layers[$0] }.flatMap { logical < $0.clusterCount ? $0 : nil }
    guard let heir else {
      if let cluster { entries.append(.freed(first: UInt32(cluster), count: 1)) }
      return .entries(entries)
    }
    let heirCluster = clusters.find(heir.id, logical)
    let heirData = heirCluster.map { clusters.mask($0) } ?? blank
    let heirHoles = holes[HoleKey(layer: heir.id, logical: logical)] ?? blank
    let data = cluster.map { clusters.mask($0) } ?? blank
    let needed = data.subtracting(heirData).subtracting(heirHoles)
    var newHoles = heirHoles.union((ownHoles ?? blank).subtracting(data)).subtracting(heirData).subtracting(needed)
    if layer.parent == Layer.none { newHoles = blank }
    if newHoles != heirHoles { entries.append(.holes(layer: heir.id, logical: logical, mask: newHoles)) }
    guard let cluster else { return .entries(entries) }
    if needed.isBlank {
      entries.append(.freed(first: UInt32(cluster), count: 1))
      return .entries(entries)
    }
    guard let heirCluster else {
      entries.append(.moved(cluster: UInt32(cluster), layer: heir.id))
      for run in data.subtracting(needed).runs {
        entries.append(.cleared(cluster: UInt32(cluster), first: UInt32(run.lowerBound), count: UInt32(run.count)))
      }
      return .entries(entries)
    }
    if clusters.unrecorded.contains(heirCluster) {
      entries.append(
        .allocated(cluster: UInt32(heirCluster), layer: heir.id, logical: logical, isStale: clusters.stale.contains(heirCluster)))
    }
    for run in needed.runs {
      entries.append(.written(cluster: UInt32(heirCluster), first: UInt32(run.lowerBound), count: UInt32(run.count)))
    }
    entries.append(.freed(first: UInt32(cluster), count: 1))
    return .copy(from: cluster, to: heirCluster, mask: needed, then: entries)
  }

  /// The entries that end a layer which has nothing any more.
  func planEnd(_ index: Int, child: Int?) -> [MetadataEntry] {
    guard let layer = layers[index] else { return [] }
    var entries: [MetadataEntry] = []
    if let child, let heir = layers[child] {
      let parent = layer.parent == Layer.none ? 0 : layers[layer.parent]!.id
      entries.append(.putLayer(id: heir.id, parent: parent, clusterCount: heir.clusterCount))
    }
    entries.append(.removeLayer(id: layer.id))
    return entries
  }
}
