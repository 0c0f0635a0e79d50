extension Pool {
  /// What was known of a pool when it was destroyed.
  public struct Destroyed: Equatable, Sendable {
    public let name: String
    public let id: Identifier
    public let location: String
  }

  /// Ends a pool that nobody uses: its data are gone, and nobody takes the place for a pool any more. Damaged pools are taken too; what
  /// is no pool is refused.
  ///
  /// Crash steps: (1) both copies of the superblock are made zeros, durably: it is no pool; (2) what is left of its metadata, so that
  /// nothing of it is ever read again; (3) its clusters are given back to the storage, where that can be.
  public static func destroy(path: String, names: DeviceNames = .system) throws(PoolError) -> Destroyed {
    let file = try DiskFile(path: names.preferred(path))
    let copies = try SuperblockCopies(reading: file)
    guard let superblock = copies.outcomes.compactMap({ try? $0.get() }).max(by: { $0.revision < $1.revision }) else {
      guard copies.hasMagic else {
        if let content = try file.contentDescription() { throw .foreignContent(path: file.path, what: content) }
        throw .notAPool(path: file.path)
      }
      try clear(file, 0, Superblock.firstJournalOffset)
      return Destroyed(name: "", id: .none, location: file.path)
    }
    try clear(file, 0, Superblock.firstJournalOffset)
    try clear(file, superblock.journalOffset, superblock.journalBytes)
    try clear(file, superblock.checkpointOffset, 2 * superblock.checkpointSlotBytes)
    if superblock.sums.isPresent { try clear(file, superblock.sums.offset, superblock.sums.byteCount) }
    _ = file.punchHole(offsetBytes: superblock.dataOffset, byteCount: superblock.clusterCount * superblock.clusterBytes)
    try file.synchronize()
    return Destroyed(name: superblock.name, id: superblock.id, location: file.path)
  }

  private static func clear(_ file: DiskFile, _ offsetBytes: UInt64, _ byteCount: UInt64) throws(PoolError) {
    let end = min(offsetBytes + byteCount, file.sizeBytes & ~4095)
    if offsetBytes < end { try file.zero(offsetBytes: offsetBytes, byteCount: end - offsetBytes) }
    try file.synchronize()
  }
}
