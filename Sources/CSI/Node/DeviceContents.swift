/// What the beginning and the end of a block device say about what it holds.
public enum DeviceContents: Equatable, Sendable {
  /// All zeros at both ends: nothing that anybody put there can be found, so nothing is lost by formatting it.
  case empty
  /// We began to format it and did not finish: nobody has used it.
  case unfinished
  case filesystem(Filesystem)
  /// A sentence's end: "holds …".
  case other(String)

  /// A filesystem that we know.
  public struct Filesystem: Equatable, Sendable {
    public var kind: FilesystemKind
    public var uuid: [UInt8]
    public var sizeBytes: UInt64
    /// Its UUID is being changed, and that did not come to its end: it cannot be mounted before.
    public var isRenameUnfinished = false
  }

  /// How much of each end is looked at. Every signature that libblkid knows lies in there.
  public static let windowBytes = 1 << 20

  /// `head` and `tail` are the first and the last `windowBytes` of the device, or all of it.
  public init(head: [UInt8], tail: [UInt8]) {
    let foreign = Self.foreignSignature(head, tail)
    // These two have marks of their own for what is not finished.
    if let filesystem = Self.xfs(head) ?? Self.btrfs(head) {
      self = filesystem
    } else if FormatMarker.isPresent(tail: tail), !Self.wasExtMounted(head), foreign == nil {
      self = .unfinished
    } else if let filesystem = Self.ext(head) {
      self = filesystem
    } else if let name = foreign {
      self = .other(name)
    } else if head.allSatisfy({ $0 == 0 }), tail.allSatisfy({ $0 == 0 }) {
      self = .empty
    } else {
      self = .other("data of an unknown kind")
    }
  }

  /// The place of the marker is one for files' data later, and those can be anything: a filesystem that was mounted once (`s_mtime`) is one
  /// whatever lies there.
  private static func wasExtMounted(_ head: [UInt8]) -> Bool {
    number(head, 1024 + 56, 2) == 0xEF53 && number(head, 1024 + 44, 4) != 0
  }

  /// Linux, Documentation/filesystems/ext4, "Super Block".
  private static func ext(_ head: [UInt8]) -> DeviceContents? {
    let base = 1024
    guard number(head, base + 56, 2) == 0xEF53 else { return nil }
    let incompatible = number(head, base + 96, 4)
    // Extents are what ext2 and ext3 lack.
    if incompatible & 0x40 == 0 { return .other("an ext2 or ext3 filesystem") }
    let logBlockBytes = number(head, base + 24, 4)
    guard logBlockBytes <= 6 else { return .other("a damaged ext4 filesystem") }
    var blocks = number(head, base + 4, 4)
    if incompatible & 0x80 != 0 { blocks |= number(head, base + 0x150, 4) << 32 }
    let (bytes, isHuge) = blocks.multipliedReportingOverflow(by: 1024 << logBlockBytes)
    if isHuge { return .other("a damaged ext4 filesystem") }
    return .filesystem(Filesystem(kind: .ext4, uuid: Array(head[base + 104..<base + 120]), sizeBytes: bytes))
  }

  /// XFS Algorithms & Data Structures, "Superblocks".
  private static func xfs(_ head: [UInt8]) -> DeviceContents? {
    guard has(head, "XFSB", at: 0) else { return nil }
    // mkfs sets it first and clears it last.
    if head[126] != 0 { return .unfinished }
    let (bytes, isHuge) = bigEndian(head, 8, 8).multipliedReportingOverflow(by: bigEndian(head, 4, 4))
    if isHuge { return .other("a damaged xfs filesystem") }
    return .filesystem(Filesystem(kind: .xfs, uuid: Array(head[32..<48]), sizeBytes: bytes))
  }

  /// btrfs documentation, "On-disk Format", "Superblock".
  private static func btrfs(_ head: [UInt8]) -> DeviceContents? {
    let base = 0x10000
    if has(head, "!BHRfS_M", at: base + 0x40) { return .unfinished }
    guard has(head, "_BHRfS_M", at: base + 0x40) else { return nil }
    // BTRFS_SUPER_FLAG_CHANGING_FSID, and its second version.
    let isRenameUnfinished = number(head, base + 0x38, 8) & (1 << 35 | 1 << 36) != 0
    return .filesystem(
      Filesystem(
        kind: .btrfs, uuid: Array(head[base + 0x20..<base + 0x30]), sizeBytes: number(head, base + 0x70, 8),
        isRenameUnfinished: isRenameUnfinished))
  }

  private static func foreignSignature(_ head: [UInt8], _ tail: [UInt8]) -> String? {
    for sectorBytes in [512, 4096] where has(head, "EFI PART", at: sectorBytes) { return "a partition table (gpt)" }
    if has(head, "LUKS", at: 0) { return "an encrypted device (LUKS)" }
    for sector in 0..<4 where has(head, "LABELONE", at: sector * 512) { return "a physical volume of LVM" }
    if has(head, "SWAPSPACE2", at: 4086) { return "swap space" }
    if has(head, "NTFS    ", at: 3) { return "an NTFS filesystem" }
    for offset in [0, 4096] where number(head, offset, 4) == 0xA92B_4EFC { return "a member of a RAID (md)" }
    if number(head, 510, 2) == 0xAA55 { return "a partition table or a FAT filesystem" }
    return nil
  }

  private static func has(_ bytes: [UInt8], _ text: String, at offset: Int) -> Bool {
    bytes.count >= offset + text.utf8.count && bytes[offset..<offset + text.utf8.count].elementsEqual(text.utf8)
  }

  /// Little-endian; 0 beyond the end.
  private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    guard bytes.count >= offset + count else { return 0 }
    return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func bigEndian(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    guard bytes.count >= offset + count else { return 0 }
    return bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// What is written near a device's end before it is formatted and removed afterwards. Who dies in between finds a device that is neither empty
/// nor a filesystem; the marker says that nobody can have used it. It lies where the formatting programs that we run write nothing: mke2fs
/// and mkfs.xfs clear 64 and 128 KiB at the very end. mkfs.btrfs clears 2 MiB there, but has a mark of its own.
enum FormatMarker {
  static let byteCount = 4096
  private static let distanceBytes = 512 << 10
  private static let text = "keelson: this volume is being formatted and holds nothing\n"

  static var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    bytes.replaceSubrange(0..<text.utf8.count, with: text.utf8)
    return bytes
  }

  static let blank = [UInt8](repeating: 0, count: byteCount)

  static func offsetBytes(deviceBytes: UInt64) -> UInt64 { deviceBytes - UInt64(distanceBytes) }

  static func isPresent(tail: [UInt8]) -> Bool {
    guard tail.count >= distanceBytes else { return false }
    let start = tail.count - distanceBytes
    return tail[start..<start + text.utf8.count].elementsEqual(text.utf8)
  }
}
