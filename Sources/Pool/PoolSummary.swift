/// Everything about a pool that nobody uses, for people: read without changing it.
public struct PoolSummary: Sendable {
  public let id: Identifier
  public let name: String
  /// What it is called in messages.
  public let location: String
  /// The lasting name under which its device was last opened; empty if it has none.
  public let devicePath: String
  public let isBlockDevice: Bool
  /// Size of the file or device now.
  public let fileBytes: UInt64
  /// The size that the pool knows of.
  public let deviceBytes: UInt64
  public let clusterBytes: UInt64
  public let sectorBytes: UInt32
  /// Whether it keeps checksums of its data.
  public let integrity: PoolIntegrity
  public let usage: PoolUsage
  /// Oldest first.
  public let replicas: [ReplicaInfo]
  /// Oldest first, with what their deletion would free.
  public let snapshots: [SnapshotInfo]
  /// What is damaged and was made up for.
  public let warnings: [String]

  /// Reads a pool that no node has open. Throws what `Pool.open` would.
  public init(path: String, names: DeviceNames = .system) throws(PoolError) {
    let lastingName = names.lastingName(of: path)
    let file = try DiskFile(path: lastingName ?? path, access: .readOnly)
    let choice = try SuperblockCopies(reading: file).choose(file)
    let superblock = choice.superblock
    guard file.sizeBytes >= superblock.deviceBytes else {
      throw .truncated(path: file.path, byteCount: file.sizeBytes, expectedBytes: superblock.deviceBytes)
    }
    var generator = SystemRandomNumberGenerator()
    let recovery = try Recovery(file, superblock: superblock, using: &generator)
    id = superblock.id
    name = superblock.name
    location = file.path
    devicePath = superblock.devicePath
    isBlockDevice = file.isBlockDevice
    fileBytes = file.sizeBytes
    deviceBytes = superblock.deviceBytes
    clusterBytes = superblock.clusterBytes
    sectorBytes = file.sectorBytes
    integrity = superblock.sums.isPresent ? .crc32c : .none
    warnings = [choice.warning].compactMap { $0 } + recovery.warnings
    let state = recovery.takeState()
    usage = state.usage
    replicas = state.replicaInfos
    snapshots = state.snapshotInfos(countsUnique: true)
  }
}
