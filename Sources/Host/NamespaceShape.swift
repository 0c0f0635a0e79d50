import NVMe
import Reactor

/// What a namespace is and how commands to it must be cut, worked out from what the controller said and checked once.
struct NamespaceShape {
  var namespaceIdentifier: UInt32
  var sizeBytes: UInt64
  var blockSizeBytes: UInt32
  var guid: Identifier128
  var uuid: Identifier128?
  /// The most bytes of one read or write: MDTS, at most `BlockDevice.maximumTransferBytes`.
  var transferBytes: UInt64
  /// The most bytes of one Write Zeroes; 0 where the controller has none.
  var zeroesBytes: UInt64
  /// Write Zeroes may deallocate (DLFEAT bit 3).
  var zeroesCanDeallocate: Bool
  /// The most bytes of one Dataset Management range; 0 where a deallocation is not sure to leave zeros.
  var deallocateBytes: UInt64

  /// Granularity at which a deallocation has an effect (R9).
  static let deallocateUnitBytes: UInt64 = 4096

  static func make(_ facts: Association.Facts) -> Result<NamespaceShape, HostError.Reason> {
    let namespace = facts.namespace
    guard let blockSize = namespace.blockSizeBytes, blockSize == 512 || blockSize == 4096 else {
      return .failure(.unsupported("the namespace's blocks are neither 512 nor 4096 bytes"))
    }
    guard namespace.formats[namespace.formatIndex].metadataBytes == 0, namespace.protectionSettings & 0x7 == 0 else {
      return .failure(.unsupported("the namespace's format has metadata or protection information"))
    }
    let (size, overflow) = namespace.sizeBlocks.multipliedReportingOverflow(by: UInt64(blockSize))
    guard !overflow, namespace.sizeBlocks > 0 else {
      return .failure(.protocolViolation("Identify Namespace has an impossible size"))
    }
    let transfer = facts.maximumTransferBytes / UInt64(blockSize) * UInt64(blockSize)
    return .success(
      NamespaceShape(
        namespaceIdentifier: facts.namespaceIdentifier, sizeBytes: size, blockSizeBytes: blockSize, guid: namespace.guid,
        uuid: facts.uuid, transferBytes: transfer, zeroesBytes: zeroesLimit(facts, UInt64(blockSize), transfer),
        zeroesCanDeallocate: namespace.deallocateFeatures & 0x8 != 0, deallocateBytes: deallocateLimit(facts, UInt64(blockSize))))
  }

  private static func zeroesLimit(_ facts: Association.Facts, _ blockSize: UInt64, _ transfer: UInt64) -> UInt64 {
    guard facts.controller.optionalCommands.contains(.writeZeroes) else { return 0 }
    let most = 65_536 * blockSize
    // Without the structure that holds WZSL, the limit of transfers is the careful guess.
    guard let commandSet = facts.commandSet else { return min(most, transfer) }
    let shift = UInt64(commandSet.writeZeroesSizeShift)
    return shift == 0 || shift > 32 ? most : min(most, facts.pageBytes << shift)
  }

  private static func deallocateLimit(_ facts: Association.Facts, _ blockSize: UInt64) -> UInt64 {
    guard facts.controller.optionalCommands.contains(.datasetManagement), facts.namespace.deallocateFeatures & 0x7 == 1 else { return 0 }
    var blocks = UInt64(UInt32.max)
    if let commandSet = facts.commandSet {
      if commandSet.datasetRangeSizeLimitBlocks > 0 { blocks = min(blocks, UInt64(commandSet.datasetRangeSizeLimitBlocks)) }
      if commandSet.datasetSizeLimitBlocks > 0 { blocks = min(blocks, commandSet.datasetSizeLimitBlocks) }
    }
    // Whole units only: a cut inside one would leave it as it is.
    return blocks * blockSize / deallocateUnitBytes * deallocateUnitBytes
  }
}
