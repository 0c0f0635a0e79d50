import Testing

@testable import Pool

/// Flipped bits in every structure: refused, or what the format says, and never another state.
@Suite struct MetadataDamageTests {
  /// A pool with a checkpoint in each slot and records behind the later one.
  private static func simulation() -> PoolSimulation {
    let simulation = PoolSimulation(
      seed: 7, options: .init(suite: "MetadataDamageTests", clusterCount: 10, maximumSectors: 300, maximumReplicas: 3))
    simulation.run(.create)
    while simulation.engine.checkpointNumber < 4 || simulation.engine.journal!.usedBytes < 10 * 4096 {
      simulation.runRound()
      simulation.run(.regions)
    }
    return simulation
  }

  /// What an opening finds; nil if it refuses.
  private static func outcome(_ image: [UInt8], _ superblock: Superblock) -> [MetadataEntry]? {
    var generator = SeededGenerator(seed: 1)
    guard let recovery = try? Recovery(ImageSource(image: image), superblock: superblock, using: &generator) else { return nil }
    return PoolSimulation.dump(recovery.state)
  }

  private static func flipped(_ image: [UInt8], _ offset: Int, _ bit: Int) -> [UInt8] {
    var image = image
    image[offset] ^= 1 << UInt8(bit)
    return image
  }

  /// Every bit of the first bytes of a structure, and one bit of every `step`th byte of the rest.
  private static func bits(at start: Int, every: Int, of count: Int, step: Int) -> [(offset: Int, bit: Int)] {
    var bits: [(offset: Int, bit: Int)] = []
    for byte in 0..<every {
      for bit in 0..<8 { bits.append((start + byte, bit)) }
    }
    for byte in stride(from: every, to: count, by: step) { bits.append((start + byte, byte / step % 8)) }
    return bits
  }

  @Test func `in a checkpoint's header and chunks`() throws {
    let simulation = Self.simulation()
    let (image, superblock) = (simulation.disk.image, simulation.superblock)
    let whole = try #require(Self.outcome(image, superblock))
    for slot in 0..<2 {
      let start = Int(superblock.checkpointOffset) + slot * Int(superblock.checkpointSlotBytes)
      let header = try CheckpointHeader(decoding: Array(image[start..<start + 4096]), poolID: superblock.id)
      let chunk = try MetadataRecord.encodedBytes(of: Array(image[start + 4096..<start + 8192]), kind: .checkpoint, poolID: superblock.id)
      let isLatest = header.number == simulation.engine.checkpointNumber
      for (offset, bit) in Self.bits(at: start, every: 96, of: 4096, step: 37)
        + Self.bits(at: start + 4096, every: 64, of: chunk, step: 29)
      {
        // The one before must lead to the same state, or nothing does.
        let found = Self.outcome(Self.flipped(image, offset, bit), superblock)
        #expect(found == nil ? isLatest : found == whole, "bit \(bit) of byte \(offset)")
      }
    }
  }

  @Test func `in records that are known to be durable, and in those that are not`() throws {
    let simulation = Self.simulation()
    let (image, superblock) = (simulation.disk.image, simulation.superblock)
    // The records behind the latest checkpoint, in order.
    var generator = SeededGenerator(seed: 1)
    let recovery = try Recovery(ImageSource(image: image), superblock: superblock, using: &generator)
    var position = recovery.journal.tail
    var records: [(offset: Int, count: Int, record: MetadataRecord)] = []
    while position < recovery.journal.head.position {
      position = Journal.place(position, ringBytes: superblock.journalBytes)
      let offset = Int(superblock.journalOffset + position % superblock.journalBytes)
      let count = try MetadataRecord.encodedBytes(of: Array(image[offset..<offset + 4096]), kind: .journal, poolID: superblock.id)
      records.append(
        (offset, count, try MetadataRecord.decode(Array(image[offset..<offset + count]), kind: .journal, poolID: superblock.id).record))
      position += UInt64(count)
    }
    #expect(records.count >= 10)
    let durable = records.map(\.record.durableSequence).max()!
    for chosen in [0, records.count / 2, records.count - 2, records.count - 1] {
      let (offset, count, record) = records[chosen]
      var without = image
      without.replaceSubrange(offset..<offset + count, with: repeatElement(0, count: count))
      let expected = Self.outcome(without, superblock)
      // Without a word that it was durable, a record that is gone is the torn end.
      #expect(record.sequence <= durable ? expected == nil : expected != nil)
      for (place, bit) in Self.bits(at: offset, every: 64, of: count, step: 23) {
        #expect(
          Self.outcome(Self.flipped(image, place, bit), superblock) == expected, "bit \(bit) of byte \(place) of record \(record.sequence)")
      }
    }
  }

  @Test func `in either copy of the superblock, every bit`() throws {
    let bytes = Self.simulation().superblock.encoded()
    for byte in 0..<192 {
      for bit in 0..<8 {
        #expect(throws: FormatFlaw.self) { try Superblock(decoding: Self.flipped(bytes, byte, bit)) }
      }
    }
    for byte in 192..<4096 { #expect(throws: FormatFlaw.self) { try Superblock(decoding: Self.flipped(bytes, byte, byte % 8)) } }
  }
}
