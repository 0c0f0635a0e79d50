import Glibc
import Reactor
import Testing

@testable import Pool

/// Bytes that nobody wrote: refused, or taken for a pool that works. Nothing may trap, take long, or take much memory.
@Suite struct DecoderFuzzTests {
  private static func randomBytes(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let word = generator.next()
      for shift in stride(from: 0 as UInt64, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return Array(bytes.prefix(count))
  }

  /// Values at the edges of what fields can hold are more telling than random ones.
  private static func mutate(_ bytes: inout [UInt8], _ range: Range<Int>, _ generator: inout SeededGenerator) {
    guard !range.isEmpty else { return }
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      let start = Int.random(in: range, using: &generator)
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: bytes[start] = UInt8.random(in: 0...255, using: &generator)
      case 1: bytes[start] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
      case 2: for index in start..<min(start + 4, range.upperBound) { bytes[index] = 0xFF }
      default: bytes[start] ^= 1 << UInt8.random(in: 0...7, using: &generator)
      }
    }
  }

  private static func resealed(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for index in 8..<12 { bytes[index] = 0 }
    let checksum = unsafe CRC32C.checksum(bytes.span.bytes)
    for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
    return bytes
  }

  private static let base: (image: [UInt8], superblock: Superblock) = {
    let simulation = PoolSimulation(
      seed: 3, options: .init(suite: "DecoderFuzzTests", clusterCount: 10, maximumSectors: 300, maximumReplicas: 3))
    simulation.run(.create)
    while simulation.engine.checkpointNumber < 3 || simulation.engine.journal!.usedBytes < 6 * 4096 {
      simulation.runRound()
      simulation.run(.regions)
      simulation.run(.claim)
    }
    return (simulation.disk.image, simulation.superblock)
  }()

  @Test func `single decoders take any bytes`() {
    let (image, superblock) = Self.base
    var accepted = 0
    for seed in Seeds.first(3_000) {
      var generator = SeededGenerator(seed: seed)
      let noise = Self.randomBytes(4096, &generator)
      _ = try? Superblock(decoding: noise)
      _ = try? CheckpointHeader(decoding: noise, poolID: superblock.id)
      _ = try? MetadataRecord.decode(noise, kind: .journal, poolID: superblock.id)
      var reader = FieldReader(noise, 0..<Int.random(in: 0...400, using: &generator))
      while !reader.isAtEnd, (try? MetadataEntry(reading: &reader, geometry: superblock.geometry)) != nil {}
      // Whole but for some bytes, under a right checksum.
      var header = Array(image[Int(superblock.checkpointOffset)..<Int(superblock.checkpointOffset) + 4096])
      Self.mutate(&header, 12..<96, &generator)
      if (try? CheckpointHeader(decoding: Self.resealed(header), poolID: superblock.id)) != nil { accepted += 1 }
      var block = superblock.encoded()
      Self.mutate(&block, 12..<184, &generator)
      if let decoded = try? Superblock(decoding: Self.resealed(block)) {
        #expect(decoded.dataOffset + decoded.clusterCount * decoded.clusterBytes <= decoded.deviceBytes)
      }
    }
    #expect(accepted > 0 || Seeds.first(2).count == 1)
  }

  @Test(.timeLimit(.minutes(20))) func `forged metadata under right checksums are refused, or make a pool that works`() async {
    let (image, superblock) = Self.base
    await Seeds.forEach(700) { seed in
      var generator = SeededGenerator(seed: seed)
      guard let forged = Self.forge(image, superblock, &generator) else { return }
      guard let recovery = try? Recovery(ImageSource(image: forged), superblock: superblock, using: &generator) else { return }
      Self.use(recovery, forged, superblock, seed)
    }
  }

  /// Takes the latest checkpoint and the journal apart, changes some bytes of their entries, and puts them together again with right
  /// checksums and links.
  private static func forge(_ image: [UInt8], _ superblock: Superblock, _ generator: inout SeededGenerator) -> [UInt8]? {
    var plain = SeededGenerator(seed: 1)
    guard let recovery = try? Recovery(ImageSource(image: image), superblock: superblock, using: &plain) else { return nil }
    var forged = image
    let target = Int.random(in: 0..<3, using: &generator)
    func edit(_ body: inout [UInt8]) {
      mutate(&body, 0..<body.count, &generator)
      // Sometimes entries of one record go behind those of another, or twice.
      if Int.random(in: 0..<6, using: &generator) == 0 { body += body }
      if Int.random(in: 0..<6, using: &generator) == 0 { body = randomEntries(superblock.geometry, &generator) + body }
      body = Array(body.prefix(12_000))
    }
    // Chunks.
    let slot = Int(superblock.checkpointOffset + recovery.checkpointNumber % 2 * superblock.checkpointSlotBytes)
    guard var header = try? CheckpointHeader(decoding: Array(image[slot..<slot + 4096]), poolID: superblock.id) else { return nil }
    var offset = slot + 4096
    var place = offset
    var last: UInt32 = 0
    for _ in 0..<header.chunkCount {
      guard
        let count = try? MetadataRecord.encodedBytes(of: Array(image[offset..<offset + 4096]), kind: .checkpoint, poolID: superblock.id),
        var record = try? MetadataRecord.decode(Array(image[offset..<offset + count]), kind: .checkpoint, poolID: superblock.id).record
      else { return nil }
      offset += count
      record.predecessorChecksum = last
      if target != 1 { edit(&record.body) }
      let (bytes, checksum) = record.encoded(poolID: superblock.id)
      forged.replaceSubrange(place..<place + bytes.count, with: bytes)
      place += bytes.count
      last = checksum
    }
    header.lastChunkChecksum = last
    if Int.random(in: 0..<10, using: &generator) == 0 { header.lastLayerID = .max - UInt32.random(in: 0...3, using: &generator) }
    if Int.random(in: 0..<10, using: &generator) == 0 { header.chunkCount = [0, 1, .max, 1 << 40].randomElement(using: &generator)! }
    // Records.
    var source = recovery.journal.tail
    var mark = header.mark
    while source < recovery.journal.head.position {
      source = Journal.place(source, ringBytes: superblock.journalBytes)
      let from = Int(superblock.journalOffset + source % superblock.journalBytes)
      guard let count = try? MetadataRecord.encodedBytes(of: Array(image[from..<from + 4096]), kind: .journal, poolID: superblock.id),
        var record = try? MetadataRecord.decode(Array(image[from..<from + count]), kind: .journal, poolID: superblock.id).record
      else { return nil }
      source += UInt64(count)
      record.predecessorChecksum = mark.predecessorChecksum
      if target != 0, Int.random(in: 0..<3, using: &generator) == 0 { edit(&record.body) }
      let (bytes, checksum) = record.encoded(poolID: superblock.id)
      let position = Journal.place(mark.position, ringBytes: superblock.journalBytes)
      let to = Int(superblock.journalOffset + position % superblock.journalBytes)
      if position + UInt64(bytes.count) - header.mark.position > superblock.journalBytes { break }
      forged.replaceSubrange(to..<to + bytes.count, with: bytes)
      mark = Journal.Mark(position: position + UInt64(bytes.count), sequence: record.sequence + 1, predecessorChecksum: checksum)
    }
    forged.replaceSubrange(slot..<slot + 4096, with: header.encoded(poolID: superblock.id))
    return forged
  }

  /// Entries that are each possible, about small numbers that others use too.
  private static func randomEntries(_ geometry: PoolGeometry, _ generator: inout SeededGenerator) -> [UInt8] {
    var writer = ByteWriter()
    func number(_ limit: UInt32) -> UInt32 { UInt32.random(in: 0..<limit, using: &generator) }
    for _ in 0..<Int.random(in: 1...12, using: &generator) {
      let (cluster, layer, logical) = (number(UInt32(geometry.clusterCount)), number(12) + 1, number(6))
      let entry: MetadataEntry =
        switch number(10) {
        case 0: .putLayer(id: layer, parent: number(12), clusterCount: number(8))
        case 1: .removeLayer(id: layer)
        case 2: .allocated(cluster: cluster, layer: layer, logical: logical, isStale: false)
        case 3: .written(cluster: cluster, first: number(16), count: 1)
        case 4: .cleared(cluster: cluster, first: number(16), count: 1)
        case 5: .freed(first: cluster, count: 1)
        case 6: .moved(cluster: cluster, layer: layer)
        case 7: .cleaned(first: cluster, count: 1)
        case 8: .readied(first: cluster, count: 1)
        default: .holes(layer: layer, logical: logical, mask: [UInt64(number(1 << 16))])
        }
      entry.encode(into: &writer)
    }
    return writer.bytes
  }

  /// Whatever was accepted must serve: all of it is read, written, frozen, cloned, deleted, and opened again.
  private static func use(_ recovery: consuming Recovery, _ image: [UInt8], _ superblock: Superblock, _ seed: UInt64) {
    let disk = SimulatedDisk(image: image, seed: seed)
    let (journal, number) = (recovery.journal, recovery.checkpointNumber)
    let engine = PoolEngine(
      superblock: superblock, state: recovery.takeState(), journal: journal, checkpointNumber: number, disk: disk,
      report: PoolReport(location: "image"))
    defer { disk.detach() }
    let words = engine.state.replicas.values.reduce(0) { sum, replica in
      replica.missed.reduce(sum + replica.activity.words.count) { $0 + $1.regions.words.count }
    }
    #expect(words * 8 < 400 << 20, "seed \(seed): small entries ask for much memory")
    engine.resume()
    var clients: [SimulatedClient] = []
    for id in engine.state.replicas.keys.sorted().prefix(4) {
      let sectors = Int(min(engine.state.replicas[id]!.header.sizeBytes / 512, 4096))
      let device = engine.open(id)
      for (operation, range) in [(.read, 0..<sectors), (.write, 0..<min(sectors, 300)), (.deallocate, 0..<sectors)]
        as [(BlockOperation, Range<Int>)]
      where sectors > 0 {
        let client = SimulatedClient(operation, id, range)
        clients.append(client)
        unsafe engine.submit(
          BlockRequest(operation, offsetBytes: 0, byteCount: UInt64(range.count) * 512, buffer: client.buffer, token: 0), device: device,
          for: client, isAccepted: true)
      }
      engine.createSnapshot(id: .random(), of: id) { _ in }
      disk.runUntilIdle()
      engine.close(device)
      engine.deleteReplica(id: id) { _ in }
    }
    for id in engine.state.snapshots.keys.sorted().prefix(4) { engine.cloneSnapshot(id: id, to: .random(), volumeID: .random()) { _ in } }
    disk.runUntilIdle()
    for id in engine.state.snapshots.keys.sorted() { engine.deleteSnapshot(id: id) { _ in } }
    disk.runUntilIdle()
    #expect(clients.allSatisfy { $0.status != nil }, "seed \(seed): a request never ended")
    var generator = SeededGenerator(seed: 1)
    #expect(
      engine.isFaulted || (try? Recovery(ImageSource(image: disk.image), superblock: superblock, using: &generator)) != nil,
      "seed \(seed): it cannot be opened again")
  }
}

/// Memory of this process in use.
func residentBytes() -> Int {
  let file = unsafe fopen("/proc/self/statm", "r")
  defer { unsafe _ = fclose(file!) }
  var line = [CChar](repeating: 0, count: 128)
  unsafe _ = fgets(&line, 128, file!)
  let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
  return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
}
