import CLinux
import Glibc

/// The identifier that the kernel takes at each boot of the machine.
enum BootIdentifier {
  static let current: Identifier = {
    let file = unsafe keelson_open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0)
    guard file >= 0 else { return .random() }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 36)
    let count = unsafe read(file, &bytes, bytes.count)
    // Unknown is taken for a new boot: what may be lost is then checked.
    return Identifier(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)) ?? .random()
  }()
}
