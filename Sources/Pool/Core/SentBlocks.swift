import Glibc

/// Blocks of which a record said that data was sent to them, and no durable note says yet that it arrived. No I/O.
///
/// Such a block holds what its record promised or nothing new: the next opening finds out by the checksum in the record. So it must
/// not be written again before a durable note settles the matter. Bounded, as an opening has to read all of them.
@safe struct SentBlocks: ~Copyable {
  /// No pool has more of them: 128 MiB of data that an opening may have to read.
  static let limit = 32_768
  private static let placeCount = 4 * limit

  private struct Run {
    var sequence: UInt64
    var first: Int
    var count: Int
  }

  private struct Place {
    /// Block number plus one, 0 for none.
    var key: UInt64
    var sequence: UInt64
    var sum: UInt32
    /// Of what was there before it was written again; as `sum` if it was not.
    var previousSum: UInt32
  }

  /// Linear probing; takes memory on first use only.
  private var places: UnsafeMutablePointer<Place>?
  /// Ascending by sequence.
  private var runs: [Run] = []
  private var runHead = 0
  private(set) var count = 0
  private(set) var highestSequence: UInt64 = 0

  init() { unsafe places = nil }

  deinit { unsafe free(places) }

  private mutating func allocate() {
    guard let memory = unsafe calloc(Self.placeCount, MemoryLayout<Place>.stride) else {
      preconditionFailure("no memory for a pool's unsettled blocks")
    }
    unsafe places = unsafe memory.bindMemory(to: Place.self, capacity: Self.placeCount)
  }

  @inline(__always)
  private static func home(_ block: Int) -> Int {
    Int(truncatingIfNeeded: (UInt64(truncatingIfNeeded: block) &* 0x9E37_79B9_7F4A_7C15) >> 40) & (placeCount - 1)
  }

  private func find(_ block: Int) -> Int? {
    guard let places = unsafe places else { return nil }
    var place = Self.home(block)
    let key = UInt64(block) + 1
    while unsafe places[place].key != 0 {
      if unsafe places[place].key == key { return place }
      place = (place + 1) & (Self.placeCount - 1)
    }
    return nil
  }

  /// The lowest and the highest record that first sent data to any of `blocks`; nil if none did.
  @inline(__always)
  func sequences(of blocks: Range<Int>) -> ClosedRange<UInt64>? {
    if count == 0 { return nil }
    return search(blocks)
  }

  private func search(_ blocks: Range<Int>) -> ClosedRange<UInt64>? {
    var found: ClosedRange<UInt64>?
    for block in blocks {
      guard let place = find(block) else { continue }
      let sequence = unsafe places![place].sequence
      found = min(found?.lowerBound ?? sequence, sequence)...max(found?.upperBound ?? sequence, sequence)
    }
    return found
  }

  /// Whether so many more blocks may be sent.
  func hasRoom(for added: Int) -> Bool { count + added <= Self.limit && runs.count - runHead < 2 * Self.limit }

  /// Whether a block was recorded with this checksum, last or before that.
  func isRight(_ block: Int, _ sum: UInt32) -> Bool {
    guard let place = find(block) else { return false }
    return unsafe places![place].sum == sum || places![place].previousSum == sum
  }

  /// Blocks from `first` on were written again; those that are settled have no part in it.
  mutating func amend(_ first: Int, sums values: [UInt32]) {
    for (index, value) in values.enumerated() {
      guard let place = find(first + index) else { continue }
      unsafe places![place].previousSum = unsafe places![place].sum
      unsafe places![place].sum = value
    }
  }

  /// Record `sequence` sent data to blocks from `first` on. False if there are too many.
  @discardableResult
  mutating func insert(_ first: Int, count added: Int, sums values: [UInt32] = [], sequence: UInt64) -> Bool {
    if runs.count - runHead >= 4 * Self.limit { return false }
    if unsafe places == nil { allocate() }
    guard let places = unsafe places else { return false }
    let blocks = first..<first + added
    for block in blocks {
      var place = Self.home(block)
      let key = UInt64(block) + 1
      while unsafe places[place].key != 0 && places[place].key != key { place = (place + 1) & (Self.placeCount - 1) }
      if unsafe places[place].key == 0 {
        if count == Self.limit { return false }
        count += 1
      }
      let sum = values.isEmpty ? 0 : values[block - first]
      unsafe places[place] = Place(key: key, sequence: sequence, sum: sum, previousSum: sum)
    }
    // By sequence, as they are settled in that order; they arrive nearly so.
    var place = runs.count
    while place > runHead, runs[place - 1].sequence > sequence { place -= 1 }
    runs.insert(Run(sequence: sequence, first: blocks.lowerBound, count: blocks.count), at: place)
    highestSequence = max(highestSequence, sequence)
    return true
  }

  /// Forgets blocks: what was sent to them does not matter any more.
  mutating func remove(_ blocks: Range<Int>) {
    if count == 0 { return }
    for block in blocks { if let place = find(block) { remove(place: place) } }
  }

  private mutating func remove(place: Int) {
    guard let places = unsafe places else { return }
    var hole = place
    var next = (place + 1) & (Self.placeCount - 1)
    while unsafe places[next].key != 0 {
      // Moves back what would not be found any more behind an empty place.
      let home = unsafe Self.home(Int(places[next].key - 1))
      if (next - home) & (Self.placeCount - 1) >= (next - hole) & (Self.placeCount - 1) {
        unsafe places[hole] = places[next]
        hole = next
      }
      next = (next + 1) & (Self.placeCount - 1)
    }
    unsafe places[hole].key = 0
    count -= 1
  }

  /// Everything that records up to `sequence` speak of has arrived, durably.
  mutating func settle(through sequence: UInt64) {
    while runHead < runs.count, runs[runHead].sequence <= sequence {
      let run = runs[runHead]
      runHead += 1
      for block in run.first..<run.first + run.count {
        if let place = find(block), unsafe places![place].sequence <= sequence { remove(place: place) }
      }
    }
    if runHead == runs.count {
      runs.removeAll(keepingCapacity: true)
      runHead = 0
    } else if runHead > 4096 {
      runs.removeFirst(runHead)
      runHead = 0
    }
  }

  /// All blocks, ascending.
  var blocks: [Int] {
    var found: [Int] = []
    for run in runs[runHead...] {
      for block in run.first..<run.first + run.count where find(block) != nil { found.append(block) }
    }
    return Array(Set(found)).sorted()
  }

  /// The lowest record that speaks of any of them.
  var lowestSequence: UInt64? {
    blocks.compactMap { sequences(of: $0..<$0 + 1)?.lowerBound }.min()
  }
}
