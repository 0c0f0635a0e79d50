/// What metadata is read from when a pool is opened.
protocol MetadataSource {
  /// For messages.
  var path: String { get }
  /// Reads `byteCount` bytes, a multiple of 4096; fewer at the end of the storage.
  func read(offsetBytes: UInt64, byteCount: Int) throws(PoolError) -> [UInt8]
}

/// Opening: the last checkpoint and the journal behind it.
///
/// The work is bounded by the size of a checkpoint slot and of the journal. Nothing is written.
struct Recovery: ~Copyable {
  var state: PoolState
  var journal: Journal
  var checkpointNumber: UInt64
  var warnings: [String]

  /// Throws `corruptMetadata` if what was durable is not there or is not possible.
  init(
    _ source: some MetadataSource, superblock: Superblock, using generator: inout some RandomNumberGenerator
  ) throws(PoolError) {
    var headers: [CheckpointHeader] = []
    var flaws: [FormatFlaw] = []
    for slot in 0..<2 as Range<UInt64> {
      let block = try source.read(
        offsetBytes: superblock.checkpointOffset + slot * superblock.checkpointSlotBytes, byteCount: CheckpointHeader.byteCount)
      do throws(FormatFlaw) {
        let header = try CheckpointHeader(decoding: block, poolID: superblock.id)
        guard header.number % 2 == slot else { throw .wrongPlace }
        headers.append(header)
      } catch {
        flaws.append(error)
      }
    }
    headers.sort { $0.number > $1.number }
    let durable = headers.map(\.durableSequence).max() ?? 0
    let opening = headers.map(\.opening).max() ?? 0
    var failures = flaws.map(\.explanation)
    var warnings: [String] = []
    for header in headers {
      switch try Self.load(source, superblock, header, durableSequence: durable) {
      case .failure(let flaw):
        failures.append("checkpoint \(header.number): \(flaw.explanation)")
        warnings.append("checkpoint \(header.number) of \(source.path) is damaged (\(flaw.explanation)); the one before it is used")
      case .success(let loaded):
        state = loaded.take()
        let chain = loaded.chain
        checkpointNumber = header.number
        let count = max(opening, chain.opening) >> 32 + 1
        journal = Journal(
          poolID: superblock.id, offset: superblock.journalOffset, byteCount: superblock.journalBytes,
          opening: count << 32 | generator.next() & 0xFFFF_FFFF, head: chain.head, tail: header.mark.position)
        self.warnings = warnings
        return
      }
    }
    throw .corruptMetadata(path: source.path, detail: failures.joined(separator: "; "))
  }

  consuming func takeState() -> PoolState { state }

  /// A box, since a result cannot hold what cannot be copied.
  private final class Loaded {
    private var state: PoolState?
    let chain: Chain

    init(_ state: consuming PoolState, _ chain: Chain) {
      self.state = consume state
      self.chain = chain
    }

    func take() -> PoolState {
      guard let state = state.take() else { preconditionFailure("a state is taken once") }
      return state
    }
  }

  /// Where the journal ends.
  private struct Chain {
    var head: Journal.Mark
    var opening: UInt64
    var durableSequence: UInt64
  }

  private static func load(
    _ source: some MetadataSource, _ superblock: Superblock, _ header: CheckpointHeader, durableSequence: UInt64
  ) throws(PoolError) -> Result<Loaded, FormatFlaw> {
    var state = PoolState(geometry: superblock.geometry)
    state.lastLayerID = header.lastLayerID
    state.lastOrder = header.lastOrder
    if let flaw = try loadChunks(source, superblock, header, &state) { return .failure(flaw) }
    var chain = Chain(head: header.mark, opening: header.opening, durableSequence: durableSequence)
    if let flaw = try replay(source, superblock, &chain, &state) { return .failure(flaw) }
    // What was durable must be there: a hole below is corruption, above it is the torn tail (R17d).
    if chain.head.sequence <= chain.durableSequence { return .failure(.missingRecords) }
    if try laterRecordKnowsMore(source, superblock, chain) { return .failure(.missingRecords) }
    do throws(FormatFlaw) { try state.finishLoading() } catch { return .failure(error) }
    return .success(Loaded(state, chain))
  }

  private static func load(_ entry: MetadataEntry, _ state: inout PoolState) throws(FormatFlaw) {
    state.load(entry)
    if state.isBeyondBounds { throw .impossibleEntry }
  }

  private static func loadChunks(
    _ source: some MetadataSource, _ superblock: Superblock, _ header: CheckpointHeader, _ state: inout PoolState
  ) throws(PoolError) -> FormatFlaw? {
    let slot = superblock.checkpointOffset + header.number % 2 * superblock.checkpointSlotBytes
    var offset = slot + UInt64(CheckpointHeader.byteCount)
    var last: UInt32 = 0
    var index: UInt64 = 0
    while index < header.chunkCount {
      guard let bytes = try recordBytes(source, superblock.id, .checkpoint, at: offset, end: slot + superblock.checkpointSlotBytes) else {
        return .brokenChain
      }
      do throws(FormatFlaw) {
        let (chunk, checksum) = try MetadataRecord.decode(bytes, kind: .checkpoint, poolID: superblock.id)
        guard chunk.sequence == index, chunk.durableSequence == header.number, chunk.predecessorChecksum == last else {
          throw .brokenChain
        }
        try chunk.forEachEntry(superblock.geometry) { (entry) throws(FormatFlaw) in try load(entry, &state) }
        last = checksum
      } catch {
        return error
      }
      offset += UInt64(bytes.count)
      index += 1
    }
    return last == header.lastChunkChecksum ? nil : .brokenChain
  }

  /// Follows the records from the mark on, to the first that is not the successor of the one before.
  private static func replay(
    _ source: some MetadataSource, _ superblock: Superblock, _ chain: inout Chain, _ state: inout PoolState
  ) throws(PoolError) -> FormatFlaw? {
    let start = chain.head.position
    while true {
      let place = Journal.place(chain.head.position, ringBytes: superblock.journalBytes)
      // Once around at most.
      guard place - start < superblock.journalBytes else { return nil }
      let within = superblock.journalOffset + place % superblock.journalBytes
      guard
        let bytes = try recordBytes(
          source, superblock.id, .journal, at: within, end: superblock.journalOffset + superblock.journalBytes),
        let (record, checksum) = try? MetadataRecord.decode(bytes, kind: .journal, poolID: superblock.id),
        record.sequence == chain.head.sequence, record.predecessorChecksum == chain.head.predecessorChecksum,
        record.opening >= chain.opening
      else { return nil }
      // Its checksum is right: what cannot be in it was not left by a crash.
      do throws(FormatFlaw) {
        try record.forEachEntry(superblock.geometry) { (entry) throws(FormatFlaw) in try load(entry, &state) }
      } catch {
        return error
      }
      chain.head = Journal.Mark(
        position: place + UInt64(bytes.count), sequence: record.sequence + 1, predecessorChecksum: checksum)
      chain.opening = record.opening
      chain.durableSequence = max(chain.durableSequence, record.durableSequence)
    }
  }

  /// Whether a record behind the end of the chain says that more was durable than the chain has.
  private static func laterRecordKnowsMore(
    _ source: some MetadataSource, _ superblock: Superblock, _ chain: Chain
  ) throws(PoolError) -> Bool {
    let window: UInt64 = 1 << 20
    var offset: UInt64 = 0
    while offset < superblock.journalBytes {
      let count = min(window, superblock.journalBytes - offset)
      let bytes = try source.read(offsetBytes: superblock.journalOffset + offset, byteCount: Int(count))
      for start in stride(from: 0, to: bytes.count, by: MetadataRecord.alignmentBytes) {
        guard bytes.count - start >= MetadataRecord.headerBytes else { break }
        var reader = FieldReader(bytes, start + 32..<start + MetadataRecord.headerBytes)
        guard let sequence = try? reader.word(), let durable = try? reader.word(), sequence > chain.head.sequence,
          durable >= chain.head.sequence, sequence < 1 << 62
        else { continue }
        let place = superblock.journalOffset + offset + UInt64(start)
        if let whole = try recordBytes(source, superblock.id, .journal, at: place, end: superblock.journalOffset + superblock.journalBytes),
          let (record, _) = try? MetadataRecord.decode(whole, kind: .journal, poolID: superblock.id), record.sequence == sequence
        {
          return true
        }
      }
      offset += count
    }
    return false
  }

  /// The bytes of the record that may start at `offset`; nil if none does or it would go beyond `end`.
  private static func recordBytes(
    _ source: some MetadataSource, _ poolID: Identifier, _ kind: MetadataRecord.Kind, at offset: UInt64, end: UInt64
  ) throws(PoolError) -> [UInt8]? {
    guard end - offset >= UInt64(MetadataRecord.alignmentBytes) else { return nil }
    let first = try source.read(offsetBytes: offset, byteCount: MetadataRecord.alignmentBytes)
    guard let count = try? MetadataRecord.encodedBytes(of: first, kind: kind, poolID: poolID), UInt64(count) <= end - offset else {
      return nil
    }
    if count <= first.count { return first }
    let bytes = try source.read(offsetBytes: offset, byteCount: count)
    return bytes.count == count ? bytes : nil
  }
}
