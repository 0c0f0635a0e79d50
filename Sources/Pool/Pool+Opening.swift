import Reactor

extension Pool {
  public static let defaultClusterBytes: UInt64 = 1 << 20

  /// Makes a pool of a file or block device and opens it.
  ///
  /// Refuses a place that holds anything unless `force`. With `createFileBytes` an absent or empty file becomes a sparse file of
  /// that size. `clusterBytes` is a power of two from 64 KiB to 64 MiB.
  @discardableResult
  public static func format(
    path: String, name: String, clusterBytes: UInt64 = defaultClusterBytes, createFileBytes: UInt64? = nil, force: Bool = false
  ) throws(PoolError) -> Pool {
    guard Superblock.isValidName(name) else { throw .invalidName(name: name) }
    guard Superblock.clusterSizes.contains(clusterBytes), clusterBytes.nonzeroBitCount == 1 else {
      throw .invalidClusterSize(byteCount: clusterBytes)
    }
    let file = try DiskFile(path: path, createFileBytes: createFileBytes)
    do throws(PoolError) {
      if !force {
        if let name = try SuperblockCopies(reading: file).poolName { throw .poolExists(path: path, name: name) }
        if let content = try file.contentDescription() { throw .foreignContent(path: path, what: content) }
      }
      guard
        let superblock = Superblock.layout(
          id: .random(), name: name, clusterBytes: clusterBytes, deviceBytes: file.sizeBytes, sectorBytes: file.sectorBytes)
      else {
        throw .tooSmall(
          path: path, byteCount: file.sizeBytes, neededBytes: Superblock.smallestDeviceBytes(clusterBytes: clusterBytes))
      }
      // Three steps, each durable before the next: an old pool ends before the new one's table is there, and the new one
      // begins only when its table is whole.
      try file.zero(offsetBytes: 0, byteCount: Superblock.metadataOffset)
      try file.synchronize()
      let table = ReplicaTable(sequence: 1, replicas: [])
      let area = MetadataArea(file: file, superblock: superblock)
      try file.zero(offsetBytes: superblock.metadataOffset, byteCount: 2 * superblock.metadataSlotBytes)
      try area.store(table, slot: 0)
      for offset in Superblock.copyOffsets { try file.write(superblock.encoded(), offsetBytes: offset) }
      // The end of other content would make others take the disk for theirs.
      if force { try clearTail(of: file, superblock) }
      try file.synchronize()
      if file.wasCreated { try file.synchronizeDirectory() }
      return Pool(superblock: superblock, storage: .disk(file), location: path, table: table, slot: 0, warnings: [])
    } catch {
      if file.wasCreated { file.removeName() }
      throw error
    }
  }

  /// Zeros the signatures of others in the last 128 KiB of the device, as far as those are not ours.
  private static func clearTail(of file: DiskFile, _ superblock: Superblock) throws(PoolError) {
    let end = file.sizeBytes & ~4095
    let start = max(superblock.dataOffset, end - min(end, 128 << 10))
    if start < end { try file.zero(offsetBytes: start, byteCount: end - start) }
  }

  /// Opens a pool that was formatted before. Another who has it open, damage, and foreign content are refused.
  public static func open(path: String) throws(PoolError) -> Pool {
    let file = try DiskFile(path: path)
    let (superblock, superblockWarning) = try SuperblockCopies(reading: file).choose(file)
    guard file.sizeBytes >= superblock.deviceBytes else {
      throw .truncated(path: path, byteCount: file.sizeBytes, expectedBytes: superblock.deviceBytes)
    }
    let (table, slot, tableWarning) = try MetadataArea(file: file, superblock: superblock).load()
    return Pool(
      superblock: superblock, storage: .disk(file), location: path, table: table, slot: slot,
      warnings: [superblockWarning, tableWarning].compactMap { $0 })
  }

  /// Makes a volatile pool of `byteCount` bytes, less what does not fill a cluster. Pages take memory when first written.
  public static func inMemory(byteCount: UInt64, name: String, clusterBytes: UInt64 = defaultClusterBytes) throws(PoolError) -> Pool {
    guard Superblock.isValidName(name) else { throw .invalidName(name: name) }
    guard Superblock.clusterSizes.contains(clusterBytes), clusterBytes.nonzeroBitCount == 1 else {
      throw .invalidClusterSize(byteCount: clusterBytes)
    }
    let location = PoolLocation.memory(byteCount: byteCount).description
    let clusterCount = byteCount / clusterBytes
    guard clusterCount > 0 else { throw .tooSmall(path: location, byteCount: byteCount, neededBytes: clusterBytes) }
    let region = try MemoryRegion(byteCount: clusterCount * clusterBytes)
    return Pool(
      superblock: .volatile(id: .random(), name: name, clusterBytes: clusterBytes, clusterCount: clusterCount),
      storage: .memory(region), location: location, table: ReplicaTable(sequence: 1, replicas: []), slot: 0, warnings: [])
  }
}
