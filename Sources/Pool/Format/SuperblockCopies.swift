/// The two copies of a superblock, read and judged.
struct SuperblockCopies {
  let outcomes: [Result<Superblock, FormatFlaw>]
  private let blocks: [[UInt8]]
  private let path: String

  init(reading file: some MetadataStorage) throws(PoolError) {
    var outcomes: [Result<Superblock, FormatFlaw>] = []
    var blocks: [[UInt8]] = []
    for offset in Superblock.copyOffsets {
      let block = offset < file.sizeBytes ? try file.read(offsetBytes: offset, byteCount: Superblock.byteCount) : []
      do throws(FormatFlaw) {
        outcomes.append(.success(try Superblock(decoding: block)))
      } catch {
        outcomes.append(.failure(error))
      }
      blocks.append(block)
    }
    self.outcomes = outcomes
    self.blocks = blocks
    path = file.path
  }

  /// The name of the pool, if at least one copy is whole.
  var poolName: String? {
    for case .success(let superblock) in outcomes { return superblock.name }
    return nil
  }

  /// Whether any copy claims to be one, damaged or of a later version.
  var hasMagic: Bool { blocks.contains { $0.starts(with: Superblock.magic) } }

  /// The superblock to use.
  struct Choice {
    var superblock: Superblock
    /// Which copy it is.
    var index: Int
    /// What is wrong with the other copy.
    var warning: String?
    /// Whether the other copy is an older or damaged one of ours, or blank: it can be made equal without harm to anybody.
    var isOtherOurs = false
  }

  /// The superblock to use, and what is wrong with the other copy. A copy of a later version is believed before an older one:
  /// the older may be what that version left behind.
  func choose(_ file: some MetadataStorage) throws(PoolError) -> Choice {
    for (outcome, block) in zip(outcomes, blocks) {
      switch outcome {
      case .failure(.newerVersion):
        throw .newerVersion(path: path, found: Superblock.version(of: block), supported: Superblock.version)
      case .failure(.olderVersion):
        throw .olderVersion(path: path, found: Superblock.version(of: block), supported: Superblock.version)
      case .failure(.unknownFeatures): throw .unknownFeatures(path: path, bits: Superblock.features(of: block))
      default: break
      }
    }
    switch (outcomes[0], outcomes[1]) {
    case (.success(let first), .success(let second)):
      if first == second { return Choice(superblock: first, index: 0) }
      let isFirst = first.revision >= second.revision
      return Choice(
        superblock: isFirst ? first : second, index: isFirst ? 0 : 1,
        warning: "the two copies of the superblock of \(path) differ; the \(isFirst ? "first" : "second"), which is later, is used",
        isOtherOurs: true)
    case (.success(let first), .failure(let flaw)):
      return Choice(
        superblock: first, index: 0,
        warning: "the second copy of the superblock of \(path) is damaged (\(flaw.explanation)); the first is used",
        isOtherOurs: isOursOrBlank(1))
    case (.failure(let flaw), .success(let second)):
      // Somebody may have made something else of the device; writing into its middle would harm that.
      if let signature = try ContentProbe.signature(of: file) {
        throw .foreignContent(path: path, what: "\(signature), written over the start of the Keelson pool “\(second.name)”")
      }
      return Choice(
        superblock: second, index: 1,
        warning: "the first copy of the superblock of \(path) is damaged (\(flaw.explanation)); the second is used",
        isOtherOurs: isOursOrBlank(0))
    case (.failure(let first), .failure(let second)):
      if hasMagic {
        throw .corruptSuperblock(path: path, detail: "first: \(first.explanation), second: \(second.explanation)")
      }
      if let signature = try ContentProbe.signature(of: file) { throw .foreignContent(path: path, what: signature) }
      if try ContentProbe.hasData(file) { throw .foreignContent(path: path, what: "data of an unknown kind") }
      throw .notAPool(path: path)
    }
  }

  private func isOursOrBlank(_ index: Int) -> Bool {
    blocks[index].starts(with: Superblock.magic) || blocks[index].allSatisfy { $0 == 0 }
  }
}
