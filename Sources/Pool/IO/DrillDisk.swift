import Glibc
import Reactor

/// A pool's disk for tests and drills that loses power when its process is killed: what is written stays in the memory of this
/// process until a flush, as it may stay in the volatile cache of a disk.
///
/// Reads see what was written. A flush, and a write that is to be durable, really write to the file. The cache is bounded: when it is
/// full, sectors picked at random are written back, in no order of writing, as a disk may do at any time; the latest content of each,
/// so that none ever goes back. Ranges that are made zeros go to the file at once, which a disk may do too. A process that ends in
/// order writes everything back.
///
/// All of it blocks the reactor. Never for service.
@safe final class DrillDisk: ImmediateDisk {
  static let standardCacheBytes = 32 << 20
  private static let stagingBytes = 1 << 20

  private var file: DiskFile?
  private let reactor: Reactor?
  private let sectorBytes: Int
  private let capacity: Int
  private let memory: UnsafeMutableRawPointer
  private let staging: UnsafeMutableRawPointer
  /// Where in `memory` a sector is, and which sector is in a place; places in use come first.
  private var places: [UInt64: Int] = [:]
  private var sectors: [UInt64] = []
  private var isPosted = false

  /// Called on the reactor's thread.
  init(file: DiskFile, reactor: Reactor?, cacheBytes: Int = DrillDisk.standardCacheBytes) {
    precondition(cacheBytes >= 2 * Self.stagingBytes)
    self.file = file
    self.reactor = reactor
    sectorBytes = Int(file.sectorBytes)
    capacity = cacheBytes / sectorBytes
    unsafe memory = .allocate(byteCount: cacheBytes, alignment: 4096)
    unsafe staging = .allocate(byteCount: Self.stagingBytes, alignment: 4096)
    super.init()
    reactor?.register(self)
  }

  deinit {
    unsafe memory.deallocate()
    unsafe staging.deallocate()
  }

  /// What a kill would lose now.
  var cachedBytes: Int { sectors.count * sectorBytes }

  override func queued() {
    guard let reactor, !isPosted else { return }
    isPosted = true
    reactor.postpone(handlerID, token: 0, result: 0)
  }

  override func completed(token: UInt64, result: Int32) {
    isPosted = false
    drain()
  }

  override func read(token: Int, into buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64) {
    let result = unsafe file!.readFully(into: buffer, byteCount: byteCount, offsetBytes: offsetBytes)
    if result == 0, !sectors.isEmpty {
      for (index, sector) in range(offsetBytes, byteCount).enumerated() {
        guard let place = places[sector] else { continue }
        unsafe (buffer + index * sectorBytes).copyMemory(from: memory + place * sectorBytes, byteCount: sectorBytes)
      }
    }
    end(token, result)
  }

  override func write(token: Int, from buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, durably: Bool) {
    if durably {
      forget(range(offsetBytes, byteCount))
      var result = unsafe file!.writeFully(from: buffer, byteCount: byteCount, offsetBytes: offsetBytes)
      if result == 0 { result = file!.synchronizeResult() }
      return end(token, result)
    }
    for (index, sector) in range(offsetBytes, byteCount).enumerated() {
      if places[sector] == nil {
        if sectors.count == capacity {
          let result = writeBack(Array((0..<capacity).shuffled().prefix(capacity / 16)))
          if result < 0 { return end(token, result) }
        }
        places[sector] = sectors.count
        sectors.append(sector)
      }
      unsafe (memory + places[sector]! * sectorBytes).copyMemory(from: buffer + index * sectorBytes, byteCount: sectorBytes)
    }
    end(token, 0)
  }

  override func sync(token: Int) { end(token, synchronize()) }

  override func zero(token: Int, offsetBytes: UInt64, byteCount: UInt64) {
    let zeroed = range(offsetBytes, Int(byteCount))
    if zeroed.count < sectors.count { forget(zeroed) } else { forget(sectors.filter { zeroed.contains($0) }) }
    end(token, file!.punchHole(offsetBytes: offsetBytes, byteCount: byteCount))
  }

  private func range(_ offsetBytes: UInt64, _ byteCount: Int) -> Range<UInt64> {
    let first = offsetBytes / UInt64(sectorBytes)
    return first..<first + UInt64(byteCount / sectorBytes)
  }

  private func synchronize() -> Int32 {
    let result = writeBack(Array(sectors.indices))
    return result < 0 ? result : file!.synchronizeResult()
  }

  /// Writes what is in some places to the file, neighbours together and otherwise in any order, and forgets it.
  private func writeBack(_ chosen: [Int]) -> Int32 {
    let written = chosen.map { sectors[$0] }.sorted()
    var runs: [Range<Int>] = []
    for index in written.indices {
      if let last = runs.last, written[index] == written[index - 1] + 1, last.count * sectorBytes < Self.stagingBytes {
        runs[runs.count - 1] = last.lowerBound..<index + 1
      } else {
        runs.append(index..<index + 1)
      }
    }
    for run in runs.shuffled() {
      for (index, sector) in written[run].enumerated() {
        unsafe (staging + index * sectorBytes).copyMemory(from: memory + places[sector]! * sectorBytes, byteCount: sectorBytes)
      }
      let result = unsafe file!.writeFully(
        from: staging, byteCount: run.count * sectorBytes, offsetBytes: written[run.lowerBound] * UInt64(sectorBytes))
      if result < 0 { return result }
    }
    forget(written)
    return 0
  }

  /// Drops sectors from the cache; the last place in use takes the place of each.
  private func forget(_ dropped: some Sequence<UInt64>) {
    for sector in dropped {
      guard let place = places.removeValue(forKey: sector) else { continue }
      let last = sectors.count - 1
      if place < last {
        unsafe (memory + place * sectorBytes).copyMemory(from: memory + last * sectorBytes, byteCount: sectorBytes)
        sectors[place] = sectors[last]
        places[sectors[place]] = place
      }
      sectors.removeLast()
    }
  }

  override func detach() {
    super.detach()
    // A failure of this was told by the flush before, or nobody asked for one.
    _ = synchronize()
    file = nil
    guard let reactor else { return }
    let bound = ReactorBound(self)
    reactor.post { $0.unregister(bound.value) }
  }
}
