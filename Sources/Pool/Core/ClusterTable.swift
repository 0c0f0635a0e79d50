/// What the pool knows of each of its clusters: whose it is, which of the owner's clusters it holds, which blocks hold data;
/// and the way from an owner's cluster to it.
///
/// The index is a table of linear hashing whose chains run through the clusters themselves: it grows by one bucket with each
/// cluster, so that no insertion ever has to move everything. In all 16 bytes and one bit per block for each cluster in use.
struct ClusterTable: ~Copyable {
  let geometry: PoolGeometry
  /// The number of the owning layer; 0 for nobody.
  private let owners: NumberTable
  private let logicals: NumberTable
  private let masks: WordTable
  private let nextInChain: NumberTable
  private let chains: NumberTable
  /// Clusters whose blocks without data may hold something else than zeros.
  var stale: ClusterSet
  /// Clusters given to a layer of which no record says so yet.
  var unrecorded: ClusterSet
  private var bucketCount = 1
  private var indexed = 0
  /// No cluster from here on was ever in use.
  private(set) var highWater = 0

  init(geometry: PoolGeometry) {
    self.geometry = geometry
    owners = NumberTable(count: geometry.clusterCount)
    logicals = NumberTable(count: geometry.clusterCount)
    nextInChain = NumberTable(count: geometry.clusterCount)
    chains = NumberTable(count: geometry.clusterCount)
    masks = WordTable(count: geometry.clusterCount * geometry.wordsPerCluster)
    stale = ClusterSet(capacity: geometry.clusterCount)
    unrecorded = ClusterSet(capacity: geometry.clusterCount)
  }

  @inline(__always) func owner(_ cluster: Int) -> UInt32 { owners[cluster] }
  @inline(__always) func logical(_ cluster: Int) -> UInt32 { logicals[cluster] }

  /// Says whose a cluster is; not seen by `find` until it is indexed.
  mutating func assign(_ cluster: Int, owner: UInt32, logical: UInt32) {
    owners[cluster] = owner
    logicals[cluster] = logical
    highWater = max(highWater, cluster + 1)
  }

  // MARK: Blocks

  func mask(_ cluster: Int) -> BlockMask {
    let start = cluster * geometry.wordsPerCluster
    return (0..<geometry.wordsPerCluster).map { masks[start + $0] }
  }

  func setMask(_ cluster: Int, _ mask: BlockMask) {
    for word in 0..<geometry.wordsPerCluster { masks[cluster * geometry.wordsPerCluster + word] = mask[word] }
  }

  func clearMask(_ cluster: Int) {
    for word in 0..<geometry.wordsPerCluster { masks[cluster * geometry.wordsPerCluster + word] = 0 }
  }

  func hasData(_ cluster: Int) -> Bool {
    for word in 0..<geometry.wordsPerCluster where masks[cluster * geometry.wordsPerCluster + word] != 0 { return true }
    return false
  }

  func isFull(_ cluster: Int) -> Bool { run(cluster, from: 0, to: geometry.blocksPerCluster) == (true, geometry.blocksPerCluster) }

  func setBlocks(_ cluster: Int, _ first: Int, _ count: Int) {
    for word in first >> 6...(first + count - 1) >> 6 {
      masks[cluster * geometry.wordsPerCluster + word] |= PoolGeometry.bits(first, first + count, inWord: word)
    }
  }

  func clearBlocks(_ cluster: Int, _ first: Int, _ count: Int) {
    for word in first >> 6...(first + count - 1) >> 6 {
      masks[cluster * geometry.wordsPerCluster + word] &= ~PoolGeometry.bits(first, first + count, inWord: word)
    }
  }

  /// Whether a block holds data, and for how many blocks from there up to `end` that is so.
  @inline(__always)
  func run(_ cluster: Int, from block: Int, to end: Int) -> (isData: Bool, count: Int) {
    let base = cluster &* geometry.wordsPerCluster
    let isData = masks[base &+ block >> 6] >> UInt64(block & 63) & 1 != 0
    let inversion: UInt64 = isData ? .max : 0
    var position = block
    while position < end {
      let rest = (masks[base &+ position >> 6] ^ inversion) >> UInt64(position & 63)
      if rest != 0 {
        position &+= rest.trailingZeroBitCount
        break
      }
      position = (position | 63) &+ 1
    }
    return (isData, min(position, end) &- block)
  }

  // MARK: The way from a layer's cluster to the pool's

  @inline(__always)
  private static func hash(_ layer: UInt32, _ logical: UInt32) -> UInt64 {
    var value = (UInt64(layer) << 32 | UInt64(logical)) &* 0x9E37_79B9_7F4A_7C15
    value = (value ^ value >> 32) &* 0xD6E8_FEB8_6659_FD93
    return value ^ value >> 32
  }

  @inline(__always)
  private func bucket(_ hash: UInt64) -> Int {
    let bits = UInt64(64 &- (bucketCount &- 1).leadingZeroBitCount)
    let mask = (1 as UInt64) &<< bits &- 1
    let bucket = Int(truncatingIfNeeded: hash & mask)
    return bucket < bucketCount ? bucket : Int(truncatingIfNeeded: hash & (mask >> 1))
  }

  /// The pool's cluster that holds a layer's; nil if none does.
  @inline(__always)
  func find(_ layer: UInt32, _ logical: UInt32) -> Int? {
    var link = chains[bucket(Self.hash(layer, logical))]
    while link != 0 {
      let cluster = Int(link) &- 1
      if owners[cluster] == layer, logicals[cluster] == logical { return cluster }
      link = nextInChain[cluster]
    }
    return nil
  }

  /// Makes an assigned cluster known to `find`.
  mutating func index(_ cluster: Int) {
    let bucket = bucket(Self.hash(owners[cluster], logicals[cluster]))
    nextInChain[cluster] = chains[bucket]
    chains[bucket] = UInt32(cluster + 1)
    indexed += 1
    if indexed > bucketCount, bucketCount < chains.count { split() }
  }

  private mutating func split() {
    let added = bucketCount
    let divided = added - 1 << (63 - added.leadingZeroBitCount)
    bucketCount += 1
    var link = chains[divided]
    chains[divided] = 0
    while link != 0 {
      let cluster = Int(link) - 1
      link = nextInChain[cluster]
      let home = bucket(Self.hash(owners[cluster], logicals[cluster]))
      nextInChain[cluster] = chains[home]
      chains[home] = UInt32(cluster + 1)
    }
  }

  /// Takes a cluster out of the index; before its owner changes.
  mutating func unindex(_ cluster: Int) {
    let bucket = bucket(Self.hash(owners[cluster], logicals[cluster]))
    var link = chains[bucket]
    if link == UInt32(cluster + 1) {
      chains[bucket] = nextInChain[cluster]
      indexed -= 1
      return
    }
    while link != 0 {
      let current = Int(link) - 1
      link = nextInChain[current]
      if link == UInt32(cluster + 1) {
        nextInChain[current] = nextInChain[cluster]
        indexed -= 1
        return
      }
    }
    preconditionFailure("a cluster that is not indexed")
  }
}
