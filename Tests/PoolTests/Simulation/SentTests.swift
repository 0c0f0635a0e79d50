import Reactor
import Testing

@testable import Pool

/// First writes whose record holds checksums of their data, with overwrites, trims, flushes and snapshots close behind them, and crashes at
/// every moment.
@Suite struct SentTests {
  private static func options(_ salt: UInt64) -> PoolSimulation.Options {
    .init(suite: "SentTests", salt: salt, clusterCount: 8, maximumSectors: 200, maximumReplicas: 2)
  }

  /// A replica with data in all its blocks, and a snapshot of it.
  private static func begin(_ simulation: PoolSimulation) -> Identifier {
    let id = simulation.create(sectors: 150)
    simulation.finish()
    simulation.submit(.write, id, 0..<150, isDurable: true)
    simulation.finish()
    simulation.takeSnapshot(of: id)
    simulation.finish()
    return id
  }

  /// A few requests to few blocks at the same time, and sometimes a change; left in the middle.
  private static func submitSome(_ simulation: PoolSimulation, _ id: Identifier, changes: Bool) {
    var taken: [Range<Int>] = []
    for _ in 0..<Int.random(in: 1...5, using: &simulation.generator) {
      let block = Int.random(in: 0..<7, using: &simulation.generator) * 8
      let range =
        switch Int.random(in: 0..<8, using: &simulation.generator) {
        case 0..<4: block..<block + 8
        case 4: block + 3..<block + 5
        case 5: block + 6..<block + 19
        default: block..<block + 24
        }
      switch Int.random(in: 0..<20, using: &simulation.generator) {
      case 0..<4: simulation.submit(.flush, id, 0..<0)
      case _ where taken.contains { $0.overlaps(range.lowerBound & ~7..<(range.upperBound + 7) & ~7) }: continue
      case 4..<6: simulation.submit(.deallocate, id, range)
      default: simulation.submit(.write, id, range)
      }
      taken.append(range.lowerBound & ~7..<(range.upperBound + 7) & ~7)
      for _ in 0..<Int.random(in: 0...4, using: &simulation.generator) where simulation.disk.step() {}
    }
    guard changes, Int.random(in: 0..<3, using: &simulation.generator) == 0 else { return }
    let snapshots = simulation.model.objects.keys.sorted().filter { simulation.isUsable($0) && !simulation.model.objects[$0]!.isReplica }
    if snapshots.count < 3 {
      simulation.takeSnapshot(of: id)
    } else if let snapshot = snapshots.randomElement(using: &simulation.generator) {
      simulation.delete(snapshot)
    }
  }

  private static func run(_ simulation: PoolSimulation, rounds: Int, changes: Bool = true) {
    let id = begin(simulation)
    for _ in 0..<rounds where !simulation.hasFailed {
      submitSome(simulation, id, changes: changes)
      simulation.finish()
    }
    simulation.checkContents()
    simulation.checkRecovery()
  }

  @Test func `samples of what a power loss may leave, at every moment`() async {
    await Seeds.forEach(24) { seed in
      var options = Self.options(51)
      options.samplesPerEvent = 3
      options.canZero = seed % 4 > 0
      Self.run(PoolSimulation(seed: seed, options: options), rounds: 14)
    }
  }

  @Test func `every subset of few open sectors or writes, at every moment`() async {
    await Seeds.forEach(2) { seed in
      var options = Self.options(52)
      options.exhaustiveWrites = 8
      options.samplesPerEvent = 1
      let simulation = PoolSimulation(seed: seed, options: options)
      let id = Self.begin(simulation)
      for _ in 0..<6 {
        let block = Int.random(in: 0..<3, using: &simulation.generator) * 8
        simulation.submit(.write, id, block..<block + 8, isDurable: false)
        if Bool.random(using: &simulation.generator) { simulation.submit(.flush, id, 0..<0) }
        simulation.finish()
      }
    }
  }

  @Test func `with checksums of data, too`() async {
    await Seeds.forEach(4) { seed in
      var options = Self.options(53)
      options.integrity = .crc32c
      options.samplesPerEvent = 1
      Self.run(PoolSimulation(seed: seed, options: options), rounds: 10)
    }
  }

  @Test(arguments: [PoolIntegrity.none, .crc32c]) func `kills and power losses in a row`(integrity: PoolIntegrity) async {
    await Seeds.forEach(integrity == .none ? 200 : 40) { seed in
      var options = Self.options(integrity == .none ? 54 : 55)
      options.integrity = integrity
      options.clusterCount = 14
      let simulation = PoolSimulation(seed: seed, options: options)
      let id = Self.begin(simulation)
      for _ in 0..<12 where !simulation.hasFailed {
        for _ in 0..<Int.random(in: 0...3, using: &simulation.generator) where !simulation.hasFailed {
          Self.submitSome(simulation, id, changes: true)
          simulation.finish()
        }
        Self.submitSome(simulation, id, changes: true)
        let keepsCache = Int.random(in: 0..<4, using: &simulation.generator) == 0
        simulation.crash(keepsCache: keepsCache)
        while Bool.random(using: &simulation.generator), !simulation.hasFailed {
          simulation.takeSteps(Int.random(in: 0...12, using: &simulation.generator))
          simulation.crash(keepsCache: keepsCache)
        }
        simulation.finishRecovery()
      }
      simulation.checkContents()
      simulation.checkRecovery()
      simulation.checkNothingLeaks()
    }
  }

  /// The proof is worth something only if it finds what is wrong.
  @Test func `without looking whether data arrived, and without waiting before overwrites, the tests fail`() async {
    for isJudging in [true, false] {
      var failures = 0
      for seed in 1...UInt64(12) {
        var options = Self.options(51)
        options.samplesPerEvent = 3
        options.expectsFailure = true
        if isJudging { options.waitsForSettling = false } else { options.judgesSent = false }
        let simulation = PoolSimulation(seed: seed, options: options)
        Self.run(simulation, rounds: 14)
        if simulation.hasFailed { failures += 1 }
      }
      #expect(failures > 0, "\(isJudging ? "overwrites that do not wait" : "data that did not arrive") harm nobody")
    }
  }

  /// Has all that was sent noted, durably.
  private func settleAll(_ simulation: PoolSimulation, _ id: Identifier) {
    for _ in 0..<3 {
      simulation.submit(.flush, id, 0..<0)
      simulation.claim(id)
      #expect(simulation.disk.runUntilIdle())
    }
    #expect(simulation.engine.state.sent.count == 0)
  }

  @Test func `a first write goes with its record and without a flush, and an overwrite waits for its note`() {
    let simulation = PoolSimulation(seed: 1, options: Self.options(56))
    let id = Self.begin(simulation)
    let flushes = { simulation.disk.operations.filter(\.isFlush).count }
    simulation.submit(.write, id, 80..<88, isDurable: false)
    settleAll(simulation, id)
    var before = flushes()
    simulation.submit(.write, id, 8..<16, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() == before && simulation.engine.state.sent.count == 1)
    // Others do not wait.
    simulation.submit(.write, id, 16..<32, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() == before && simulation.engine.state.sent.count == 3)
    // Nor do whole blocks on which nobody relies yet; others do, and after a flush all.
    simulation.submit(.write, id, 16..<32, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() == before && simulation.engine.state.sent.count == 3)
    simulation.submit(.write, id, 10..<12, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() == before + 2 && simulation.engine.state.sent.count == 0)
    simulation.submit(.write, id, 32..<40, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    simulation.submit(.flush, id, 0..<0)
    #expect(simulation.disk.runUntilIdle())
    before = flushes()
    simulation.submit(.write, id, 32..<40, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() > before && simulation.engine.state.sent.count == 0)
    before = flushes()
    simulation.submit(.write, id, 10..<12, isDurable: false)
    #expect(simulation.disk.runUntilIdle())
    #expect(flushes() == before)
    simulation.finish()
    simulation.checkContents()
  }

  @Test func `data that cannot be written is taken back, and what was there before is read`() {
    for isRecordFirst in [true, false] {
      let simulation = PoolSimulation(seed: isRecordFirst ? 3 : 4, options: Self.options(57))
      let id = Self.begin(simulation)
      let data = Int(simulation.superblock.dataOffset)..<simulation.disk.image.count
      for block in [1, 2, 3] {
        simulation.disk.failingRange = block == 2 ? nil : data
        let client = SimulatedClient(.write, id, block * 8..<block * 8 + 8, disk: simulation.disk)
        client.values = [UInt32](repeating: 77, count: 8)
        client.fill()
        unsafe simulation.engine.submit(
          BlockRequest(.write, offsetBytes: UInt64(block) * 4096, byteCount: 4096, buffer: client.buffer, token: 0),
          device: simulation.device(id), for: client, isAccepted: true)
        #expect(simulation.disk.runUntilIdle())
        #expect(client.status == (block == 2 ? .success : .writeFault))
      }
      simulation.disk.failingRange = nil
      #expect(!simulation.engine.isFaulted)
      let old = simulation.model.objects[id]!.current
      // Settled, so that the next opening does not look any more.
      settleAll(simulation, id)
      var generator = SeededGenerator(seed: 1)
      guard let recovery = try? Recovery(ImageSource(image: simulation.disk.image), superblock: simulation.superblock, using: &generator)
      else {
        Issue.record("it cannot be opened")
        return
      }
      #expect(recovery.state.sent.count == 0 && recovery.state.unarrived.isEmpty)
      let found = simulation.content(of: id, simulation.disk.image, recovery.state)
      #expect(Array(found[8..<16]) == Array(old[8..<16]))
      #expect(found[16..<24].allSatisfy { $0 == 77 })
      #expect(Array(found[24...]) == Array(old[24...]))
      #expect(PoolSimulation.dump(recovery.state) == PoolSimulation.dump(simulation.engine.state))
    }
  }

  @Test func `many unsettled blocks are settled by the pool itself, and beyond the limit data is flushed first`() {
    let simulation = PoolSimulation(
      seed: 1,
      options: .init(
        suite: "SentTests", salt: 58, clusterBytes: 1 << 20, clusterCount: 280, journalBytes: 1 << 20, maximumSectors: 134 << 11))
    let sectors = 130 << 11
    let id = simulation.create(sectors: sectors)
    simulation.finish()
    for start in stride(from: 0, to: sectors, by: 2048) { simulation.submit(.write, id, start..<start + 2048, isDurable: false) }
    simulation.finish()
    simulation.takeSnapshot(of: id)
    simulation.finish()
    // All clusters are there, so that nobody waits for one.
    for start in stride(from: 0, to: sectors, by: 2048) { simulation.submit(.write, id, start..<start + 8, isDurable: true) }
    simulation.finish()
    settleAll(simulation, id)
    simulation.finish()
    let limit = SentBlocks.limit
    for start in stride(from: 0, to: sectors, by: 2048) {
      simulation.submit(.write, id, start..<start + 2048, isDurable: false)
      #expect(simulation.engine.state.sent.count + simulation.engine.sendingBlocks <= limit)
    }
    #expect(simulation.engine.sendingBlocks == limit)
    simulation.finish()
    #expect(simulation.engine.sendingBlocks == 0 && simulation.engine.state.sent.count < limit / 2)
    simulation.checkContents()
    simulation.checkRecovery()
  }

  @Test func `blocks are settled by their records' order, not by that of their data`() {
    var table = SentBlocks()
    table.insert(70, count: 1, sequence: 7)
    table.insert(50, count: 1, sequence: 5)
    table.insert(60, count: 1, sequence: 6)
    table.settle(through: 5)
    #expect(table.sequences(of: 50..<51) == nil && table.sequences(of: 60..<61) == 6...6 && table.count == 2)
    table.settle(through: 6)
    #expect(table.blocks == [70])
  }

  @Test func `the table of sent blocks does as a dictionary does`() {
    var generator = SeededGenerator(seed: 5)
    var table = SentBlocks()
    var model: [Int: UInt64] = [:]
    var settled: UInt64 = 0
    for sequence in 1...UInt64(4000) {
      let first = Int.random(in: 0..<3000, using: &generator) * 977
      let count = Int.random(in: 1...9, using: &generator)
      let hasRoom = table.insert(first, count: count, sequence: sequence)
      #expect(hasRoom)
      for block in first..<first + count { model[block] = sequence }
      if Int.random(in: 0..<10, using: &generator) == 0 {
        let gone = Int.random(in: 0..<3000, using: &generator) * 977
        table.remove(gone..<gone + 5)
        for block in gone..<gone + 5 { model[block] = nil }
      }
      if Int.random(in: 0..<200, using: &generator) == 0 {
        settled = UInt64.random(in: settled...sequence, using: &generator)
        table.settle(through: settled)
        model = model.filter { $0.value > settled }
      }
      let probe = Int.random(in: 0..<3000, using: &generator) * 977
      let (found, total) = (table.sequences(of: probe..<probe + 9), table.count)
      #expect(found?.upperBound == (probe..<probe + 9).compactMap { model[$0] }.max())
      #expect(found?.lowerBound == (probe..<probe + 9).compactMap { model[$0] }.min())
      #expect(total == model.count)
    }
    let (blocks, lowest) = (table.blocks, table.lowestSequence)
    #expect(blocks == model.keys.sorted())
    #expect(lowest == model.values.min())
  }
}
