import Pool

/// What of a replica outlives its process: data, with the part that no flush made durable yet, and what its pool remembers.
///
/// Data are kept as one stamp per 512-byte sector. `current` is what a read sees; a loss of power takes each sector back to any of
/// the values it had since it was last durable.
final class ReplicaDisk {
  /// One frozen state.
  struct Snapshot {
    let id: Identifier
    let content: [UInt64]
    let isAllocated: [Bool]
  }

  private(set) var id: Identifier
  let node: Int
  let regionBytes: UInt64
  let maximumHotRegions: Int
  let isWriteThrough: Bool
  /// So many ranges of regions become durable at once.
  let rangesPerRecord: Int
  /// What it was made with.
  let firstSizeBytes: UInt64
  private(set) var current: [UInt64]
  private var durable: [UInt64]
  private var versions: [Version] = []
  private(set) var sequence = 0
  /// Per 4 KiB unit: whether the pool has space for it.
  private(set) var isAllocated: [Bool]
  /// Units the pool has room for.
  var capacityUnits = Int.max
  private(set) var allocatedUnits = 0
  /// Sectors whose last value was lost with the power, and was not written again since.
  private(set) var damage: [Int: UInt64] = [:]
  /// The same, but kept when it was made good otherwise.
  private(set) var lost: [Int: UInt64] = [:]
  /// The power failed while changes were under way, as the replica will say, whether or not anything was lost.
  private(set) var hasLostPower = false

  // What the pool remembers; durable when it is set.
  var claim = ReplicaClaim.none {
    didSet { isRolledBack = false }
  }
  /// It was replaced or restored, and nobody has claimed it since.
  private(set) var isRolledBack = false
  var bootID = Identifier.none
  var mayHaveLostCache = false {
    didSet { if !mayHaveLostCache { hasLostPower = false } }
  }
  private(set) var activity: [Bool]
  /// By peer, ascending.
  private(set) var missed: [(peer: Identifier, isMissed: [Bool])] = []
  private(set) var snapshots: [Snapshot] = []
  var faults = DiskFaults()

  private struct Version {
    let sequence: Int
    let sector: Int
    let value: UInt64
  }

  init(
    id: Identifier, node: Int, sizeBytes: UInt64, regionBytes: UInt64, maximumHotRegions: Int, isWriteThrough: Bool, rangesPerRecord: Int
  ) {
    self.id = id
    self.node = node
    self.regionBytes = regionBytes
    self.maximumHotRegions = maximumHotRegions
    self.isWriteThrough = isWriteThrough
    self.rangesPerRecord = rangesPerRecord
    firstSizeBytes = sizeBytes
    let sectors = Int(sizeBytes) / Stamp.sectorBytes
    current = Array(repeating: 0, count: sectors)
    durable = current
    isAllocated = Array(repeating: false, count: Int(sizeBytes) / 4096)
    activity = Array(repeating: false, count: Int((sizeBytes + regionBytes - 1) / regionBytes))
  }

  var sizeBytes: UInt64 { UInt64(current.count * Stamp.sectorBytes) }

  var metadata: ReplicaMetadata {
    ReplicaMetadata(
      claim: claim, bootID: bootID, mayHaveLostCache: mayHaveLostCache, hotRegions: activity.indices.filter { activity[$0] },
      missed: missed.map { entry in (entry.peer, entry.isMissed.indices.filter { entry.isMissed[$0] }) })
  }

  // MARK: Data

  /// Bits of a sector change by themselves, durably.
  func rot(sector: Int) {
    allocate(unit: sector / 8)
    current[sector] ^= 1
    durable[sector] = current[sector]
    versions.removeAll { $0.sector == sector }
  }

  /// Sectors whose checksum fails: they cannot be read, whatever they hold.
  private(set) var rotten: Set<Int> = []

  /// A sector changes by itself, and its checksum tells.
  func spoil(sector: Int) { if isAllocated[sector / 8] { rotten.insert(sector) } }

  /// There is no other copy to mend it from: somebody puts it right by hand.
  func mendRot() { rotten = [] }

  /// Whether there is room for a write.
  func hasRoom(for sectors: Range<Int>) -> Bool {
    if capacityUnits == .max { return true }
    let needed = units(of: sectors).filter { !isAllocated[$0] }.count
    return allocatedUnits + needed <= capacityUnits
  }

  private func units(of sectors: Range<Int>) -> Range<Int> { sectors.lowerBound / 8..<(sectors.upperBound + 7) / 8 }

  func write(sector: Int, _ value: UInt64, durably: Bool) {
    allocate(unit: sector / 8)
    set(sector: sector, value, durably: durably || isWriteThrough)
  }

  private func allocate(unit: Int) {
    if !isAllocated[unit] { allocatedUnits += 1 }
    isAllocated[unit] = true
  }

  /// Zeros the sectors; whole units give their space back if that is asked for.
  func zero(_ sectors: Range<Int>, deallocating: Bool, durably: Bool) {
    for sector in sectors { set(sector: sector, 0, durably: durably || isWriteThrough) }
    for unit in units(of: sectors) {
      if deallocating, unit * 8 >= sectors.lowerBound, unit * 8 + 8 <= sectors.upperBound {
        if isAllocated[unit] { allocatedUnits -= 1 }
        isAllocated[unit] = false
      }
    }
  }

  private func set(sector: Int, _ value: UInt64, durably: Bool) {
    current[sector] = value
    if !damage.isEmpty { damage[sector] = nil }
    if !lost.isEmpty { lost[sector] = nil }
    if !rotten.isEmpty { rotten.remove(sector) }
    if durably {
      durable[sector] = value
      if !versions.isEmpty { versions.removeAll { $0.sector == sector } }
    } else {
      sequence += 1
      versions.append(Version(sequence: sequence, sector: sector, value: value))
    }
  }

  /// Makes durable what was there when the flush was sent.
  func flush(upTo sequence: Int) {
    var kept: [Version] = []
    for version in versions {
      if version.sequence <= sequence { durable[version.sector] = version.value } else { kept.append(version) }
    }
    versions = kept
  }

  /// Whether anything would be lost with the power.
  var isVolatile: Bool { !versions.isEmpty }

  /// The power goes and comes: a sector holds what was durable or any later value. `keepPercent` says how likely a later one is.
  func losePower(keepPercent: Int, _ generator: inout SeededGenerator) {
    var before: [(sector: Int, value: UInt64)] = []
    for version in versions {
      if !before.contains(where: { $0.sector == version.sector }) { before.append((version.sector, current[version.sector])) }
      if generator.chance(keepPercent) { durable[version.sector] = version.value }
    }
    versions = []
    if activity.contains(true) { hasLostPower = true }
    for (sector, value) in before {
      current[sector] = durable[sector]
      if durable[sector] != value { (damage[sector], lost[sector]) = (value, value) }
      if current[sector] != 0 { allocate(unit: sector / 8) }
    }
  }

  /// All that a backup of the pool has of it.
  struct Image {
    let content: [UInt64]
    let isAllocated: [Bool]
    let claim: ReplicaClaim
    let activity: [Bool]
    let missed: [(peer: Identifier, isMissed: [Bool])]
    let mayHaveLostCache: Bool
    let snapshots: [Snapshot]
  }

  var image: Image {
    Image(
      content: current, isAllocated: isAllocated, claim: claim, activity: activity, missed: missed, mayHaveLostCache: mayHaveLostCache,
      snapshots: snapshots)
  }

  /// The pool is replaced by a new one, or by a backup.
  func replace(by image: Image?) {
    let firstSectors = Int(firstSizeBytes) / Stamp.sectorBytes
    let old = current
    current = image?.content ?? Array(repeating: 0, count: firstSectors)
    for sector in old.indices where old[sector] != (sector < current.count ? current[sector] : 0) {
      (damage[sector], lost[sector]) = (old[sector], old[sector])
    }
    rotten = []
    durable = current
    versions = []
    snapshots = image?.snapshots ?? []
    isAllocated = image?.isAllocated ?? Array(repeating: false, count: Int(firstSizeBytes) / 4096)
    allocatedUnits = isAllocated.count { $0 }
    claim = image?.claim ?? .none
    activity = image?.activity ?? Array(repeating: false, count: Int((firstSizeBytes + regionBytes - 1) / regionBytes))
    missed = image?.missed ?? []
    mayHaveLostCache = image?.mayHaveLostCache ?? false
    hasLostPower = mayHaveLostCache
    isRolledBack = true
  }

  /// The replica is deleted, and another one made in its place.
  func becomeNew(_ id: Identifier) {
    replace(by: nil)
    self.id = id
    isRolledBack = false
    (damage, lost) = ([:], [:])
  }

  /// Damage that was made good counts no more: all of the set hold the same.
  func forgetDamage(equalOn disks: [ReplicaDisk]) {
    for sector in damage.keys.sorted() where disks.allSatisfy({ $0.value(sector) == value(sector) }) { damage[sector] = nil }
  }

  /// What is in a sector, or would be if the replica had grown.
  func value(_ sector: Int) -> UInt64 { sector < current.count ? current[sector] : 0 }

  /// Ranges with data, ascending, at most `limit`.
  func allocatedRanges(fromOffsetBytes: UInt64, limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    Self.ranges(isAllocated, fromOffsetBytes, limit)
  }

  private static func ranges(_ isNamed: [Bool], _ fromOffsetBytes: UInt64, _ limit: Int) -> (ranges: [Range<UInt64>], next: UInt64?) {
    var ranges: [Range<UInt64>] = []
    var unit = Int(fromOffsetBytes / 4096)
    while unit < isNamed.count {
      guard isNamed[unit] else {
        unit += 1
        continue
      }
      if ranges.count == limit { return (ranges, UInt64(unit) * 4096) }
      let first = unit
      while unit < isNamed.count, isNamed[unit] { unit += 1 }
      ranges.append(UInt64(first) * 4096..<UInt64(unit) * 4096)
    }
    return (ranges, nil)
  }

  /// Ranges in which a state may differ from an earlier one; nil if there is no such snapshot.
  func changedRanges(
    of later: Identifier?, since earlier: Identifier?, fromOffsetBytes: UInt64, limit: Int
  ) -> (ranges: [Range<UInt64>], next: UInt64?)? {
    func state(_ id: Identifier?) -> Snapshot? {
      guard let id else { return Snapshot(id: .none, content: current, isAllocated: isAllocated) }
      return snapshots.first { $0.id == id }
    }
    guard let last = state(later) else { return nil }
    guard let earlier else { return Self.ranges(last.isAllocated, fromOffsetBytes, limit) }
    guard let first = state(earlier) else { return nil }
    func value(_ state: Snapshot, _ sector: Int) -> UInt64 { sector < state.content.count ? state.content[sector] : 0 }
    let changed = (0..<max(first.isAllocated.count, last.isAllocated.count)).map { unit in
      (unit * 8..<unit * 8 + 8).contains { value(first, $0) != value(last, $0) }
    }
    return Self.ranges(changed, fromOffsetBytes, limit)
  }

  // MARK: What the pool remembers

  func setRegions(_ set: RegionSetName, _ regions: [Range<Int>], isMember: Bool) {
    switch set {
    case .activity:
      for region in regions.joined() { activity[region] = isMember }
    case .missed(let peer):
      let index = missed.firstIndex { $0.peer >= peer } ?? missed.count
      if index == missed.count || missed[index].peer != peer {
        missed.insert((peer, Array(repeating: false, count: activity.count)), at: index)
      }
      for region in regions.joined() { missed[index].isMissed[region] = isMember }
    }
  }

  func forget(peer: Identifier) { missed.removeAll { $0.peer == peer } }

  var hotRegionCount: Int { activity.count { $0 } }

  /// A process opens the pool under a boot of its node (R7).
  func open(bootID: Identifier) {
    if self.bootID != .none, self.bootID != bootID, activity.contains(true) { mayHaveLostCache = true }
    self.bootID = bootID
  }

  func createSnapshot(_ id: Identifier, sizeBytes: UInt64) {
    if snapshots.contains(where: { $0.id == id }) { return }
    let size = min(sizeBytes, self.sizeBytes)
    snapshots.append(
      Snapshot(
        id: id, content: Array(current.prefix(Int(size) / Stamp.sectorBytes)), isAllocated: Array(isAllocated.prefix(Int(size) / 4096))))
  }

  func deleteSnapshot(_ id: Identifier) { snapshots.removeAll { $0.id == id } }

  func grow(toSizeBytes size: UInt64) {
    let added = Int(size) / Stamp.sectorBytes - current.count
    guard added > 0 else { return }
    current += Array(repeating: 0, count: added)
    durable += Array(repeating: 0, count: added)
    isAllocated += Array(repeating: false, count: Int(size) / 4096 - isAllocated.count)
    let regions = Int((size + regionBytes - 1) / regionBytes)
    let more = Array(repeating: false, count: regions - activity.count)
    activity += more
    for index in missed.indices { missed[index].isMissed += more }
  }
}

/// What goes wrong on a disk, and how fast it is.
struct DiskFaults {
  var latencyNanoseconds: ClosedRange<UInt64> = 20_000...400_000
  /// An operation takes so many percent longer for each one that is under way when it begins.
  var loadPercent = 0
  var readErrorPercent = 0
  var writeErrorPercent = 0
  var flushErrorPercent = 0
  var busyPercent = 0
  /// Now and then an operation takes this long.
  var stallPercent = 0
  var stallNanoseconds: UInt64 = 0
  /// Operations that begin now wait until this is false again.
  var isStuck = false
  /// The next write waits until it is let go.
  var sticksNextWrite = false
  /// How likely what was under way when the process died takes effect all the same.
  var afterDeathPercent = 50
  /// How likely an unflushed version of a sector survives a loss of power.
  var keepPercent = 50
}
