/// A filesystem that volumes can have, and how its programs are called.
public enum FilesystemKind: String, CaseIterable, Sendable {
  case ext4, xfs, btrfs

  public static let standard = FilesystemKind.ext4

  /// What the program that makes it takes at least.
  public var minimumBytes: UInt64 {
    switch self {
    case .ext4: 1 << 20
    case .xfs: 300 << 20
    case .btrfs: 128 << 20
    }
  }

  struct Program: Equatable {
    var name: String
    var arguments: [String]
  }

  /// Makes the filesystem, with `uuid`; what is on the device is not asked for, since we looked.
  func formatting(_ device: String, uuid: String, options: [String]) -> Program {
    switch self {
    case .ext4:
      Program(
        name: "mkfs.ext4",
        arguments: ["-q", "-F", "-m", "0", "-U", uuid, "-E", "nodiscard,lazy_itable_init=1"] + options + [device])
    case .xfs: Program(name: "mkfs.xfs", arguments: ["-q", "-f", "-K", "-m", "uuid=\(uuid)"] + options + [device])
    case .btrfs: Program(name: "mkfs.btrfs", arguments: ["-q", "-f", "-K", "-U", uuid] + options + [device])
    }
  }

  /// Mends what can be mended without asking; nil where mounting does all that.
  func checking(_ device: String) -> Program? {
    self == .ext4 ? Program(name: "e2fsck", arguments: ["-p", device]) : nil
  }

  /// Of the checking program: all is well, or was made well.
  func isWell(_ status: Int32) -> Bool { status == 0 || status == 1 }

  /// Lets the filesystem take all of its device, which is mounted at `mountPoint`.
  func growing(_ device: String, mountPoint: String) -> Program {
    switch self {
    case .ext4: Program(name: "resize2fs", arguments: [device])
    case .xfs: Program(name: "xfs_growfs", arguments: ["-d", mountPoint])
    case .btrfs: Program(name: "btrfs", arguments: ["filesystem", "resize", "max", mountPoint])
    }
  }

  /// Gives an unmounted filesystem another UUID; nil where twins do no harm. The journal of xfs must be empty. Of btrfs only the superblock
  /// changes (`metadata_uuid`): what was synced and is still in its log tree bears the old one, and is replayed at the next mount.
  func renaming(_ device: String, uuid: String) -> Program? {
    switch self {
    case .ext4: nil
    case .xfs: Program(name: "xfs_admin", arguments: ["-U", uuid, device])
    case .btrfs: Program(name: "btrfstune", arguments: ["-f", "-M", uuid, device])
    }
  }

  /// Mount options under which nothing is written, the journal included.
  var optionsWithoutReplay: [String] {
    switch self {
    case .ext4: ["noload"]
    case .xfs: ["norecovery", "nouuid"]
    case .btrfs: ["rescue=nologreplay"]
    }
  }
}
