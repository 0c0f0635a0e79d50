import CLinux
import Glibc

extension LinuxSystem {
  /// Far more than any machine's mounts take.
  private static let maximumMountBytes = 64 << 20

  public func mounts() throws(SystemFailure) -> [MountEntry] {
    let text = String(decoding: try Self.bytes(mountInformation, maximumCount: Self.maximumMountBytes), as: UTF8.self)
    return text.split(separator: "\n").compactMap { MountEntry(line: $0) }
  }

  public func mount(_ request: MountRequest) throws(SystemFailure) {
    var flags: UInt = 0
    for flag in request.options.flags { flags |= Self.number(of: flag) }
    if request.options.isReadOnly { flags |= 0x1 }
    let action = "mount \(request.source) at \(request.target)"
    guard let filesystem = request.filesystem else {
      try Self.call(action, request.source, request.target, nil, Self.bind, nil)
      // The kernel takes flags of a bind mount only when it is made anew.
      if flags != 0 { try Self.call(action + " with its options", nil, request.target, nil, Self.bind | Self.remount | flags, nil) }
      return
    }
    let data = request.options.data.joined(separator: ",")
    try Self.call(action + " as \(filesystem)", request.source, request.target, filesystem, flags, data.isEmpty ? nil : data)
  }

  public func unmount(_ path: String) throws(SystemFailure) {
    let result = unsafe keelson_unmount(path)
    if result < 0 { throw SystemFailure("unmount \(path)", code: -result) }
  }

  public func usage(ofFilesystemAt path: String) throws(SystemFailure) -> FilesystemUsage {
    var status = statvfs()
    if unsafe statvfs(path, &status) != 0 { throw SystemFailure("ask for the usage of \(path)", code: errno) }
    let unit = UInt64(status.f_frsize)
    return FilesystemUsage(
      totalBytes: UInt64(status.f_blocks) * unit, availableBytes: UInt64(status.f_bavail) * unit,
      usedBytes: UInt64(status.f_blocks - min(status.f_blocks, status.f_bfree)) * unit, totalInodes: UInt64(status.f_files),
      availableInodes: UInt64(status.f_favail))
  }

  // linux/mount.h
  private static let remount: UInt = 0x20
  private static let bind: UInt = 0x1000

  private static func number(of flag: String) -> UInt {
    switch flag {
    case "nosuid": 0x2
    case "nodev": 0x4
    case "noexec": 0x8
    case "sync": 0x10
    case "mand": 0x40
    case "dirsync": 0x80
    case "noatime": 0x400
    case "nodiratime": 0x800
    case "silent": 0x8000
    case "relatime": 0x20_0000
    case "strictatime": 0x100_0000
    case "lazytime": 0x200_0000
    default: 0
    }
  }

  private static func call(
    _ action: String, _ source: String?, _ target: String, _ filesystem: String?, _ flags: UInt, _ data: String?
  ) throws(SystemFailure) {
    let result = unsafe keelson_mount(source ?? "none", target, filesystem ?? "none", flags, data ?? "")
    if result < 0 { throw SystemFailure(action, code: -result) }
  }
}

/// Files and devices.
extension LinuxSystem {
  public func kind(of path: String) throws(SystemFailure) -> FileKind? {
    var status = stat()
    if unsafe lstat(path, &status) != 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw SystemFailure("look at \(path)", code: errno)
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .directory
    case S_IFREG: return .file
    case S_IFBLK: return .blockDevice("\(keelson_device_major(status.st_rdev)):\(keelson_device_minor(status.st_rdev))")
    default: return .other
    }
  }

  public func makeDirectory(_ path: String) throws(SystemFailure) {
    var end = path.startIndex
    while end < path.endIndex {
      end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
      let part = String(path[..<end])
      if unsafe mkdir(part, 0o750) != 0, errno != EEXIST { throw SystemFailure("create the folder \(part)", code: errno) }
    }
  }

  public func makeFile(_ path: String) throws(SystemFailure) {
    if let slash = path.lastIndex(of: "/"), slash > path.startIndex { try makeDirectory(String(path[..<slash])) }
    let descriptor = unsafe keelson_open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    if descriptor < 0 { throw SystemFailure("create the file \(path)", code: -descriptor) }
    close(descriptor)
  }

  public func remove(_ path: String) throws(SystemFailure) {
    var status = stat()
    if unsafe lstat(path, &status) != 0 {
      if errno == ENOENT { return }
      throw SystemFailure("look at \(path)", code: errno)
    }
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    // Data that somebody put below a mount point while nothing was mounted is not ours to remove.
    if !isDirectory, status.st_size > 0 { throw SystemFailure("remove \(path), which is not empty", code: ENOTEMPTY) }
    if (unsafe isDirectory ? rmdir(path) : unlink(path)) != 0, errno != ENOENT { throw SystemFailure("remove \(path)", code: errno) }
  }

  public func read(_ device: String, offsetBytes: UInt64, count: Int) throws(SystemFailure) -> [UInt8] {
    let descriptor = unsafe keelson_open(device, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemFailure("open \(device)", code: -descriptor) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let part = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe pread(descriptor, buffer.baseAddress! + done, count - done, off_t(offsetBytes) + off_t(done))
      }
      if part < 0, errno == EINTR { continue }
      if part <= 0 { throw SystemFailure("read \(device)", code: part == 0 ? EIO : errno) }
      done += part
    }
    return bytes
  }

  public func write(_ device: String, offsetBytes: UInt64, _ bytes: [UInt8]) throws(SystemFailure) {
    let descriptor = unsafe keelson_open(device, O_WRONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { throw SystemFailure("open \(device) to write", code: -descriptor) }
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let part = unsafe bytes.withUnsafeBytes { buffer in
        unsafe pwrite(descriptor, buffer.baseAddress! + done, bytes.count - done, off_t(offsetBytes) + off_t(done))
      }
      if part < 0, errno == EINTR { continue }
      if part <= 0 { throw SystemFailure("write \(device)", code: part == 0 ? EIO : errno) }
      done += part
    }
    if fsync(descriptor) != 0 { throw SystemFailure("flush \(device)", code: errno) }
  }
}
