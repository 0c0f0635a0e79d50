import Pool

/// What a replica said to a question, as bytes: its answer, or why there is none.
public struct ReplicaReply: Equatable, Sendable {
  /// A reply is never longer; what would be is refused by the replica.
  public static let maximumMessageBytes = 16 << 20
  private static let maximumSnapshots = 65_536
  private static let maximumPeers = 64

  public let result: Result<ReplicaAnswer, ReplicaRefusal>

  public init(_ result: Result<ReplicaAnswer, ReplicaRefusal>) { self.result = result }

  private enum Kind: UInt8 {
    case done = 65
    case claimed, leased, checksums, ranges, metadata, data
    case refusedClaimed = 129
    case unclaimed, lost, busy, noSpace, faulted, invalid, rolledBack
  }

  /// The message; a refusal where the answer is too long for one.
  public func encoded() -> [UInt8] {
    if let bytes = try? encodedOrThrows() { return bytes }
    return Self.begin(.faulted, "the answer is longer than a message").sealed()
  }

  private func encodedOrThrows() throws(MessageFlaw) -> [UInt8] {
    let writer: MessageWriter
    switch result {
    case .success(let answer): writer = try Self.write(answer)
    case .failure(let refusal): writer = Self.write(refusal)
    }
    let bytes = writer.sealed()
    guard bytes.count <= Self.maximumMessageBytes else { throw .tooLong }
    return bytes
  }

  private static func write(_ answer: ReplicaAnswer) throws(MessageFlaw) -> MessageWriter {
    switch answer {
    case .done: return begin(.done)
    case .claimed(let claimed):
      var writer = begin(.claimed)
      try append(claimed.before, to: &writer)
      writer.append(claimed.incarnation)
      writer.append(claimed.sizeBytes)
      writer.append(claimed.regionBytes)
      writer.append(UInt32(clamping: claimed.maximumHotRegions))
      writer.append(claimed.isWriteThrough)
      writer.append(claimed.leaseNanoseconds)
      guard claimed.snapshots.count <= maximumSnapshots else { throw .tooLong }
      writer.append(UInt32(claimed.snapshots.count))
      for snapshot in claimed.snapshots { writer.append(snapshot) }
      return writer
    case .leased(let nanoseconds):
      var writer = begin(.leased)
      writer.append(nanoseconds)
      return writer
    case .checksums(let checksums):
      var writer = begin(.checksums)
      writer.append(UInt32(clamping: checksums.count))
      for checksum in checksums { writer.append(checksum) }
      return writer
    case .ranges(let ranges, let next):
      var writer = begin(.ranges)
      writer.append(next != nil)
      writer.append(next ?? 0)
      writer.append(UInt32(clamping: ranges.count))
      for range in ranges {
        writer.append(range.lowerBound)
        writer.append(range.upperBound)
      }
      return writer
    case .metadata(let metadata):
      var writer = begin(.metadata)
      try append(metadata, to: &writer)
      return writer
    case .data(let bytes):
      guard bytes.count <= Int(ReplicaQuestion.maximumDataBytes) else { throw .tooLong }
      var writer = begin(.data)
      writer.append(UInt32(bytes.count))
      writer.append(raw: bytes)
      return writer
    }
  }

  private static func append(_ metadata: ReplicaMetadata, to writer: inout MessageWriter) throws(MessageFlaw) {
    let regionCount = metadata.missed.reduce(metadata.hotRegions.count) { $0 + $1.regions.count }
    guard regionCount <= MessageReader.maximumRegions, metadata.missed.count <= maximumPeers,
      metadata.claim.inSync.count <= ReplicaClaim.maximumMembers
    else { throw .tooLong }
    writer.append(metadata.claim)
    writer.append(metadata.bootID)
    writer.append(metadata.mayHaveLostCache)
    writer.append(regions: metadata.hotRegions)
    writer.append(UInt32(metadata.missed.count))
    for missed in metadata.missed {
      writer.append(missed.peer)
      writer.append(regions: missed.regions)
    }
  }

  private static func write(_ refusal: ReplicaRefusal) -> MessageWriter {
    switch refusal {
    case .claimed(let generation):
      var writer = begin(.refusedClaimed)
      writer.append(generation)
      return writer
    case .rolledBack(let generation):
      var writer = begin(.rolledBack)
      writer.append(generation)
      return writer
    case .unclaimed: return begin(.unclaimed)
    case .lost: return begin(.lost)
    case .busy: return begin(.busy)
    case .noSpace: return begin(.noSpace)
    case .faulted(let text): return begin(.faulted, text)
    case .invalid(let text): return begin(.invalid, text)
    }
  }

  private static func begin(_ kind: Kind, _ text: String? = nil) -> MessageWriter {
    var writer = MessageWriter(kind: kind.rawValue)
    if let text { writer.append(text) }
    return writer
  }
}

extension ReplicaReply {
  /// Reads a message that somebody sent.
  public init(decoding bytes: [UInt8]) throws(MessageFlaw) {
    guard bytes.count <= Self.maximumMessageBytes else { throw .tooLong }
    var reader = try MessageReader(bytes)
    guard let kind = Kind(rawValue: reader.kind) else { throw .unknownKind(reader.kind) }
    switch kind {
    case .done: result = .success(.done)
    case .claimed: result = .success(.claimed(try Self.claimed(&reader)))
    case .leased: result = .success(.leased(nanoseconds: try reader.word()))
    case .checksums:
      var checksums: [UInt32] = []
      for _ in 0..<(try reader.count(ofBytes: 4)) { checksums.append(try reader.number()) }
      result = .success(.checksums(checksums))
    case .ranges: result = .success(try Self.ranges(&reader))
    case .metadata: result = .success(.metadata(try Self.metadata(&reader)))
    case .data: result = .success(.data(try reader.bytes(atMost: Int(ReplicaQuestion.maximumDataBytes))))
    case .refusedClaimed: result = .failure(.claimed(generation: try reader.word()))
    case .rolledBack: result = .failure(.rolledBack(generation: try reader.word()))
    case .unclaimed: result = .failure(.unclaimed)
    case .lost: result = .failure(.lost)
    case .busy: result = .failure(.busy)
    case .noSpace: result = .failure(.noSpace)
    case .faulted: result = .failure(.faulted(try reader.text()))
    case .invalid: result = .failure(.invalid(try reader.text()))
    }
    try reader.finish()
  }

  private static func claimed(_ reader: inout MessageReader) throws(MessageFlaw) -> ClaimedReplica {
    var claimed = ClaimedReplica(
      before: try metadata(&reader), incarnation: try reader.identifier(), sizeBytes: try reader.word(), regionBytes: try reader.word(),
      maximumHotRegions: Int(try reader.number()), isWriteThrough: try reader.flag(), leaseNanoseconds: try reader.word(), snapshots: [])
    // Whoever reads this divides by it.
    guard claimed.regionBytes.nonzeroBitCount == 1 else { throw .impossibleField }
    for _ in 0..<(try reader.count(ofBytes: Identifier.byteCount, atMost: maximumSnapshots)) {
      claimed.snapshots.append(try reader.identifier())
    }
    return claimed
  }

  private static func ranges(_ reader: inout MessageReader) throws(MessageFlaw) -> ReplicaAnswer {
    let (hasNext, next) = (try reader.flag(), try reader.word())
    var ranges: [Range<UInt64>] = []
    for _ in 0..<(try reader.count(ofBytes: 16)) {
      let (start, end) = (try reader.word(), try reader.word())
      guard start < end, start >= ranges.last?.upperBound ?? 0 else { throw .impossibleField }
      ranges.append(start..<end)
    }
    guard hasNext ? next >= ranges.last?.upperBound ?? 0 : next == 0 else { throw .impossibleField }
    return .ranges(ranges, nextOffsetBytes: hasNext ? next : nil)
  }

  private static func metadata(_ reader: inout MessageReader) throws(MessageFlaw) -> ReplicaMetadata {
    let (claim, bootID, hasLost) = (try reader.claim(), try reader.identifier(), try reader.flag())
    let hot = try reader.regions()
    var missed: [(peer: Identifier, regions: [Int])] = []
    for _ in 0..<(try reader.count(ofBytes: Identifier.byteCount, atMost: maximumPeers)) {
      missed.append((try reader.identifier(), try reader.regions()))
    }
    return ReplicaMetadata(claim: claim, bootID: bootID, mayHaveLostCache: hasLost, hotRegions: hot, missed: missed)
  }
}
