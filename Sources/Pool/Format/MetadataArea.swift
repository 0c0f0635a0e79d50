/// The two slots of a pool's replica table. A change writes the slot that is not in use, whole, then makes it durable: until
/// then the other slot stays what it was, so a crash leaves the table as it was before or as it is after.
struct MetadataArea: Sendable {
  let file: DiskFile
  let superblock: Superblock

  /// Reads both slots and takes the later one that is whole.
  func load() throws(PoolError) -> (table: ReplicaTable, slot: Int, warning: String?) {
    var best: (table: ReplicaTable, slot: Int)?
    var flaws: [FormatFlaw] = []
    for slot in 0..<2 {
      let bytes = try read(slot)
      do throws(FormatFlaw) {
        let table = try ReplicaTable(decoding: bytes, superblock: superblock)
        if best == nil || table.sequence > best!.table.sequence { best = (table, slot) }
      } catch {
        flaws.append(error)
      }
    }
    guard let best else {
      throw .corruptMetadata(path: file.path, detail: "first: \(flaws[0].explanation), second: \(flaws[1].explanation)")
    }
    // A slot that was never written is no damage.
    guard let flaw = flaws.first, flaw != .wrongMagic || best.table.sequence > 1 else { return (best.table, best.slot, nil) }
    return (
      best.table, best.slot,
      "one slot of the replica table of \(file.path) is damaged (\(flaw.explanation)), as a crash during a change leaves it; "
        + "change \(best.table.sequence) in the other is used"
    )
  }

  /// The bytes of a slot as far as its header says there are; its first block if that is impossible.
  private func read(_ slot: Int) throws(PoolError) -> [UInt8] {
    let first = try file.read(offsetBytes: offset(of: slot), byteCount: 4096)
    guard let count = try? ReplicaTable.byteCount(header: first, slotBytes: superblock.metadataSlotBytes), count > first.count else {
      return first
    }
    return try file.read(offsetBytes: offset(of: slot), byteCount: (count + 4095) / 4096 * 4096)
  }

  /// Writes a slot and waits until it is durable.
  func store(_ table: ReplicaTable, slot: Int) throws(PoolError) {
    precondition(UInt64(table.encodedBytes) <= superblock.metadataSlotBytes)
    try file.write(table.encoded(poolID: superblock.id), offsetBytes: offset(of: slot))
    try file.synchronize()
  }

  private func offset(of slot: Int) -> UInt64 { superblock.metadataOffset + UInt64(slot) * superblock.metadataSlotBytes }
}
