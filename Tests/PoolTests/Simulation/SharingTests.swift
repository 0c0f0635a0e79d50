import Reactor
import Testing

@testable import Pool

/// What snapshots cost and share, and lists of what they hold.
@Suite struct SharingTests {
  private static func simulation(_ seed: UInt64, salt: UInt64) -> PoolSimulation {
    let simulation = PoolSimulation(
      seed: seed, options: .init(suite: "SharingTests", salt: salt, clusterCount: 60, maximumSectors: 500, maximumReplicas: 3))
    simulation.run(.create)
    for round in 0..<14 {
      simulation.runRound(requests: 2...6, changes: 0...1)
      if round % 2 == 0 { simulation.run(.snapshot) }
      if round % 5 == 1 { simulation.run(.clone) }
    }
    return simulation
  }

  @Test func `a deletion gives back what was called unique, and keeps what was called shared`() async {
    await Seeds.forEach(40) { seed in
      let simulation = Self.simulation(seed, salt: 21)
      while !simulation.hasFailed, let id = simulation.model.objects.keys.sorted().randomElement(using: &simulation.generator) {
        let engine = simulation.engine
        let layer = engine.state.replicas[id]?.header.layer ?? engine.state.snapshots[id]!.layer
        let index = engine.state.layerIndexes[layer]!
        let count = engine.state.layers[index]!.clusterCount
        var use = (unique: 0, shared: 0)
        for logical in 0..<count {
          let part = engine.state.use(layerIndex: index, logicals: logical..<logical + 1)
          use = (use.unique + part.unique, use.shared + part.shared)
        }
        let atOnce = engine.state.use(layerIndex: index, logicals: 0..<count)
        #expect(atOnce.unique == use.unique && atOnce.shared == use.shared, "in steps or at once")
        let seen = Self.clusters(of: id, engine.state)
        let used = engine.state.usedCount
        simulation.delete(id)
        simulation.finish()
        if used - engine.state.usedCount != use.unique {
          simulation.fail("a deletion gave back \(used - engine.state.usedCount) clusters, not \(use.unique)")
        }
        let kept = seen.count { engine.state.clusters.owner($0) != 0 }
        if kept != use.shared { simulation.fail("\(kept) clusters were shared, not \(use.shared)") }
      }
      if simulation.engine.state.usedCount != 0 { simulation.fail("clusters are left") }
    }
  }

  /// The clusters with blocks that are visible through an object.
  private static func clusters(of id: Identifier, _ state: borrowing PoolState) -> [Int] {
    let layer = state.replicas[id]?.header.layer ?? state.snapshots[id]!.layer
    let size = state.replicas[id]?.header.sizeBytes ?? state.snapshots[id]!.sizeBytes
    var found: Set<Int> = []
    for offset in stride(from: 0, to: size, by: 4096) {
      if let storage = state.locate(layerIndex: state.layerIndexes[layer]!, offset: offset, end: offset + 1).storageOffset {
        found.insert(Int((storage - state.geometry.dataOffset) >> state.geometry.clusterShift))
      }
    }
    return found.sorted()
  }

  @Test func `lists of ranges say what is there and what differs, however they are cut`() async {
    await Seeds.forEach(40) { seed in
      let simulation = Self.simulation(seed, salt: 22)
      let (state, disk) = (simulation.engine, simulation.disk)
      let snapshots = simulation.model.objects.keys.sorted().filter { state.state.snapshots[$0] != nil }
      for id in snapshots {
        let header = state.state.snapshots[id]!
        let listed = Self.whole(simulation) {
          state.state.allocatedRanges(layer: header.layer, sizeBytes: header.sizeBytes, from: $0, limit: $1)
        }
        let content = simulation.content(of: id, disk.image, state.state)
        let blocks = Self.blocks(listed, header.sizeBytes)
        for (sector, value) in content.enumerated() where value != 0 && !blocks.contains(sector / 8) {
          return simulation.fail("sector \(sector) holds data and is not listed")
        }
        for block in blocks {
          let offset = UInt64(block) * 4096
          let place = state.state.locate(layerIndex: state.state.layerIndexes[header.layer]!, offset: offset, end: offset + 1)
          if place.storageOffset == nil { return simulation.fail("block \(block) is listed and holds nothing") }
        }
        for other in snapshots {
          let second = state.state.snapshots[other]!
          if second.volumeID != header.volumeID { continue }
          let size = max(header.sizeBytes, second.sizeBytes)
          let differing = Self.blocks(
            Self.whole(simulation) { state.state.differingRanges(header.layer, second.layer, sizeBytes: size, from: $0, limit: $1) }, size)
          let otherContent = simulation.content(of: other, disk.image, state.state)
          for sector in 0..<max(content.count, otherContent.count) {
            let values = [content, otherContent].map { sector < $0.count ? $0[sector] : 0 }
            if values[0] != values[1] && !differing.contains(sector / 8) {
              return simulation.fail("sector \(sector) differs and is not listed")
            }
          }
          if id == other && !differing.isEmpty { simulation.fail("a snapshot differs from itself") }
        }
      }
    }
  }

  /// A list in one piece; it must be the same in small ones, ascending, and without ranges that touch.
  private static func whole(_ simulation: PoolSimulation, _ list: (UInt64, Int) -> RangeList) -> [ByteRange] {
    let whole = list(0, .max)
    if whole.nextOffsetBytes != nil { simulation.fail("a short list goes on") }
    for (first, second) in zip(whole.ranges, whole.ranges.dropFirst()) where first.offsetBytes + first.byteCount >= second.offsetBytes {
      simulation.fail("ranges touch or are out of order")
    }
    for limit in [1, 3] {
      var pieces: [ByteRange] = []
      var next: UInt64? = 0
      while let offset = next, pieces.count <= whole.ranges.count {
        let piece = list(offset, limit)
        pieces += piece.ranges
        next = piece.nextOffsetBytes
      }
      if pieces != whole.ranges { simulation.fail("\(limit) at a time, a list is \(pieces), not \(whole.ranges)") }
    }
    return whole.ranges
  }

  private static func blocks(_ ranges: [ByteRange], _ size: UInt64) -> Set<Int> {
    var blocks: Set<Int> = []
    for range in ranges { blocks.formUnion(Int(range.offsetBytes / 4096)..<Int((range.offsetBytes + range.byteCount + 4095) / 4096)) }
    return blocks
  }

  @Test func `a first write after a snapshot copies nothing, and an overwrite writes no metadata`() {
    let simulation = PoolSimulation(seed: 1, options: .init(suite: "SharingTests", salt: 23))
    let id = simulation.create(sectors: 512)
    simulation.finish()
    simulation.submit(.write, id, 0..<512)
    simulation.finish()
    for _ in 0..<2 {
      simulation.takeSnapshot(of: id)
      simulation.finish()
      for range in [128..<136, 200..<264, 384..<512] {
        let (first, overwrite) = (Self.traffic(simulation, id, range), Self.traffic(simulation, id, range))
        #expect(first.read == 0 && first.data == range.count * 512, "only what the host wrote")
        // Its record, and now and then those that make clusters ready to be given out and say that they were.
        #expect((1...3).contains(first.metadata / 4096))
        #expect(overwrite.read == 0 && overwrite.data == range.count * 512 && overwrite.metadata == 0)
      }
    }
    simulation.checkContents()
  }

  /// What one write costs, in bytes.
  private static func traffic(_ simulation: PoolSimulation, _ id: Identifier, _ range: Range<Int>) -> (read: Int, data: Int, metadata: Int)
  {
    let (read, count) = (simulation.disk.bytesRead, simulation.disk.operations.count)
    simulation.submit(.write, id, range, isDurable: false)
    simulation.disk.runUntilIdle()
    let writes = simulation.disk.operations.dropFirst(count)
    let boundary = Int(simulation.superblock.dataOffset)
    let data = writes.filter { $0.offset >= boundary }.reduce(0) { $0 + $1.bytes.count }
    let metadata = writes.filter { $0.offset < boundary }.reduce(0) { $0 + $1.bytes.count }
    let traffic = (simulation.disk.bytesRead - read, data, metadata)
    simulation.finish()
    return traffic
  }
}
