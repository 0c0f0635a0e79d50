extension MetadataEntry {
  private enum Kind: UInt8 {
    case options = 1
    case putLayer, removeLayer, putReplica, removeReplica, putSnapshot, removeSnapshot
    case allocated, written, cleared, freed, moved, cleaned, readied, holes, cluster
    case claim, opened, regions, regionWords, forgetPeer, sent, resent
    case sums = 32
    case unsettled, settled
    case storeMemory = 40
    case volumeName
  }

  /// Appends the entry: a kind byte and its fields, little-endian.
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .options(let options):
      writer.append(Kind.options.rawValue)
      writer.append(options.overcommitPercent)
      writer.append(options.regionBytes)
      writer.append(options.maximumHotRegions)
    case .putLayer(let id, let parent, let clusterCount): writer.append(kind: Kind.putLayer.rawValue, id, parent, clusterCount)
    case .removeLayer(let id): writer.append(kind: Kind.removeLayer.rawValue, id)
    case .putReplica(let header):
      writer.append(Kind.putReplica.rawValue)
      writer.append(header.id)
      writer.append(header.volumeID)
      writer.append(header.layer)
      writer.append(header.sizeBytes)
      writer.append(header.blockSizeBytes)
      writer.append(UInt8(header.isThick ? 1 : 0))
      writer.append(header.order)
    case .removeReplica(let id):
      writer.append(Kind.removeReplica.rawValue)
      writer.append(id)
    case .putSnapshot(let header):
      writer.append(Kind.putSnapshot.rawValue)
      writer.append(header.id)
      writer.append(header.volumeID)
      writer.append(header.layer)
      writer.append(header.sizeBytes)
      writer.append(header.blockSizeBytes)
      writer.append(header.order)
    case .removeSnapshot(let id):
      writer.append(Kind.removeSnapshot.rawValue)
      writer.append(id)
    case .allocated(let cluster, let layer, let logical, let isStale):
      writer.append(kind: Kind.allocated.rawValue, cluster, layer, logical)
      writer.append(UInt8(isStale ? 1 : 0))
    case .written(let cluster, let first, let count): writer.append(kind: Kind.written.rawValue, cluster, first, count)
    case .cleared(let cluster, let first, let count): writer.append(kind: Kind.cleared.rawValue, cluster, first, count)
    case .freed(let first, let count): writer.append(kind: Kind.freed.rawValue, first, count)
    case .moved(let cluster, let layer): writer.append(kind: Kind.moved.rawValue, cluster, layer)
    case .cleaned(let first, let count): writer.append(kind: Kind.cleaned.rawValue, first, count)
    case .readied(let first, let count): writer.append(kind: Kind.readied.rawValue, first, count)
    case .holes(let layer, let logical, let mask):
      writer.append(kind: Kind.holes.rawValue, layer, logical)
      for word in mask { writer.append(word) }
    case .cluster(let cluster, let layer, let logical, let isStale, let mask):
      writer.append(kind: Kind.cluster.rawValue, cluster, layer, logical)
      writer.append(UInt8(isStale ? 1 : 0))
      for word in mask { writer.append(word) }
    case .claim(let replica, let claim):
      writer.append(Kind.claim.rawValue)
      writer.append(replica)
      writer.append(claim.generation)
      writer.append(claim.setVersion)
      writer.append(claim.nexusID)
      writer.append(claim.storeRevision)
      writer.append(UInt8(claim.inSync.count))
      for member in claim.inSync { writer.append(member) }
    case .opened(let replica, let bootID, let mayHaveLostCache):
      writer.append(Kind.opened.rawValue)
      writer.append(replica)
      writer.append(bootID)
      writer.append(UInt8(mayHaveLostCache ? 1 : 0))
    case .regions(let replica, let set, let first, let count, let isMember):
      writer.append(Kind.regions.rawValue)
      writer.append(replica)
      Self.encode(set, into: &writer)
      writer.append(first)
      writer.append(count)
      writer.append(UInt8(isMember ? 1 : 0))
    case .regionWords(let replica, let set, let firstWord, let words):
      writer.append(Kind.regionWords.rawValue)
      writer.append(replica)
      Self.encode(set, into: &writer)
      writer.append(firstWord)
      writer.append(UInt32(words.count))
      for word in words { writer.append(word) }
    case .forgetPeer(let replica, let peer):
      writer.append(Kind.forgetPeer.rawValue)
      writer.append(replica)
      writer.append(peer)
    case .sums(let cluster, let first, let values):
      writer.append(kind: Kind.sums.rawValue, cluster, first, UInt32(values.count))
      for value in values { writer.append(value) }
    case .sent(let cluster, let first, let sums):
      writer.append(kind: Kind.sent.rawValue, cluster, first, UInt32(sums.count))
      for sum in sums { writer.append(sum) }
    case .resent(let cluster, let first, let sums):
      writer.append(kind: Kind.resent.rawValue, cluster, first, UInt32(sums.count))
      for sum in sums { writer.append(sum) }
    case .unsettled(let first, let count): writer.append(kind: Kind.unsettled.rawValue, first, count)
    case .settled(let first, let count): writer.append(kind: Kind.settled.rawValue, first, count)
    case .storeMemory(let memory):
      writer.append(Kind.storeMemory.rawValue)
      writer.append(memory.identity)
      writer.append(memory.revision)
    case .volumeName(let replica, let name):
      writer.append(Kind.volumeName.rawValue)
      writer.append(replica)
      writer.append(UInt8(name.utf8.count))
      writer.append(bytes: name.utf8)
    }
  }

  /// How many bytes it takes.
  var encodedBytes: Int {
    var writer = ByteWriter()
    encode(into: &writer)
    return writer.bytes.count
  }

  private static func encode(_ set: RegionSetName, into writer: inout ByteWriter) {
    switch set {
    case .activity: writer.append(Identifier.none)
    case .missed(let peer): writer.append(peer)
    }
  }

  /// Takes one entry; refuses what can never have been written by us for this pool.
  init(reading reader: inout FieldReader, geometry: PoolGeometry) throws(FormatFlaw) {
    guard let kind = Kind(rawValue: try reader.byte()) else { throw .unknownEntry }
    switch kind {
    case .options:
      let options = PoolOptions(
        overcommitPercent: try reader.number(), regionBytes: try reader.word(), maximumHotRegions: try reader.number())
      guard options.isValid else { throw .impossibleEntry }
      self = .options(options)
    case .putLayer:
      self = .putLayer(id: try reader.layer(), parent: try reader.number(), clusterCount: try reader.number())
    case .removeLayer: self = .removeLayer(id: try reader.layer())
    case .putReplica:
      let header = ReplicaHeader(
        id: try reader.identifier(), volumeID: try reader.identifier(), layer: try reader.layer(), sizeBytes: try reader.word(),
        blockSizeBytes: try reader.number(), isThick: try reader.flag(), order: try reader.word())
      guard geometry.isPossible(sizeBytes: header.sizeBytes, blockSizeBytes: header.blockSizeBytes) else { throw .impossibleReplica }
      self = .putReplica(header)
    case .removeReplica: self = .removeReplica(try reader.identifier())
    case .putSnapshot:
      let header = SnapshotHeader(
        id: try reader.identifier(), volumeID: try reader.identifier(), layer: try reader.layer(), sizeBytes: try reader.word(),
        blockSizeBytes: try reader.number(), order: try reader.word())
      guard geometry.isPossible(sizeBytes: header.sizeBytes, blockSizeBytes: header.blockSizeBytes) else { throw .impossibleReplica }
      self = .putSnapshot(header)
    case .removeSnapshot: self = .removeSnapshot(try reader.identifier())
    case .allocated:
      self = .allocated(
        cluster: try reader.cluster(geometry), layer: try reader.layer(), logical: try reader.number(), isStale: try reader.flag())
    case .written, .cleared:
      let (cluster, first, count) = (try reader.cluster(geometry), try reader.number(), try reader.number())
      guard count > 0, UInt64(first) + UInt64(count) <= UInt64(geometry.blocksPerCluster) else { throw .impossibleEntry }
      self =
        kind == .written
        ? .written(cluster: cluster, first: first, count: count) : .cleared(cluster: cluster, first: first, count: count)
    case .freed, .cleaned, .readied:
      let (first, count) = (try reader.cluster(geometry), try reader.number())
      guard count > 0, UInt64(first) + UInt64(count) <= UInt64(geometry.clusterCount) else { throw .extentOutside }
      switch kind {
      case .freed: self = .freed(first: first, count: count)
      case .cleaned: self = .cleaned(first: first, count: count)
      default: self = .readied(first: first, count: count)
      }
    case .moved: self = .moved(cluster: try reader.cluster(geometry), layer: try reader.layer())
    case .holes:
      self = .holes(layer: try reader.layer(), logical: try reader.number(), mask: try reader.mask(geometry))
    case .cluster:
      self = .cluster(
        cluster: try reader.cluster(geometry), layer: try reader.layer(), logical: try reader.number(), isStale: try reader.flag(),
        mask: try reader.mask(geometry))
    case .claim:
      let replica = try reader.identifier()
      var claim = ReplicaClaim(
        generation: try reader.word(), setVersion: try reader.word(), nexusID: try reader.identifier(), inSync: [],
        storeRevision: try reader.word())
      let count = try reader.byte()
      guard Int(count) <= ReplicaClaim.maximumMembers else { throw .impossibleEntry }
      for _ in 0..<count { claim.inSync.append(try reader.identifier()) }
      self = .claim(replica: replica, claim)
    case .opened:
      self = .opened(replica: try reader.identifier(), bootID: try reader.identifier(), mayHaveLostCache: try reader.flag())
    case .regions:
      let (replica, set) = (try reader.identifier(), try reader.regionSet())
      let (first, count) = (try reader.number(), try reader.number())
      guard UInt64(first) + UInt64(count) <= Self.maximumRegions else { throw .impossibleEntry }
      self = .regions(replica: replica, set: set, first: first, count: count, isMember: try reader.flag())
    case .regionWords:
      let (replica, set) = (try reader.identifier(), try reader.regionSet())
      let (first, count) = (try reader.number(), try reader.number())
      guard count <= UInt32(Self.maximumRegionWords), (UInt64(first) + UInt64(count)) * 64 <= Self.maximumRegions else {
        throw .impossibleEntry
      }
      var words: [UInt64] = []
      for _ in 0..<count { words.append(try reader.word()) }
      self = .regionWords(replica: replica, set: set, firstWord: first, words: words)
    case .forgetPeer: self = .forgetPeer(replica: try reader.identifier(), peer: try reader.identifier())
    case .sums, .sent, .resent:
      let (cluster, first, count) = (try reader.cluster(geometry), try reader.number(), try reader.number())
      guard count > 0, UInt64(first) + UInt64(count) <= UInt64(geometry.blocksPerCluster) else { throw .impossibleEntry }
      var values: [UInt32] = []
      for _ in 0..<count { values.append(try reader.number()) }
      switch kind {
      case .sums: self = .sums(cluster: cluster, first: first, values: values)
      case .sent: self = .sent(cluster: cluster, first: first, sums: values)
      default: self = .resent(cluster: cluster, first: first, sums: values)
      }
    case .unsettled, .settled:
      let (first, count) = (try reader.number(), try reader.number())
      guard count > 0, UInt64(first) + UInt64(count) <= UInt64(geometry.sumPageCount) else { throw .extentOutside }
      self = kind == .unsettled ? .unsettled(first: first, count: count) : .settled(first: first, count: count)
    case .storeMemory: self = .storeMemory(StoreMemory(identity: try reader.identifier(), revision: try reader.word()))
    case .volumeName:
      let (replica, count) = (try reader.identifier(), Int(try reader.byte()))
      var bytes: [UInt8] = []
      for _ in 0..<count { bytes.append(try reader.byte()) }
      guard let name = String(validating: bytes, as: UTF8.self), StoreMemory.isName(name) else { throw .impossibleEntry }
      self = .volumeName(replica: replica, name: name)
    }
  }

  /// Of a replica: bounds the memory a forged entry could ask for.
  static let maximumRegions: UInt64 = 1 << 26
}

extension PoolGeometry {
  /// Whether a replica can have this size here: whole blocks, and clusters that can be counted.
  func isPossible(sizeBytes: UInt64, blockSizeBytes: UInt32) -> Bool {
    (blockSizeBytes == 512 || blockSizeBytes == 4096) && sizeBytes > 0 && sizeBytes % UInt64(blockSizeBytes) == 0
      && sizeBytes <= UInt64(Int64.max) && sizeBytes.roundedUpQuotient(by: clusterBytes) < UInt64(UInt32.max)
  }
}

extension FieldReader {
  fileprivate mutating func flag() throws(FormatFlaw) -> Bool {
    switch try byte() {
    case 0: return false
    case 1: return true
    default: throw .impossibleEntry
    }
  }

  fileprivate mutating func layer() throws(FormatFlaw) -> UInt32 {
    let id = try number()
    guard id != 0 else { throw .impossibleEntry }
    return id
  }

  fileprivate mutating func cluster(_ geometry: PoolGeometry) throws(FormatFlaw) -> UInt32 {
    let cluster = try number()
    guard Int(cluster) < geometry.clusterCount else { throw .extentOutside }
    return cluster
  }

  fileprivate mutating func mask(_ geometry: PoolGeometry) throws(FormatFlaw) -> BlockMask {
    var mask = BlockMask()
    mask.reserveCapacity(geometry.wordsPerCluster)
    for _ in 0..<geometry.wordsPerCluster { mask.append(try word()) }
    if geometry.blocksPerCluster & 63 != 0, mask[0] >> UInt64(geometry.blocksPerCluster) != 0 { throw .impossibleEntry }
    return mask
  }

  fileprivate mutating func regionSet() throws(FormatFlaw) -> RegionSetName {
    let peer = try identifier()
    return peer == .none ? .activity : .missed(peer: peer)
  }
}
