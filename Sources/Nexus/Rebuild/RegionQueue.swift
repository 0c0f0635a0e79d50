/// Regions to be looked at, in order; some are wanted sooner.
struct RegionQueue {
  private var wanted: [Int] = []
  private var regions: [Int] = []
  private var next = 0
  /// Taken and not done.
  private(set) var inWork = 0

  init(_ regions: [Int] = []) { self.regions = regions }

  var isEmpty: Bool { wanted.isEmpty && next == regions.count }
  var isDone: Bool { isEmpty && inWork == 0 }
  var count: Int { wanted.count + regions.count - next + inWork }

  mutating func take() -> Int? {
    if let region = wanted.popLast() {
      inWork += 1
      return region
    }
    guard next < regions.count else { return nil }
    next += 1
    inWork += 1
    return regions[next - 1]
  }

  /// One that was taken is done.
  mutating func done() { inWork -= 1 }

  /// One that was taken must be taken again.
  mutating func putBack(_ region: Int) {
    inWork -= 1
    regions.append(region)
  }

  /// Somebody waits for a region. One that is in work already is left alone.
  mutating func moveToFront(_ region: Int) {
    if wanted.contains(region) { return }
    guard let position = regions[next...].firstIndex(of: region) else { return }
    regions.remove(at: position)
    wanted.append(region)
  }
}
