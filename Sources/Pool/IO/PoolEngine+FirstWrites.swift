import Glibc
import Reactor

/// Writes to blocks that hold no data yet, and taking data away.
extension PoolEngine {
  // MARK: Claims

  /// Takes blocks for `holder` if nobody has any of them.
  func claim(layerIndex: Int, blocks: Range<UInt64>, holder: Int32) -> Bool {
    for other in claims
    where other.layerIndex == layerIndex && other.firstBlock < blocks.upperBound && blocks.lowerBound < other.endBlock {
      return false
    }
    claims.append(Claim(layerIndex: layerIndex, firstBlock: blocks.lowerBound, endBlock: blocks.upperBound, holder: holder))
    return true
  }

  /// Gives a slot's claims back and lets those who wait try again.
  func release(claimsOf holder: Int32) {
    claims.removeAll { $0.holder == holder }
    guard !claimWaiters.isEmpty else { return }
    let retried = claimWaiters
    claimWaiters.removeAll(keepingCapacity: true)
    for index in retried {
      switch index {
      case Self.dismantlerHolder: resumeDismantling()
      case Self.sweeperHolder: sweepNext()
      default: advance(index)
      }
    }
  }

  static let dismantlerHolder: Int32 = -2

  func retrySpaceWaiters() {
    guard !spaceWaiters.isEmpty else { return }
    let retried = spaceWaiters
    spaceWaiters.removeAll(keepingCapacity: true)
    for index in retried { advance(index) }
  }

  /// A part of a change is over.
  func doneChanging(_ slot: UnsafeMutablePointer<Slot>) {
    let device = unsafe Int(slot.pointee.device)
    devices[device].changing -= 1
    if devices[device].isHeld { checkDrained(devices[device].replica) }
  }

  // MARK: First writes

  /// Steps: (1) the blocks are claimed and a cluster is found or reserved, in memory; (2) data is written, blocks that are
  /// written in part filled up from the parents before; (3) where needed the data is flushed; (4) the record is written; (5) the
  /// blocks count, and the request is answered. A crash before (4) leaves the blocks as they were. In a cluster of zeros, over
  /// no data of a parent, (2) and (4) go at once: a record without its data shows zeros, as before.
  ///
  /// With checksums overwrites go the same way, as they take part in a record too.
  func firstWrite(_ index: Int32, _ deviceIndex: Int, _ found: Int?, isOverwrite: Bool) {
    let slot = unsafe slots + Int(index)
    if isFaulted { return finish(index, .writeFault) }
    let layerIndex = devices[deviceIndex].layerIndex
    let (offset, pieceEnd) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    let blocks = offset >> PoolGeometry.blockShift..<(pieceEnd &+ 4095) >> PoolGeometry.blockShift
    guard claim(layerIndex: layerIndex, blocks: blocks, holder: index) else {
      claimWaiters.append(index)
      return
    }
    let logical = UInt32(offset >> geometry.clusterShift)
    let reserved = found ?? state.reserve(layerIndex: layerIndex, logical: logical)
    if found == nil { makeReady() }
    guard let cluster = reserved else {
      release(claimsOf: index)
      return outOfSpace(index)
    }
    let base = UInt64(logical) << (geometry.clusterShift &- PoolGeometry.blockShift)
    let (first, stop) = (Int(blocks.lowerBound &- base), Int(blocks.upperBound &- base))
    unsafe slot.pointee.cluster = Int32(bitPattern: UInt32(cluster))
    unsafe slot.pointee.needsFlush = true
    unsafe slot.pointee.needsOrder =
      !isOverwrite && state.needsOrder(layerIndex: layerIndex, cluster: cluster, logical: logical, first: first, stop: stop)
    devices[deviceIndex].changing += 1
    if sums != nil { return prepareSums(index, cluster: cluster, first: first, stop: stop, isOverwrite: isOverwrite) }
    fillHead(index)
  }

  private func outOfSpace(_ index: Int32) {
    // What was freed lately, or is being zeroed, comes back.
    guard state.quarantinedCount > 0 || cleaning != nil || !readying.isEmpty else { return finish(index, .capacityExceeded) }
    spaceWaiters.append(index)
    // A retry from inside this request would find the same.
    joinSync(.nobody)
  }

  private func cluster(_ slot: UnsafeMutablePointer<Slot>) -> Int { unsafe Int(UInt32(bitPattern: slot.pointee.cluster)) }

  /// Whether the block of byte `offset` has to be filled up, as nothing but what is written now will ever be in it.
  private func needsFilling(_ slot: UnsafeMutablePointer<Slot>, _ offset: UInt64) -> Bool {
    // A checksum is of a whole block.
    if sums != nil { return true }
    guard unsafe slot.pointee.needsOrder else { return false }
    let block = Int((offset & (geometry.clusterBytes &- 1)) >> PoolGeometry.blockShift)
    return unsafe !state.clusters.run(cluster(slot), from: block, to: block + 1).isData
  }

  func fillHead(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let offset = unsafe slot.pointee.offset
    if unsafe offset & 4095 != 0 && needsFilling(slot, offset) { return fill(index, block: offset & ~4095, .fillingHead) }
    fillTail(index)
  }

  private func fillTail(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    let isSameBlock = offset & 4095 != 0 && (end &- 1) & ~4095 == offset & ~4095
    if end & 4095 != 0, !isSameBlock, unsafe needsFilling(slot, end) { return fill(index, block: end & ~4095, .fillingTail) }
    writeBody(index)
  }

  func fill(_ index: Int32, block: UInt64, _ phase: Phase) {
    let slot = unsafe slots + Int(index)
    if unsafe slot.pointee.bounce == nil { unsafe slot.pointee.bounce = .allocate(byteCount: 4096, alignment: 4096) }
    unsafe slot.pointee.phase = phase
    let layerIndex = unsafe devices[Int(slot.pointee.device)].layerIndex
    let place = state.locate(layerIndex: layerIndex, offset: block, end: block &+ 4096)
    guard let storageOffset = place.storageOffset else {
      unsafe memset(slot.pointee.bounce!, 0, 4096)
      return writeFilled(index)
    }
    if sums != nil { return checkedFill(index, block: block, phase, storageOffset: storageOffset) }
    unsafe enterEpoch(slot)
    unsafe disk.read(token: Int(index), into: slot.pointee.bounce!, byteCount: 4096, offsetBytes: storageOffset)
  }

  /// The block as it was is in the bounce buffer: puts the request's bytes over it and writes it.
  private func writeFilled(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    let isHead = unsafe slot.pointee.phase == .fillingHead
    let block = isHead ? offset & ~4095 : end & ~4095
    let (from, to) = (max(offset, block), min(end, block &+ 4096))
    // Zeros have no place in a buffer that moves on.
    let bytes = unsafe slot.pointee.buffer == nil ? source(slot) : source(slot) + Int(from &- offset)
    unsafe memcpy(slot.pointee.bounce! + Int(from &- block), bytes, Int(to &- from))
    if sums != nil { noteFilled(index, isHead: isHead) }
    unsafe slot.pointee.phase = isHead ? .writingHead : .writingTail
    unsafe enterEpoch(slot)
    unsafe disk.write(
      token: Int(index), from: slot.pointee.bounce!, byteCount: 4096,
      offsetBytes: geometry.storageOffset(cluster: cluster(slot)) &+ (block & (geometry.clusterBytes &- 1)), durably: false)
  }

  /// Writes the request's bytes, those of filled blocks excepted.
  private func writeBody(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    var (from, to) = (offset, end)
    if unsafe offset & 4095 != 0 && needsFilling(slot, offset) { from = (offset | 4095) &+ 1 }
    if unsafe end & 4095 != 0 && needsFilling(slot, end &- 1) { to = end & ~4095 }
    unsafe slot.pointee.phase = .writingBody
    if from >= to { return dataWritten(index) }
    let bytes = unsafe slot.pointee.buffer == nil ? source(slot) : source(slot) + Int(from &- offset)
    let isAlone = unsafe slot.pointee.needsOrder
    if !isAlone {
      unsafe slot.pointee.phase = .writingBoth
      unsafe slot.pointee.failure = 0
      unsafe slot.pointee.isWritingData = true
      unsafe slot.pointee.isWritingRecord = true
    }
    unsafe enterEpoch(slot)
    unsafe disk.write(
      token: Int(index), from: bytes, byteCount: Int(to &- from),
      offsetBytes: geometry.storageOffset(cluster: cluster(slot)) &+ (from & (geometry.clusterBytes &- 1)), durably: false)
    if !isAlone { stageWritten(index) }
  }

  /// Data or record of a first write has ended.
  func bothWritten(_ index: Int32, failure: Int32) {
    let slot = unsafe slots + Int(index)
    if unsafe failure < 0 && slot.pointee.failure == 0 { unsafe slot.pointee.failure = failure }
    if unsafe slot.pointee.isWritingData || slot.pointee.isWritingRecord { return }
    switch unsafe slot.pointee.failure {
    case 0: committed(index)
    case Self.recordFailure:
      release(claimsOf: index)
      unsafe doneChanging(slot)
      finish(index, .writeFault)
    case let code: failed(index, .writingBoth, code)
    }
  }

  /// No errno: the pool has said what happened to its journal.
  static let recordFailure = Int32.min

  func firstWriteCompleted(_ index: Int32, _ phase: Phase) {
    switch phase {
    case .fillingHead, .fillingTail: if isFillRight(index) { writeFilled(index) }
    case .writingHead: fillTail(index)
    case .writingTail: writeBody(index)
    default: dataWritten(index)
    }
  }

  private func dataWritten(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    guard unsafe slot.pointee.needsOrder else { return stageWritten(index) }
    unsafe slot.pointee.phase = .awaitingOrder
    joinSync(.slot(index))
  }

  /// Its entries join the next record: as a rule the data is where it shall be.
  func stageWritten(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
    let logical = UInt32(offset >> geometry.clusterShift)
    let base = UInt64(logical) << (geometry.clusterShift &- PoolGeometry.blockShift)
    if unsafe slot.pointee.phase != .writingBoth { unsafe slot.pointee.phase = .committing }
    let layerIndex = unsafe devices[Int(slot.pointee.device)].layerIndex
    var entries: [MetadataEntry] = []
    let (first, stop) = (Int(offset >> PoolGeometry.blockShift &- base), Int((end &+ 4095) >> PoolGeometry.blockShift &- base))
    let isOverwrite = unsafe sums?.slots[Int(index)].isOverwrite ?? false
    if !isOverwrite {
      unsafe state.planWritten(layerIndex: layerIndex, cluster: cluster(slot), logical: logical, first: first, stop: stop) {
        entries.append($0)
      }
    }
    if sums != nil { unsafe planSums(index, cluster: cluster(slot), first: first, stop: stop, &entries) }
    stage(entries, .slot(index))
  }

  /// A record with entries of this slot was written, or, of a first write, that and the data.
  func committed(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    if let sums { unsafe sums.slots[Int(index)].isWriting = false }
    unsafe movePast(slot)
    release(claimsOf: index)
    unsafe doneChanging(slot)
    advance(index)
  }

  // MARK: Trims

  /// Whether a checkpoint has room for what these entries add: as many holes as there are clusters. Holes cost no cluster, so clones
  /// that are trimmed could otherwise make any number of them.
  private func hasRoom(forHolesIn entries: [MetadataEntry]) -> Bool {
    func added(_ entry: MetadataEntry) -> Int {
      guard case .holes(let layer, let logical, _) = entry else { return 0 }
      return state.holes[.init(layer: layer, logical: logical)] == nil ? 1 : 0
    }
    let count = entries.reduce(0) { $0 + added($1) }
    if journal == nil || count == 0 || state.holes.count + count <= geometry.clusterCount / 2 { return true }
    let staged = stagedEntries.reduce(0) { $0 + added($1) }
    let waiting = commits.reduce(staged) { $1.entries.reduce($0) { $0 + added($1) } }
    return state.holes.count + waiting + count <= geometry.clusterCount
  }

  /// Clusters that one step of a trim looks at.
  private static let trimLookups: UInt64 = 4096

  /// Takes whole blocks from `offset` on away, as many clusters at once as fit into a record well.
  func trim(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let deviceIndex = unsafe Int(slot.pointee.device)
    if devices[deviceIndex].isHeld {
      heldWaiters.append(index)
      return
    }
    if isFaulted { return finish(index, .writeFault) }
    let layerIndex = devices[deviceIndex].layerIndex
    let (offset, wholeEnd) = unsafe (slot.pointee.offset, slot.pointee.end & ~4095)
    let firstLogical = offset >> geometry.clusterShift
    let perCluster = UInt64(64 + 8 * geometry.wordsPerCluster)
    let limit = min(Self.trimLookups, max(1, UInt64(maximumGroupBytes) / 2 / perCluster))
    let end = min(wholeEnd, (firstLogical &+ limit) << geometry.clusterShift)
    unsafe slot.pointee.pieceEnd = end
    let clusterBlocks = UInt64(geometry.blocksPerCluster)
    let lastLogical = (end &- 1) >> geometry.clusterShift
    // Whole clusters, whatever is trimmed of them: whether any data is left must be known when the entries are made.
    guard claim(layerIndex: layerIndex, blocks: firstLogical * clusterBlocks..<(lastLogical + 1) * clusterBlocks, holder: index) else {
      claimWaiters.append(index)
      return
    }
    var entries: [MetadataEntry] = []
    for logical in firstLogical...lastLogical {
      let base = logical << geometry.clusterShift
      let first = Int((max(offset, base) &- base) >> PoolGeometry.blockShift)
      let stop = Int((min(end, base &+ geometry.clusterBytes) &- base) >> PoolGeometry.blockShift)
      state.planTrim(layerIndex: layerIndex, logical: UInt32(logical), first: first, stop: stop) { entries.append($0) }
    }
    guard hasRoom(forHolesIn: entries) else {
      release(claimsOf: index)
      return finish(index, .capacityExceeded)
    }
    devices[deviceIndex].changing += 1
    if entries.isEmpty {
      // It may be another's record that made them zeros.
      unsafe slot.pointee.needsFlush = unsafe slot.pointee.needsFlush || !isMetadataDurable
      claims.removeAll { $0.holder == index }
      unsafe doneChanging(slot)
      unsafe movePast(slot)
      if unsafe slot.pointee.offset >= slot.pointee.end { return advance(index) }
      unsafe slot.pointee.phase = .yielding
      return disk.postpone(token: Int(index))
    }
    unsafe slot.pointee.needsFlush = true
    unsafe slot.pointee.phase = .committing
    stage(entries, .slot(index))
  }
}
