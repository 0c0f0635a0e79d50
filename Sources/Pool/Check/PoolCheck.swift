import Reactor

/// Verifies every structure of a pool that nobody uses, and changes nothing.
///
/// Where opening stops at the first thing that is wrong, this goes on and says all that it finds.
struct PoolCheck<Storage: MetadataStorage> {
  let storage: Storage
  var report: PoolCheckReport
  var generator = SystemRandomNumberGenerator()

  init(_ storage: Storage) {
    self.storage = storage
    report = PoolCheckReport(location: storage.path)
  }

  mutating func run() throws(PoolError) {
    guard let superblock = try checkSuperblock() else { return }
    report.name = superblock.name
    report.id = superblock.id
    report.devicePath = superblock.devicePath
    report.deviceBytes = superblock.deviceBytes
    report.clusterBytes = superblock.clusterBytes
    report.clusterCount = superblock.clusterCount
    report.revision = superblock.revision
    let slots = try (0..<2).map { slot throws(PoolError) in try checkSlot(slot, superblock) }
    try checkContent(superblock, slots)
    try checkSums(superblock)
    try checkOpening()
  }

  /// Opening has the last word: what it refuses is not sound, whatever was found here.
  private mutating func checkOpening() throws(PoolError) {
    do throws(PoolError) {
      let choice = try SuperblockCopies(reading: storage).choose(storage)
      if storage.sizeBytes < choice.superblock.deviceBytes {
        throw .truncated(path: storage.path, byteCount: storage.sizeBytes, expectedBytes: choice.superblock.deviceBytes)
      }
      _ = try Recovery(storage, superblock: choice.superblock, using: &generator)
      report.canBeOpened = true
    } catch {
      if case .system = error { throw error }
      if !report.findings.contains(where: { $0.severity == .damage }) { report.add(.damage, error.message) }
    }
  }

  // MARK: Superblock

  /// The superblock that the rest is checked by: the one in use, or what a damaged copy says if that is possible.
  private mutating func checkSuperblock() throws(PoolError) -> Superblock? {
    let copies = try SuperblockCopies(reading: storage)
    var blocks: [[UInt8]] = []
    for offset in Superblock.copyOffsets {
      blocks.append(offset < storage.sizeBytes ? try storage.read(offsetBytes: offset, byteCount: Superblock.byteCount) : [])
    }
    guard copies.poolName != nil || copies.hasMagic else {
      if let signature = try ContentProbe.signature(of: storage) { throw .foreignContent(path: storage.path, what: signature) }
      if try ContentProbe.hasData(storage) { throw .foreignContent(path: storage.path, what: "data of an unknown kind") }
      throw .notAPool(path: storage.path)
    }
    let isOneWhole = copies.poolName != nil
    for (index, outcome) in copies.outcomes.enumerated() {
      guard case .failure(let flaw) = outcome else { continue }
      let name = index == 0 ? "first" : "second"
      switch flaw {
      case .newerVersion, .olderVersion:
        let version = Superblock.version(of: blocks[index])
        report.add(
          .damage, at: Superblock.copyOffsets[index],
          "the \(name) copy of the superblock has format version \(version); this program knows version \(Superblock.version) only")
      case .unknownFeatures:
        let bits = String(Superblock.features(of: blocks[index]), radix: 16)
        report.add(
          .damage, at: Superblock.copyOffsets[index],
          "the \(name) copy of the superblock names features that this program does not know (bits 0x\(bits))")
      default:
        report.add(
          isOneWhole ? .recoverable : .damage, at: Superblock.copyOffsets[index],
          "the \(name) copy of the superblock is damaged (\(flaw.explanation))" + (isOneWhole ? "; the other one is whole" : ""))
      }
    }
    if isOneWhole, case .failure = copies.outcomes[0], let signature = try ContentProbe.signature(of: storage) {
      report.add(.damage, at: 0, "somebody has put \(signature) over the start of the pool")
    }
    if case .success(let first) = copies.outcomes[0], case .success(let second) = copies.outcomes[1], first != second {
      let later = first.revision >= second.revision ? 0 : 1
      report.add(
        .note, at: Superblock.copyOffsets[1 - later],
        "the copies of the superblock differ (revisions \(first.revision) and \(second.revision)): a change of it was interrupted, "
          + "and the later one is in force")
    }
    let whole = copies.outcomes.compactMap { try? $0.get() }.max { $0.revision < $1.revision }
    let superblock = whole ?? blocks.compactMap { Self.believed($0) }.first
    guard let superblock else { return nil }
    if whole == nil { report.add(.note, "the rest is checked by what a damaged copy of the superblock says") }
    if storage.sizeBytes < superblock.deviceBytes {
      report.add(
        .damage, at: storage.sizeBytes,
        "the end is missing: there are \(storage.sizeBytes) bytes, the superblock says \(superblock.deviceBytes)")
    } else if superblock.growth(toDeviceBytes: storage.sizeBytes) != .none {
      report.add(
        .note, at: superblock.deviceBytes,
        "there are \(storage.sizeBytes - superblock.deviceBytes) bytes more than when the pool was made; the next opening takes them")
    }
    return superblock
  }

  /// What a copy with a wrong checksum says, if it could be a superblock otherwise.
  private static func believed(_ block: [UInt8]) -> Superblock? {
    guard block.count >= Superblock.byteCount, block.starts(with: Superblock.magic) else { return nil }
    return try? Superblock(decoding: Superblock.resealed(block))
  }
}

extension Superblock {
  /// A copy with its checksum made right.
  static func resealed(_ block: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(bytes: block[..<byteCount])
    writer.replace(at: checksumOffset, with: 0)
    unsafe writer.replace(at: checksumOffset, with: CRC32C.checksum(writer.bytes.span.bytes))
    return writer.bytes
  }
}

extension Pool {
  /// Verifies every structure of a pool that nobody uses, and changes nothing. Throws if it cannot be read or locked, and if there is no
  /// pool at all; everything else is in the report.
  public static func check(path: String, names: DeviceNames = .system) throws(PoolError) -> PoolCheckReport {
    var check = PoolCheck(try DiskFile(path: names.preferred(path), access: .readOnly))
    try check.run()
    return check.report
  }
}
