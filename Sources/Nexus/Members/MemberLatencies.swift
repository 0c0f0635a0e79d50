/// How long members take, as running averages: for the order of reads, and to find one that is far slower than its peers. Nothing is
/// allocated after its start.
///
/// Changes go to all members alike, so that theirs can be compared with each other; reads go to one of them. `STATES.md` has the numbers.
struct MemberLatencies {
  private struct Entry: BitwiseCopyable {
    /// Averages in nanoseconds; 0 while nothing is known.
    var changes: UInt64 = 0
    var reads: UInt64 = 0
    var hasNews = false
    var wasRead = false
    /// Looks that found it slow, less those that found it well, from 0 to `neededLooks`.
    var slowLooks = 0
    var isSlow = false
  }

  static let lookNanoseconds: UInt64 = 500_000_000
  /// No answer counts for more.
  static let longestNanoseconds: UInt64 = 10_000_000_000

  /// As slow as this many times the quickest, and so much slower at least, for so many looks.
  let factor: UInt64
  let leastNanoseconds: UInt64
  let neededLooks: Int
  private var entries = InlineArray<8, Entry>(repeating: Entry())

  init(factor: UInt64 = 8, leastNanoseconds: UInt64 = 20_000_000, slowNanoseconds: UInt64 = 10_000_000_000) {
    self.factor = max(factor, 2)
    self.leastNanoseconds = leastNanoseconds
    neededLooks = max(1, Int(clamping: slowNanoseconds / Self.lookNanoseconds))
  }

  // MARK: Answers

  mutating func noteChange(_ index: Int, _ nanoseconds: UInt64) {
    entries[index].changes = Self.average(entries[index].changes, nanoseconds)
    entries[index].hasNews = true
  }

  /// A change has had no answer for so long.
  mutating func noteSilence(_ index: Int, _ nanoseconds: UInt64) {
    if nanoseconds > entries[index].changes { noteChange(index, nanoseconds) }
  }

  mutating func noteRead(_ index: Int, _ nanoseconds: UInt64) {
    entries[index].reads = Self.average(entries[index].reads, nanoseconds)
    entries[index].wasRead = true
  }

  /// Each new one counts for an eighth.
  private static func average(_ old: UInt64, _ nanoseconds: UInt64) -> UInt64 {
    let new = max(min(nanoseconds, longestNanoseconds), 1)
    return old == 0 ? new : old - old / 8 + new / 8
  }

  /// What is known of it is not true of its next session.
  mutating func forget(_ index: Int) { entries[index] = Entry() }

  // MARK: Looks

  /// Looks at the members of a mask, every `lookNanoseconds`. Returns those that became slow or well by it.
  mutating func look(_ mask: UInt8) -> UInt8 {
    var changed: UInt8 = 0
    for index in 0..<8 where mask & Nexus.bit(index) != 0 {
      if entries[index].hasNews, let quickest = quickestPeer(of: index, mask) {
        let isFar = Self.isFar(entries[index].changes, quickest, factor, leastNanoseconds)
        // Who was found slow is well again at half of it.
        let isNear = !Self.isFar(entries[index].changes, quickest, factor / 2, leastNanoseconds / 2)
        if isFar {
          entries[index].slowLooks = min(entries[index].slowLooks + 1, neededLooks)
        } else if isNear || !entries[index].isSlow {
          entries[index].slowLooks = max(entries[index].slowLooks - 1, 0)
        }
        let isSlow = entries[index].slowLooks == neededLooks || (entries[index].isSlow && entries[index].slowLooks > 0)
        if isSlow != entries[index].isSlow { changed |= Nexus.bit(index) }
        entries[index].isSlow = isSlow
      }
      // Who is not read from is tried again some time, when what was seen long ago has faded.
      if !entries[index].wasRead {
        let known = entries[index].changes
        let reads = entries[index].reads
        entries[index].reads = reads > known ? reads - (reads - known) / 8 : reads
      }
    }
    for index in 0..<8 {
      entries[index].hasNews = false
      entries[index].wasRead = false
    }
    return changed
  }

  private static func isFar(_ own: UInt64, _ peer: UInt64, _ factor: UInt64, _ least: UInt64) -> Bool {
    own >= peer * factor && own - min(own, peer) >= least
  }

  /// The average of the quickest other member with answers since the last look.
  private func quickestPeer(of index: Int, _ mask: UInt8) -> UInt64? {
    var quickest: UInt64?
    for peer in 0..<8 where peer != index && mask & Nexus.bit(peer) != 0 && entries[peer].hasNews {
      quickest = min(quickest ?? .max, entries[peer].changes)
    }
    return quickest
  }

  /// What to say of a slow one; nil of others.
  func slowness(_ index: Int, _ mask: UInt8) -> NexusMember.Slowness? {
    guard entries[index].isSlow else { return nil }
    var quickest: UInt64 = 0
    for peer in 0..<8 where peer != index && mask & Nexus.bit(peer) != 0 && entries[peer].changes > 0 {
      quickest = quickest == 0 ? entries[peer].changes : min(quickest, entries[peer].changes)
    }
    return NexusMember.Slowness(nanoseconds: entries[index].changes, peerNanoseconds: quickest)
  }

  /// Replicas in the order in which to read from them: the nearest unless it is slow, the others by latency, slow ones last. Of which
  /// nothing is known comes first among the others, so that something will be.
  func order(nearest: Int?) -> InlineArray<8, UInt8> {
    var order = InlineArray<8, UInt8> { UInt8($0) }
    for end in 1..<8 {
      var place = end
      while place > 0, precedes(Int(order[place]), Int(order[place - 1]), nearest) {
        order.swapAt(place, place - 1)
        place -= 1
      }
    }
    return order
  }

  private func precedes(_ one: Int, _ other: Int, _ nearest: Int?) -> Bool {
    if entries[one].isSlow != entries[other].isSlow { return entries[other].isSlow }
    if (one == nearest) != (other == nearest) { return one == nearest }
    return readLatency(one) < readLatency(other)
  }

  private func readLatency(_ index: Int) -> UInt64 { entries[index].reads > 0 ? entries[index].reads : entries[index].changes }
}
