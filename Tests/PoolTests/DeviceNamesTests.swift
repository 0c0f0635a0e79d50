import Glibc
import Testing

@testable import Pool

@Suite struct DeviceNamesTests {
  /// A folder of links as udev keeps it, and a pool file that some of them lead to.
  private final class Folder {
    let path = TemporaryFile().path
    let file = TemporaryFile(byteCount: 16 * mebibyte)
    let other = TemporaryFile(byteCount: 4096)

    init() { precondition(run("mkdir \(path)") == 0) }
    deinit { _ = run("rm -r \(path)") }

    func link(_ name: String, to target: String) { unsafe precondition(symlink(target, "\(path)/\(name)") == 0) }
    func unlink(_ name: String) { unsafe precondition(Glibc.unlink("\(path)/\(name)") == 0) }
    var names: DeviceNames { DeviceNames(folder: path) }
  }

  @Test func `the name with model and serial number is preferred`() {
    let folder = Folder()
    #expect(folder.names.preferred(folder.file.path) == folder.file.path)
    #expect(folder.names.lastingName(of: "/nowhere") == nil)
    folder.link("lvm-pv-uuid-1", to: folder.file.path)
    #expect(folder.names.lastingName(of: folder.file.path) == "\(folder.path)/lvm-pv-uuid-1")
    for name in ["wwn-0x5000", "nvme-eui.01", "ata-Disk_42-part1", "ata-Disk_42", "zzz"] { folder.link(name, to: folder.file.path) }
    folder.link("ata-A", to: folder.other.path)
    folder.link("ata-B", to: "/nowhere")
    #expect(folder.names.lastingName(of: folder.file.path) == "\(folder.path)/ata-Disk_42")
    #expect(folder.names.lastingName(of: "\(folder.path)/wwn-0x5000") == "\(folder.path)/wwn-0x5000", "what was given is kept")
  }

  @Test func `the name is kept in the pool, and another one is told once`() throws {
    let folder = Folder()
    folder.link("ata-Disk_1", to: folder.file.path)
    let made = try Pool.format(path: folder.file.path, name: "p", names: folder.names)
    #expect(made.location == "\(folder.path)/ata-Disk_1")
    #expect(made.superblock.devicePath == "\(folder.path)/ata-Disk_1")
    #expect(throws: PoolError.inUse(path: "\(folder.path)/ata-Disk_1")) { try Pool.open(path: folder.file.path, names: folder.names) }
    try made.close()
    do {
      let pool = try Pool.open(path: folder.file.path, names: folder.names)
      #expect(pool.notices == [] && pool.warnings == [])
      try pool.close()
    }
    #expect(try PoolSummary(path: folder.file.path, names: folder.names).devicePath == "\(folder.path)/ata-Disk_1")
    folder.unlink("ata-Disk_1")
    folder.link("scsi-Disk_1", to: folder.file.path)
    do {
      let pool = try Pool.open(path: folder.file.path, names: folder.names)
      #expect(pool.warnings == [])
      #expect(
        pool.notices == [
          "the pool was last found on \(folder.path)/ata-Disk_1, and now on \(folder.path)/scsi-Disk_1; its data are the same"
        ])
      #expect(pool.superblock.revision == 2)
      try pool.close()
    }
    let pool = try Pool.open(path: folder.file.path, names: folder.names)
    #expect(pool.notices == [])
    try pool.close()
    // Without a name it stays what it is.
    let plain = try Pool.open(path: folder.file.path, names: DeviceNames(folder: "/nowhere"))
    #expect(plain.notices == [] && plain.superblock.devicePath == "\(folder.path)/scsi-Disk_1")
    try plain.close()
  }
}
