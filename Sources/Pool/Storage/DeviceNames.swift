import CLinux
import Glibc

/// The names that block devices keep from boot to boot. The kernel's own (`/dev/sdb`) go to whichever disk answers first.
public struct DeviceNames: Sendable {
  /// What udev keeps.
  public static let system = DeviceNames(folder: "/dev/disk/by-id")

  private let folder: String
  /// More links than this are not looked at.
  private static let maximumLinks = 65_536

  /// `folder` holds one symbolic link for each name.
  init(folder: String) { self.folder = folder }

  /// The lasting name of what `path` leads to, which is `path` itself if it is one; nil if it has none.
  public func lastingName(of path: String) -> String? {
    if path.hasPrefix(folder + "/") { return path }
    guard let device = Self.resolved(path) else { return nil }
    return names.filter { Self.resolved("\(folder)/\($0)") == device }.min { Self.isBetter($0, than: $1) }.map { "\(folder)/\($0)" }
  }

  /// What to call a device in messages: its lasting name, or the path as it was given.
  public func preferred(_ path: String) -> String { lastingName(of: path) ?? path }

  /// What `path` leads to, symbolic links followed; nil if there is nothing.
  public static func resolved(_ path: String) -> String? {
    guard let real = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(real) }
    return unsafe String(cString: real)
  }

  private var names: [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while names.count < Self.maximumLinks, let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  /// Model and serial number, which are printed on the disk, before world-wide numbers, and these before what was written onto it.
  private static func rank(_ name: String) -> Int {
    for prefix in ["lvm-pv-uuid-", "dm-uuid-", "md-uuid-"] where name.hasPrefix(prefix) { return 3 }
    for prefix in ["wwn-", "nvme-eui.", "nvme-uuid.", "nvme-nvme.", "scsi-3"] where name.hasPrefix(prefix) { return 2 }
    for prefix in ["ata-", "nvme-", "scsi-", "virtio-", "usb-", "mmc-"] where name.hasPrefix(prefix) { return 0 }
    return 1
  }

  private static func isBetter(_ left: String, than right: String) -> Bool {
    (rank(left), left.utf8.count, left) < (rank(right), right.utf8.count, right)
  }
}
