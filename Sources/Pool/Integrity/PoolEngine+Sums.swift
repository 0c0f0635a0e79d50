import Glibc
import Reactor

/// Reads that verify and writes that record checksums, in a pool that keeps them.
///
/// A read that finds a block which does not match may have met a write in flight: it reads again with the blocks claimed, when no write is
/// under way. What does not match then is damage, and the read ends with `readFault`; but for pages that were not settled when the
/// pool was opened: there it may be the rest of a write that was never flushed, whatever a power loss left of it is as good as the
/// old and the new (R17b), and it gets a checksum of its own from then on.
extension PoolEngine {
  static let zeroBlockSum = unsafe CRC32C.checksum(ZeroBuffer.shared.base, byteCount: Int(PoolGeometry.blockBytes))

  private func sumSlot(_ index: Int32) -> UnsafeMutablePointer<BlockSums.Slot> { unsafe sums!.slots + Int(index) }

  /// Pins the pages of a slot's blocks. False if one is not in memory yet: the slot will be resumed.
  private func pinPages(_ index: Int32, firstBlock: Int, blockCount: Int) -> Bool {
    guard let sums else { return true }
    let first = sums.page(ofBlock: firstBlock)
    let last = sums.page(ofBlock: firstBlock &+ blockCount &- 1)
    if let one = sums.frame(ofPage: first), let other = sums.frame(ofPage: last) {
      sums.pin(index, one, other)
      return true
    }
    unsafe slots[Int(index)].phase = .loadingSums
    // One at a time, so that there is one to wait for.
    if sums.frame(ofPage: first) == nil { load(first, for: .slot(index)) } else { load(last, for: .slot(index)) }
    return false
  }

  /// Whether the blocks in `buffer` match, all that were pinned; the first that does not.
  private func firstMismatch(_ index: Int32, _ buffer: UnsafeRawPointer) -> Int? {
    guard let sums else { return nil }
    let slot = unsafe sumSlot(index)
    let (firstBlock, count) = unsafe (slot.pointee.firstBlock, slot.pointee.blockCount)
    var frame = unsafe Int(slot.pointee.firstFrame)
    var inPage = firstBlock &- sums.page(ofBlock: firstBlock) &* sums.blocksPerPage
    for block in 0..<count {
      if inPage == sums.blocksPerPage {
        inPage = 0
        frame = unsafe Int(slot.pointee.secondFrame)
      }
      let crc = unsafe CRC32C.checksum(buffer + block &* 4096, byteCount: 4096)
      if crc != sums.sum(frame: frame, index: inPage) { return block }
      inPage &+= 1
    }
    return nil
  }

  // MARK: Reads

  func checkedRead(_ index: Int32) {
    sweep()
    let slot = unsafe slots + Int(index)
    let layer = unsafe devices[Int(slot.pointee.device)].layerIndex
    while unsafe slot.pointee.offset < slot.pointee.end {
      let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.end)
      if unsafe sumSlot(index).pointee.isExclusive, !claims.contains(where: { $0.holder == index }) {
        let blocks = offset >> PoolGeometry.blockShift..<(end &+ 4095) >> PoolGeometry.blockShift
        guard claim(layerIndex: layer, blocks: blocks, holder: index) else {
          claimWaiters.append(index)
          return
        }
      }
      let place = state.locate(layerIndex: layer, offset: offset, end: end)
      guard let storageOffset = place.storageOffset else {
        unsafe memset(slot.pointee.buffer!, 0, Int(place.byteCount))
        unsafe slot.pointee.buffer! += Int(place.byteCount)
        unsafe slot.pointee.offset &+= place.byteCount
        continue
      }
      let isPart = offset & 4095 != 0 || place.byteCount < 4096
      let byteCount = isPart ? min(place.byteCount, 4096 &- offset & 4095) : place.byteCount & ~4095
      let first = geometry.poolBlock(storageOffset: storageOffset)
      let blockCount = isPart ? 1 : Int(byteCount >> 12)
      guard pinPages(index, firstBlock: first, blockCount: blockCount) else { return }
      unsafe sumSlot(index).pointee.firstBlock = first
      unsafe sumSlot(index).pointee.blockCount = blockCount
      unsafe sumSlot(index).pointee.isPart = isPart
      unsafe slot.pointee.pieceEnd = offset &+ byteCount
      unsafe slot.pointee.phase = .reading
      unsafe enterEpoch(slot)
      guard isPart else {
        return unsafe disk.read(
          token: Int(index), into: slot.pointee.buffer!, byteCount: Int(byteCount), offsetBytes: storageOffset)
      }
      if unsafe slot.pointee.bounce == nil { unsafe slot.pointee.bounce = .allocate(byteCount: 4096, alignment: 4096) }
      return unsafe disk.read(
        token: Int(index), into: slot.pointee.bounce!, byteCount: 4096, offsetBytes: storageOffset & ~4095)
    }
    finish(index, .success)
  }

  func checkedReadCompleted(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    let own = unsafe sumSlot(index)
    let isPart = unsafe own.pointee.isPart
    let data = unsafe UnsafeRawPointer(isPart ? slot.pointee.bounce! : slot.pointee.buffer!)
    if let bad = unsafe firstMismatch(index, data) {
      if unsafe !own.pointee.isExclusive {
        unsafe own.pointee.isExclusive = true
        return advance(index)
      }
      guard unsafe adopt(firstBlock: own.pointee.firstBlock, count: own.pointee.blockCount, data) else {
        noteMismatch(index, block: unsafe own.pointee.firstBlock + bad, .read)
        return finish(index, .readFault)
      }
    }
    if isPart {
      let (offset, end) = unsafe (slot.pointee.offset, slot.pointee.pieceEnd)
      unsafe memcpy(slot.pointee.buffer!, slot.pointee.bounce! + Int(offset & 4095), Int(end &- offset))
    }
    sums?.unpin(index)
    unsafe movePast(slot)
    advance(index)
  }

  private func noteMismatch(_ index: Int32, block: Int, _ operation: PoolReport.Operation) {
    let slot = unsafe slots + Int(index)
    let storage = geometry.dataOffset &+ UInt64(block) << PoolGeometry.blockShift
    unsafe report.noteMismatch(
      operation, replica: devices[Int(slot.pointee.device)].replica, offsetBytes: slot.pointee.offset, storageOffsetBytes: storage)
  }

  /// Takes blocks that do not match as they are, with `data` in them. False if any of them must match.
  ///
  /// The page is still one that is not settled, on the storage too: it does not matter when the record is written.
  func adopt(firstBlock: Int, count: Int, _ data: UnsafeRawPointer) -> Bool {
    guard let sums else { return false }
    var changes: [(block: Int, value: UInt32)] = []
    for index in 0..<count {
      let crc = unsafe CRC32C.checksum(data + index * 4096, byteCount: 4096)
      guard crc != sums.sum(ofBlock: firstBlock + index) else { continue }
      guard sums.adoptable.contains(sums.page(ofBlock: firstBlock + index)) else { return false }
      changes.append((firstBlock + index, crc))
    }
    for change in changes {
      sums.set(block: change.block, change.value)
      sums.adoptedCount += 1
    }
    if !changes.isEmpty && !isFaulted {
      stage(
        changes.map {
          .sums(
            cluster: UInt32($0.block / geometry.blocksPerCluster), first: UInt32($0.block % geometry.blocksPerCluster), values: [$0.value])
        }, .nobody)
    }
    return true
  }

  // MARK: Writes

  /// The claimed blocks of a write are about to change: overwriting data waits until a durable record says that their pages are not
  /// settled. So do blocks of clusters from which something was taken away, since the record of that may not be durable.
  func prepareSums(_ index: Int32, cluster: Int, first: Int, stop: Int, isOverwrite: Bool) {
    guard let sums else { return }
    sweep()
    let own = unsafe sumSlot(index)
    let block = geometry.poolBlock(cluster: cluster, block: first)
    unsafe own.pointee.firstBlock = block
    unsafe own.pointee.blockCount = stop - first
    unsafe own.pointee.isWriting = true
    unsafe own.pointee.isOverwrite = isOverwrite
    unsafe own.pointee.hasHead = false
    unsafe own.pointee.hasTail = false
    let pages = sums.page(ofBlock: block)...sums.page(ofBlock: block &+ (stop &- first) &- 1)
    for page in pages { sums.hot.insert(page) }
    let run = state.clusters.run(cluster, from: first, to: stop)
    let mayHaveData = run.isData || run.count < stop - first || state.clusters.stale.contains(cluster)
    guard mayHaveData, !pages.allSatisfy({ sums.durable.contains($0) }) else { return fillHead(index) }
    unsafe slots[Int(index)].phase = .awaitingMark
    for page in pages where !sums.durable.contains(page) && !sums.marksWanted.contains(UInt32(page)) {
      sums.marksWanted.append(UInt32(page))
    }
    sums.markWaiters.append(index)
    mark()
  }

  /// The rest of a block that is written in part must match before it gets a new checksum.
  func checkedFill(_ index: Int32, block: UInt64, _ phase: Phase, storageOffset: UInt64) {
    let slot = unsafe slots + Int(index)
    unsafe sumSlot(index).pointee.fillOffset = block
    unsafe sumSlot(index).pointee.fillPhase = phase
    let source = geometry.poolBlock(storageOffset: storageOffset)
    guard pinPages(index, firstBlock: source, blockCount: 1) else { return }
    unsafe sumSlot(index).pointee.fillSource = source
    unsafe slot.pointee.phase = phase
    unsafe enterEpoch(slot)
    unsafe disk.read(token: Int(index), into: slot.pointee.bounce!, byteCount: 4096, offsetBytes: storageOffset)
  }

  /// Whether the block that was read to be filled up may be used; otherwise the write has ended.
  func isFillRight(_ index: Int32) -> Bool {
    guard let sums else { return true }
    let slot = unsafe slots + Int(index)
    let source = unsafe sumSlot(index).pointee.fillSource
    let crc = unsafe CRC32C.checksum(slot.pointee.bounce!, byteCount: 4096)
    let isRight = crc == sums.sum(ofBlock: source) || sums.adoptable.contains(sums.page(ofBlock: source))
    sums.unpin(index)
    if isRight { return true }
    noteMismatch(index, block: source, .write)
    release(claimsOf: index)
    unsafe doneChanging(slot)
    finish(index, .writeFault)
    return false
  }

  /// A block was filled up and is about to be written whole.
  func noteFilled(_ index: Int32, isHead: Bool) {
    let crc = unsafe CRC32C.checksum(slots[Int(index)].bounce!, byteCount: 4096)
    let own = unsafe sumSlot(index)
    if isHead {
      unsafe own.pointee.headSum = crc
      unsafe own.pointee.hasHead = true
    } else {
      unsafe own.pointee.tailSum = crc
      unsafe own.pointee.hasTail = true
    }
  }

  /// The checksums of a write join its record; the data may be on its way at the same time.
  func planSums(_ index: Int32, cluster: Int, first: Int, stop: Int, _ entries: inout [MetadataEntry]) {
    guard let sums else { return }
    let slot = unsafe slots + Int(index)
    let own = unsafe sumSlot(index)
    let block = unsafe own.pointee.firstBlock
    let buffer = unsafe slot.pointee.buffer
    // Byte 0 of the block that the piece starts in, if it were in the buffer.
    let skipped = unsafe Int(slot.pointee.offset & 4095)
    var values: [UInt32] = []
    values.reserveCapacity(stop - first)
    for position in 0..<stop - first {
      if position == 0, unsafe own.pointee.hasHead {
        unsafe values.append(own.pointee.headSum)
      } else if position == stop - first - 1, unsafe own.pointee.hasTail {
        unsafe values.append(own.pointee.tailSum)
      } else if let buffer = unsafe buffer {
        unsafe values.append(CRC32C.checksum(buffer + (position * 4096 - skipped), byteCount: 4096))
      } else {
        values.append(Self.zeroBlockSum)
      }
    }
    for (position, value) in values.enumerated() where !sums.set(block: block + position, value) {
      prefetch(sums.page(ofBlock: block + position))
    }
    for page in sums.page(ofBlock: block)...sums.page(ofBlock: block + values.count - 1) where !state.unsettled.contains(page) {
      state.unsettled.insert(page)
      entries.append(.unsettled(first: UInt32(page), count: 1))
    }
    entries.append(.sums(cluster: UInt32(cluster), first: UInt32(first), values: values))
    if sums.dirtyCount > sums.frameCount / 4 { saveSums() }
  }

  /// A write of data failed: what is there now cannot be known.
  func noteFailedWrite(_ index: Int32) {
    guard let sums, unsafe sumSlot(index).pointee.isWriting else { return }
    let (block, count) = unsafe (sumSlot(index).pointee.firstBlock, sumSlot(index).pointee.blockCount)
    guard count > 0 else { return }
    for page in sums.page(ofBlock: block)...sums.page(ofBlock: block + count - 1) { sums.adoptable.insert(page) }
  }

  /// A request ends: gives back what it held.
  func endSums(_ index: Int32) {
    guard let sums else { return }
    let own = unsafe sumSlot(index)
    sums.unpin(index)
    unsafe own.pointee.isWriting = false
    guard unsafe own.pointee.isExclusive else { return }
    unsafe own.pointee.isExclusive = false
    release(claimsOf: index)
  }

  /// The page that a request waited for is in memory.
  func resumeLoaded(_ index: Int32) {
    let slot = unsafe slots + Int(index)
    if unsafe slot.pointee.operation == .read { return advance(index) }
    let own = unsafe sumSlot(index)
    unsafe fill(index, block: own.pointee.fillOffset, own.pointee.fillPhase)
  }

  /// The page that a request waited for cannot be read.
  func failLoaded(_ index: Int32, _ result: Int32) {
    let slot = unsafe slots + Int(index)
    let isRead = unsafe slot.pointee.operation == .read
    unsafe report.note(
      .read, code: -result, replica: devices[Int(slot.pointee.device)].replica, offsetBytes: slot.pointee.offset)
    if !isRead {
      release(claimsOf: index)
      unsafe doneChanging(slot)
    }
    finish(index, isRead ? .readFault : .writeFault)
  }
}
