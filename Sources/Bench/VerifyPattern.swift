/// Data that says of itself what it is: every 512-byte sector names its run, job, version and place, so that a lost, old,
/// misplaced, mixed or damaged sector cannot pass for the right one.
///
/// Sector layout, as 64 little-endian words: 0 magic · 1 run · 2 job (high half) and version (low half) · 3 byte offset in
/// the target · 4 checksum of words 0–3 · 5–63 payload generated from word 4. The words 5–63 are thus a checksum of the
/// header 472 bytes long, and the header one of them.
@safe struct VerifyPattern {
  static let sectorBytes = 512
  static let magic: UInt64 = 0x4843_4e42_4c45_454b  // "KEELBNCH"
  private static let headerWords = 5
  private static let sectorWords = 64
  private static let step: UInt64 = 0x9e37_79b9_7f4a_7c15

  let run: UInt64
  let job: UInt32

  /// Fills `byteCount` bytes, a multiple of 512, as version `version` of what lies at `offsetBytes`.
  func fill(_ buffer: UnsafeMutableRawPointer, byteCount: Int, offsetBytes: UInt64, version: UInt32) {
    for sector in 0..<byteCount / Self.sectorBytes {
      let words = unsafe (buffer + sector * Self.sectorBytes).assumingMemoryBound(to: UInt64.self)
      let header = header(offsetBytes: offsetBytes &+ UInt64(sector * Self.sectorBytes), version: version)
      for index in 0..<Self.headerWords { unsafe words[index] = header[index].littleEndian }
      var state = header[4]
      for index in Self.headerWords..<Self.sectorWords {
        state &+= Self.step
        unsafe words[index] = Self.payload(state)
      }
    }
  }

  /// Compares `byteCount` bytes with what `fill` puts there for one of `versions`. Different sectors may have different ones:
  /// what was read while it was written may be a mixture.
  func mismatch(
    in buffer: UnsafeRawPointer, byteCount: Int, offsetBytes: UInt64, versions: VersionRange
  ) -> VerifyMismatch? {
    for sector in 0..<byteCount / Self.sectorBytes {
      let words = unsafe (buffer + sector * Self.sectorBytes).assumingMemoryBound(to: UInt64.self)
      let place = offsetBytes &+ UInt64(sector * Self.sectorBytes)
      let version = UInt32(truncatingIfNeeded: UInt64(littleEndian: unsafe words[2]))
      let header = header(offsetBytes: place, version: version)
      var difference: UInt64 = versions.contains(version) ? 0 : 1
      for index in 0..<Self.headerWords { unsafe difference |= words[index] ^ header[index].littleEndian }
      var state = header[4]
      for index in Self.headerWords..<Self.sectorWords {
        state &+= Self.step
        unsafe difference |= words[index] ^ Self.payload(state)
      }
      if difference != 0 {
        return VerifyMismatch(
          offsetBytes: place, expectedVersion: versions.last,
          finding: unsafe finding(words, place: place, versions: versions))
      }
    }
    return nil
  }

  private func header(offsetBytes: UInt64, version: UInt32) -> InlineArray<5, UInt64> {
    let identity = UInt64(job) &<< 32 | UInt64(version)
    return [Self.magic, run, identity, offsetBytes, Self.checksum(run: run, identity: identity, offsetBytes: offsetBytes)]
  }

  @inline(__always)
  private static func checksum(run: UInt64, identity: UInt64, offsetBytes: UInt64) -> UInt64 {
    RandomGenerator.finished(RandomGenerator.finished(RandomGenerator.finished(run &+ magic) ^ identity) &+ offsetBytes)
  }

  @inline(__always)
  private static func payload(_ state: UInt64) -> UInt64 { (state ^ (state &>> 29)).littleEndian }

  /// Says what a sector that is not the right one is instead.
  private func finding(_ words: UnsafePointer<UInt64>, place: UInt64, versions: VersionRange) -> VerifyMismatch.Finding {
    let found = InlineArray<64, UInt64> { UInt64(littleEndian: unsafe words[$0]) }
    if found.indices.allSatisfy({ found[$0] == 0 }) { return .zeros }
    let isOurs = found[0] == Self.magic && found[4] == Self.checksum(run: found[1], identity: found[2], offsetBytes: found[3])
    if !isOurs { return .foreign }
    var state = found[4]
    for index in Self.headerWords..<Self.sectorWords {
      state &+= Self.step
      let difference = found[index] ^ UInt64(littleEndian: Self.payload(state))
      if difference != 0 { return .damaged(offsetBytes: place &+ UInt64(index * 8 + difference.trailingZeroBitCount / 8)) }
    }
    if found[1] != run { return .otherRun }
    if found[3] != place || found[2] >> 32 != UInt64(job) { return .misplaced(fromOffsetBytes: found[3]) }
    return .otherVersion(UInt32(truncatingIfNeeded: found[2]))
  }
}

/// One sector that is not what was written last.
public struct VerifyMismatch: Sendable, Equatable {
  public enum Finding: Sendable, Equatable {
    /// All bytes are zero: the write never arrived, or was forgotten.
    case zeros
    /// Not data of any verified run, or damaged in its header.
    case foreign
    /// Written by a run with another seed.
    case otherRun
    /// The right run's data of another place.
    case misplaced(fromOffsetBytes: UInt64)
    /// The right place's data of another write: an older one, unless versions wrapped.
    case otherVersion(UInt32)
    /// The header is whole, and from this byte on the payload is not.
    case damaged(offsetBytes: UInt64)
    /// The block could not be read.
    case unreadable
  }

  /// The first wrong sector of the block, in bytes from the beginning of the target.
  public var offsetBytes: UInt64
  /// How often the block had been written by this run.
  public var expectedVersion: UInt32
  public var finding: Finding

  /// What was expected, as words.
  public var expectedText: String { "version \(expectedVersion)" }

  /// What was found, as words.
  public var foundText: String {
    switch finding {
    case .zeros: "zeros"
    case .foreign: "data that no verified run wrote, or a damaged header"
    case .otherRun: "data of an earlier run"
    case .misplaced(let offset): "the data of offset \(offset)"
    case .otherVersion(let version): "version \(version)"
    case .damaged(let offset): "damaged data from byte \(offset) on"
    case .unreadable: "a read error"
    }
  }
}
