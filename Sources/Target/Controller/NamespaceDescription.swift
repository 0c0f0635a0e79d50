import NVMe

/// What a namespace says about itself to every host, on every path the same but for the ANA state.
public struct NamespaceDescription: Equatable, Sendable {
  /// The block that is written as one, also over a power failure, and preferred by its medium.
  public static let atomicUnitBytes: UInt32 = 4096
  /// The highest ANA group a namespace may be in.
  public static let maximumANAGroup: UInt32 = 1024

  public let identifier: UInt32
  /// A multiple of `blockBytes`.
  public let sizeBytes: UInt64
  /// 512 or 4096.
  public let blockBytes: UInt32
  /// The volume's own; never shared by a clone or by a replica's subsystem.
  public let uuid: Identifier128
  /// As unique as `uuid`.
  public let guid: Identifier128
  /// 1 to `maximumANAGroup`.
  public let anaGroup: UInt32
  public var anaState: ANAState
  public var isWriteProtected: Bool
  /// Whether written blocks may be lost at a power failure until Flush or FUA.
  public var hasVolatileWriteCache: Bool

  public init(
    identifier: UInt32 = 1, sizeBytes: UInt64, blockBytes: UInt32 = 512, uuid: Identifier128, guid: Identifier128, anaGroup: UInt32 = 1,
    anaState: ANAState = .optimized, isWriteProtected: Bool = false, hasVolatileWriteCache: Bool = true
  ) {
    precondition(identifier >= 1 && identifier <= SubsystemDescription.maximumNamespaceCount)
    precondition(blockBytes == 512 || blockBytes == 4096)
    precondition(sizeBytes % UInt64(blockBytes) == 0)
    precondition(anaGroup >= 1 && anaGroup <= Self.maximumANAGroup)
    self.identifier = identifier
    self.sizeBytes = sizeBytes
    self.blockBytes = blockBytes
    self.uuid = uuid
    self.guid = guid
    self.anaGroup = anaGroup
    self.anaState = anaState
    self.isWriteProtected = isWriteProtected
    self.hasVolatileWriteCache = hasVolatileWriteCache
  }

  /// The same of another size.
  public func resized(to sizeBytes: UInt64) -> NamespaceDescription {
    NamespaceDescription(
      identifier: identifier, sizeBytes: sizeBytes, blockBytes: blockBytes, uuid: uuid, guid: guid, anaGroup: anaGroup,
      anaState: anaState, isWriteProtected: isWriteProtected, hasVolatileWriteCache: hasVolatileWriteCache)
  }

  /// Size in logical blocks.
  public var blockCount: UInt64 { sizeBytes / UInt64(blockBytes) }

  /// Blocks of the atomic unit, less one: how the wire counts it.
  var atomicUnitBlocksZeroBased: UInt16 { UInt16(Self.atomicUnitBytes / blockBytes - 1) }
}
