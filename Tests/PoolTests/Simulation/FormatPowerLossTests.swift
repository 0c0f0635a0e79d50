import Testing

@testable import Pool

/// A power loss at every moment of making a pool where another one was.
@Suite struct FormatPowerLossTests {
  private static func oldPool() -> PoolSimulation {
    let simulation = PoolSimulation(seed: 910_000)
    simulation.run(.create)
    for _ in 0..<25 { simulation.runRound() }
    return simulation
  }

  @Test func `the old pool, the new one, or none: never a mixture`() throws {
    let simulation = Self.oldPool()
    var image = simulation.disk.image
    for offset in Superblock.copyOffsets {
      image.replaceSubrange(Int(offset)..<Int(offset) + 4096, with: simulation.superblock.encoded())
    }
    let superblock = try #require(
      Superblock.layout(id: .random(), name: "new", clusterBytes: 64 << 10, deviceBytes: UInt64(image.count), sectorBytes: 512))
    let recorded = RecordedImage(image)
    try Pool.write(superblock, .standard, to: recorded, clearsTail: true) { false }
    var generator = SeededGenerator(seed: 1)
    var ends = (old: 0, none: 0, new: 0)
    for count in 0...recorded.events.count {
      for style in 0..<40 {
        let storage = RecordedImage(recorded.afterPowerLoss(count, style, using: &generator))
        let place = "event \(count), style \(style)"
        guard let opening = try? PoolOpening(storage, using: &generator) else {
          ends.none += 1
          #expect(count < recorded.events.count, "\(place): the last flush has ended")
          continue
        }
        let found = opening.superblock
        let state = opening.takeRecovery().takeState()
        if found.id == superblock.id {
          ends.new += 1
          #expect(state.replicas.isEmpty && state.snapshots.isEmpty && state.usedCount == 0, "\(place)")
        } else {
          ends.old += 1
          #expect(found.id == simulation.superblock.id, "\(place)")
          for id in simulation.model.objects.keys.sorted() {
            #expect(simulation.content(of: id, storage.image, state) == simulation.model.objects[id]!.current, "\(place): \(id)")
          }
        }
        var check = PoolCheck(storage)
        try check.run()
        #expect(check.report.isSound, "\(place): \(check.report.findings)")
      }
    }
    #expect(ends.old > 0 && ends.none > 0 && ends.new > 0, "\(ends)")
  }
}
