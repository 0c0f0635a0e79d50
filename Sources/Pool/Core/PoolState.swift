import Reactor

/// A pool's metadata in memory: replicas, snapshots, their layers, and whose each cluster is. No I/O.
///
/// It changes by entries only, in two ways. While a pool is opened, `load` takes the entries of a checkpoint and of the journal
/// behind it in order, tolerating those about objects that are gone later, and `finishLoading` checks the result. From then on
/// `apply` takes each entry when its record was written. Between the two stands one shortcut: a free cluster is reserved for
/// a layer before the record that says so, since writes to it start before.
///
/// Invariants: a cluster has at most one owner, which exists; a layer holds a logical cluster at most once; blocks without
/// data of a cluster that is not stale are zeros on the storage, durably; a freed cluster is not given out before the record that
/// freed it is durable and every request that began before is over (R17a).
struct PoolState: ~Copyable {
  let geometry: PoolGeometry
  var options = PoolOptions.standard
  var storeMemory = StoreMemory.none
  var clusters: ClusterTable
  /// Free and known to be zeros, whatever happens.
  var clean: ClusterSet
  /// Free, zeros, and as a durable record says to be given out: the store that new clusters come from.
  var ready: ClusterSet
  /// Free, content unknown.
  var dirty: ClusterSet
  /// Freed, and not to be touched yet, in the order of freeing.
  var quarantine: [Quarantined] = []
  var quarantinedCount = 0
  var layers: [Layer?] = []
  var layerIndexes: [UInt32: Int] = [:]
  private var freeLayerIndexes: [Int] = []
  var lastLayerID: UInt32 = 0
  /// Nameless layers with at most one child, to be taken apart; the next one last.
  var dying: [UInt32] = []
  var holes: [HoleKey: BlockMask] = [:]
  var replicas: [Identifier: ReplicaState] = [:]
  var snapshots: [Identifier: SnapshotHeader] = [:]
  var lastOrder: UInt64 = 0
  /// Layers are counted up to here.
  static let lastLayerLimit = UInt32.max - 1
  /// Words of all sets of regions, and the most peers of a replica, while loading.
  private var loadedRegionWords = 0
  private var mostPeers = 0
  /// Pages of checksums that are not settled.
  var unsettled: ClusterSet
  /// Checksums that the journal has, by page: index within it and value, in order. Taken when the pool is opened.
  var replayedSums: [UInt32: [UInt64]] = [:]
  /// Blocks that records speak of which may not have arrived.
  var sent = SentBlocks()
  /// Blocks of the pool that were found not to have arrived: records must say that they hold nothing before one says that all arrived.
  var unarrived: [Int] = []
  private var loadingSequence: UInt64 = 0
  private var hasTooManySent = false
  /// Parents by number, while loading: a parent may be put after its child.
  private(set) var parentNumbers: [UInt32: UInt32] = [:]

  struct Quarantined: Equatable {
    var first: Int
    var count: Int
    /// The record that freed it.
    var sequence: UInt64
    /// The epoch of requests in which that became so.
    var epoch: UInt64
  }

  struct HoleKey: Hashable, Comparable {
    var layer: UInt32
    var logical: UInt32
    static func < (left: HoleKey, right: HoleKey) -> Bool { (left.layer, left.logical) < (right.layer, right.logical) }
  }

  /// Without replicas; nothing is free before `finishLoading`.
  init(geometry: PoolGeometry) {
    self.geometry = geometry
    clusters = ClusterTable(geometry: geometry)
    clean = ClusterSet(capacity: geometry.clusterCount)
    ready = ClusterSet(capacity: geometry.clusterCount)
    dirty = ClusterSet(capacity: geometry.clusterCount)
    unsettled = ClusterSet(capacity: geometry.sumPageCount)
  }

  // MARK: Loading

  /// Takes an entry of a checkpoint or journal.
  mutating func load(_ entry: MetadataEntry) {
    switch entry {
    case .putLayer(let id, let parent, let clusterCount):
      parentNumbers[id] = parent
      if let index = layerIndexes[id] {
        layers[index]!.clusterCount = clusterCount
      } else {
        insertLayer(Layer(id: id, parent: Layer.none, clusterCount: clusterCount))
      }
    case .removeLayer(let id):
      parentNumbers[id] = nil
      lastLayerID = max(lastLayerID, id)
      if let index = layerIndexes.removeValue(forKey: id) {
        layers[index] = nil
        freeLayerIndexes.append(index)
      }
    case .allocated(let cluster, let layer, let logical, let isStale):
      load(Int(cluster), layer, logical, isStale)
      clusters.clearMask(Int(cluster))
      forgetSent(cluster: Int(cluster))
    case .cluster(let cluster, let layer, let logical, let isStale, let mask):
      load(Int(cluster), layer, logical, isStale)
      clusters.setMask(Int(cluster), mask)
    case .freed(let first, let count):
      for cluster in Int(first)..<Int(first + count) {
        clusters.assign(cluster, owner: 0, logical: 0)
        clusters.clearMask(cluster)
        clean.remove(cluster)
        forgetSent(cluster: cluster)
      }
    case .moved(let cluster, let layer): clusters.assign(Int(cluster), owner: layer, logical: clusters.logical(Int(cluster)))
    case .cleaned(let first, let count): clean.insert(Int(first)..<Int(first + count))
    case .readied(let first, let count): clean.remove(Int(first)..<Int(first + count))
    case .regions(let id, _, _, _, _), .regionWords(let id, _, _, _), .removeReplica(let id), .forgetPeer(let id, _):
      let before = replicas[id]?.regionWords ?? 0
      applyPlain(entry)
      loadedRegionWords += (replicas[id]?.regionWords ?? 0) - before
      mostPeers = max(mostPeers, replicas[id]?.missed.count ?? 0)
    case .sums(let cluster, let first, let values):
      for (index, value) in values.enumerated() {
        let block = geometry.poolBlock(cluster: Int(cluster), block: Int(first) + index)
        let page = block / geometry.blocksPerSumPage
        replayedSums[UInt32(page), default: []].append(UInt64(block - page * geometry.blocksPerSumPage) << 32 | UInt64(value))
      }
    case .sent(let cluster, let first, let values):
      clusters.setBlocks(Int(cluster), Int(first), values.count)
      let start = geometry.poolBlock(cluster: Int(cluster), block: Int(first))
      if !sent.insert(start, count: values.count, sums: values, sequence: loadingSequence) { hasTooManySent = true }
    case .resent(let cluster, let first, let values):
      sent.amend(geometry.poolBlock(cluster: Int(cluster), block: Int(first)), sums: values)
    case .written(let cluster, let first, let count), .cleared(let cluster, let first, let count):
      applyPlain(entry)
      let start = geometry.poolBlock(cluster: Int(cluster), block: Int(first))
      sent.remove(start..<start + Int(count))
    case .unsettled(let first, let count): unsettled.insert(Int(first)..<Int(first + count))
    case .settled(let first, let count): unsettled.remove(Int(first)..<Int(first + count))
    default: applyPlain(entry)
    }
  }

  /// Whether what was loaded so far is more than there can be: forged entries of few bytes could ask for any amount of memory.
  var isBeyondBounds: Bool { loadedRegionWords > 1 << 25 || mostPeers > 4 * ReplicaClaim.maximumMembers || hasTooManySent }

  private mutating func forgetSent(cluster: Int) {
    if sent.count == 0 { return }
    let start = geometry.poolBlock(cluster: cluster, block: 0)
    sent.remove(start..<start + geometry.blocksPerCluster)
  }

  /// The entries of a record are about to be loaded.
  mutating func begin(_ record: MetadataRecord) {
    loadingSequence = record.sequence
    sent.settle(through: record.arrivedSequence)
  }

  /// Finds out which of the blocks that data was sent to have it, by reading them; what did not arrive was never written.
  mutating func judgeSent(_ source: some MetadataSource) throws(PoolError) {
    let blocks = sent.blocks
    var index = 0
    while index < blocks.count {
      let first = blocks[index]
      var count = 1
      while index + count < blocks.count, blocks[index + count] == first + count, count < Self.judgedBlocks { count += 1 }
      let bytes = try source.read(
        offsetBytes: geometry.storageOffset(cluster: 0) + UInt64(first) << PoolGeometry.blockShift, byteCount: count << 12)
      for position in 0..<count {
        let block = first + position
        if bytes.count >= (position + 1) << 12 {
          let sum = unsafe CRC32C.checksum(bytes.span.extracting(position << 12..<(position + 1) << 12).bytes)
          if sent.isRight(block, sum) { continue }
        }
        clusters.clearBlocks(block / geometry.blocksPerCluster, block % geometry.blocksPerCluster, 1)
        sent.remove(block..<block + 1)
        unarrived.append(block)
      }
      index += count
    }
  }

  private static let judgedBlocks = 256

  private mutating func load(_ cluster: Int, _ layer: UInt32, _ logical: UInt32, _ isStale: Bool) {
    clusters.assign(cluster, owner: layer, logical: logical)
    if isStale { clusters.stale.insert(cluster) } else { clusters.stale.remove(cluster) }
    clean.remove(cluster)
  }

  /// Makes whole what was loaded: finds parents, counts, indexes the clusters, and refuses what cannot be.
  mutating func finishLoading() throws(FormatFlaw) {
    for index in layers.indices {
      guard let layer = layers[index], let parent = parentNumbers[layer.id], parent != 0 else { continue }
      guard let parentIndex = layerIndexes[parent] else { throw .unknownLayer }
      layers[index]!.parent = parentIndex
      layers[parentIndex]!.childCount += 1
    }
    parentNumbers = [:]
    // A walk up that is longer than there are layers goes in a circle.
    var settled = Set<Int>()
    for start in layers.indices where layers[start] != nil {
      var path: [Int] = []
      var index = start
      while index != Layer.none, !settled.contains(index) {
        guard path.count <= layers.count else { throw .unknownLayer }
        path.append(index)
        index = layers[index]!.parent
      }
      settled.formUnion(path)
    }
    let named =
      replicas.values.map { (layer: $0.header.layer, sizeBytes: $0.header.sizeBytes) }
      + snapshots.values.map { (layer: $0.layer, sizeBytes: $0.sizeBytes) }
    for (name, sizeBytes) in named {
      guard let index = layerIndexes[name], layers[index]!.nameCount == 0 else { throw .unknownLayer }
      guard sizeBytes.roundedUpQuotient(by: geometry.clusterBytes) <= UInt64(layers[index]!.clusterCount) else { throw .extentOutside }
      layers[index]!.nameCount = 1
    }
    // Nobody can have got there by counting.
    guard lastLayerID < Self.lastLayerLimit, lastOrder < 1 << 62 else { throw .wrongCount }
    dirty.insert(clusters.highWater..<geometry.clusterCount, except: clean)
    for cluster in 0..<clusters.highWater {
      let owner = clusters.owner(cluster)
      // One without data was reserved when the power went.
      guard owner != 0, clusters.hasData(cluster) else {
        if owner != 0 { clusters.assign(cluster, owner: 0, logical: 0) }
        clusters.stale.remove(cluster)
        clusters.clearMask(cluster)
        if !clean.contains(cluster) { dirty.insert(cluster) }
        continue
      }
      if clean.contains(cluster) { throw .extentsOverlap }
      guard let index = layerIndexes[owner] else { throw .unknownLayer }
      let logical = clusters.logical(cluster)
      guard logical < layers[index]!.clusterCount else { throw .extentOutside }
      guard clusters.find(owner, logical) == nil else { throw .extentsOverlap }
      clusters.index(cluster)
      layers[index]!.allocated += 1
      // Writes that no record tells of may have been under way to its blocks without data.
      if !clusters.isFull(cluster) { clusters.stale.insert(cluster) }
    }
    for key in holes.keys {
      guard let index = layerIndexes[key.layer] else { throw .unknownLayer }
      guard key.logical < layers[index]!.clusterCount else { throw .extentOutside }
      layers[index]!.holeCount += 1
    }
    for index in layers.indices { noteIfDying(index) }
  }

  // MARK: Running

  /// Takes an entry whose record, of number `sequence`, was written.
  mutating func apply(_ entry: MetadataEntry, sequence: UInt64, epoch: UInt64) {
    switch entry {
    case .putLayer(let id, let parent, let clusterCount): putLayer(id, parent, clusterCount)
    case .removeLayer(let id): removeLayer(id)
    case .putReplica(let header):
      let old = replicas[header.id]?.header.layer
      applyPlain(entry)
      if old == header.layer { break }
      changeNames(header.layer, 1)
      if let old { changeNames(old, -1) }
    case .removeReplica(let id):
      let layer = replicas[id]?.header.layer
      applyPlain(entry)
      if let layer { changeNames(layer, -1) }
    case .putSnapshot(let header):
      applyPlain(entry)
      changeNames(header.layer, 1)
    case .removeSnapshot(let id):
      let layer = snapshots[id]?.layer
      applyPlain(entry)
      if let layer { changeNames(layer, -1) }
    // These were seen to when they were made.
    case .allocated, .readied, .sent, .resent, .sums, .unsettled, .settled: break
    case .cluster: preconditionFailure("an entry of checkpoints only")
    case .freed(let first, let count):
      for cluster in Int(first)..<Int(first + count) {
        clusters.unindex(cluster)
        changeLayer(clusters.owner(cluster)) { $0.allocated -= 1 }
        clusters.assign(cluster, owner: 0, logical: 0)
        clusters.clearMask(cluster)
        clusters.stale.remove(cluster)
        clusters.unrecorded.remove(cluster)
      }
      quarantine.append(Quarantined(first: Int(first), count: Int(count), sequence: sequence, epoch: epoch))
      quarantinedCount += Int(count)
    case .moved(let cluster, let layer):
      let cluster = Int(cluster)
      clusters.unindex(cluster)
      changeLayer(clusters.owner(cluster)) { $0.allocated -= 1 }
      clusters.assign(cluster, owner: layer, logical: clusters.logical(cluster))
      clusters.index(cluster)
      changeLayer(layer) { $0.allocated += 1 }
    case .cleaned(let first, let count): clean.insert(Int(first)..<Int(first + count))
    case .holes(let layer, let logical, _):
      let key = HoleKey(layer: layer, logical: logical)
      let before = holes[key] == nil ? 0 : 1
      applyPlain(entry)
      let after = holes[key] == nil ? 0 : 1
      changeLayer(layer) { $0.holeCount += after - before }
    default: applyPlain(entry)
    }
  }

  /// Entries that mean the same in both ways. Those about objects that are gone mean nothing.
  private mutating func applyPlain(_ entry: MetadataEntry) {
    switch entry {
    case .options(let options): self.options = options
    case .storeMemory(let memory): storeMemory = memory
    case .volumeName(let id, let name): replicas[id]?.volumeName = name
    case .putReplica(let header):
      if replicas[header.id] == nil { replicas[header.id] = ReplicaState(header: header) } else { replicas[header.id]!.header = header }
      lastOrder = max(lastOrder, header.order)
    case .removeReplica(let id): replicas[id] = nil
    case .putSnapshot(let header):
      snapshots[header.id] = header
      lastOrder = max(lastOrder, header.order)
    case .removeSnapshot(let id): snapshots[id] = nil
    case .written(let cluster, let first, let count): clusters.setBlocks(Int(cluster), Int(first), Int(count))
    case .cleared(let cluster, let first, let count):
      clusters.clearBlocks(Int(cluster), Int(first), Int(count))
      clusters.stale.insert(Int(cluster))
    case .holes(let layer, let logical, let mask):
      holes[HoleKey(layer: layer, logical: logical)] = mask.isBlank ? nil : mask
    case .claim(let id, let claim): replicas[id]?.claim = claim
    case .opened(let id, let bootID, let mayHaveLostCache):
      replicas[id]?.bootID = bootID
      replicas[id]?.mayHaveLostCache = mayHaveLostCache
    case .regions(let id, let set, let first, let count, let isMember):
      replicas[id]?.change(set) { $0.set(Int(first)..<Int(first) + Int(count), isMember) }
    case .regionWords(let id, let set, let firstWord, let words):
      replicas[id]?.change(set) { regions in
        for (index, word) in words.enumerated() { regions.setWord(Int(firstWord) + index, word) }
      }
    case .forgetPeer(let id, let peer): replicas[id]?.missed.removeAll { $0.peer == peer }
    case .putLayer, .removeLayer, .allocated, .sent, .resent, .freed, .moved, .cleaned, .readied, .cluster, .sums, .unsettled, .settled:
      preconditionFailure("handled before")
    }
  }

  // MARK: Layers

  private mutating func insertLayer(_ layer: Layer) {
    lastLayerID = max(lastLayerID, layer.id)
    if let index = freeLayerIndexes.popLast() {
      layers[index] = layer
      layerIndexes[layer.id] = index
    } else {
      layerIndexes[layer.id] = layers.count
      layers.append(layer)
    }
  }

  private mutating func putLayer(_ id: UInt32, _ parent: UInt32, _ clusterCount: UInt32) {
    let parentIndex = parent == 0 ? Layer.none : layerIndexes[parent]!
    if let index = layerIndexes[id] {
      let old = layers[index]!.parent
      layers[index]!.parent = parentIndex
      layers[index]!.clusterCount = clusterCount
      if old == parentIndex { return }
      if parentIndex != Layer.none { layers[parentIndex]!.childCount += 1 }
      if old != Layer.none {
        layers[old]!.childCount -= 1
        noteIfDying(old)
      }
    } else {
      insertLayer(Layer(id: id, parent: parentIndex, clusterCount: clusterCount))
      if parentIndex != Layer.none { layers[parentIndex]!.childCount += 1 }
    }
  }

  private mutating func removeLayer(_ id: UInt32) {
    guard let index = layerIndexes.removeValue(forKey: id), let layer = layers[index] else { return }
    precondition(layer.allocated == 0 && layer.holeCount == 0 && layer.childCount == 0 && layer.nameCount == 0)
    layers[index] = nil
    freeLayerIndexes.append(index)
    dying.removeAll { $0 == id }
    if layer.parent != Layer.none {
      layers[layer.parent]!.childCount -= 1
      noteIfDying(layer.parent)
    }
  }

  mutating func changeLayer(_ id: UInt32, _ body: (inout Layer) -> Void) {
    guard let index = layerIndexes[id] else { return }
    body(&layers[index]!)
  }

  private mutating func changeNames(_ id: UInt32, _ difference: Int) {
    guard let index = layerIndexes[id] else { return }
    layers[index]!.nameCount += difference
    noteIfDying(index)
  }

  private mutating func noteIfDying(_ index: Int) {
    guard let layer = layers[index], layer.nameCount == 0, layer.childCount <= 1, !dying.contains(layer.id) else { return }
    dying.append(layer.id)
  }
}
