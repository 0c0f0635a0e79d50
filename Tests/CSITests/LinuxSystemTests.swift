import Foundation
import Testing

@testable import CSI

/// What is read from the kernel's own files, and programs really run.
@Suite struct LinuxSystemTests {
  @Test func `mountinfo lines`() throws {
    let text =
      #"36 35 259:3 / /var/lib/kubelet/a\040b rw,noatime shared:1 master:2 - ext4 /dev/nvme0n1 rw,errors=remount-ro"#
    let entry = try #require(MountEntry(line: text[...]))
    #expect(entry.mountPoint == "/var/lib/kubelet/a b")
    #expect(entry.deviceNumber == "259:3")
    #expect(entry.filesystem == "ext4")
    #expect(entry.options == ["rw", "noatime"])
    #expect(entry.filesystemOptions.last == "errors=remount-ro")
    #expect(!entry.isReadOnly)
    #expect(MountEntry(line: "36 35 259:3 / /mnt rw ext4 /dev/x rw"[...]) == nil)
    #expect(MountEntry(line: ""[...]) == nil)
    let mounts = try LinuxSystem().mounts()
    #expect(mounts.contains { $0.mountPoint == "/proc" })
  }

  @Test func `mount options are cut where they should be`() {
    let options = MountOptions(["noatime,ro", "context=\"a:b:c0,c1\",discard", "defaults", "_netdev", "x-systemd.automount"])
    #expect(options.isReadOnly)
    #expect(options.flags == ["noatime"])
    #expect(options.data == ["context=\"a:b:c0,c1\"", "discard"])
  }

  @Test func `heads are devices, paths and partitions are not`() {
    #expect(LinuxSystem.isNamespaceName("nvme10n2"))
    for name in ["nvme0c0n1", "nvme0n1p1", "nvme0", "sda", "nvmen1", "nvme0n"] { #expect(!LinuxSystem.isNamespaceName(name)) }
  }

  @Test func `sysfs is read`() throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "keelson-sysfs-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    func put(_ path: String, _ text: String) throws {
      let file = root.appending(path: path)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    try put("class/nvme/nvme0/state", "live\n")
    try put("class/nvme/nvme0/transport", "tcp\n")
    try put("class/nvme/nvme0/subsysnqn", "nqn.x\n")
    try put("class/nvme/nvme0/address", "traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9\n")
    try put("class/nvme/nvme1/state", "live\n")
    try put("class/nvme/nvme1/transport", "pcie\n")
    try put("class/block/nvme0n1/size", "2048\n")
    try put("class/block/nvme0n1/nguid", "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee\n")
    try put("class/block/nvme0n1/dev", "259:7\n")
    try put("class/block/nvme0n1/ro", "1\n")
    try put("class/block/nvme0n1/device/subsysnqn", "nqn.x\n")
    try put("class/block/sda/size", "2048\n")
    let system = LinuxSystem(sysfs: root.path)
    #expect(
      system.controllers() == [
        NVMeController(
          name: "nvme0", subsystemNQN: "nqn.x", hostNQN: "", transportAddress: "10.0.0.1", transportService: "4420", state: "live")
      ])
    #expect(
      system.namespaces() == [
        NVMeNamespace(
          name: "nvme0n1", nguid: "aaaaaaaabbbbccccddddeeeeeeeeeeee", subsystemNQN: "nqn.x", deviceNumber: "259:7", sizeBytes: 1 << 20,
          isReadOnly: true)
      ])
    #expect(system.hostRefusal != nil)
  }

  @Test func `programs end, fail, are missing and take too long`() throws {
    let system = LinuxSystem()
    #expect(try system.run("sh", ["-c", "echo well; exit 3"], limitSeconds: 20) == ProgramResult(status: 3, output: "well"))
    #expect(throws: SystemFailure("run keelson-no-such-program", code: ENOENT)) {
      try system.run("keelson-no-such-program", [], limitSeconds: 5)
    }
    #expect(throws: SystemFailure("run sleep within 1 s", code: ETIMEDOUT)) { try system.run("sleep", ["60"], limitSeconds: 1) }
  }

  @Test func `real programs make filesystems that are recognised`() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "keelson-device-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: file) }
    let size = 64 << 20
    try Data(count: size).write(to: URL(filePath: file))
    let system = LinuxSystem()
    func contents() throws -> DeviceContents {
      let count = DeviceContents.windowBytes
      return DeviceContents(
        head: try system.read(file, offsetBytes: 0, count: count),
        tail: try system.read(file, offsetBytes: UInt64(size - count), count: count))
    }
    #expect(try contents() == .empty)
    try system.write(file, offsetBytes: FormatMarker.offsetBytes(deviceBytes: UInt64(size)), FormatMarker.bytes)
    #expect(try contents() == .unfinished)
    let program = FilesystemKind.ext4.formatting(file, uuid: "11111111-2222-4333-8444-555555555555", options: [])
    #expect(try system.run(program.name, program.arguments, limitSeconds: 60).status == 0)
    #expect(try contents() == .unfinished, "mke2fs leaves the marker alone")
    // What files hold may look like the marker: a filesystem that was mounted once (s_mtime) is one all the same.
    var superblock = try system.read(file, offsetBytes: 0, count: 4096)
    superblock[1024 + 44] = 1
    try system.write(file, offsetBytes: 0, superblock)
    if case .filesystem = try contents() {} else { Issue.record("a filesystem that was used is taken for an unfinished one") }
    superblock[1024 + 44] = 0
    try system.write(file, offsetBytes: 0, superblock)
    try system.write(file, offsetBytes: FormatMarker.offsetBytes(deviceBytes: UInt64(size)), FormatMarker.blank)
    guard case .filesystem(let filesystem) = try contents() else {
      Issue.record("not recognised")
      return
    }
    #expect(filesystem.kind == .ext4)
    #expect(filesystem.sizeBytes == UInt64(size))
    #expect(filesystem.uuid.prefix(4) == [0x11, 0x11, 0x11, 0x11])
  }

  @Test(arguments: [
    ("unix:///csi/csi.sock", true), ("/csi/csi.sock", true), ("unix:relative", false), ("tcp://x", false), ("", false),
    ("unix:///csi/", false),
  ])
  func `places for sockets`(_ text: String, _ isRight: Bool) {
    let endpoint = try? CSIEndpoint(unix: text)
    #expect((endpoint != nil) == isRight)
  }

  @Test func `a path that no socket can have is told by its length`() {
    let path = "/" + String(repeating: "a", count: 107)
    #expect(throws: CSIEndpoint.Refusal.pathTooLong(path: path, byteCount: 108)) { try CSIEndpoint(unix: path) }
    #expect(throws: CSIEndpoint.Refusal.notLoopback("10.0.0.1:9000")) { try CSIEndpoint(tcp: "10.0.0.1:9000", allowsEverywhere: false) }
    #expect((try? CSIEndpoint(tcp: "10.0.0.1:9000", allowsEverywhere: true)) != nil)
  }
}
