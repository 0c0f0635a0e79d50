import Reactor

/// Why something about a pool or a file could not be done. `message` says what, on which object and why; `hint` what to do.
public enum PoolError: Error, Equatable, Sendable {
  /// A system call failed; `action` reads as in "could not ⟨action⟩ ⟨path⟩".
  case system(path: String, action: String, code: Int32)
  /// Another process, or another part of this one, has it open.
  case inUse(path: String)
  /// Neither a regular file nor a block device.
  case unsuitable(path: String, what: String)
  /// Fewer bytes than are needed.
  case tooSmall(path: String, byteCount: UInt64, neededBytes: UInt64)
  /// It has as many bytes already.
  case notLarger(path: String, byteCount: UInt64, askedBytes: UInt64)
  /// It holds something that is not ours.
  case foreignContent(path: String, what: String)
  /// It holds a pool already.
  case poolExists(path: String, name: String)
  /// It holds no pool and nothing else that is known.
  case notAPool(path: String)
  /// Shorter than its superblock says.
  case truncated(path: String, byteCount: UInt64, expectedBytes: UInt64)
  /// No copy of the superblock can be trusted.
  case corruptSuperblock(path: String, detail: String)
  /// No checkpoint, or not the journal behind it, can be trusted.
  case corruptMetadata(path: String, detail: String)
  /// Written by a later version of Keelson.
  case newerVersion(path: String, found: UInt32, supported: UInt32)
  /// Written by a version of before anything was released.
  case olderVersion(path: String, found: UInt32, supported: UInt32)
  /// Uses features this version does not know.
  case unknownFeatures(path: String, bits: UInt32)
  case invalidLocation(text: String)
  case invalidName(name: String)
  case invalidClusterSize(byteCount: UInt64)
  /// More memory was asked for than the machine has.
  case notEnoughMemory(neededBytes: UInt64, presentBytes: UInt64)
  case invalidReplicaSize(pool: String, byteCount: UInt64, blockSizeBytes: UInt32)
  case unsupportedBlockSize(pool: String, blockSizeBytes: UInt32, sectorBytes: UInt32)
  case replicaExists(pool: String, id: Identifier)
  case unknownReplica(pool: String, id: Identifier)
  case replicaInUse(pool: String, id: Identifier)
  case noSpace(pool: String, neededBytes: UInt64, freeBytes: UInt64)
  /// The metadata have no room for one more.
  case metadataFull(pool: String)
  /// Its replicas may not be promised so much more than it has.
  case overcommitted(pool: String, promisedBytes: UInt64, limitBytes: UInt64)
  case unknownSnapshot(pool: String, id: Identifier)
  /// A logged region is outside of the replica, or the log is full.
  case invalidRegion(pool: String, replica: Identifier)
  case activityLogFull(pool: String, replica: Identifier, regionCount: Int)
  case invalidOptions(pool: String)
  /// Its metadata could not be written; it can be read only.
  case faulted(pool: String, detail: String)
  /// Another reactor serves it.
  case boundElsewhere(pool: String)
  case closed(pool: String)
}

extension PoolError: CustomStringConvertible {
  public var description: String { hint.isEmpty ? message : "\(message). \(hint)" }

  /// A short, stable name for programs.
  public var code: String {
    switch self {
    case .system: "system_error"
    case .inUse: "pool_in_use"
    case .unsuitable: "unsuitable_file"
    case .tooSmall: "too_small"
    case .notLarger: "not_larger"
    case .foreignContent: "foreign_content"
    case .poolExists: "pool_exists"
    case .notAPool: "not_a_pool"
    case .truncated: "truncated"
    case .corruptSuperblock: "corrupt_superblock"
    case .corruptMetadata: "corrupt_metadata"
    case .newerVersion: "newer_version"
    case .olderVersion: "older_version"
    case .unknownFeatures: "unknown_features"
    case .invalidLocation: "invalid_location"
    case .invalidName: "invalid_name"
    case .invalidClusterSize: "invalid_cluster_size"
    case .notEnoughMemory: "not_enough_memory"
    case .invalidReplicaSize: "invalid_size"
    case .unsupportedBlockSize: "unsupported_block_size"
    case .replicaExists: "replica_exists"
    case .unknownReplica: "replica_not_found"
    case .replicaInUse: "replica_in_use"
    case .noSpace: "no_space"
    case .metadataFull: "metadata_full"
    case .overcommitted: "overcommitted"
    case .unknownSnapshot: "snapshot_not_found"
    case .invalidRegion: "invalid_region"
    case .activityLogFull: "activity_log_full"
    case .invalidOptions: "invalid_options"
    case .faulted: "pool_faulted"
    case .boundElsewhere: "pool_bound_elsewhere"
    case .closed: "pool_closed"
    }
  }

  /// What was tried, on what, and why it failed; without a full stop.
  public var message: String {
    switch self {
    case .system(let path, let action, let code): "could not \(action) \(path): \(SystemError.message(code))"
    case .inUse(let path): "could not open \(path): it is in use by another process or mounted"
    case .unsuitable(let path, let what): "could not use \(path): it is \(what)"
    case .tooSmall(let path, let byteCount, let needed): "could not use \(path): it has \(byteCount) bytes, \(needed) are needed"
    case .notLarger(let path, let byteCount, let asked): "could not extend \(path) to \(asked) bytes: it has \(byteCount)"
    case .foreignContent(let path, let what): "will not touch \(path): it holds \(what)"
    case .poolExists(let path, let name): "will not make a pool of \(path): it holds the Keelson pool “\(name)”"
    case .notAPool(let path): "could not open \(path): it holds no Keelson pool"
    case .truncated(let path, let byteCount, let expected):
      "could not open the pool \(path): it has \(byteCount) bytes, its superblock says \(expected), so its end is missing"
    case .corruptSuperblock(let path, let detail): "could not open the pool \(path): both copies of its superblock are damaged (\(detail))"
    case .corruptMetadata(let path, let detail): "could not open the pool \(path): its metadata are damaged (\(detail))"
    case .newerVersion(let path, let found, let supported):
      "could not open the pool \(path): it has format version \(found), this program knows versions up to \(supported)"
    case .olderVersion(let path, let found, let supported):
      "could not open the pool \(path): it has format version \(found), this program knows version \(supported) only"
    case .unknownFeatures(let path, let bits):
      "could not open the pool \(path): it uses features this program does not know (bits 0x\(String(bits, radix: 16)))"
    case .invalidLocation(let text): "“\(text)” is neither a path nor mem:SIZE"
    case .invalidName(let name): "“\(name)” is not a pool name"
    case .invalidClusterSize(let byteCount): "\(byteCount) bytes is not a cluster size"
    case .notEnoughMemory(let needed, let present): "could not make a pool of \(needed) bytes in memory: the machine has \(present)"
    case .invalidReplicaSize(let pool, let byteCount, let blockSize):
      "could not create a replica of \(byteCount) bytes in the pool \(pool): not a multiple of its block size \(blockSize) above 0"
    case .unsupportedBlockSize(let pool, let blockSize, let sector):
      "could not create a replica with blocks of \(blockSize) bytes in the pool \(pool): its device has sectors of \(sector) bytes"
    case .replicaExists(let pool, let id): "the pool \(pool) has a replica \(id) already"
    case .unknownReplica(let pool, let id): "the pool \(pool) has no replica \(id)"
    case .replicaInUse(let pool, let id): "the replica \(id) of the pool \(pool) is in use"
    case .noSpace(let pool, let needed, let free):
      "could not create a replica of \(needed) bytes in the pool \(pool): it has \(free) bytes free"
    case .metadataFull(let pool): "could not create a replica in the pool \(pool): its metadata have no room for it"
    case .overcommitted(let pool, let promised, let limit):
      "could not promise the replicas of the pool \(pool) \(promised) bytes in all: its limit is \(limit)"
    case .unknownSnapshot(let pool, let id): "the pool \(pool) has no snapshot \(id)"
    case .invalidRegion(let pool, let replica): "a region is outside of the replica \(replica) of the pool \(pool)"
    case .activityLogFull(let pool, let replica, let count):
      "the activity log of the replica \(replica) of the pool \(pool) has no room beside its \(count) regions"
    case .invalidOptions(let pool): "the options for the pool \(pool) are not possible"
    case .faulted(let pool, let detail): "the pool \(pool) can be read only: \(detail)"
    case .boundElsewhere(let pool): "the pool \(pool) is served by another thread"
    case .closed(let pool): "the pool \(pool) is closed"
    }
  }

  /// What to do about it; empty where there is nothing better to say than the message.
  public var hint: String {
    switch self {
    case .system(_, _, let code):
      switch code {
      case 2: "Check the path"
      case 1, 13: "Run with the permissions to read and write it"
      case 28: "Make room on the file system"
      default: ""
      }
    case .inUse: "Stop the other process (a node that has it as its pool, perhaps), or unmount it"
    case .unsuitable(_, let what):
      what.hasPrefix("a block device")
        ? "Make the device itself larger, and do not give a size" : "Give the path of a regular file or a block device"
    case .tooSmall: "Give a larger file or device"
    case .notLarger: "Give a larger size; pools do not shrink"
    case .foreignContent, .poolExists: "If its content may be lost, make a pool of it with --force"
    case .notAPool: "Check the path, or make a pool of it with: keelson pool create"
    case .truncated: "Extend the file to its full size, or restore it from a backup"
    case .corruptSuperblock, .corruptMetadata:
      "Restore it from a backup, or make it anew with --force and let its replicas be rebuilt from their peers"
    case .olderVersion: "Make it anew with --force and let its replicas be rebuilt from their peers"
    case .newerVersion, .unknownFeatures: "Use the newer version of Keelson"
    case .invalidLocation: "Give a path, or for example mem:512MiB"
    case .invalidName: "Use 1 to \(Superblock.maximumNameBytes) bytes of printable text"
    case .invalidClusterSize: "Use a power of two from 64 KiB to 64 MiB"
    case .notEnoughMemory: "Ask for less"
    case .invalidReplicaSize: "Give a size in multiples of the block size"
    case .unsupportedBlockSize: "Use a block size of 512 or 4096 that is not below the sector size"
    case .replicaExists, .unknownReplica: "List the replicas to see what is there"
    case .replicaInUse: "Close it first"
    case .noSpace: "Delete replicas, or use another pool"
    case .metadataFull: "Delete replicas, or make the pool anew with larger clusters"
    case .overcommitted: "Delete replicas, make the pool larger (keelson pool grow), or use one with a higher limit (--overcommit)"
    case .unknownSnapshot: "List the snapshots to see what is there"
    case .invalidRegion: "Use regions of the pool's region size inside the replica"
    case .activityLogFull: "Drop regions that are equal everywhere first"
    case .invalidOptions: "Use regions of a power of two from 64 KiB to 1 GiB, and at most 65,536 hot ones"
    case .faulted: "Look at the device; open the pool again when it works"
    case .boundElsewhere: "Use the reactor that opened its first replica"
    case .closed: "Open it again"
    }
  }
}
