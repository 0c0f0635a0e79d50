import Reactor

extension Pool {
  private static let drillNotice = "this is a drill: what is not flushed is lost when this process is killed; never for service"

  public static let defaultClusterBytes: UInt64 = 1 << 20

  /// Makes a pool of a file or block device and opens it.
  ///
  /// Refuses a place that holds anything unless `force`. With `createFileBytes` an absent or empty file becomes a sparse file of
  /// that size. `clusterBytes` is a power of two from 64 KiB to 64 MiB. With `integrity` the pool keeps checksums of its data.
  @discardableResult
  public static func format(
    path: String, name: String, clusterBytes: UInt64 = defaultClusterBytes, options: PoolOptions = .standard,
    createFileBytes: UInt64? = nil, force: Bool = false, integrity: PoolIntegrity = .none, names: DeviceNames = .system,
    isDrill: Bool = false
  ) throws(PoolError) -> Pool {
    guard Superblock.isValidName(name) else { throw .invalidName(name: name) }
    guard Superblock.clusterSizes.contains(clusterBytes), clusterBytes.nonzeroBitCount == 1 else {
      throw .invalidClusterSize(byteCount: clusterBytes)
    }
    guard options.isValid else { throw .invalidOptions(pool: name) }
    let lastingName = names.lastingName(of: path)
    let path = lastingName ?? path
    let file = try DiskFile(path: path, createFileBytes: createFileBytes)
    do throws(PoolError) {
      if !force {
        if let name = try SuperblockCopies(reading: file).poolName { throw .poolExists(path: path, name: name) }
        if let content = try file.contentDescription() { throw .foreignContent(path: path, what: content) }
      }
      guard
        var superblock = Superblock.layout(
          id: .random(), name: name, clusterBytes: clusterBytes, deviceBytes: file.sizeBytes, sectorBytes: file.sectorBytes,
          integrity: integrity)
      else {
        throw .tooSmall(
          path: path, byteCount: file.sizeBytes, neededBytes: Superblock.smallestDeviceBytes(clusterBytes: clusterBytes))
      }
      if let lastingName, Superblock.isValidDevicePath(lastingName) { superblock.devicePath = lastingName }
      try write(superblock, options, to: file, clearsTail: force) { () throws(PoolError) in
        // In a sparse file a record in a new place would wait for the file system.
        if !file.isBlockDevice { try file.writeZeros(offsetBytes: superblock.journalOffset, byteCount: superblock.journalBytes) }
        let dataBytes = superblock.clusterCount * clusterBytes
        return file.wasCreated || file.punchHole(offsetBytes: superblock.dataOffset, byteCount: dataBytes) == 0
      }
      if file.wasCreated { try file.synchronizeDirectory() }
      return try open(file, lastingName, isDrill: isDrill)
    } catch {
      if file.wasCreated { file.removeName() }
      throw error
    }
  }

  /// Writes an empty pool.
  ///
  /// Three steps, each durable before the next: an old pool ends before the new one's metadata are there, and the new one begins
  /// only when these are whole. `clearData` returns whether all clusters are zeros now: what is known to be costs no flush before
  /// first writes.
  static func write(
    _ superblock: Superblock, _ options: PoolOptions, to storage: some MetadataStorage, clearsTail: Bool,
    clearData: () throws(PoolError) -> Bool
  ) throws(PoolError) {
    try storage.zero(offsetBytes: 0, byteCount: Superblock.firstJournalOffset)
    try storage.synchronize()
    try storage.zero(offsetBytes: superblock.journalOffset, byteCount: superblock.dataOffset - superblock.journalOffset)
    let isClean = try clearData()
    for (offset, bytes) in firstCheckpoint(superblock, options: options, isClean: isClean) {
      try storage.write(bytes, offsetBytes: offset)
    }
    try storage.synchronize()
    for offset in Superblock.copyOffsets { try storage.write(superblock.encoded(), offsetBytes: offset) }
    // The end of other content would make others take the disk for theirs.
    if clearsTail { try clearTail(of: storage, superblock) }
    try storage.synchronize()
  }

  /// Zeros the signatures of others in the last 128 KiB of the device, as far as those are not ours.
  private static func clearTail(of file: some MetadataStorage, _ superblock: Superblock) throws(PoolError) {
    let end = file.sizeBytes & ~4095
    let start = max(superblock.dataOffset, end - min(end, 128 << 10))
    if start < end { try file.zero(offsetBytes: start, byteCount: end - start) }
  }

  /// Opens a pool that was formatted before, and takes the space that its device has gained since. Another who has it open,
  /// damage, and foreign content are refused.
  ///
  /// `isDrill`: once its replicas are served, the death of the process is a power loss to it (see `DrillDisk`).
  public static func open(path: String, names: DeviceNames = .system, isDrill: Bool = false) throws(PoolError) -> Pool {
    let lastingName = names.lastingName(of: path)
    return try open(try DiskFile(path: lastingName ?? path), lastingName, isDrill: isDrill)
  }

  private static func open(_ file: DiskFile, _ lastingName: String?, isDrill: Bool) throws(PoolError) -> Pool {
    // What a killed process wrote is durable before anything is built on it.
    try file.synchronize()
    var generator = SystemRandomNumberGenerator()
    let opening = try PoolOpening(file, deviceName: lastingName, using: &generator)
    let (superblock, warnings, notices) = (opening.superblock, opening.warnings, opening.notices + (isDrill ? [Self.drillNotice] : []))
    let recovery = opening.takeRecovery()
    let (journal, number) = (recovery.journal, recovery.checkpointNumber)
    var state: PoolState? = recovery.takeState()
    return Pool(
      superblock: superblock, storage: .disk(file), location: isDrill ? PoolLocation.drill(path: file.path).description : file.path,
      warnings: warnings, notices: notices, isDrill: isDrill
    ) { disk, report in
      PoolEngine(
        superblock: superblock, state: state.take()!, journal: journal, checkpointNumber: number, disk: disk, report: report)
    }
  }

  /// An empty checkpoint, number 1, and none in the other slot.
  static func firstCheckpoint(
    _ superblock: Superblock, options: PoolOptions = .standard, isClean: Bool
  ) -> [(offset: UInt64, bytes: [UInt8])] {
    var state = PoolState(geometry: superblock.geometry)
    state.options = options
    if isClean { state.clean.insert(0..<superblock.geometry.clusterCount) }
    let mark = Journal.Mark(position: 0, sequence: 1, predecessorChecksum: 0)
    var writer = CheckpointWriter(number: 1, mark: mark, poolID: superblock.id, opening: 0, superblock: superblock, state: state)
    var writes: [(UInt64, [UInt8])] = []
    while let chunk = try? writer.nextChunk(state) { writes.append((chunk.storageOffset, chunk.bytes)) }
    let header = writer.header(durableSequence: 0, state: state)
    return writes + [(header.storageOffset, header.bytes)]
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
    let superblock = Superblock.volatile(id: .random(), name: name, clusterBytes: clusterBytes, clusterCount: clusterCount)
    var state: PoolState? = PoolState(geometry: superblock.geometry)
    state!.clean.insert(0..<superblock.geometry.clusterCount)
    return Pool(superblock: superblock, storage: .memory(region), location: location, warnings: []) { disk, report in
      PoolEngine(superblock: superblock, state: state.take()!, journal: nil, checkpointNumber: 0, disk: disk, report: report)
    }
  }
}
