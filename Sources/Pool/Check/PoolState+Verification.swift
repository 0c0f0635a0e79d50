/// Whether a state that was loaded can be: every rule that opening relies on, each breach told.
extension PoolState {
  mutating func verify(into report: inout PoolCheckReport) {
    verifyLayers(&report)
    verifyNames(&report)
    verifyClusters(&report)
    verifyHoles(&report)
    verifySets(&report)
    let usage = self.usage
    if let limit = usage.promiseLimitBytes, usage.promisedBytes > limit {
      report.add(.note, "\(usage.promisedBytes) bytes are promised to replicas, the limit is \(limit)")
    }
  }

  private mutating func verifyLayers(_ report: inout PoolCheckReport) {
    let ids = layerIndexes.keys.sorted()
    report.state.layerCount = ids.count
    var children: [UInt32: Int] = [:]
    for id in ids {
      guard let parent = parentNumbers[id], parent != 0 else { continue }
      if layerIndexes[parent] == nil { report.add(.damage, "layer \(id) has a parent that does not exist, \(parent)") }
      children[parent, default: 0] += 1
    }
    var settled: Set<UInt32> = []
    for start in ids where !settled.contains(start) {
      var path: Set<UInt32> = []
      var id = start
      while id != 0, layerIndexes[id] != nil, !settled.contains(id) {
        if !path.insert(id).inserted {
          report.add(.damage, "layer \(id) is its own ancestor")
          break
        }
        id = parentNumbers[id] ?? 0
      }
      settled.formUnion(path)
    }
    let named = Set(replicas.values.map(\.header.layer)).union(snapshots.values.map(\.layer))
    report.state.dyingLayerCount = ids.filter { !named.contains($0) }.count
    for id in ids where !named.contains(id) && children[id, default: 0] <= 1 {
      report.add(.note, "layer \(id) belonged to something deleted and is still to be taken apart")
    }
  }

  private func verifyNames(_ report: inout PoolCheckReport) {
    report.state.replicaCount = replicas.count
    report.state.snapshotCount = snapshots.count
    var owners: [UInt32: String] = [:]
    var orders: [UInt64: String] = [:]
    let all =
      replicas.values.map(\.header).map { ("replica \($0.id)", $0.layer, $0.sizeBytes, $0.order) }
      + snapshots.values.map { ("snapshot \($0.id)", $0.layer, $0.sizeBytes, $0.order) }
    for (name, layer, sizeBytes, order) in all.sorted(by: { $0.0 < $1.0 }) {
      if let other = owners.updateValue(name, forKey: layer) { report.add(.damage, "\(name) and \(other) name the same layer, \(layer)") }
      if let other = orders.updateValue(name, forKey: order) {
        report.add(.damage, "\(name) and \(other) were created as the same, \(order)")
      }
      guard let index = layerIndexes[layer], let found = layers[index] else {
        report.add(.damage, "\(name) names a layer that does not exist, \(layer)")
        continue
      }
      let needed = sizeBytes.roundedUpQuotient(by: geometry.clusterBytes)
      if UInt64(found.clusterCount) < needed {
        report.add(.damage, "\(name) has \(needed) clusters, its layer \(layer) only \(found.clusterCount)")
      }
    }
    for id in snapshots.keys.sorted() where replicas[id] != nil { report.add(.damage, "\(id) is a replica and a snapshot") }
  }

  private mutating func verifyClusters(_ report: inout PoolCheckReport) {
    for cluster in 0..<clusters.highWater {
      let owner = clusters.owner(cluster)
      if owner == 0 { continue }
      let offset = geometry.storageOffset(cluster: cluster)
      if clean.contains(cluster) { report.add(.damage, at: offset, "cluster \(cluster) belongs to layer \(owner) and is called free") }
      // One without data was reserved when the power went; opening frees it.
      guard clusters.hasData(cluster) else { continue }
      guard let index = layerIndexes[owner], let layer = layers[index] else {
        report.add(.damage, at: offset, "cluster \(cluster) belongs to a layer that does not exist, \(owner)")
        continue
      }
      let logical = clusters.logical(cluster)
      if logical >= layer.clusterCount {
        report.add(
          .damage, at: offset,
          "cluster \(cluster) is cluster \(logical) of layer \(owner), which has \(layer.clusterCount)")
      } else if let other = clusters.find(owner, logical) {
        report.add(.damage, at: offset, "clusters \(other) and \(cluster) are both cluster \(logical) of layer \(owner)")
      } else {
        clusters.index(cluster)
      }
      let blocks = clusters.mask(cluster)
      if blocks.intersection(geometry.fullMask) != blocks {
        report.add(.damage, at: offset, "cluster \(cluster) claims data in blocks that it does not have")
      }
      layers[index]!.allocated += 1
      report.state.allocatedClusters += 1
      report.state.dataBlocks += UInt64(blocks.population)
    }
  }

  private func verifyHoles(_ report: inout PoolCheckReport) {
    for key in holes.keys.sorted() {
      guard let index = layerIndexes[key.layer], let layer = layers[index] else {
        report.add(.damage, "a hole in cluster \(key.logical) belongs to a layer that does not exist, \(key.layer)")
        continue
      }
      if key.logical >= layer.clusterCount {
        report.add(.damage, "a hole is in cluster \(key.logical) of layer \(key.layer), which has \(layer.clusterCount)")
      }
    }
  }

  private func verifySets(_ report: inout PoolCheckReport) {
    for id in replicas.keys.sorted() {
      guard let replica = replicas[id] else { continue }
      let count = replica.header.sizeBytes.roundedUpQuotient(by: options.regionBytes)
      let sets = [("activity log", replica.activity)] + replica.missed.map { ("set of what \($0.peer) missed", $0.regions) }
      for (name, regions) in sets {
        if let last = regions.members.last, UInt64(last) >= count {
          report.add(.damage, "the \(name) of replica \(id) has region \(last), the replica has \(count)")
        }
        if regions.words.reduce(0, { $0 + $1.nonzeroBitCount }) != regions.count {
          report.add(.damage, "the \(name) of replica \(id) is not what it counts")
        }
      }
      if replica.activity.count > Int(options.maximumHotRegions) {
        report.add(
          .note, "the activity log of replica \(id) has \(replica.activity.count) regions, the limit is \(options.maximumHotRegions)")
      }
      if replica.header.isThick, let index = layerIndexes[replica.header.layer], let layer = layers[index],
        layer.allocated < layer.clusterCount,
        layer.parent == Layer.none, parentNumbers[layer.id] ?? 0 == 0
      {
        report.add(.note, "replica \(id) is thick and has taken \(layer.allocated) of its \(layer.clusterCount) clusters")
      }
    }
  }
}
