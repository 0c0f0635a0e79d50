/// Recognises what others keep on disks, so that it is never overwritten by mistake.
public enum ContentProbe {
  /// Both ends of the device are looked at this far.
  public static let windowBytes = 132 << 10

  /// Names a known content of others, for example "an XFS file system"; nil if there is none.
  static func signature(of file: some MetadataStorage) throws(PoolError) -> String? {
    let head = try file.read(offsetBytes: 0, byteCount: windowBytes)
    if let name = signature(inHead: head) { return name }
    let tailOffset = (file.sizeBytes > UInt64(windowBytes) ? file.sizeBytes - UInt64(windowBytes) + 4096 : 0) & ~4095
    let tail = try file.read(offsetBytes: tailOffset, byteCount: windowBytes)
    for distance in [512, 4096] as [UInt64] where file.sizeBytes >= tailOffset + distance {
      if holds(tail, Array("EFI PART".utf8), at: Int(file.sizeBytes - tailOffset - distance)) { return "a GPT partition table (its copy)" }
    }
    // Superblocks of Linux MD at the end: version 1.0 at least 8 KiB before it on a 4 KiB border, 0.90 in the last 64 KiB border.
    var ends: [UInt64] = []
    if file.sizeBytes >= 8192 { ends.append((file.sizeBytes / 512 - 16) & ~7 * 512) }
    if file.sizeBytes >= 128 << 10 { ends.append((file.sizeBytes & ~0xFFFF) - 0x10000) }
    for end in ends where end >= tailOffset && holds(tail, linuxRAID, at: Int(end - tailOffset)) { return "a member of a Linux RAID (MD)" }
    return nil
  }

  /// The same from the first bytes of a device alone, up to `windowBytes` of them.
  public static func signature(inHead head: [UInt8]) -> String? {
    for known in headSignatures where holds(head, known.bytes, at: known.offset) { return known.name }
    // A boot sector ends so, whatever is in it; looked for last, as file systems may carry one.
    return holds(head, [0x55, 0xAA], at: 510) ? "a partition table or boot sector (MBR)" : nil
  }

  /// Whether there is anything but zeros in the first MiB.
  static func hasData(_ file: some MetadataStorage) throws(PoolError) -> Bool {
    try file.read(offsetBytes: 0, byteCount: 1 << 20).contains { $0 != 0 }
  }

  private static let linuxRAID: [UInt8] = [0xFC, 0x4E, 0x2B, 0xA9]

  private static let headSignatures: [(name: String, offset: Int, bytes: [UInt8])] = {
    var signatures: [(name: String, offset: Int, bytes: [UInt8])] = [
      ("a LUKS encrypted volume", 0, Array("LUKS".utf8) + [0xBA, 0xBE]),
      ("an XFS file system", 0, Array("XFSB".utf8)),
      ("an ext2, ext3 or ext4 file system", 1080, [0x53, 0xEF]),
      ("a Btrfs file system", 65536 + 64, Array("_BHRfS_M".utf8)),
      ("a Ceph BlueStore device", 0, Array("bluestore block device".utf8)),
      ("swap space", 4086, Array("SWAPSPACE2".utf8)),
      ("a member of a Linux RAID (MD)", 0, linuxRAID),
      ("a member of a Linux RAID (MD)", 4096, linuxRAID),
      ("a GPT partition table", 512, Array("EFI PART".utf8)),
      ("a GPT partition table", 4096, Array("EFI PART".utf8)),
    ]
    for sector in 0..<4 { signatures.append(("an LVM physical volume", sector * 512, Array("LABELONE".utf8))) }
    return signatures
  }()

  private static func holds(_ bytes: [UInt8], _ signature: [UInt8], at offset: Int) -> Bool {
    offset >= 0 && offset + signature.count <= bytes.count && bytes[offset...].starts(with: signature)
  }
}

extension DiskFile {
  /// Says what the file or device holds, for messages before it is overwritten; nil if its beginning is all zeros.
  public func contentDescription() throws(PoolError) -> String? {
    if let name = try SuperblockCopies(reading: self).poolName { return "the Keelson pool “\(name)”" }
    if let signature = try ContentProbe.signature(of: self) { return signature }
    return try ContentProbe.hasData(self) ? "data of an unknown kind" : nil
  }
}
