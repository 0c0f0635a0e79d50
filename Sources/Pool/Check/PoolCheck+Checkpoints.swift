/// The two checkpoint slots.
extension PoolCheck {
  /// What a slot holds.
  struct Slot {
    var index: Int
    var offset: UInt64
    /// Nil if the header block is zeros or damaged.
    var header: CheckpointHeader?
    /// What is wrong with the header block; nil for zeros.
    var headerFlaw: FormatFlaw?
    /// The first thing wrong with the chunks that the header speaks of.
    var chunkFlaw: (offset: UInt64, text: String)?
    /// The numbers of checkpoints that blocks in the slot claim to belong to.
    var claimedNumbers: Set<UInt64> = []
  }

  mutating func checkSlot(_ index: Int, _ superblock: Superblock) throws(PoolError) -> Slot {
    var slot = Slot(index: index, offset: superblock.checkpointOffset + UInt64(index) * superblock.checkpointSlotBytes)
    let block = try storage.read(offsetBytes: slot.offset, byteCount: CheckpointHeader.byteCount)
    do throws(FormatFlaw) {
      let header = try CheckpointHeader(decoding: block, poolID: superblock.id)
      guard header.number % 2 == UInt64(index) else { throw .wrongPlace }
      slot.header = header
    } catch {
      slot.headerFlaw = block.count == CheckpointHeader.byteCount && block.allSatisfy { $0 == 0 } ? nil : error
    }
    let end = slot.offset + superblock.checkpointSlotBytes
    try collectClaims(&slot, superblock, end: end)
    if let header = slot.header { slot.chunkFlaw = try Self.firstChunkFlaw(storage, superblock, header, slot.offset, end: end) }
    return slot
  }

  /// Whose chunks begin in the slot's first blocks: those of a checkpoint that was being written lie over those of an older one.
  private func collectClaims(_ slot: inout Slot, _ superblock: Superblock, end: UInt64) throws(PoolError) {
    let start = slot.offset + UInt64(CheckpointHeader.byteCount)
    var offset = start
    let window: UInt64 = 1 << 20
    while offset < min(end, start + 64 * window) {
      let bytes = try storage.read(offsetBytes: offset, byteCount: Int(min(window, end - offset)))
      if bytes.isEmpty { return }
      for place in stride(from: 0, to: bytes.count - MetadataRecord.headerBytes, by: MetadataRecord.alignmentBytes) {
        let head = Array(bytes[place..<place + MetadataRecord.headerBytes])
        guard (try? MetadataRecord.encodedBytes(of: head, kind: .checkpoint, poolID: superblock.id)) != nil else { continue }
        var reader = FieldReader(head, 40..<48)
        if let number = try? reader.word() { slot.claimedNumbers.insert(number) }
      }
      offset += UInt64(bytes.count)
    }
  }

  private static func firstChunkFlaw(
    _ storage: Storage, _ superblock: Superblock, _ header: CheckpointHeader, _ slotOffset: UInt64, end: UInt64
  ) throws(PoolError) -> (offset: UInt64, text: String)? {
    var offset = slotOffset + UInt64(CheckpointHeader.byteCount)
    var last: UInt32 = 0
    var index: UInt64 = 0
    while index < header.chunkCount {
      guard offset < end else { return (offset, "its \(header.chunkCount) chunks do not fit into its slot") }
      switch try recordOutcome(storage, superblock.id, .checkpoint, at: offset, end: end) {
      case .failure(let flaw): return (offset, "chunk \(index) of \(header.chunkCount): \(flaw.explanation)")
      case .success(let found):
        guard found.record.sequence == index, found.record.durableSequence == header.number, found.record.predecessorChecksum == last else {
          return (offset, "chunk \(index) of \(header.chunkCount): \(FormatFlaw.brokenChain.explanation)")
        }
        last = found.checksum
        offset += UInt64(found.byteCount)
        index += 1
      }
    }
    return last == header.lastChunkChecksum ? nil : (slotOffset, "its header speaks of another last chunk")
  }

  struct FoundRecord {
    var record: MetadataRecord
    var checksum: UInt32
    var byteCount: Int
  }

  /// The record at a place, or what is wrong with it.
  static func recordOutcome(
    _ storage: Storage, _ poolID: Identifier, _ kind: MetadataRecord.Kind, at offset: UInt64, end: UInt64
  ) throws(PoolError) -> Result<FoundRecord, FormatFlaw> {
    guard end >= offset + UInt64(MetadataRecord.alignmentBytes) else { return .failure(.tooShort) }
    let first = try storage.read(offsetBytes: offset, byteCount: MetadataRecord.alignmentBytes)
    do throws(FormatFlaw) {
      let count = try MetadataRecord.encodedBytes(of: first, kind: kind, poolID: poolID)
      guard UInt64(count) <= end - offset else { throw .wrongCount }
      var bytes = first
      if count > first.count {
        do throws(PoolError) { bytes = try storage.read(offsetBytes: offset, byteCount: count) } catch { throw .tooShort }
      }
      let (record, checksum) = try MetadataRecord.decode(bytes, kind: kind, poolID: poolID)
      return .success(FoundRecord(record: record, checksum: checksum, byteCount: count))
    } catch {
      return .failure(error)
    }
  }

  /// Says what is wrong with the slots, and which checkpoint is to be used; nil if none is whole.
  mutating func chooseCheckpoint(_ slots: [Slot]) -> CheckpointHeader? {
    let newest = slots.compactMap(\.header).max { $0.number < $1.number }
    let used = slots.filter { $0.chunkFlaw == nil }.compactMap(\.header).max { $0.number < $1.number }
    for slot in slots {
      if let flaw = slot.headerFlaw {
        report.add(
          used == nil ? .damage : .recoverable, at: slot.offset,
          "the header of checkpoint slot \(slot.index) is damaged (\(flaw.explanation))" + Self.consolation(used))
      }
      guard let header = slot.header, let flaw = slot.chunkFlaw else { continue }
      if let used, used.number > header.number, slot.claimedNumbers.contains(used.number + 1) {
        report.add(
          .note, at: flaw.offset,
          "checkpoint \(used.number + 1) was being written over checkpoint \(header.number) when the last user of the pool ended")
      } else {
        report.add(
          used == nil ? .damage : .recoverable, at: flaw.offset,
          "checkpoint \(header.number) is damaged: \(flaw.text)" + Self.consolation(used))
      }
    }
    if newest == nil { report.add(.damage, at: slots.first?.offset, "there is no checkpoint: neither slot has a whole header") }
    report.checkpointNumber = used?.number
    return used
  }

  private static func consolation(_ used: CheckpointHeader?) -> String { used.map { "; checkpoint \($0.number) is whole" } ?? "" }
}
