/// Whether there is an order in which every sector is a register: each operation takes effect at one moment between its begin and
/// its end, and every read sees the latest change. What nobody knows the outcome of may take effect once, or never.
///
/// Sectors that were never zeroed are judged by zones. For the others the begins and ends of operations are gone through, keeping
/// every state that the sector may be in: its value, and which of the open operations have taken effect. Changes take effect as late
/// as possible: when an end asks for it.
struct LinearizabilityChecker {
  let operations: [History.Operation]

  /// Says what cannot be; nil when all can.
  func violation(sectorCount: Int) -> String? {
    let sectorCount = operations.reduce(sectorCount) { max($0, $1.sectors.upperBound) }
    var bySector: [[Int]] = Array(repeating: [], count: sectorCount)
    for operation in operations where operation.kind != .flush && operation.outcome != .never {
      if operation.kind == .read, operation.outcome != .done { continue }
      for sector in operation.sectors { bySector[sector].append(operation.number) }
    }
    for sector in 0..<sectorCount {
      if sector > 0, isSame(sector, bySector[sector], as: sector - 1, bySector[sector - 1]) { continue }
      if let problem = check(sector, bySector[sector]) { return problem }
    }
    return nil
  }

  /// Neighbours mostly share their fate: the same commands, and reads that saw the same of them.
  private func isSame(_ sector: Int, _ numbers: [Int], as other: Int, _ others: [Int]) -> Bool {
    guard numbers == others else { return false }
    for number in numbers where operations[number].kind == .read {
      if author(operations[number], sector) != author(operations[number], other) { return false }
    }
    return true
  }

  /// Which write a value is of: 0 for zeros.
  private func author(_ operation: History.Operation, _ sector: Int) -> Int {
    switch operation.kind {
    case .read:
      let value = operation.values[sector - operation.sectors.lowerBound]
      if value == 0 { return 0 }
      return value == Stamp.garbage || value & 0xFFFF_FFFF != UInt64(sector) ? -1 : Int(value >> 32)
    case .write: return operation.number + 1
    case .zero, .flush: return 0
    }
  }

  private struct State: Hashable {
    var author: Int
    var done: UInt64
  }

  private struct Open {
    let number: Int
    let author: Int
    let isRead: Bool
  }

  private func check(_ sector: Int, _ all: [Int]) -> String? {
    var seen = Set<Int>()
    for number in all where operations[number].kind == .read { seen.insert(author(operations[number], sector)) }
    // A change of unknown outcome that nobody ever saw may as well never have happened.
    let numbers = all.filter { operations[$0].outcome == .done || seen.contains(author(operations[$0], sector)) }
    if !numbers.contains(where: { operations[$0].kind == .zero }) { return checkZones(sector, numbers) }
    return search(sector, numbers, seen)
  }

  /// Where every value has one author: by the zones of Gibbons and Korach ("Testing shared memories", 1997), in which a value must
  /// have been there between two of its operations, or may have been at any moment of their overlap.
  private func checkZones(_ sector: Int, _ numbers: [Int]) -> String? {
    struct Zone {
      var firstEnd = Int.max
      var lastBegin = Int.min
      var lastReader = -1
    }
    var zones: [Int: Zone] = [0: Zone(firstEnd: Int.min)]
    for number in numbers where operations[number].kind == .write {
      zones[number + 1] = Zone(firstEnd: operations[number].end ?? .max, lastBegin: operations[number].begin)
    }
    for number in numbers where operations[number].kind == .read {
      let operation = operations[number]
      let author = author(operation, sector)
      let end = operation.end ?? .max
      guard var zone = zones[author], author == 0 || end > operations[author - 1].begin else {
        return "sector \(sector): read \(number) of generation \(operation.generation) saw "
          + "\(Stamp.describe(operation.values[sector - operation.sectors.lowerBound])), which nobody had written"
      }
      zone.firstEnd = min(zone.firstEnd, end)
      if operation.begin > zone.lastBegin { (zone.lastBegin, zone.lastReader) = (operation.begin, number) }
      zones[author] = zone
    }
    let ordered = zones.sorted { $0.key < $1.key }
    let forward = ordered.filter { $0.value.firstEnd < $0.value.lastBegin }.sorted { $0.value.firstEnd < $1.value.firstEnd }
    for (one, other) in zip(forward, forward.dropFirst()) where other.value.firstEnd < one.value.lastBegin {
      return describe(sector, one.key, one.value.lastReader, other.key)
    }
    for (author, zone) in ordered where zone.firstEnd >= zone.lastBegin {
      if let around = forward.first(where: { $0.value.firstEnd < zone.lastBegin && zone.firstEnd < $0.value.lastBegin }) {
        return describe(sector, around.key, around.value.lastReader, author)
      }
    }
    return nil
  }

  private func describe(_ sector: Int, _ author: Int, _ reader: Int, _ other: Int) -> String {
    let value = author == 0 ? "zeros" : "operation \(author - 1)"
    let between = other == 0 ? "zeros" : "operation \(other - 1)"
    return "sector \(sector): \(value) was there before and, as read \(reader) of generation "
      + "\(reader < 0 ? 0 : operations[reader].generation) saw, after \(between) had taken its place"
  }

  /// States to look at in one step, at most; a sector with more is let pass.
  private static let maximumStates = 2_000
  private static let unseen = -2

  private func search(_ sector: Int, _ numbers: [Int], _ seen: Set<Int>) -> String? {
    var points: [(tick: Int, number: Int, isEnd: Bool)] = []
    for number in numbers {
      points.append((operations[number].begin, number, false))
      if let end = operations[number].end { points.append((end, number, true)) }
    }
    points.sort { $0.tick != $1.tick ? $0.tick < $1.tick : $0.number < $1.number }
    var states: [State] = [State(author: 0, done: 0)]
    var open: [Open?] = []
    for point in points {
      let operation = operations[point.number]
      if !point.isEnd {
        let slot = open.firstIndex { $0 == nil } ?? open.count
        if slot == 64 { return nil }
        // What nobody ever saw may be told from other such changes by nobody.
        let author = author(operation, sector)
        let entry = Open(
          number: point.number, author: seen.contains(author) ? author : Self.unseen, isRead: operation.kind == .read)
        if slot == open.count { open.append(entry) } else { open[slot] = entry }
        if entry.isRead {
          for index in states.indices where states[index].author == entry.author { states[index].done |= 1 << UInt64(slot) }
        }
        continue
      }
      guard let slot = open.firstIndex(where: { $0?.number == point.number }) else { continue }
      let bit: UInt64 = 1 << UInt64(slot)
      let before = states
      guard let reached = reach(bit, from: states, open) else { return nil }
      states = reached
      if operation.outcome == .unknown { states += before.filter { $0.done & bit == 0 } }
      open[slot] = nil
      if states.isEmpty { return describe(sector, operation, before) }
      for index in states.indices { states[index].done &= ~bit }
      states = Array(Set(states)).sorted { $0.author != $1.author ? $0.author < $1.author : $0.done < $1.done }
    }
    return nil
  }

  /// All states in which the operation of `bit` has taken effect, with no more others before it than needed.
  private func reach(_ bit: UInt64, from states: [State], _ open: [Open?]) -> [State]? {
    var seen = Set(states)
    var line = states
    var reached: [State] = []
    var position = 0
    while position < line.count {
      let state = line[position]
      position += 1
      if state.done & bit != 0 {
        reached.append(state)
        continue
      }
      for slot in open.indices {
        guard let entry = open[slot], !entry.isRead, state.done >> UInt64(slot) & 1 == 0 else { continue }
        var next = State(author: entry.author, done: state.done | 1 << UInt64(slot))
        for other in open.indices {
          if let read = open[other], read.isRead, read.author == next.author { next.done |= 1 << UInt64(other) }
        }
        if seen.insert(next).inserted { line.append(next) }
        if line.count > Self.maximumStates { return nil }
      }
    }
    return reached
  }

  private func describe(_ sector: Int, _ operation: History.Operation, _ states: [State]) -> String {
    let possible = Set(states.map(\.author)).sorted().map {
      $0 == Self.unseen ? "what nobody saw" : $0 == 0 ? "zeros" : "operation \($0 - 1)"
    }
    let seen = operation.kind == .read ? Stamp.describe(operation.values[sector - operation.sectors.lowerBound]) : "nothing"
    return "sector \(sector): \(operation.kind) \(operation.number) of generation \(operation.generation) saw \(seen), but the sector "
      + "can only hold \(possible.joined(separator: " or "))"
  }
}
