/// The records behind the checkpoint, and every entry.
extension PoolCheck {
  mutating func checkContent(_ superblock: Superblock, _ slots: [Slot]) throws(PoolError) {
    let used = chooseCheckpoint(slots)
    let headers = slots.compactMap(\.header)
    guard let header = used ?? headers.max(by: { $0.number < $1.number }) else { return }
    var state = PoolState(geometry: superblock.geometry)
    try loadChunks(superblock, header, &state)
    if state.lastLayerID > header.lastLayerID || state.lastOrder > header.lastOrder {
      let slot = superblock.checkpointOffset + header.number % 2 * superblock.checkpointSlotBytes
      report.add(.damage, at: slot, "checkpoint \(header.number) holds layers or names that are newer than its header knows")
    }
    let durable = headers.map(\.durableSequence).max() ?? 0
    let head = try followJournal(superblock, header, durable, &state)
    if let other = headers.first(where: { $0.number < header.number }), used != nil {
      try checkFallback(superblock, from: other, to: header, head)
    }
    // Of half a state nothing can be said.
    guard used != nil else { return }
    try state.judgeSent(storage)
    if !state.unarrived.isEmpty {
      report.add(.note, "\(state.unarrived.count) blocks were being written when the power went and did not arrive: they are as before")
    }
    state.verify(into: &report)
  }

  /// Loads what can be loaded of a checkpoint; flaws of its chunks were told before.
  private mutating func loadChunks(_ superblock: Superblock, _ header: CheckpointHeader, _ state: inout PoolState) throws(PoolError) {
    let slot = superblock.checkpointOffset + header.number % 2 * superblock.checkpointSlotBytes
    let end = slot + superblock.checkpointSlotBytes
    var offset = slot + UInt64(CheckpointHeader.byteCount)
    for _ in 0..<header.chunkCount {
      guard offset < end, case .success(let found) = try Self.recordOutcome(storage, superblock.id, .checkpoint, at: offset, end: end)
      else { return }
      load(found, at: offset, superblock, "chunk \(found.record.sequence) of checkpoint \(header.number)", &state)
      offset += UInt64(found.byteCount)
    }
  }

  /// Applies the entries of a record and says what is wrong with them.
  private mutating func load(
    _ found: FoundRecord, at offset: UInt64, _ superblock: Superblock, _ what: String, _ state: inout PoolState
  ) {
    let body = found.record.body
    if found.record.kind == .journal { state.begin(found.record) }
    var reader = FieldReader(body, 0..<body.count)
    while !reader.isAtEnd {
      let start = reader.position
      do throws(FormatFlaw) {
        state.load(try MetadataEntry(reading: &reader, geometry: superblock.geometry))
        if found.record.kind == .journal { report.journal.entryCount += 1 }
      } catch {
        report.add(
          .damage, at: offset + UInt64(MetadataRecord.headerBytes + start),
          "\(what) has an entry (kind \(body[start])) that cannot be: \(error.explanation)")
        return
      }
    }
  }

  /// Follows the chain to its end and says whether that is the end; returns where it is.
  private mutating func followJournal(
    _ superblock: Superblock, _ header: CheckpointHeader, _ durableBefore: UInt64, _ state: inout PoolState
  ) throws(PoolError) -> Journal.Mark {
    let end = superblock.journalOffset + superblock.journalBytes
    var (head, opening, durable) = (header.mark, header.opening, durableBefore)
    var flaw: FormatFlaw?
    var offset: UInt64 = 0
    while true {
      let place = Journal.place(head.position, ringBytes: superblock.journalBytes)
      offset = superblock.journalOffset + place % superblock.journalBytes
      guard place - header.mark.position < superblock.journalBytes else { break }
      switch try Self.recordOutcome(storage, superblock.id, .journal, at: offset, end: end) {
      case .failure(let error): flaw = error
      case .success(let found):
        let record = found.record
        guard record.sequence == head.sequence, record.predecessorChecksum == head.predecessorChecksum, record.opening >= opening else {
          flaw = .brokenChain
          break
        }
        load(found, at: offset, superblock, "record \(record.sequence) of the journal", &state)
        head = Journal.Mark(
          position: place + UInt64(found.byteCount), sequence: record.sequence + 1, predecessorChecksum: found.checksum)
        opening = record.opening
        durable = max(durable, record.durableSequence)
        report.journal.recordCount += 1
        continue
      }
      break
    }
    report.journal.nextSequence = head.sequence
    report.journal.endOffsetBytes = offset
    try judgeEnd(superblock, head, durable, flaw, at: offset)
    return head
  }

  /// What lies behind the end of the chain: leftovers, a torn tail, or records that should have been part of it.
  private mutating func judgeEnd(
    _ superblock: Superblock, _ head: Journal.Mark, _ durableBefore: UInt64, _ flaw: FormatFlaw?, at end: UInt64
  ) throws(PoolError) {
    var durable = durableBefore
    var stranded: [UInt64] = []
    var broken: [(sequence: UInt64, offset: UInt64, flaw: FormatFlaw)] = []
    var tornAtEnd = false
    let ringEnd = superblock.journalOffset + superblock.journalBytes
    var offset: UInt64 = 0
    while offset < superblock.journalBytes {
      let bytes = try storage.read(
        offsetBytes: superblock.journalOffset + offset, byteCount: Int(min(1 << 20, superblock.journalBytes - offset)))
      if bytes.isEmpty { break }
      for start in stride(from: 0, to: bytes.count - MetadataRecord.headerBytes, by: MetadataRecord.alignmentBytes) {
        let block = Array(bytes[start..<start + MetadataRecord.headerBytes])
        guard (try? MetadataRecord.encodedBytes(of: block, kind: .journal, poolID: superblock.id)) != nil else { continue }
        var reader = FieldReader(block, 32..<48)
        guard let sequence = try? reader.word(), sequence >= head.sequence, sequence < 1 << 62 else { continue }
        let place = superblock.journalOffset + offset + UInt64(start)
        switch try Self.recordOutcome(storage, superblock.id, .journal, at: place, end: ringEnd) {
        case .success(let found):
          if place != end { stranded.append(sequence) }
          durable = max(durable, found.record.durableSequence)
        case .failure(let error):
          if place == end { tornAtEnd = true } else { broken.append((sequence, place, error)) }
        }
      }
      offset += UInt64(bytes.count)
    }
    guard head.sequence <= durable else {
      if tornAtEnd {
        report.add(
          .note, at: end,
          "record \(head.sequence) of the journal is torn: it was being written when the power went, and nobody relied on it")
      }
      return
    }
    report.add(
      .damage, at: end,
      "record \(head.sequence) of the journal is missing (\((flaw ?? .missingRecords).explanation)), but records up to \(durable) were durable"
    )
    for item in broken where item.sequence <= durable {
      report.add(.damage, at: item.offset, "record \(item.sequence) of the journal is damaged (\(item.flaw.explanation))")
    }
    if let first = stranded.min(), let last = stranded.max() {
      report.add(
        .note, "\(stranded.count) whole record(s) from \(first) to \(last) lie behind the missing one and cannot be used without it")
    }
  }

  /// Whether the checkpoint before the last, with the journal from there, would do if the last one were lost.
  private mutating func checkFallback(
    _ superblock: Superblock, from older: CheckpointHeader, to newer: CheckpointHeader, _ head: Journal.Mark
  ) throws(PoolError) {
    let largest = UInt64(Journal.maximumRecordBytes(ringBytes: superblock.journalBytes))
    // Later records have gone over the older ones by then.
    guard newer.mark.position >= older.mark.position, newer.mark.sequence >= older.mark.sequence,
      head.position + 2 * largest < older.mark.position + superblock.journalBytes
    else { return }
    let end = superblock.journalOffset + superblock.journalBytes
    var mark = older.mark
    while mark.sequence < newer.mark.sequence {
      let place = Journal.place(mark.position, ringBytes: superblock.journalBytes)
      let offset = superblock.journalOffset + place % superblock.journalBytes
      let outcome = try Self.recordOutcome(storage, superblock.id, .journal, at: offset, end: end)
      guard case .success(let found) = outcome, found.record.sequence == mark.sequence,
        found.record.predecessorChecksum == mark.predecessorChecksum
      else {
        report.add(
          .recoverable, at: offset,
          "record \(mark.sequence) of the journal is damaged; checkpoint \(newer.number) holds what it said, so it is needed no more")
        return
      }
      mark = Journal.Mark(
        position: place + UInt64(found.byteCount), sequence: mark.sequence + 1, predecessorChecksum: found.checksum)
    }
    if mark.predecessorChecksum != newer.mark.predecessorChecksum {
      report.add(.recoverable, "the journal behind checkpoint \(older.number) does not lead to checkpoint \(newer.number)")
    }
  }
}
