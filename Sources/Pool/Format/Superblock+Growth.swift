/// What a pool becomes when its file or device has grown.
extension Superblock {
  enum Growth: Equatable {
    /// There is not one more cluster.
    case none
    /// The metadata stay where they are; the clusters go on behind the last one.
    case inPlace(Superblock)
    /// The metadata are too small for so many clusters, or lie behind the last one: journal, checkpoints and checksums of data move to
    /// the end of the device, and clusters take the rest.
    case moving(Superblock)
    /// What was added does not hold the metadata that it needs; a device of that size would.
    case tooLittle(neededBytes: UInt64)
  }

  static let maximumClusterCount = UInt64(UInt32.max) - 1

  /// How to take a device of `newBytes`. Clusters keep their numbers and places.
  func growth(toDeviceBytes newBytes: UInt64) -> Growth {
    guard newBytes > deviceBytes, newBytes <= UInt64(Int64.max) else { return .none }
    let isBeforeData = journalOffset < dataOffset && checkpointOffset < dataOffset && sums.offset < dataOffset
    let whole = min((newBytes - dataOffset) / clusterBytes, Self.maximumClusterCount)
    guard whole > clusterCount else { return .none }
    var grown = self
    grown.revision += 1
    grown.deviceBytes = newBytes
    if isBeforeData {
      grown.clusterCount = whole
      if grown.isPossible { return .inPlace(grown) }
    }
    let slot = Self.slotBytes(clusterCount: newBytes / clusterBytes, clusterBytes: clusterBytes, deviceBytes: newBytes)
    let integrity: PoolIntegrity = sums.isPresent ? .crc32c : .none
    let journal = max(journalBytes, Self.journalBytes(deviceBytes: newBytes, clusterBytes: clusterBytes, integrity: integrity))
    let blockCount = newBytes / clusterBytes * (clusterBytes / PoolGeometry.blockBytes)
    let sumBytes = sums.isPresent ? SumArea.byteCount(blockCount: blockCount, blocksPerPage: sums.blocksPerPage) : 0
    let metadata = journal + 2 * slot + sumBytes
    let end = max(
      dataOffset + clusterCount * clusterBytes, journalOffset + journalBytes, checkpointOffset + 2 * checkpointSlotBytes,
      sums.offset + sums.byteCount)
    let needed = end.roundedUpQuotient(by: 4096) * 4096 + clusterBytes + metadata
    guard newBytes >= needed else { return .tooLittle(neededBytes: needed) }
    grown.journalOffset = (newBytes - metadata) & ~4095
    grown.journalBytes = journal
    grown.checkpointOffset = grown.journalOffset + journal
    grown.checkpointSlotBytes = slot
    if sums.isPresent {
      grown.sums = SumArea(offset: grown.checkpointOffset + 2 * slot, byteCount: sumBytes, blocksPerPage: sums.blocksPerPage)
    }
    grown.clusterCount = min((grown.journalOffset - dataOffset) / clusterBytes, Self.maximumClusterCount)
    guard grown.clusterCount > clusterCount, grown.isPossible else { return .tooLittle(neededBytes: needed + clusterBytes) }
    return .moving(grown)
  }

  /// Puts this into the place of both copies.
  ///
  /// Crash steps: (1) the copy that is not in use, durably: torn, the copy in use still counts; whole, this counts, as its revision is
  /// higher; (2) the other copy, durably. The next opening makes the copies equal before it changes anything else, so that an old
  /// one never comes back.
  func replaceCopies(on storage: some MetadataStorage, inUse: Int) throws(PoolError) {
    let bytes = encoded()
    for index in [1 - inUse, inUse] {
      try storage.write(bytes, offsetBytes: Self.copyOffsets[index])
      try storage.synchronize()
    }
  }
}
