/// What is done to a pool's metadata before it is used: the last state is rebuilt, the copies of the superblock are made equal, space
/// that its device has gained is taken, and the device's name is kept.
///
/// Nothing is written before the state was rebuilt: a pool that is refused stays as it is. The caller has made durable what others
/// wrote, and holds the lock.
struct PoolOpening: ~Copyable {
  let superblock: Superblock
  private let recovery: Recovery
  /// What was found damaged and made up for.
  let warnings: [String]
  /// What was done or noticed that is no damage.
  let notices: [String]

  /// `deviceName` is the lasting name of the device, nil for files and devices without one.
  init(
    _ storage: some MetadataStorage, deviceName: String? = nil, using generator: inout some RandomNumberGenerator
  ) throws(PoolError) {
    let choice = try SuperblockCopies(reading: storage).choose(storage)
    var current = choice.superblock
    guard storage.sizeBytes >= current.deviceBytes else {
      throw .truncated(path: storage.path, byteCount: storage.sizeBytes, expectedBytes: current.deviceBytes)
    }
    var found = try Recovery(storage, superblock: current, using: &generator)
    let warnings = [choice.warning].compactMap { $0 } + found.warnings
    if choice.isOtherOurs {
      try storage.write(current.encoded(), offsetBytes: Superblock.copyOffsets[1 - choice.index])
      try storage.synchronize()
    }
    var notices: [String] = []
    let named = Self.named(current, deviceName, storage.path, &notices)
    let old = current
    switch named.growth(toDeviceBytes: storage.sizeBytes) {
    case .none: if named != current { current = named.withRevision(current.revision + 1) }
    case .inPlace(let grown): current = grown
    case .moving(let grown):
      try Self.writeMetadata(of: grown, found, to: storage)
      try Self.moveSums(from: current.sums, to: grown.sums, storage)
      try grown.sums.fold(found.state.replayedSums, poolID: grown.id, into: storage)
      current = grown
    case .tooLittle(let neededBytes):
      if named != current { current = named.withRevision(current.revision + 1) }
      notices.append(
        "\(storage.path) has grown from \(old.deviceBytes) to \(storage.sizeBytes) bytes, which is too little for the larger metadata; "
          + "the pool takes the new space when there are \(neededBytes)")
    }
    if current != old { try current.replaceCopies(on: storage, inUse: choice.index) }
    if current.clusterCount > old.clusterCount {
      notices.append(
        "\(storage.path) has grown: the pool took \((current.clusterCount - old.clusterCount) * current.clusterBytes) bytes and has "
          + "\(current.clusterCount * current.clusterBytes) now")
      found = try Recovery(storage, superblock: current, using: &generator)
    }
    superblock = current
    recovery = found
    self.warnings = warnings
    self.notices = notices
  }

  consuming func takeRecovery() -> Recovery { recovery }

  private static func named(
    _ superblock: Superblock, _ deviceName: String?, _ path: String, _ notices: inout [String]
  ) -> Superblock {
    guard let deviceName, deviceName != superblock.devicePath, Superblock.isValidDevicePath(deviceName) else { return superblock }
    if !superblock.devicePath.isEmpty {
      notices.append("the pool was last found on \(superblock.devicePath), and now on \(path); its data are the same")
    }
    var named = superblock
    named.devicePath = deviceName
    return named
  }

  /// Copies the checksums of data to their new place, durably, and makes the rest of it zeros: pages that nobody wrote. A page says
  /// its number, not its place.
  private static func moveSums(from old: SumArea, to new: SumArea, _ storage: some MetadataStorage) throws(PoolError) {
    if !old.isPresent { return }
    try storage.zero(offsetBytes: new.offset, byteCount: new.byteCount)
    var position: UInt64 = 0
    while position < old.byteCount {
      let byteCount = min(1 << 20, old.byteCount - position)
      let bytes = try storage.read(offsetBytes: old.offset + position, byteCount: Int(byteCount))
      try storage.write(bytes, offsetBytes: new.offset + position)
      position += byteCount
    }
    try storage.synchronize()
  }

  /// Writes journal and checkpoint to where `target` has them, which the superblock in force does not speak of.
  ///
  /// Crash steps: (1) the new place is made zeros, durably, so that nothing is taken for a record there; (2) one checkpoint that holds
  /// everything is written, durably; (3) the caller puts `target` in force. Before (3) the old metadata count and are untouched.
  private static func writeMetadata(
    of target: Superblock, _ recovery: borrowing Recovery, to storage: some MetadataStorage
  ) throws(PoolError) {
    try storage.zero(
      offsetBytes: target.journalOffset, byteCount: target.checkpointOffset + 2 * target.checkpointSlotBytes - target.journalOffset)
    try storage.synchronize()
    let head = recovery.journal.head
    let mark = Journal.Mark(position: 0, sequence: head.sequence, predecessorChecksum: head.predecessorChecksum)
    var writer = CheckpointWriter(
      number: recovery.checkpointNumber + 1, mark: mark, poolID: target.id, opening: recovery.journal.opening, superblock: target,
      state: recovery.state)
    while true {
      let chunk: (storageOffset: UInt64, bytes: [UInt8])?
      do throws(FormatFlaw) {
        chunk = try writer.nextChunk(recovery.state)
      } catch {
        throw .corruptMetadata(path: storage.path, detail: "its metadata do not fit into the place that is made for them")
      }
      guard let chunk else { break }
      try storage.write(chunk.bytes, offsetBytes: chunk.storageOffset)
    }
    let header = writer.header(durableSequence: head.sequence - 1, state: recovery.state)
    try storage.write(header.bytes, offsetBytes: header.storageOffset)
    try storage.synchronize()
  }
}

extension Superblock {
  fileprivate func withRevision(_ revision: UInt64) -> Superblock {
    var copy = self
    copy.revision = revision
    return copy
  }
}
