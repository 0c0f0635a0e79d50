import CLinux
import Glibc
import Reactor

/// An open, locked regular file or block device: what reactors do I/O on, and control threads read and write metadata through.
///
/// The lock is `flock` on the very descriptor that does I/O (R17e): the kernel holds the open file for every request in
/// flight, so a killed process's last writes end before another can open the file. Block devices are opened exclusively
/// too, which refuses those that are mounted. Closed when the last reference goes.
public final class DiskFile: Sendable {
  public enum Access: Sendable {
    /// Shared with other readers.
    case readOnly
    /// Alone.
    case readWrite
  }

  /// How long to wait for another holder of the lock. A killed process keeps it until its last request in flight has ended, and
  /// one that is being started by the holder until it runs its own program.
  static let lockPatienceMilliseconds = 2_000

  /// Returns 0, or errno: EWOULDBLOCK when another holder does not let go.
  private static func lock(_ descriptor: Int32, _ access: Access) -> Int32 {
    let operation = (access == .readOnly ? LOCK_SH : LOCK_EX) | LOCK_NB
    for attempt in 0... {
      if flock(descriptor, operation) == 0 { return 0 }
      guard errno == EWOULDBLOCK, attempt < lockPatienceMilliseconds / 20 else { return errno }
      usleep(20_000)
    }
    return EWOULDBLOCK
  }

  public let path: String
  public let access: Access
  public let isBlockDevice: Bool
  /// Whether I/O bypasses the page cache (O_DIRECT). Some file systems (older tmpfs) cannot.
  public let isDirect: Bool
  /// Whether what was written is durable without a flush: a block device whose cache survives power losses, or that has none.
  public let isWriteThrough: Bool
  /// The unit of direct I/O, 512 or 4096.
  public let sectorBytes: UInt32
  /// Size when opened, in bytes.
  public let sizeBytes: UInt64
  /// Whether this open created the file.
  public let wasCreated: Bool
  let descriptor: Int32

  /// Buffers and offsets of metadata are multiples of this: right for every sector size.
  static let alignmentBytes = 4096

  /// Opens `path`. With `createFileBytes` an absent file is created, and an empty one is given that size, sparse; a file with
  /// content keeps its size.
  public init(path: String, access: Access = .readWrite, createFileBytes: UInt64? = nil) throws(PoolError) {
    var status = stat()
    let isPresent = unsafe stat(path, &status) == 0
    if !isPresent, errno != ENOENT || createFileBytes == nil { throw .system(path: path, action: "open", code: errno) }
    if isPresent, let kind = Self.unsuitableKind(status.st_mode) { throw .unsuitable(path: path, what: kind) }
    let isBlock = isPresent && keelson_is_block(status.st_mode) != 0
    var flags = O_CLOEXEC | (access == .readOnly ? O_RDONLY : O_RDWR)
    if isBlock && access == .readWrite { flags |= O_EXCL }
    if !isPresent { flags |= O_CREAT | O_EXCL }
    var isDirect = true
    var opened = unsafe keelson_open(path, flags | Int32(KEELSON_O_DIRECT), 0o600)
    if opened == -EINVAL {
      // The file may exist by now: the kernel creates it before it finds that it cannot do direct I/O.
      isDirect = false
      opened = unsafe keelson_open(path, flags & ~(isPresent ? 0 : O_EXCL), 0o600)
    }
    if opened == -EBUSY { throw .inUse(path: path) }
    guard opened >= 0 else { throw .system(path: path, action: isPresent ? "open" : "create", code: -opened) }
    do throws(PoolError) {
      let failure = Self.lock(opened, access)
      if failure != 0 { throw failure == EWOULDBLOCK ? .inUse(path: path) : .system(path: path, action: "lock", code: failure) }
      guard unsafe fstat(opened, &status) == 0 else { throw .system(path: path, action: "examine", code: errno) }
      if let kind = Self.unsuitableKind(status.st_mode) { throw .unsuitable(path: path, what: kind) }
      if let createFileBytes, keelson_is_regular(status.st_mode) != 0, status.st_size == 0 {
        guard createFileBytes <= UInt64(Int64.max), ftruncate(opened, off_t(createFileBytes)) == 0 else {
          throw .system(path: path, action: "give \(createFileBytes) bytes to", code: createFileBytes <= UInt64(Int64.max) ? errno : EFBIG)
        }
        status.st_size = off_t(createFileBytes)
      }
      var size = UInt64(status.st_size)
      var sector: Int32 = 512
      if isBlock {
        var code = unsafe keelson_block_device_size(opened, &size)
        if code == 0 { code = unsafe keelson_block_device_sector(opened, &sector) }
        guard code == 0 else { throw .system(path: path, action: "ask for the size of", code: -code) }
      } else if isDirect {
        sector = Self.sectorOfFileSystem(status.st_dev)
      }
      guard sector <= 4096 else { throw .unsuitable(path: path, what: "a device with sectors of \(sector) bytes") }
      sectorBytes = sector <= 512 ? 512 : 4096
      sizeBytes = size
    } catch {
      close(opened)
      if !isPresent { unsafe unlink(path) }
      throw error
    }
    self.path = path
    self.access = access
    isBlockDevice = isBlock
    self.isDirect = isDirect
    isWriteThrough = isBlock && isDirect && Self.hasNoVolatileCache(status.st_rdev)
    wasCreated = !isPresent
    descriptor = opened
  }

  deinit { close(descriptor) }

  private static func unsuitableKind(_ mode: mode_t) -> String? {
    if keelson_is_regular(mode) != 0 || keelson_is_block(mode) != 0 { return nil }
    switch mode & S_IFMT {
    case S_IFDIR: return "a directory"
    case S_IFCHR: return "a character device"
    case S_IFSOCK: return "a socket"
    case S_IFIFO: return "a pipe"
    default: return "a special file"
    }
  }

  /// The logical sector size of the disk under a file system, which is the unit of direct I/O on its files; 512 where the
  /// file system has no one disk.
  private static func sectorOfFileSystem(_ device: dev_t) -> Int32 {
    for digits in queueAttributes("logical_block_size", of: device) {
      var value: Int32 = 0
      for digit in digits {
        guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9"), value < 1 << 20 else { break }
        value = value * 10 + Int32(digit - UInt8(ascii: "0"))
      }
      if value >= 512 { return value }
    }
    return 512
  }

  /// Whether the kernel knows that a disk keeps nothing in a cache that a power loss empties.
  private static func hasNoVolatileCache(_ device: dev_t) -> Bool {
    queueAttributes("write_cache", of: device).first.map { $0.starts(with: Array("write through".utf8)) } ?? false
  }

  /// What sysfs says of a block device's queue, of its own and of its disk's: a partition has no queue of its own.
  private static func queueAttributes(_ name: String, of device: dev_t) -> [ArraySlice<UInt8>] {
    let base = "/sys/dev/block/\(gnu_dev_major(device)):\(gnu_dev_minor(device))"
    return ["\(base)/queue/\(name)", "\(base)/../queue/\(name)"].compactMap { path in
      let file = unsafe keelson_open(path, O_RDONLY | O_CLOEXEC, 0)
      guard file >= 0 else { return nil }
      defer { close(file) }
      var text = [UInt8](repeating: 0, count: 16)
      let count = unsafe Glibc.read(file, &text, text.count)
      return text.prefix(max(0, count))
    }
  }
}
