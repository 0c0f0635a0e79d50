/// Which regions the members' activity logs hold (R5), and what goes on in them.
///
/// A region without an entry is cold: no member's log need hold it, and nothing may change in it. An entry is *activating* until
/// all logs hold the region durably, then *hot*, and *dropping* once the logs were told to let go of it. Changes pin the regions
/// they touch from before they begin until they are settled. A region may besides *await reconciliation*: then members may differ
/// in it, and nothing is read or changed there.
///
/// A change in a hot region costs one look at a table and one increment.
@safe struct ActivityLog: ~Copyable {
  enum State: UInt8 {
    case activating
    case hot
    case dropping
  }

  struct Entry: BitwiseCopyable {
    var region: Int32 = -1
    var state = State.activating
    var awaitsReconciliation = false
    /// Changes that pin it.
    var pins: Int32 = 0
    /// Of the latest change that pinned it.
    var sequence: UInt64 = 0
    var lastUseNanoseconds: UInt64 = 0
  }

  private(set) var regionCount: Int
  /// The most regions the smallest of the members' logs holds.
  private(set) var capacity: Int
  private(set) var count = 0
  /// Regions that await reconciliation.
  private(set) var awaitingCount = 0
  private var nextSequence: UInt64 = 0
  /// Per region: its entry's index and one more, or 0.
  private var places: UnsafeMutablePointer<Int32>
  private var entries: UnsafeMutablePointer<Entry>
  private var entryCount: Int
  /// Of the first member's log: for as many regions there may be entries.
  private let firstCapacity: Int
  private var free: [Int32]

  init(regionCount: Int, capacity: Int) {
    precondition(regionCount >= 0 && capacity >= 0)
    self.regionCount = regionCount
    self.capacity = capacity
    firstCapacity = capacity
    entryCount = min(capacity, regionCount)
    unsafe places = .allocate(capacity: max(regionCount, 1))
    unsafe places.initialize(repeating: 0, count: max(regionCount, 1))
    unsafe entries = .allocate(capacity: max(entryCount, 1))
    unsafe entries.initialize(repeating: Entry(), count: max(entryCount, 1))
    free = (0..<Int32(entryCount)).reversed()
  }

  deinit {
    unsafe places.deallocate()
    unsafe entries.deallocate()
  }

  /// The volume has become larger; what is added is cold.
  mutating func grow(toRegionCount newCount: Int) {
    guard newCount > regionCount else { return }
    let newPlaces = UnsafeMutablePointer<Int32>.allocate(capacity: newCount)
    unsafe newPlaces.update(from: places, count: regionCount)
    unsafe (newPlaces + regionCount).initialize(repeating: 0, count: newCount - regionCount)
    unsafe places.deallocate()
    unsafe places = newPlaces
    let newEntryCount = min(firstCapacity, newCount)
    if newEntryCount > entryCount {
      let newEntries = UnsafeMutablePointer<Entry>.allocate(capacity: newEntryCount)
      unsafe newEntries.update(from: entries, count: entryCount)
      unsafe (newEntries + entryCount).initialize(repeating: Entry(), count: newEntryCount - entryCount)
      unsafe entries.deallocate()
      unsafe entries = newEntries
      free += (Int32(entryCount)..<Int32(newEntryCount)).reversed()
      entryCount = newEntryCount
    }
    regionCount = newCount
  }

  /// A member with a smaller log has come.
  mutating func limit(to newCapacity: Int) { capacity = min(capacity, newCapacity) }

  private func place(_ region: Int) -> Int? {
    precondition(region >= 0 && region < regionCount)
    let place = unsafe places[region]
    return place == 0 ? nil : Int(place) - 1
  }

  func entry(_ region: Int) -> Entry? { place(region).map { unsafe entries[$0] } }

  // MARK: Changes

  /// Pins the regions for a change if all of them are hot.
  @inline(__always)
  mutating func pinHot(_ first: Int, _ last: Int, now: UInt64) -> Bool {
    for region in first...last {
      guard let place = place(region), unsafe entries[place].state == .hot else { return false }
    }
    pin(first, last, now: now)
    return true
  }

  /// Pins regions that have entries.
  mutating func pin(_ first: Int, _ last: Int, now: UInt64) {
    nextSequence += 1
    for region in first...last {
      let place = unsafe Int(places[region]) - 1
      unsafe entries[place].pins += 1
      unsafe entries[place].sequence = nextSequence
      unsafe entries[place].lastUseNanoseconds = now
    }
  }

  mutating func unpin(_ first: Int, _ last: Int) {
    for region in first...last {
      guard let place = place(region) else { preconditionFailure("a pinned region has an entry") }
      unsafe precondition(entries[place].pins > 0, "a region is unpinned more often than pinned")
      unsafe entries[place].pins -= 1
    }
  }

  enum Admission: Equatable {
    /// All regions have entries and are pinned; these are new and must be put into the logs first.
    case pinned(new: [Int])
    /// One of them is just being dropped.
    case dropping
    case noRoom
  }

  /// Pins the regions of a change, giving entries to those that have none; all of them or none, so that changes never wait for
  /// each other's regions in a circle.
  mutating func admit(_ first: Int, _ last: Int, now: UInt64) -> Admission {
    var new: [Int] = []
    for region in first...last {
      guard let place = place(region) else {
        new.append(region)
        continue
      }
      if unsafe entries[place].state == .dropping { return .dropping }
    }
    if count + new.count > min(capacity, entryCount) { return .noRoom }
    for region in new { add(region) }
    pin(first, last, now: now)
    return .pinned(new: new)
  }

  /// Whether all of them are hot.
  func areHot(_ first: Int, _ last: Int) -> Bool {
    for region in first...last {
      guard let place = place(region), unsafe entries[place].state == .hot else { return false }
    }
    return true
  }

  // MARK: Life of an entry

  /// Gives a cold region an entry, activating.
  private mutating func add(_ region: Int) {
    guard let index = free.popLast() else { preconditionFailure("the activity log has room") }
    unsafe entries[Int(index)] = Entry(region: Int32(region))
    unsafe places[region] = index + 1
    count += 1
  }

  /// Takes in what a member's log held before; false when there is no room for it.
  mutating func adopt(_ region: Int) -> Bool {
    precondition(region >= 0 && region < regionCount)
    if place(region) != nil { return true }
    if free.isEmpty { return false }
    add(region)
    return true
  }

  mutating func setHot(_ region: Int, now: UInt64) {
    guard let place = place(region) else { return }
    unsafe entries[place].state = .hot
    unsafe entries[place].lastUseNanoseconds = max(entries[place].lastUseNanoseconds, now)
  }

  /// Hot regions that nobody pins, used last before `deadline`, oldest first, with the number of their latest change.
  func candidates(usedBefore deadline: UInt64, limit: Int) -> [(region: Int, sequence: UInt64)] {
    var found: [(region: Int, sequence: UInt64, lastUse: UInt64)] = []
    for index in 0..<entryCount {
      let entry = unsafe entries[index]
      guard entry.region >= 0, entry.state == .hot, entry.pins == 0, !entry.awaitsReconciliation, entry.lastUseNanoseconds < deadline
      else { continue }
      found.append((Int(entry.region), entry.sequence, entry.lastUseNanoseconds))
    }
    found.sort { $0.lastUse != $1.lastUse ? $0.lastUse < $1.lastUse : $0.region < $1.region }
    return found.prefix(limit).map { ($0.region, $0.sequence) }
  }

  /// Begins to drop a region, unless it was changed since `sequence` (R5).
  mutating func beginDrop(_ region: Int, ifUnchangedSince sequence: UInt64) -> Bool {
    guard let place = place(region), unsafe entries[place].state == .hot, unsafe entries[place].pins == 0,
      unsafe entries[place].sequence == sequence, unsafe !entries[place].awaitsReconciliation
    else { return false }
    unsafe entries[place].state = .dropping
    return true
  }

  /// No log holds it any more.
  mutating func remove(_ region: Int) {
    guard let place = place(region) else { return }
    unsafe precondition(entries[place].pins == 0, "a region in use leaves the log")
    if unsafe entries[place].awaitsReconciliation { awaitingCount -= 1 }
    unsafe entries[place] = Entry()
    unsafe places[region] = 0
    free.append(Int32(place))
    count -= 1
  }

  /// All regions with an entry, ascending.
  var regions: [Int] {
    var regions: [Int] = []
    for index in 0..<entryCount where unsafe entries[index].region >= 0 { regions.append(Int(unsafe entries[index].region)) }
    return regions.sorted()
  }

  /// Those that await reconciliation, ascending.
  var awaitingRegions: [Int] {
    var regions: [Int] = []
    for index in 0..<entryCount where unsafe entries[index].region >= 0 && entries[index].awaitsReconciliation {
      regions.append(Int(unsafe entries[index].region))
    }
    return regions.sorted()
  }

  // MARK: Reconciliation

  /// Members may differ in every region the log holds.
  mutating func awaitReconciliation() {
    for index in 0..<entryCount where unsafe entries[index].region >= 0 {
      unsafe entries[index].awaitsReconciliation = true
    }
    awaitingCount = count
  }

  mutating func reconciled(_ region: Int) {
    guard let place = place(region), unsafe entries[place].awaitsReconciliation else { return }
    unsafe entries[place].awaitsReconciliation = false
    awaitingCount -= 1
  }

  /// The first of the regions that awaits reconciliation.
  func firstAwaiting(_ first: Int, _ last: Int) -> Int? {
    if awaitingCount == 0 { return nil }
    for region in first...last {
      if let place = place(region), unsafe entries[place].awaitsReconciliation { return region }
    }
    return nil
  }

  /// Ascending regions as ranges.
  static func ranges(of regions: [Int]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for region in regions {
      if let last = ranges.last, last.upperBound == region {
        ranges[ranges.count - 1] = last.lowerBound..<region + 1
      } else {
        ranges.append(region..<region + 1)
      }
    }
    return ranges
  }
}
