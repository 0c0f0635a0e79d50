import Pool

/// Questions as bytes.
extension ReplicaQuestion {
  /// A question is never longer: it travels in one capsule of the admin queue.
  public static let maximumMessageBytes = 8192
  /// Ranges of regions that one question takes; whoever has more asks more than once.
  public static let maximumMessageRanges = 1000

  private enum Kind: UInt8 {
    case claim = 1
    case storeSet, renewLease, release, setRegions, forgetPeer, clearLostCache, checksums, allocatedRanges, metadata
    case createSnapshot, deleteSnapshot, grow, claimFrom, snapshotChecksums, readSnapshot, changedRanges
  }

  /// The message. Throws `tooLong` for more members or ranges than one takes.
  public func encoded() throws(MessageFlaw) -> [UInt8] {
    var writer: MessageWriter
    switch self {
    case .claim(let claim), .storeSet(let claim):
      guard claim.inSync.count <= ReplicaClaim.maximumMembers else { throw .tooLong }
      if case .claim = self { writer = Self.writer(.claim) } else { writer = Self.writer(.storeSet) }
      writer.append(claim)
    case .claimFrom(let claim, let floor):
      guard claim.inSync.count <= ReplicaClaim.maximumMembers else { throw .tooLong }
      writer = Self.writer(.claimFrom)
      writer.append(claim)
      writer.append(floor)
    case .renewLease: writer = Self.writer(.renewLease)
    case .release: writer = Self.writer(.release)
    case .setRegions(let set, let ranges, let isMember):
      guard ranges.count <= Self.maximumMessageRanges else { throw .tooLong }
      guard ranges.allSatisfy({ $0.lowerBound >= 0 && $0.upperBound <= Int(UInt32.max) }) else { throw .impossibleField }
      writer = Self.writer(.setRegions)
      writer.append(set)
      writer.append(isMember)
      writer.append(ranges: ranges)
    case .forgetPeer(let peer):
      writer = Self.writer(.forgetPeer)
      writer.append(peer)
    case .clearLostCache: writer = Self.writer(.clearLostCache)
    case .checksums(let offset, let count):
      writer = Self.writer(.checksums)
      writer.append(offset)
      writer.append(count)
    case .allocatedRanges(let offset):
      writer = Self.writer(.allocatedRanges)
      writer.append(offset)
    case .metadata: writer = Self.writer(.metadata)
    case .createSnapshot(let id, let size):
      writer = Self.writer(.createSnapshot)
      writer.append(id)
      writer.append(size)
    case .deleteSnapshot(let id):
      writer = Self.writer(.deleteSnapshot)
      writer.append(id)
    case .grow(let size):
      writer = Self.writer(.grow)
      writer.append(size)
    case .snapshotChecksums(let id, let offset, let count), .readSnapshot(let id, let offset, let count):
      if case .readSnapshot = self { writer = Self.writer(.readSnapshot) } else { writer = Self.writer(.snapshotChecksums) }
      writer.append(id)
      writer.append(offset)
      writer.append(count)
    case .changedRanges(let later, let earlier, let offset):
      writer = Self.writer(.changedRanges)
      writer.append(later ?? .none)
      writer.append(earlier ?? .none)
      writer.append(offset)
    }
    return writer.sealed()
  }

  private static func writer(_ kind: Kind) -> MessageWriter { MessageWriter(kind: kind.rawValue) }

  /// Reads a message that somebody sent.
  public init(decoding bytes: [UInt8]) throws(MessageFlaw) {
    guard bytes.count <= Self.maximumMessageBytes else { throw .tooLong }
    var reader = try MessageReader(bytes)
    guard let kind = Kind(rawValue: reader.kind) else { throw .unknownKind(reader.kind) }
    switch kind {
    case .claim: self = .claim(try reader.claim())
    case .storeSet: self = .storeSet(try reader.claim())
    case .claimFrom: self = .claimFrom(try reader.claim(), floorGeneration: try reader.word())
    case .renewLease: self = .renewLease
    case .release: self = .release
    case .setRegions:
      let (set, isMember) = (try reader.regionSet(), try reader.flag())
      self = .setRegions(set, try reader.ranges(), isMember: isMember)
    case .forgetPeer: self = .forgetPeer(try reader.identifier())
    case .clearLostCache: self = .clearLostCache
    case .checksums: self = .checksums(offsetBytes: try reader.word(), byteCount: try reader.word())
    case .allocatedRanges: self = .allocatedRanges(fromOffsetBytes: try reader.word())
    case .metadata: self = .metadata
    case .createSnapshot: self = .createSnapshot(try reader.identifier(), sizeBytes: try reader.word())
    case .snapshotChecksums:
      self = .snapshotChecksums(try reader.identifier(), offsetBytes: try reader.word(), byteCount: try reader.word())
    case .readSnapshot: self = .readSnapshot(try reader.identifier(), offsetBytes: try reader.word(), byteCount: try reader.word())
    case .changedRanges:
      let (later, earlier) = (try reader.identifier(), try reader.identifier())
      self = .changedRanges(
        of: later == .none ? nil : later, since: earlier == .none ? nil : earlier, fromOffsetBytes: try reader.word())
    case .deleteSnapshot: self = .deleteSnapshot(try reader.identifier())
    case .grow: self = .grow(toSizeBytes: try reader.word())
    }
    try reader.finish()
  }
}
