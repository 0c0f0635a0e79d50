import Reactor

/// A replica as a pool lists it.
public struct ReplicaInfo: Equatable, Sendable {
  public let id: Identifier
  /// The volume it is a copy of.
  public let volumeID: Identifier
  public let sizeBytes: UInt64
  public let blockSizeBytes: UInt32
  /// Bytes of its clusters.
  public let allocatedBytes: UInt64
}

extension Pool {
  /// The replicas, oldest first.
  public var replicas: [ReplicaInfo] { state.withLock { $0.table.replicas }.map(info) }

  private func info(_ record: ReplicaRecord) -> ReplicaInfo {
    ReplicaInfo(
      id: record.id, volumeID: record.volumeID, sizeBytes: record.sizeBytes, blockSizeBytes: record.blockSizeBytes,
      allocatedBytes: record.extents.reduce(0) { $0 + $1.count } * clusterBytes)
  }

  /// Makes a replica that reads zeros. When this returns it is durable.
  ///
  /// Order: its clusters are reserved; they are zeroed and that is durable; then the table names it. A crash before the last
  /// step leaves free clusters.
  @discardableResult
  public func createReplica(
    id: Identifier, volumeID: Identifier, sizeBytes: UInt64, blockSizeBytes: UInt32 = 512
  ) throws(PoolError) -> ReplicaInfo {
    guard blockSizeBytes == 512 || blockSizeBytes == 4096, blockSizeBytes >= sectorBytes else {
      throw .unsupportedBlockSize(pool: name, blockSizeBytes: blockSizeBytes, sectorBytes: sectorBytes)
    }
    guard sizeBytes > 0, sizeBytes % UInt64(blockSizeBytes) == 0 else {
      throw .invalidReplicaSize(pool: name, byteCount: sizeBytes, blockSizeBytes: blockSizeBytes)
    }
    let (record, storage) = try locked { (state: inout State) throws(PoolError) in
      guard let storage = state.storage else { throw .closed(pool: self.name) }
      if state.busy.contains(id) || state.table.replicas.contains(where: { $0.id == id }) {
        throw .replicaExists(pool: self.name, id: id)
      }
      let used = state.table.replicas.flatMap(\.extents) + state.reserved
      let free = ClusterAllocator.freeExtents(used: used, clusterCount: self.superblock.clusterCount)
      guard let extents = ClusterAllocator.allocate(sizeBytes.roundedUpQuotient(by: self.clusterBytes), from: free) else {
        throw .noSpace(pool: self.name, neededBytes: sizeBytes, freeBytes: free.reduce(0) { $0 + $1.count } * self.clusterBytes)
      }
      let record = ReplicaRecord(
        id: id, volumeID: volumeID, sizeBytes: sizeBytes, blockSizeBytes: blockSizeBytes, extents: extents)
      guard self.fits(state.table, and: record) else { throw .metadataFull(pool: self.name) }
      state.reserved += extents
      state.busy.insert(id)
      return (record, storage)
    }
    defer { release(record) }
    switch storage {
    case .disk(let file):
      for extent in record.extents {
        try file.zero(offsetBytes: superblock.dataOffset + extent.start * clusterBytes, byteCount: extent.count * clusterBytes)
      }
      try file.synchronize()
    case .memory(let region):
      for extent in record.extents { region.zero(offsetBytes: extent.start * clusterBytes, byteCount: extent.count * clusterBytes) }
    }
    try change { (table: inout ReplicaTable) throws(PoolError) in
      guard self.fits(table, and: record) else { throw .metadataFull(pool: self.name) }
      table.replicas.append(record)
    }
    return info(record)
  }

  /// Deletes a replica that is not open. When this returns that is durable, and its space is free.
  ///
  /// Order: the table without it is durable; its clusters are discarded; then they may be given out again (R17a).
  public func deleteReplica(id: Identifier) throws(PoolError) {
    let (record, storage) = try locked { (state: inout State) throws(PoolError) in
      guard let storage = state.storage else { throw .closed(pool: self.name) }
      let found = state.table.replicas.first { $0.id == id }
      guard let record = found else { throw .unknownReplica(pool: self.name, id: id) }
      if state.openCounts[id] != nil || state.busy.contains(id) { throw .replicaInUse(pool: self.name, id: id) }
      state.busy.insert(id)
      state.reserved += record.extents
      return (record, storage)
    }
    defer { release(record) }
    try change { (table: inout ReplicaTable) throws(PoolError) in table.replicas.removeAll { $0.id == id } }
    for extent in record.extents {
      let byteCount = extent.count * clusterBytes
      switch storage {
      case .disk(let file): file.discard(offsetBytes: superblock.dataOffset + extent.start * clusterBytes, byteCount: byteCount)
      case .memory(let region): region.zero(offsetBytes: extent.start * clusterBytes, byteCount: byteCount)
      }
    }
  }

  /// Binds a replica to `reactor`; called on its thread. Does no I/O. May be open on several reactors at once.
  public func openReplica(_ id: Identifier, on reactor: Reactor) throws(PoolError) -> PoolReplica {
    let (record, storage) = try locked { (state: inout State) throws(PoolError) in
      guard let storage = state.storage else { throw .closed(pool: self.name) }
      let found = state.table.replicas.first { $0.id == id }
      guard let record = found else { throw .unknownReplica(pool: self.name, id: id) }
      if state.busy.contains(id) { throw .replicaInUse(pool: self.name, id: id) }
      // The pool may have been moved to a device with larger sectors.
      guard record.blockSizeBytes >= self.sectorBytes else {
        throw .unsupportedBlockSize(pool: self.name, blockSizeBytes: record.blockSizeBytes, sectorBytes: self.sectorBytes)
      }
      state.openCounts[id, default: 0] += 1
      return (record, storage)
    }
    let extents = ExtentMap(clusters: record.extents, clusterBytes: clusterBytes, dataOffset: superblock.dataOffset)
    switch storage {
    case .disk(let file): return DiskReplica(info(record), pool: self, file: file, extents: extents, reactor: reactor)
    case .memory(let region): return MemoryReplica(info(record), pool: self, region: region, extents: extents, reactor: reactor)
    }
  }

  /// A device on a replica was closed.
  func replicaClosed(_ id: Identifier) {
    state.withLock { state in
      let count = state.openCounts[id] ?? 0
      precondition(count > 0)
      state.openCounts[id] = count == 1 ? nil : count - 1
    }
  }

  // MARK: Changes

  private func locked<Value: Sendable>(_ body: (inout State) throws(PoolError) -> Value) throws(PoolError) -> Value {
    try state.withLock { (state) throws(PoolError) in try body(&state) }
  }

  private func fits(_ table: ReplicaTable, and record: ReplicaRecord) -> Bool {
    UInt64(table.encodedBytes + record.encodedBytes) <= superblock.metadataSlotBytes
  }

  /// The replica is created or deleted, or that failed: its clusters are what the table says.
  private func release(_ record: ReplicaRecord) {
    state.withLock { state in
      state.busy.remove(record.id)
      state.reserved.removeAll { record.extents.contains($0) }
    }
  }

  /// Changes the table: the other slot is written and durable before the change is seen. If that fails, the table is as it was,
  /// and whether the change is on the disk is unknown until the next one succeeds.
  private func change(_ body: (inout ReplicaTable) throws(PoolError) -> Void) throws(PoolError) {
    try changes.withLock { (_) throws(PoolError) in
      var (table, slot, storage) = try locked { (state: inout State) throws(PoolError) in
        guard let storage = state.storage else { throw .closed(pool: self.name) }
        state.lastSequence += 1
        var table = state.table
        table.sequence = state.lastSequence
        return (table, 1 - state.slot, storage)
      }
      try body(&table)
      if case .disk(let file) = storage { try MetadataArea(file: file, superblock: superblock).store(table, slot: slot) }
      state.withLock { state in
        state.table = table
        state.slot = slot
      }
    }
  }
}
