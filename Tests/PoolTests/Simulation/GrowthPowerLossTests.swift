import Testing

@testable import Pool

/// A power loss at every moment of a pool's growth.
@Suite struct GrowthPowerLossTests {
  /// A pool with replicas, snapshots and data, as an image with its superblock.
  private func pool(_ seed: UInt64) -> (PoolSimulation, [UInt8]) {
    let simulation = PoolSimulation(seed: seed)
    simulation.run(.create)
    for _ in 0..<25 { simulation.runRound() }
    var image = simulation.disk.image
    for offset in Superblock.copyOffsets {
      image.replaceSubrange(Int(offset)..<Int(offset) + 4096, with: simulation.superblock.encoded())
    }
    return (simulation, image)
  }

  /// Opens what is there and compares it with the simulation's model; returns the image afterwards.
  private func open(
    _ image: [UInt8], _ simulation: PoolSimulation, _ place: String, using generator: inout SeededGenerator
  ) -> (storage: RecordedImage, superblock: Superblock)? {
    let storage = RecordedImage(image)
    do throws(PoolError) {
      let opening = try PoolOpening(storage, using: &generator)
      let superblock = opening.superblock
      let state = opening.takeRecovery().takeState()
      for id in simulation.model.objects.keys.sorted() {
        guard state.replicas[id] != nil || state.snapshots[id] != nil else {
          Issue.record("\(place): \(id) is gone")
          return nil
        }
        #expect(simulation.content(of: id, storage.image, state) == simulation.model.objects[id]!.current, "\(place): \(id) differs")
      }
      #expect(state.replicas.count + state.snapshots.count == simulation.model.objects.count, "\(place)")
      var check = PoolCheck(storage)
      try check.run()
      #expect(check.report.isSound, "\(place): \(check.report.findings)")
      return (storage, superblock)
    } catch {
      Issue.record("\(place): \(error)")
      return nil
    }
  }

  @Test(arguments: [(64 << 10, false), (6 << 20, true)]) func `either the old pool or the larger one`(addedBytes: Int, moves: Bool) {
    var (kept, taken) = (0, 0)
    for seed in Seeds.first(3) {
      var generator = SeededGenerator(seed: seed)
      let (simulation, image) = pool(seed &+ 900_000)
      // What lies in the new space is anything.
      let larger = image + [UInt8](repeating: 0xA5, count: addedBytes)
      guard let (recorded, target) = open(larger, simulation, "seed \(seed)", using: &generator) else { return }
      #expect(target.clusterCount > simulation.superblock.clusterCount)
      #expect((target.journalOffset != simulation.superblock.journalOffset) == moves)
      for count in 0...recorded.events.count {
        for style in 0..<5 {
          let lost = recorded.afterPowerLoss(count, style, using: &generator)
          let place = "seed \(seed), event \(count), style \(style)"
          // Before the next opening has the chance to go on, the pool is the one or the other.
          guard let choice = try? SuperblockCopies(reading: RecordedImage(lost)).choose(RecordedImage(lost)) else {
            Issue.record("\(place): no superblock")
            return
          }
          #expect(choice.superblock == simulation.superblock || choice.superblock == target, "\(place)")
          if choice.superblock == target { taken += 1 } else { kept += 1 }
          guard let (again, superblock) = open(lost, simulation, place, using: &generator) else { return }
          #expect(superblock == target, "\(place): the next opening goes on")
          // And from then on both copies are the new one.
          for offset in Superblock.copyOffsets {
            #expect((try? Superblock(decoding: Array(again.image[Int(offset)..<Int(offset) + 4096]))) == target, "\(place)")
          }
        }
      }
    }
    #expect(kept > 0 && taken > 0)
  }

  @Test func `an opening that was interrupted in the middle of another one goes on`() {
    var generator = SeededGenerator(seed: 4)
    let (simulation, image) = pool(900_004)
    var current = image + [UInt8](repeating: 0xA5, count: 6 << 20)
    for attempt in 0..<40 {
      let storage = RecordedImage(current)
      guard (try? PoolOpening(storage, using: &generator)) != nil else {
        Issue.record("attempt \(attempt)")
        return
      }
      if storage.events.isEmpty { break }
      current = storage.afterPowerLoss(Int.random(in: 0...storage.events.count, using: &generator), attempt % 5, using: &generator)
    }
    _ = open(current, simulation, "at last", using: &generator)
  }
}
